"""What an optimizer keeps, copies and says in passing, each on both sides of its condition."""

import _thread
import copy
import warnings

import pytest
import torch
from torch import Tensor, nn

from solvers import L1, RAMDA, RMDA, GroupLasso, NuclearNorm, ProxGen, ProxSGD, parameter_groups
from solvers.optimizers.diagnostics import StepReport
from solvers.optimizers.parameter_group import ParameterGroup, stage_factor_of
from solvers.optimizers.refusals import _finite_norms, check_parameter
from solvers.optimizers.settings import check_keys, check_shapes
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
    param, seen = nn.Parameter(torch.ones(2, 2, dtype=torch.bfloat16)), []
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
def test_the_structured_iterate_shares_no_memory(cls):
    stepped_on, fresh = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    for psi in (None, L1(0.1), NuclearNorm(0.1)):
        made = stepped(cls, stepped_on, regularizer=psi)
        made.add_param_group({"params": [fresh]})
        held = [stepped_on, fresh, *made.state[stepped_on].values()]
        places = {tensor.untyped_storage().data_ptr() for tensor in held}
        assert not places & {found.untyped_storage().data_ptr() for found in made.structured_iterate().values()}


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


@pytest.mark.parametrize(
    ("name", "module", "refused"),
    [
        ("DTensor", "torch.distributed.tensor", True),
        ("DTensor", "somebodys.tensors", False),
        ("Shard", "torch.distributed.tensor", False),
    ],
)
def test_a_tensor_that_is_spread_over_processes_is_known_by_its_class(name, module, refused):
    kind = type(name, (nn.Parameter,), {"__module__": module})
    param = torch.ones(2, 2).as_subclass(kind)
    if refused:
        with pytest.raises(TypeError, match="parameter weight is a DTensor"):
            check_parameter("weight", param)
    else:
        check_parameter("weight", param)


def test_tensors_of_several_dtypes_are_looked_through_together():
    dtypes = (torch.float16, torch.float64, torch.bfloat16, torch.float32)
    finite = [torch.full((3,), torch.finfo(dtype).max, dtype=dtype) for dtype in dtypes]
    assert _finite_norms(finite) == [True] * 4
    for bad in (torch.inf, -torch.inf, torch.nan):
        for place, tensor in enumerate(finite):
            broken = [*finite]
            broken[place] = torch.cat([tensor, tensor.new_tensor([bad])])
            assert _finite_norms(broken) == [index != place for index in range(4)]


@each
def test_gradients_may_go_unread(cls):
    param = nn.Parameter(torch.ones(2, 2))
    made = cls([param], check_finite=False)
    param.grad = torch.full((2, 2), torch.nan)
    with pytest.warns(RuntimeWarning, match="was not accepted"):
        made.step()
    assert made.unaccepted_steps == 1
    assert torch.equal(param.detach(), torch.ones(2, 2))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
def test_an_empty_parameter_hides_no_other():
    params = [torch.ones(0, 3), torch.ones(3)]
    with pytest.raises(ValueError, match="parameter second cannot have the regularizer"):
        check_shapes(params, ["first", "second"], GroupLasso(1.0))
    with pytest.raises(ValueError, match=r"parameter params\[1\] cannot have the regularizer"):
        check_shapes(params, None, GroupLasso(1.0))


def test_the_first_of_several_bad_gradients_is_named_and_all_are_counted():
    params = [(name, nn.Parameter(torch.ones(2))) for name in ("fine", "first", "second", "third")]
    made = RAMDA(params)
    for (_, param), gradient in zip(params, (1.0, torch.nan, torch.inf, -torch.inf), strict=True):
        param.grad = torch.full_like(param, gradient)
    with pytest.raises(ValueError, match=r"parameter first has NaN .* \(3 such parameters\)"):
        made.step()


SHARES = [(RAMDA, "momentum"), (RMDA, "momentum"), (ProxSGD, "momentum"), (ProxGen, "betas")]


@pytest.mark.parametrize(("cls", "name"), SHARES)
def test_a_share_ends_at_one(cls, name):
    """That of the new point may be 1 and not 0, that of an old average 0 and not 1."""
    open_end, closed_end = (1.0, 0.0) if name == "betas" else (0.0, 1.0)
    for share in (open_end, -0.5, 1.5):
        for value in [(share, 0.5), (0.5, share)] if name == "betas" else [share]:
            with pytest.raises(ValueError, match=rf"{name}.* got {share}"):
                cls([nn.Parameter(torch.ones(2))], **{name: value})
    for share in (closed_end, 0.5):
        cls([nn.Parameter(torch.ones(2))], **{name: (share, share) if name == "betas" else share})


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


def test_an_empty_parameter_is_one():
    check_parameter("weight", nn.Parameter(torch.ones(0, 3)))


@pytest.mark.parametrize(
    ("key", "warned"), [("betas", True), ("momentum", False), ("grouping", True), ("params", False), ("mine", False)]
)
def test_a_hyperparameter_of_others_is_warned_of(key, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_keys("RAMDA", {"params": [], key: 0.5}, ("lr", "momentum"))
    assert [repr(key) in str(warning.message) for warning in caught] == [True] * warned


class Shapeless(L1):
    """The L1 norm of a user's, which says nothing of groups."""

    group_norms = None


@pytest.mark.parametrize(
    ("psi", "backend", "lines"),
    [(GroupLasso(0.1), "plain", 0), (GroupLasso(0.1), "auto", 1), (Shapeless(0.1), "auto", 0)],
    ids=["plain", "auto", "none"],
)
def test_memory_with_gaps_is_logged_where_a_kernel_was_asked_for(psi, backend, lines, log):
    param = nn.Parameter(torch.ones(4, 6)[:, ::2])
    stepped(ProxSGD, param, regularizer=psi, backend=backend)
    assert len(log()) == lines
