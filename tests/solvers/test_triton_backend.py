"""What the Triton backend refuses, which plans it keeps, and when it makes another one; no GPU is needed."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed")

import triton

from solvers.kernels.contract import Recurrence, StepTask
from solvers.kernels.gpu import Triton, backend
from solvers.kernels.gpu import plan as plans
from solvers.kernels.gpu.groups import BOARDS, QUANTITIES
from solvers.regularizers.members import GroupNorms
from tests.solvers.triton_cases import DEVICE, INTERPRETED

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
PROXSGD = Recurrence("proxsgd", ("momentum_buffer",), 3)
NORMS = GroupNorms(0.0, 1, 4, 1)


def task(
    point: Any, recurrence: Recurrence = PROXSGD, norms: GroupNorms = NORMS, state: tuple[Any, ...] = ()
) -> StepTask:
    return StepTask(recurrence, point, state, norms, flush=0.0)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2.3.1", "triton 2.3.1 is too old"),
        ("3.3.9", "triton 3.3.9 is too old"),
        ("3.4.0", None),
        ("3.10.1", None),
        ("3.6.0+git1a2b3c", None),
        ("4.0.0", None),
    ],
)
def test_versions_of_triton(version, reason, monkeypatch):
    monkeypatch.setattr(triton, "__version__", version)
    monkeypatch.setenv("TRITON_INTERPRET", "1" if INTERPRETED else "0")
    assert Triton().unavailable_reason() == reason


def test_without_triton_there_is_a_reason(monkeypatch):
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert Triton().unavailable_reason() == "triton is not installed"


def ones(*shape: int, **options: Any) -> Any:
    """A tensor on the device that the kernels take, unless another is named."""
    return torch.ones(shape, **{"device": DEVICE, **options})


@pytest.mark.parametrize(
    ("given", "reason"),
    {
        "what it takes": (task(ones(4), state=(ones(4),)), None),
        "another device": (task(ones(4, device="meta")), "meta"),
        "whole numbers": (task(ones(4, dtype=torch.int64)), "torch.int64"),
        "an unknown method": (task(ones(4), Recurrence("adam", (), 3)), "adam"),
        "another shape": (task(ones(4), state=(ones(2, 2),)), "(2, 1)"),
        "a second state": (task(ones(4), state=(ones(4), ones(8)[::2])), "(2,)"),
    }.values(),
    ids=("what it takes", "device", "dtype", "method", "shape", "second state"),
)
def test_refusals(given, reason):
    found = Triton().refusal_reason(given)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("number", "capability", "refused"),
    [(90, (7, 5), True), (91, (7, 9), True), (92, (8, 0), False), (93, (8, 9), False), (94, (12, 0), False)],
)
def test_old_gpus(number, capability, refused, monkeypatch):
    """A tensor on a GPU that is not there, of the members that are asked."""
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    point = SimpleNamespace(device=torch.device("cuda", number), is_cuda=True, dtype=torch.float32)
    found = Triton().refusal_reason(task(point))
    assert ("8.0" in found) if refused else (found is None)


def test_a_tensor_on_the_cpu_is_for_the_interpreter(monkeypatch):
    for interpreted, refused in (("0", True), ("1", False)):
        monkeypatch.setenv("TRITON_INTERPRET", interpreted)
        assert (Triton().refusal_reason(task(torch.ones(4))) == "tensors on cpu") == refused


@pytest.mark.parametrize(("processors", "programs"), [(1, 1), (48, 48), (64, 64), (65, 64), (132, 64)])
def test_programs_that_are_surely_together(processors, programs, monkeypatch):
    """No more than the GPU has processors, and 64, so that some optimizers may step at a time."""
    properties = SimpleNamespace(multi_processor_count=processors)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert Triton()._most_parts(torch.device("cuda", 0)) == programs
    assert Triton()._most_parts(torch.device("cpu")) == 1


def test_a_board_holds_what_programs_post():
    """Two boards, since some may still read the last one."""
    assert 2 * QUANTITIES.value == BOARDS.value == backend.BOARD


def some_task() -> StepTask:
    return task(torch.ones(4, device=DEVICE), state=(torch.ones(4, device=DEVICE),))


def planned(made: Triton, given: StepTask, key: object, *, capturing: bool = False) -> Any:
    return made.plan([given], (key,), [None], [None], capturing=capturing)


def test_plans_that_were_not_used_for_long_are_forgotten():
    made, given = Triton(), some_task()
    kept = [planned(made, given, key) for key in range(backend.PLANS)]
    assert all(planned(made, given, key) is plan for key, plan in enumerate(kept))
    assert planned(made, given, 0) is kept[0]
    newest = planned(made, given, "one more")
    # The first has been used since, so the second is the one that has not been for longest.
    assert all(planned(made, given, key) is kept[key] for key in (0, *range(2, backend.PLANS)))
    assert planned(made, given, "one more") is newest
    assert planned(made, given, 1) is not kept[1]


def test_a_captured_plan_lives_on_and_others_do_not():
    made, given = Triton(), some_task()
    for key in ("captured", "not"):
        planned(made, given, key)
    for _ in range(2):
        planned(made, given, "captured", capturing=True)
    lives = [weakref.ref(planned(made, given, key)) for key in ("captured", "not")]
    for number in range(backend.PLANS):
        planned(made, given, number)
    gc.collect()
    assert lives[0]() is not None
    assert lives[1]() is None
    assert len(made._captured) == 1


def test_a_plan_cannot_be_made_while_a_graph_is_captured():
    with pytest.raises(RuntimeError, match="before capturing"):
        planned(Triton(), some_task(), "new", capturing=True)


class Launched:
    """A kernel that does nothing but note what it is given, by its grid."""

    def __init__(self) -> None:
        self.given: list[tuple[int, tuple[Any, ...]]] = []

    def __getitem__(self, grid: tuple[int]) -> Any:
        return lambda *arguments, **options: self.given.append((grid[0], arguments))


def test_launches_have_room_of_their_own(monkeypatch):
    """Counters of groups, a ticket and arrivals: no cell is used twice; and a board holds what all programs post."""
    noted = Launched()
    monkeypatch.setattr(plans, "step_groups", noted)
    monkeypatch.setattr(Triton, "_most_parts", lambda self, device: 3)
    norms = [GroupNorms(1.0, *shape) for shape in ((700, 17, 1), (2, 3, 1), (129, 5, 3), (1, 2, 9000))]
    tasks = []
    for its in norms:
        size = its.outer * its.groups * its.inner
        point, state = torch.zeros(size, device=DEVICE), torch.zeros(size, device=DEVICE)
        tasks.append(StepTask(PROXSGD, point, (state,), its, flush=0.0))
    counts = Triton().prepare(tasks).run([ROW] * 4, [None] * 4, [None] * 4)
    assert (counts.kept.tolist(), counts.zero.tolist()) == ([0] * 4, [0] * 4)
    used = list(range(2 * len(tasks)))
    shared = 0
    for programs, arguments in noted.given:
        units, (counters, board, ticket_at, arrived_at), tile = arguments[0], arguments[6:10], arguments[11]
        assert len(units) == programs
        if tile.split:
            shared += 1
            assert board.dtype == torch.float64
            assert board.numel() == programs * 12 * (tile.columns if tile.axis == 0 else tile.rows)
            used += [ticket_at, *range(arrived_at, arrived_at + programs)]
    assert shared == 3
    assert sorted(used) == list(range(len(counters)))
    assert counters.dtype == torch.int64
    assert not counters.any()


#: lam and mix, then m = (1 - 0.5)*m + 0.5*G and B = W - m, D = 1: after a step from m = 0 Ŵ is W - G/2.
ROW = [0.0, 1.0, 0.5, 1.0, 1.0]


def prepared(made: Triton, size: int = 4) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Steps of a point 1, 1, ... that stays, and where Ŵ goes."""
    point, state, found = (torch.full((size,), fill, device=DEVICE) for fill in (1.0, 0.0, torch.nan))
    given = StepTask(PROXSGD, point, (state,), GroupNorms(0.0, 1, size, 1), flush=0.0, averages=False)
    return made.prepare([given]), state, found


