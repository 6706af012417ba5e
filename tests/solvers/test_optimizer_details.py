"""What an optimizer keeps, copies and says in passing, each on both sides of its condition."""

import _thread
import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from solvers import L1, RAMDA, RMDA, GroupLasso, NuclearNorm, ProxGen, ProxSGD, parameter_groups
from solvers.optimizers.diagnostics import StepReport
from solvers.optimizers.parameter_group import ParameterGroup, stage_factor_of
from tests.registry import optimizers

each = pytest.mark.parametrize("cls", optimizers())


def stepped(cls, param: nn.Parameter, steps: int = 1, **options):
    made = cls([param], **options)
    for _ in range(steps):
        param.grad = torch.ones_like(param)
        made.step()
    return made


@each
def test_a_hook_after_loading_sees_sums_of_their_own_dtype(cls):
    """torch's loader casts them to the 16 bits of the parameter; ours undoes that before anybody else looks."""
    param = nn.Parameter(torch.ones(2, 2, dtype=torch.bfloat16))
    seen: list[torch.dtype] = []
    made = stepped(cls, param)
    made.register_load_state_dict_post_hook(
        lambda made: seen.extend(value.dtype for value in made.state[param].values() if value.ndim)
    )
    made.load_state_dict(made.state_dict())
    assert set(seen) == {torch.float32}


@each
def test_loading_copies_every_tensor(cls):
    param = nn.Parameter(torch.ones(3, 2))
    made = stepped(cls, param, regularizer=NuclearNorm(0.1))
    saved = made.state_dict()
    kept = copy.deepcopy(saved["state"][0])
    other = nn.Parameter(torch.ones(3, 2))
    loaded = cls([other], regularizer=NuclearNorm(0.1))
    loaded.load_state_dict(saved)
    places = {value.data_ptr() for value in saved["state"][0].values()}
    assert not places & {value.data_ptr() for value in loaded.state[other].values()}
    other.grad = torch.ones(3, 2)
    loaded.step()
    assert all(torch.equal(value, kept[name]) for name, value in saved["state"][0].items())


@pytest.mark.parametrize(("stranger", "by"), [(RMDA, "rmda"), (torch.optim.AdamW, "another optimizer")])
def test_the_method_that_saved_a_state_is_named(stranger, by):
    saved = stepped(stranger, nn.Parameter(torch.ones(2, 2))).state_dict()
    with pytest.raises(ValueError, match=rf"param_groups\[0\] was saved by {by}.* this is ramda"):
        RAMDA([nn.Parameter(torch.ones(2, 2))]).load_state_dict(saved)


@pytest.mark.parametrize(
    ("take", "put", "said"),
    [
        (["grad_sum"], [], r"lacks \['grad_sum'\] and has nothing besides"),
        ([], ["strange"], r"lacks nothing and has \['strange'\] besides"),
        (["grad_sum"], ["strange"], r"lacks \['grad_sum'\] and has \['strange'\] besides"),
    ],
)
def test_what_a_state_lacks_and_has_besides_is_named(take, put, said):
    made = stepped(RAMDA, nn.Parameter(torch.ones(2, 2)))
    saved = copy.deepcopy(made.state_dict())
    for name in take:
        del saved["state"][0][name]
    saved["state"][0].update({name: torch.ones(2, 2) for name in put})
    with pytest.raises(ValueError, match=said):
        made.load_state_dict(saved)


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def advice(optimizer, **options) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with optimizer.structured_iterate_swapped_in(**options):
            pass
    return [str(warning.message) for warning in caught]


def test_statistics_of_w_are_warned_of_once_by_an_optimizer_and_by_its_copy():
    model = normed()
    optimizer = RAMDA(parameter_groups(model, linear=L1(0.1)))
    assert advice(optimizer, recompute_batch_norm=[torch.randn(4, 3)]) == []
    assert ["recompute_batch_norm=" in line for line in advice(optimizer)] == [True]
    assert advice(optimizer) == []
    copied = copy.deepcopy(optimizer)
    assert advice(copied) == []  # whose network is not known
    assert len(advice(copied, model=model)) == 1
    assert advice(copied, model=model) == []
    assert advice(RAMDA(parameter_groups(nn.Linear(3, 2)))) == []


