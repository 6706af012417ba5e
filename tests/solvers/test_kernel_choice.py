"""Which backend takes a step and what keeps one from it, with backends that say no to one thing at a time; and which
subproblems a kernel is asked for.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from solvers import GroupLasso
from solvers.kernels import BACKENDS, StepTask, choose, numbers_in, subproblem_by_kernel
from solvers.kernels.contract import unlike
from solvers.kernels.native import Native
from solvers.kernels.subproblem import SUBPROBLEM
from solvers.regularizers.members import GroupNorms

NATIVE: Any = BACKENDS["native"]
built = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)


class Picky:
    """A backend that says no for the reasons it is made with."""

    def __init__(self, name: str, device: str, unavailable: str | None = None, refusal: str | None = None) -> None:
        self.name, self.device, self._unavailable, self._refusal = name, device, unavailable, refusal

    def unavailable_reason(self) -> str | None:
        return self._unavailable

    def refusal_reason(self, task: StepTask) -> str | None:
        return self._refusal


def task(point: Tensor) -> StepTask:
    return StepTask(SUBPROBLEM, point, (), GroupNorms(1.0, 1, point.numel(), 1), flush=0.0)


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[str, Picky]:
    """In this order: one of another device, and two for the CPU."""
    made = {name: Picky(name, device) for name, device in (("afar", "cuda"), ("first", "cpu"), ("second", "cpu"))}
    for name in list(BACKENDS):
        monkeypatch.delitem(BACKENDS, name)
    for name, backend in made.items():
        monkeypatch.setitem(BACKENDS, name, backend)
    return made


@pytest.mark.parametrize(
    ("wanted", "name"), [("auto", "first"), ("first", "first"), ("second", "second"), ("afar", "afar"), ("plain", None)]
)
def test_the_one_that_is_wanted_is_chosen(wanted, name, backends, log):
    found = choose(task(torch.ones(3)), None, wanted)
    assert found is (None if name is None else backends[name])
    assert log() == []


@pytest.mark.parametrize("wanted", ["auto", "absent"])
def test_nobody_for_a_device_is_said(wanted, backends, log):
    device = "meta" if wanted == "auto" else "cpu"
    assert choose(task(torch.ones(3, device=device)), None, wanted) is None
    (line,) = log()
    assert f"tensors on {device};" in line


POINT = torch.ones(4, 3)


@pytest.mark.parametrize(
    ("backend", "point", "gradient", "said"),
    [
        (Picky("only", "cpu", unavailable="it is away"), POINT, None, "it is away"),
        (Picky("only", "cpu", refusal="it will not"), POINT, None, "it will not"),
        (Picky("only", "cpu"), torch._neg_view(POINT), None, "negative"),
        (Picky("only", "cpu"), POINT, POINT.double(), "torch.float64"),
        (Picky("only", "cpu"), POINT, torch.ones(3, 4).t(), "(1, 4)"),
        (Picky("only", "cpu"), POINT, torch._neg_view(POINT), "negative"),
        (Picky("only", "cpu"), POINT, torch.ones(4, 3, device="meta"), "meta"),
        (Picky("only", "cpu"), POINT, torch.ones(4, 1, 3)[:, 0], None),
        (Picky("only", "cpu"), POINT, None, None),
    ],
    ids=("away", "no", "point", "dtype", "strides", "gradient", "device", "like", "none"),
)
def test_each_reason_alone_keeps_a_backend_from_a_step(backend, point, gradient, said, backends, log, monkeypatch):
    monkeypatch.setitem(BACKENDS, "first", backend)
    found = choose(task(point), gradient, "auto")
    if said is None:
        assert (found, log()) == (backend, [])
    else:
        assert found is None
        assert choose(task(point), gradient, "auto") is None
        # It is said once.
        (line,) = log()
        assert said in line


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (torch.ones(4, 3), None),
        (torch.ones(4, 1)[:, [0, 0, 0]], None),
        (torch.ones(2, 4).t()[:, :1].expand(4, 3), "strides"),
        (torch.ones(4, 6)[:, :3], "strides (6, 1) beside (3, 1)"),
        (torch.ones(8, 3)[:3], "strides"),
        (torch.ones(4, 3, device="meta"), "tensors on meta and cpu"),
        (torch.ones(4, 3, dtype=torch.complex64).conj().imag, "negative"),
    ],
    ids=("like", "made like", "turned", "gaps", "shape", "device", "memory"),
)
def test_what_is_not_walked_through_together(other, said):
    """Where it stands among others does not matter."""
    for others in ([other], [POINT, other], [other, POINT]):
        found = unlike(POINT, others)
        assert found is None if said is None else said in found


class Wrapping(Tensor):
    """As wrappers do, it refuses to be a list at once."""

    def tolist(self):
        raise TypeError("not of a wrapper")


def test_numbers_in_a_vector_and_in_one_that_is_no_list():
    for vector in (torch.tensor([1.5, -2.0]), torch.tensor([1.5, -2.0]).as_subclass(Wrapping)):
        assert numbers_in(vector) == [1.5, -2.0]


@built
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.ones(2, 2, device="meta"), "meta"),
        (torch.ones(2, 2, dtype=torch.float16), "torch.float16"),
        (torch.ones(2, 2, dtype=torch.float64), None),
    ],
    ids=("device", "dtype", "float64"),
)
def test_what_the_compiled_step_refuses(given, said):
    found = Native().refusal_reason(task(given))
    assert found is None if said is None else said in found


@built
def test_a_state_of_another_dtype_is_refused():
    for point, state, refused in (
        (torch.float32, torch.float32, False),
        (torch.bfloat16, torch.float32, False),
        (torch.float64, torch.float64, False),
        (torch.float64, torch.float32, True),
        (torch.bfloat16, torch.bfloat16, True),
    ):
        given = StepTask(
            SUBPROBLEM,
            torch.ones(3, dtype=point),
            (torch.ones(3, dtype=DTYPE_OF[point]), torch.ones(3, dtype=state)),
            GroupNorms(1.0, 1, 3, 1),
            flush=0.0,
        )
        found = Native().refusal_reason(given)
        assert (str(state) in found) if refused else (found is None)


DTYPE_OF = {torch.float32: torch.float32, torch.bfloat16: torch.float32, torch.float64: torch.float64}


@built
@pytest.mark.parametrize(
    ("B", "D", "regularizer", "taken"),
    [
        (torch.ones(4, 3), torch.ones(4, 3), GroupLasso(0.1), True),
        (torch.ones(4, 3).double(), torch.ones(4, 3).double(), GroupLasso(0.1), True),
        (torch.ones(4, 3).bfloat16(), torch.ones(4, 3).bfloat16(), GroupLasso(0.1), False),
        (torch.ones(4, 3, device="meta"), torch.ones(4, 3, device="meta"), GroupLasso(0.1), False),
        (torch._neg_view(-torch.ones(4, 3)), torch.ones(4, 3), GroupLasso(0.1), False),
        (torch.ones(4, 3), torch._neg_view(-torch.ones(4, 3)), GroupLasso(0.1), False),
        (torch.ones(4, 3), torch.ones(3, 4).t(), GroupLasso(0.1), False),
        (torch.ones(4, 3), torch.full((4, 3), torch.nan), GroupLasso(0.1), False),
    ],
    ids=("float32", "float64", "bfloat16", "device", "memory of B", "memory of D", "strides", "no solution"),
)
def test_which_subproblems_a_kernel_takes(B, D, regularizer, taken, log):
    """And it leaves them as they are. Of equal entries a group of four is shortened by 0.1*sqrt(4) from 2."""
    before = B.clone()
    found = subproblem_by_kernel(B, D, 1.0, regularizer)
    assert log() == []
    if not taken:
        assert found is None
        return
    torch.testing.assert_close(found, torch.full_like(B, 0.9))
    assert torch.equal(B, before)
