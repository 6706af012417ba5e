"""The optimizers as torch users use them: closures, schedulers, scalers, copies, mixed precision, groups."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, PowerSchedule
from solvers.optimizers import StructuredOptimizer
from tests.registry import optimizers

ALL = optimizers()
each = pytest.mark.parametrize("cls", ALL)


def built(cls, *, dtype=torch.float64, regularizer=None, **settings) -> tuple[torch.nn.Parameter, StructuredOptimizer]:
    param = torch.nn.Parameter(torch.randn(4, 3).to(dtype))
    return param, cls([("weight", param)], regularizer=regularizer or GroupLasso(0.01), **settings)


def advance(param, optimizer, steps=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float32).to(param.dtype)
        optimizer.step()


@each
def test_parameter_without_gradient_is_left_alone(cls):
    used, unused = (torch.nn.Parameter(torch.randn(2, 2)) for _ in range(2))
    before = unused.detach().clone()
    optimizer = cls([used, unused], regularizer=GroupLasso(1e-3))
    used.grad = torch.randn(2, 2)
    optimizer.step()
    assert torch.equal(unused, before)
    assert unused not in optimizer.state
    assert torch.equal(optimizer.structured_iterate()[unused], before)


@each
def test_step_without_any_gradient(cls):
    param, optimizer = built(cls)
    before = param.detach().clone()
    assert optimizer.step() is None
    assert torch.equal(param, before)


@each
def test_closure_runs_with_gradients(cls):
    param, optimizer = built(cls, regularizer=L1(1e-3), lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = ((param - 1) ** 2).sum()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(60)]
    assert losses[-1] < 0.9 * losses[0]


@each
@pytest.mark.parametrize("kind", ["step", "warm-up"])
def test_torch_schedulers(cls, kind):
    param, optimizer = built(cls, lr=0.5)
    if kind == "step":
        scheduler: Any = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
        expected = [0.5, 0.5, 0.05, 0.05, 0.005]
    else:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(epoch / 4, 1.0))
        expected = [0.0, 0.125, 0.25, 0.375, 0.5]
    rates = []
    for t in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        advance(param, optimizer, seed=t)
        scheduler.step()
    assert rates == pytest.approx(expected)
    assert bool(torch.isfinite(param).all())


@each
def test_rate_zero_moves_nothing(cls):
    param, optimizer = built(cls, lr=0.0, regularizer=GroupLasso(1.0))
    before = param.detach().clone()
    advance(param, optimizer, 3)
    torch.testing.assert_close(param.detach(), before, rtol=1e-12, atol=0)


@each
def test_gradient_scaler(cls):
    """Dynamic loss scaling on the CPU: a scaled run equals a plain one, and an overflow skips the step."""
    start = torch.randn(4, 3)
    runs = []
    for scaler in (torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=enabled) for enabled in (True, False)):
        param = torch.nn.Parameter(start.clone())
        optimizer = cls([param], regularizer=GroupLasso(0.01))
        for t in range(4):
            optimizer.zero_grad()
            scaler.scale((param * (t + 1)).square().sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        runs.append(param.detach())
    torch.testing.assert_close(runs[0], runs[1], rtol=1e-5, atol=1e-6)

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = param.detach().clone()
    param.grad = None
    scaler.scale((param * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(param, before)
    assert scaler.get_scale() == 512.0


@each
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_continue_alike(cls, how):
    param, optimizer = built(cls)
    advance(param, optimizer, 3)
    pair = (param, optimizer)
    other, twin = copy.deepcopy(pair) if how == "deepcopy" else pickle.loads(pickle.dumps(pair))
    assert other is not param
    advance(param, optimizer, 3, seed=1)
    advance(other, twin, 3, seed=1)
    assert torch.equal(param, other)
    assert int(twin.state[other]["step"]) == 6


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_parameters_keep_float32_sums(cls, dtype):
    param, optimizer = built(cls, dtype=dtype)
    advance(param, optimizer, 3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = torch.nn.Parameter(param.detach().clone())
    reloaded = cls([("weight", other)], regularizer=GroupLasso(0.01))
    reloaded.load_state_dict(torch.load(file, weights_only=True))
    assert param.dtype == other.dtype == dtype
    for key, value in optimizer.state[param].items():
        assert reloaded.state[other][key].dtype == value.dtype
        assert torch.equal(reloaded.state[other][key], value)
        assert value.dtype != dtype
    advance(param, optimizer, 2, seed=1)
    advance(other, reloaded, 2, seed=1)
    assert torch.equal(param, other)


@each
def test_loading_does_not_share_memory(cls):
    param, optimizer = built(cls)
    advance(param, optimizer)
    saved = optimizer.state_dict()
    twin_param, twin = built(cls)
    twin.load_state_dict(saved)
    before = {key: value.clone() for key, value in optimizer.state[param].items()}
    advance(twin_param, twin, 2, seed=1)
    assert all(torch.equal(value, before[key]) for key, value in optimizer.state[param].items())


@each
def test_state_dict_holds_no_objects(cls):
    _, optimizer = built(cls)
    saved = optimizer.state_dict()["param_groups"][0]
    assert saved["regularizer"]["class"] == "solvers.regularizers.group_lasso.GroupLasso"
    assert saved["regularizer"]["attributes"]["reg_weight"] == 0.01
    assert saved["method"] == cls.record.name
    assert optimizer.param_groups[0]["regularizer"] == GroupLasso(0.01)


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_entries_of_a_zero_group_become_exactly_zero(dtype):
    """Without the flush an average whose Ŵ is zero sticks in denormals for ever."""
    param, optimizer = built(RAMDA, dtype=dtype, regularizer=GroupLasso(100.0), momentum=0.5)
    for _ in range(300):
        param.grad = torch.zeros_like(param)
        optimizer.step()
    assert param.eq(0).all()


@each
def test_small_numbers_survive(cls):
    # Times eps = 1e-8 they are still normal.
    tiny = 1e-28
    param = torch.nn.Parameter(torch.full((2, 2), tiny))
    optimizer = cls([param], lr=0.1)
    param.grad = torch.zeros(2, 2)
    optimizer.step()
    torch.testing.assert_close(param.detach(), torch.full((2, 2), tiny), rtol=1e-5, atol=0)


@each
def test_group_added_later(cls):
    param, optimizer = built(cls)
    advance(param, optimizer, 2)
    late = torch.nn.Parameter(torch.randn(3, 2))
    optimizer.add_param_group({"params": [("late", late)], "regularizer": NuclearNorm(0.01), "lr": 0.2})
    param.grad, late.grad = torch.randn_like(param), torch.randn(3, 2)
    optimizer.step()
    assert int(optimizer.state[param]["step"]) == 3
    assert int(optimizer.state[late]["step"]) == 1
    assert [group["lr"] for group in optimizer.param_groups][1] == 0.2


@each
def test_one_tensor_in_place_of_a_list(cls):
    param = torch.nn.Parameter(torch.randn(3))
    optimizer = cls([{"params": param}])
    param.grad = torch.ones(3)
    optimizer.step()
    assert int(optimizer.state[param]["step"]) == 1


@each
def test_zero_dimensional_parameter(cls):
    param = torch.nn.Parameter(torch.tensor(2.0))
    optimizer = cls([param], regularizer=L1(0.1), lr=0.1)
    param.grad = torch.tensor(1.0)
    optimizer.step()
    assert param.shape == ()
    assert param.item() < 2.0


@each
def test_swap_restores_after_an_error(cls):
    param, optimizer = built(cls)
    advance(param, optimizer, 2)
    before = param.detach().clone()
    with pytest.raises(RuntimeError, match="evaluation"), optimizer.structured_iterate_swapped_in():
        raise RuntimeError("evaluation broke")
    assert torch.equal(param, before)


@each
@pytest.mark.parametrize("backend", ["auto", "plain"])
def test_parameters_of_one_group_that_have_taken_different_numbers_of_steps(cls, backend):
    """One that has had no gradient for a while is behind the others, and each goes on as it would alone."""
    points = [torch.randn(4, 3, dtype=torch.float64) for _ in range(2)]
    together = [torch.nn.Parameter(point.clone()) for point in points]
    alone = [torch.nn.Parameter(point.clone()) for point in points]
    shared = cls(together, regularizer=GroupLasso(0.01), backend=backend)
    own = [cls([param], regularizer=GroupLasso(0.01), backend=backend) for param in alone]
    for step in range(6):
        for index, moves in enumerate((True, step >= 3 or step == 0)):
            gradient = torch.randn(4, 3, dtype=torch.float64) if moves else None
            together[index].grad = gradient
            alone[index].grad = None if gradient is None else gradient.clone()
        shared.step()
        for optimizer in own:
            optimizer.step()
    assert [int(shared.state[param]["step"]) for param in together] == [6, 4]
    for param, other in zip(together, alone, strict=True):
        torch.testing.assert_close(param, other, rtol=1e-14, atol=1e-14)


@each
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("schedule", PowerSchedule(2.0, 0.75)),
        ("method", "splitting"),
        ("max_inner_iterations", 17),
        ("solve_every", 3),
        ("check_finite", False),
        ("backend", "plain"),
        ("capturable", True),
    ],
)
def test_an_option_that_is_set_is_the_one_that_steps_read(cls, name: str, other: Any):
    optimizer = built(cls)[1]
    before = getattr(optimizer, name)
    assert before == getattr(optimizer.stepper.options, name) != other
    setattr(optimizer, name, other)
    assert getattr(optimizer, name) == getattr(optimizer.stepper.options, name) == other