class Learned:
    """psi = weight * sum |w_i| with a weight that others train."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.tensor(0.1))

    def value(self, w: Tensor) -> Tensor:
        return self.weight * w.abs().sum()

    def prox(self, w: Tensor, step: float) -> Tensor:
        return torch.sign(w) * (w.abs() - step * self.weight).clamp_min(0)

    def metric_prox(self, B: Tensor, D: Tensor, lam: float) -> Tensor:
        return self.prox(B, lam) / D


def test_the_rate_has_the_factor_of_the_stage_at_the_bottom_of_a_stack():
    """In a thread of its own there is no frame above the reader, as at the top of a script."""
    made, seen, done = RAMDA([nn.Parameter(torch.ones(2))], lr=0.5), [], _thread.allocate_lock()
    made.restart(0.5)
    done.acquire()

    def read() -> None:
        try:
            seen.append(made.param_groups[0]["lr"])
        finally:
            done.release()

    _thread.start_new_thread(read, ())
    assert done.acquire(timeout=30)
    assert seen == [0.25]


@each
def test_no_graph_is_kept_of_a_regularizer_that_is_trained(cls):
    param = nn.Parameter(torch.ones(2, 2))
    made = stepped(cls, param, regularizer=Learned())
    (found,) = made.structured_iterate().values()
    assert found.grad_fn is None
    assert not any(value.requires_grad for value in made.state[param].values())
    made.restart(0.5)
    assert not any(value.requires_grad for value in made.state[param].values())


@each
def test_the_structured_iterate_shares_no_memory_and_moves_nothing(cls):
    stepped_on, fresh = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    for psi in (None, L1(0.1), NuclearNorm(0.1)):
        made = stepped(cls, stepped_on, regularizer=psi)
        made.add_param_group({"params": [fresh]})
        held = [stepped_on, fresh, *made.state[stepped_on].values()]
        before, places = [tensor.clone() for tensor in held], {tensor.untyped_storage().data_ptr() for tensor in held}
        assert not places & {found.untyped_storage().data_ptr() for found in made.structured_iterate().values()}
        assert all(map(torch.equal, before, held))


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("psi", [None, GroupLasso(0.0), NuclearNorm(0.0)], ids=repr)
def test_the_largest_number_of_a_dtype_is_one_that_it_holds(cls, dtype, psi):
    """A gradient of zero leaves the parameter where it is, and nothing is unsolved about that."""
    largest = torch.finfo(dtype).max
    param = nn.Parameter(torch.full((1, 1), largest, dtype=dtype))
    made = cls([param], regularizer=psi, backend="plain", **({"eps": 1.0} if cls in (RAMDA, ProxGen) else {}))
    param.grad = torch.zeros_like(param)
    made.step()
    assert float(param.detach()) == largest
    assert made.unaccepted_steps == 0


class Same(RAMDA):
    """A method of the same formulas."""


class Other(RAMDA):
    """A method of another formula, which the kernel would not know."""

    def decayed(self, point, group):
        return point


class Told(Other):
    """One that says by which recurrence a kernel steps it."""

    recurrence = RAMDA.recurrence

    def mix(self, point, structured, group):
        return super().mix(point, structured, group)


@pytest.mark.parametrize(("cls", "known"), [(RAMDA, True), (Same, True), (Other, False), (Told, True)])
def test_a_kernel_knows_a_method_by_its_formulas(cls, known):
    assert cls.recurrence == (RAMDA.record.recurrence if known else None)
    assert stepped(cls, nn.Parameter(torch.ones(2, 2))).recurrence == cls.recurrence


@each
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_regularized_tensors_share_the_tolerance_in_squares(cls, count):
    """And a step without any has nothing to share."""
    params = [nn.Parameter(torch.ones(3, 2)) for _ in range(count + 1)]
    groups = [{"params": params[:1]}, *({"params": [p], "regularizer": NuclearNorm(0.1)} for p in params[1:])]
    made = cls(groups, lr=0.5, schedule=lambda step, unit: 0.3 * unit)
    for param in params:
        param.grad = torch.ones_like(param)
    with made.diagnostics.recorded() as reports:
        made.step()
    expected = 0.3 * 0.5 / max(count, 1) ** 0.5
    assert [block.tolerance for block in reports[0].blocks] == pytest.approx([expected] * (count + 1))


def test_a_report_of_no_tensor_is_one_of_nothing():
    report = StepReport.of([])
    assert (report.step, report.residual, report.tolerance, report.iterations) == (0, 0.0, 0.0, 0)
    assert report.accepted


def test_a_group_without_a_factor_of_the_stage_has_its_plain_rate():
    assert ParameterGroup({"lr": 0.5})["lr"] == ParameterGroup({"lr": 0.5}).get("lr") == 0.5
    assert stage_factor_of({"lr": 0.5}) == 1.0


class Shapeless(L1):
    """The L1 norm of a user's, which says nothing of groups."""

    group_norms: Any = None


