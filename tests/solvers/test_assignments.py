"""What an optimizer remembers of its last step, and when it must not: every change between steps is noticed."""

import weakref
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from solvers import RAMDA, GroupLasso, ProxGen
from solvers.kernels import BACKENDS
from solvers.regularizers.members import GroupNorms
from tests.registry import optimizers

NATIVE: Any = BACKENDS["native"]
pytestmark = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)


def both(regularizer=None, cls=RAMDA, lr=0.1, **options) -> tuple[list[torch.nn.Parameter], list[Any]]:
    """The same parameter twice, and its optimizers: by the kernel and by plain torch."""
    regularizer = regularizer or GroupLasso(0.1)
    torch.manual_seed(0)
    point = torch.randn(6, 5)
    params = [torch.nn.Parameter(point.clone()) for _ in range(2)]
    return params, [
        cls([(backend, param)], regularizer=regularizer, backend=backend, lr=lr, **options)
        for param, backend in zip(params, ("native", "plain"), strict=True)
    ]


def step_both(params, made, steps: int = 2) -> None:
    for _ in range(steps):
        gradient = torch.randn(params[1].shape)
        for param, optimizer in zip(params, made, strict=True):
            param.grad = torch.empty_like(param).copy_(gradient)
            optimizer.step()
    torch.testing.assert_close(*(param.detach() for param in params))
    torch.testing.assert_close(*(optimizer.state[param] for param, optimizer in zip(params, made, strict=True)))


def other_strides(param, optimizer) -> None:
    """In the memory where it was."""
    for tensor in (param, *(value for value in optimizer.state[param].values() if value.ndim)):
        tensor.data = torch.as_strided(tensor.data.copy_(tensor.data.clone().T.reshape(6, 5)), (6, 5), (1, 6))


def other_memory(param, optimizer) -> None:
    param.data = param.data.clone()


def transposed_memory(param, optimizer) -> None:
    param.data = param.data.t().contiguous().t()
    for value in optimizer.state[param].values():
        if value.ndim:
            value.data = value.data.t().contiguous().t()


def other_state(param, optimizer) -> None:
    optimizer.state[param].update({key: value.clone() for key, value in optimizer.state[param].items()})


def offloaded_state(param, optimizer) -> None:
    for value in optimizer.state[param].values():
        value.data = value.data.clone()


def loaded_state(param, optimizer) -> None:
    optimizer.load_state_dict(optimizer.state_dict())


def other_regularizer(param, optimizer) -> None:
    optimizer.param_groups[0]["regularizer"] = GroupLasso(0.3, "output")


def other_hyperparameters(param, optimizer) -> None:
    optimizer.param_groups[0].update(lr=0.3, momentum=0.5, eps=1e-2)


def next_stage(param, optimizer) -> None:
    optimizer.restart(0.5)


def gradient_of_other_strides(param, optimizer) -> None:
    param.grad = torch.randn(5, 6, generator=torch.Generator().manual_seed(7)).t()
    optimizer.step()


def no_gradient(param, optimizer) -> None:
    """A step without a gradient."""
    param.grad = None
    optimizer.step()


@pytest.mark.parametrize(
    "change",
    [
        other_strides,
        gradient_of_other_strides,
        other_memory,
        transposed_memory,
        other_state,
        offloaded_state,
        loaded_state,
        other_regularizer,
        other_hyperparameters,
        next_stage,
        no_gradient,
    ],
)
def test_changes_between_steps_are_noticed(change):
    params, made = both()
    step_both(params, made)
    for param, optimizer in zip(params, made, strict=True):
        change(param, optimizer)
        param.grad = None
    torch.testing.assert_close(*(made[i].structured_iterate()[params[i]] for i in range(2)))
    step_both(params, made)


@pytest.mark.parametrize("cls", optimizers())
def test_a_weight_of_psi_that_was_zero(cls):
    params, made = both(cls=cls, lr=0.0)
    step_both(params, made)
    for optimizer in made:
        optimizer.param_groups[0]["lr"] = 0.1
    step_both(params, made)


def test_memory_is_not_held_for_the_next_step():
    param = torch.nn.Parameter(torch.randn(4, 3))
    made = RAMDA([param], regularizer=GroupLasso(0.1))
    param.grad = torch.ones(4, 3)
    made.step()
    memory = weakref.ref(param.untyped_storage())
    param.data = param.data.clone()
    assert memory() is None