def test_a_gradient_that_comes_goes_and_changes():
    """Every step takes the tensors that it is given, not those of the step before."""
    steps, state, found = prepared(Triton())
    expected = 0.0
    gradients = [None, 2.0, 4.0, None, 6.0, None]
    tensors = [None if g is None else torch.full((4,), g, device=DEVICE) for g in gradients]
    for number, tensor in zip(gradients, tensors, strict=True):
        counts = steps.run([ROW], [tensor], [found])
        expected = expected if number is None else 0.5 * expected + 0.5 * number
        assert state.tolist() == [expected] * 4
        assert found.tolist() == [1.0 - expected] * 4
        assert (counts.kept.tolist(), counts.zero.tolist()) == ([0], [0])
    before = found.clone()
    other = torch.zeros_like(found)
    steps.run([ROW], [tensors[1]], [other])
    assert torch.equal(found, before)
    assert other.tolist() == [1.0 - 0.5 * expected - 1.0] * 4
    steps.run([ROW], [tensors[1]], [None])
    assert other.tolist() == [1.0 - 0.5 * expected - 1.0] * 4


def test_steps_with_like_tensors_share_a_plan():
    """Like ones are aligned alike: a load of 16 bytes at an address between would fail on a GPU."""
    made = Triton()
    steps, _, _ = prepared(made, 16)
    around = torch.zeros(64, device=DEVICE)
    for first, number, aligned in ((0, 1, True), (8, 1, True), (9, 2, False), (13, 2, False), (17, 2, False)):
        steps.run([ROW], [around[first : first + 16]], [None])
        assert len(made._plans) == number
        assert [launch.spec.aligned for launch in list(made._plans.values())[-1].launches] == [aligned]
    # From 0 to 17 floats are four times 17 bytes.
    steps.run([ROW], [around[:16]], [None])
    steps.run([ROW], [around[17:33]], [None])
    assert [launch.spec.aligned for launch in list(made._plans.values())[-1].launches] == [False]