@pytest.mark.parametrize(
    ("psi", "backend", "lines"),
    [(GroupLasso(0.1), "plain", 0), (GroupLasso(0.1), "auto", 1), (Shapeless(0.1), "auto", 0)],
    ids=["plain", "auto", "none"],
)
def test_memory_with_gaps_is_logged_where_a_kernel_was_asked_for(psi, backend, lines, log):
    param = nn.Parameter(torch.ones(4, 6)[:, ::2])
    stepped(ProxSGD, param, regularizer=psi, backend=backend)
    assert len(log()) == lines


class Counted:
    """The nuclear norm as a user writes it, which counts its proxes."""

    convex = True

    def __init__(self) -> None:
        self.proxes = 0

    def value(self, w: Tensor) -> Tensor:
        return 0.1 * torch.linalg.svdvals(w).sum()

    def prox(self, w: Tensor, step: float) -> Tensor:
        self.proxes += 1
        return NuclearNorm(0.1).prox(w, step)


@pytest.mark.parametrize("cls", [RAMDA, RMDA])
def test_a_regularizer_without_derivative_is_solved_for_in_every_second_step_as_well(cls):
    param, psi = nn.Parameter(torch.randn(4, 3)), Counted()
    made = cls([param], regularizer=psi, solve_every=2)
    solved = []
    for _ in range(5):
        before, param.grad = psi.proxes, torch.randn(4, 3)
        made.step()
        solved.append(psi.proxes > before)
        before = psi.proxes
        made.structured_iterate()
        assert psi.proxes == before  # it is kept
    assert solved == [True, False, True, False, True]


@pytest.mark.parametrize("cls", [RAMDA, RMDA])
def test_going_back_to_a_saved_state_forgets_what_came_after(cls):
    """Above all the prox of the last solve, which lies beside the state."""
    param, gradients = nn.Parameter(torch.randn(6, 5)), torch.randn(4, 6, 5)
    made = cls([param], regularizer=NuclearNorm(0.5))

    def step(gradient: Tensor) -> Tensor:
        param.grad = gradient.clone()
        made.step()
        return param.detach().clone()

    start = step(gradients[0])
    saved = copy.deepcopy(made.state_dict())
    ends = [step(gradients[1])]
    for how in ("loaded", "written"):
        step(gradients[2])
        step(gradients[3])
        with torch.no_grad():
            param.copy_(start)
        if how == "loaded":
            made.load_state_dict(copy.deepcopy(saved))
        else:
            for name, value in made.state[param].items():
                value.copy_(saved["state"][0][name])
        ends.append(step(gradients[1]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


@each
def test_the_drop_of_the_objective_is_that_from_the_parameter_before_the_step(cls):
    """By a kernel, which steps the parameter in place, as by plain torch."""
    drops = {}
    for backend in ("auto", "plain"):
        param = nn.Parameter(torch.linspace(-1, 2, 12).reshape(4, 3))
        made = cls([param], lr=0.5, regularizer=GroupLasso(0.1), backend=backend, weight_decay=0.1)
        with made.diagnostics.recorded() as reports:
            for step in range(3):
                param.grad = torch.linspace(1, -1 - step, 12).reshape(4, 3)
                made.step()
        drops[backend] = [report.objective_drop for report in reports]
    assert min(drops["plain"]) > 0
    assert drops["auto"] == pytest.approx(drops["plain"], rel=1e-3)


class Failing(L1):
    """Its prox fails from the second time on."""

    calls = 0

    def metric_prox(self, B: Tensor, D: Tensor, lam: float) -> Tensor:
        Failing.calls += 1
        if Failing.calls > 1:
            raise ArithmeticError("mine")
        return super().metric_prox(B, D, lam)


@each
def test_a_regularizer_that_fails_leaves_the_parameter_as_it_was(cls):
    param, Failing.calls = nn.Parameter(torch.ones(3, 2)), 0
    made = stepped(cls, param, regularizer=Failing(0.1), backend="plain", weight_decay=0.5)
    before = param.detach().clone()
    with pytest.raises(ArithmeticError, match="mine"):
        made.step()
    assert torch.equal(param.detach(), before)