def test_another_recurrence_is_noticed():
    params, made = both(cls=ProxGen, amsgrad=True)
    step_both(params, made)
    for optimizer in made:
        optimizer.param_groups[0]["amsgrad"] = False
    step_both(params, made)


class Scheduled:
    """The L1 norm with a weight that may be set."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def value(self, w):
        return self.weight * w.abs().sum()

    def prox(self, w, step):
        return torch.nn.functional.softshrink(w, step * self.weight)

    def metric_prox(self, B, D, lam):
        return torch.nn.functional.softshrink(B, float(lam * self.weight)) / D

    def group_norms(self, w):
        return GroupNorms(self.weight, 1, w.numel(), 1)


@dataclass(frozen=True)
class Table(Scheduled):
    """Frozen, but what it holds is not."""

    weights: list[float]

    @property
    def weight(self):
        return self.weights[0]


@dataclass
class Loose(Scheduled):
    """A dataclass whose field may be set."""

    weight: float


@pytest.mark.parametrize(
    ("regularizer", "reset"),
    [
        (Loose(0.1), lambda regularizer: setattr(regularizer, "weight", 2.0)),
        (Scheduled(0.1), lambda regularizer: setattr(regularizer, "weight", 2.0)),
        (Table([0.1]), lambda regularizer: regularizer.weights.__setitem__(0, 2.0)),
    ],
)
def test_a_regularizer_that_changes_is_asked_again(regularizer, reset, plain_steps):
    params, made = both(regularizer=regularizer)
    step_both(params, made)
    reset(regularizer)
    step_both(params, made)
    assert set(plain_steps) == {"plain"}


def test_backend_and_membership_may_change(plain_steps):
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(4, 3)) for _ in range(3)]
    made = RAMDA([(f"w{i}", param) for i, param in enumerate(params)], regularizer=GroupLasso(0.1))
    for given in ((0, 1, 2), (1,), (0, 2), (0, 1, 2)):
        for i, param in enumerate(params):
            param.grad = torch.randn(4, 3) if i in given else None
        made.step()
    assert [int(made.state[param]["step"]) for param in params] == [3, 3, 3]
    assert plain_steps == []
    made.backend = "plain"
    made.step()
    assert plain_steps == ["w0", "w1", "w2"]


def test_a_gradient_of_another_dtype_falls_back_with_one_line(log):
    param = torch.nn.Parameter(torch.randn(4, 3))
    if not hasattr(param, "grad_dtype"):
        pytest.skip("this torch has gradients of the parameter's dtype only")
    param.grad_dtype = torch.bfloat16
    made = RAMDA([param], regularizer=GroupLasso(0.1))
    param.grad = torch.ones(4, 3, dtype=torch.bfloat16)
    made.step()
    assert torch.equal(made.state[param]["grad_sum"], torch.full((4, 3), 1e-2))
    assert log() == [
        "the native kernel is not used: a gradient of torch.bfloat16 beside parameters of torch.float32; "
        "plain torch takes the step"
    ]


def test_gradients_are_not_kept_alive():
    param = torch.nn.Parameter(torch.randn(4, 3))
    made = RAMDA([param], regularizer=GroupLasso(0.1))
    param.grad = torch.ones(4, 3)
    gradient = weakref.ref(param.grad)
    made.step()
    param.grad = None
    assert gradient() is None


@pytest.mark.parametrize("write", ["in place", "data", "replaced"])
def test_counters_that_others_write_are_read_again(write):
    param = torch.nn.Parameter(torch.randn(4, 3))
    made = RAMDA([param], regularizer=GroupLasso(0.1))
    for _ in range(2):
        param.grad = torch.ones(4, 3)
        made.step()
    step = made.state[param]["step"]
    if write == "in place":
        step.fill_(10)
    elif write == "data":
        step.data = torch.tensor(10)
    else:
        made.state[param]["step"] = torch.tensor(10)
    made.step()
    assert int(made.state[param]["step"]) == 11


def test_a_step_in_inference_mode_counts():
    with torch.inference_mode():
        param = torch.nn.Parameter(torch.randn(4, 3), requires_grad=False)
        made = RAMDA([param], regularizer=GroupLasso(0.1))
        for _ in range(3):
            param.grad = torch.ones(4, 3)
            made.step()
        assert int(made.state[param]["step"]) == 3
