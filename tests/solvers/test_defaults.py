"""What holds where nothing is said: the steps at default hyperparameters by hand, and the line that a warning names."""

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from solvers import (
    L1,
    MCP,
    RAMDA,
    RMDA,
    GroupLasso,
    NuclearNorm,
    PowerSchedule,
    ProxGen,
    ProxSGD,
    Simplex,
    Stages,
    materialize,
    parameter_groups,
)
from tests.solvers.test_identity import Holder

#: Gradients of two steps, the small ones of the size of eps.
GRADIENTS = [(2.0, -1.0), (1e-8, 3e-8), (-1e-5, 2e-5)]


def ramda(W0: float, gradients: tuple[float, ...]) -> float:
    W, V, U = W0, 0.0, 0.0
    for t, G in enumerate(gradients, 1):
        s = 0.01 * math.sqrt(t)
        V, U = V + s * G, U + s * G * G
        W = 0.9 * W + 0.1 * (W0 - V / (U ** (1 / 3) + 1e-6))
    return W


def rmda(W0: float, gradients: tuple[float, ...]) -> float:
    W, V = W0, 0.0
    for t, G in enumerate(gradients, 1):
        V += 0.1 * math.sqrt(t) * G
        W = 0.9 * W + 0.1 * (W0 - V / math.sqrt(t))
    return W


def proxsgd(W: float, gradients: tuple[float, ...]) -> float:
    m = 0.0
    for G in gradients:
        m = 0.9 * m + 0.1 * G
        W -= 0.1 * m
    return W


def proxgen(W: float, gradients: tuple[float, ...]) -> float:
    m = v = 0.0
    for t, G in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * G, 0.999 * v + 0.001 * G * G
        W -= 1e-3 * m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return W


@pytest.mark.parametrize("gradients", GRADIENTS)
@pytest.mark.parametrize(("cls", "by_hand"), [(RAMDA, ramda), (RMDA, rmda), (ProxSGD, proxsgd), (ProxGen, proxgen)])
@pytest.mark.parametrize("backend", ["auto", "plain"])
def test_two_steps_at_the_defaults(cls, by_hand, gradients, backend):
    param = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    made = cls([param], backend=backend)
    for gradient in gradients:
        param.grad = torch.tensor([gradient], dtype=torch.float64)
        made.step()
    assert float(param.detach()) - 1 == pytest.approx(by_hand(1.0, gradients) - 1, rel=1e-7)


def test_regularizers_at_their_defaults():
    w = torch.tensor([[0.5, -2.0], [4.0, 0.1]], dtype=torch.float64)
    # rho(x) = x - x^2/6 up to 3, then 3/2
    assert float(MCP(1.0).value(w)) == pytest.approx(0.5 - 0.25 / 6 + 2 - 4 / 6 + 1.5 + 0.1 - 0.01 / 6)
    assert float(Simplex().prox(w, 1.0).sum()) == pytest.approx(1.0)
    assert GroupLasso(1.0).structure(w * torch.tensor([1.0, 0.0])).tolist() == [True, False]  # columns


def test_stages_and_schedules_at_their_defaults():
    assert PowerSchedule()(1, 1.0) == 1e-3
    assert PowerSchedule()(4, 2.0) == pytest.approx(5e-4)
    made = RAMDA([nn.Parameter(torch.ones(2))], lr=0.5)
    stages = Stages(made, [1])
    made.step()
    stages.step()
    assert made.param_groups[0]["lr"] == pytest.approx(0.05)
    made.restart()
    assert made.param_groups[0]["lr"] == pytest.approx(0.05)


def unaccepted() -> None:
    param = nn.Parameter(torch.randn(4, 3))
    made = RAMDA([param], regularizer=NuclearNorm(0.1), max_inner_iterations=1, schedule=lambda step, unit: 1e-12)
    param.grad = torch.randn(4, 3)
    made.step()


def advised() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    made = RAMDA(parameter_groups(model, linear=L1(0.1)))
    with made.structured_iterate_swapped_in():
        pass


def unknown_key() -> None:
    RAMDA([{"params": nn.Parameter(torch.ones(2)), "betas": (0.9, 0.9)}])


def loaded_unknown() -> None:
    made = RAMDA([nn.Parameter(torch.ones(2, 2))], regularizer=Holder(0.1, object()))
    made.load_state_dict(made.state_dict())


def other_milestones() -> None:
    made = RAMDA([nn.Parameter(torch.ones(2))])
    Stages(made, [9]).load_state_dict(Stages(made, [8]).state_dict())


def written() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    made = RAMDA(model.parameters())
    materialize(model, made)


def added_key() -> None:
    made = RAMDA([nn.Parameter(torch.ones(2))])
    made.add_param_group({"params": nn.Parameter(torch.ones(2)), "betas": (0.9, 0.9)})


def cycled() -> None:
    made = RAMDA([nn.Parameter(torch.ones(2))])
    torch.optim.lr_scheduler.OneCycleLR(made, max_lr=0.1, total_steps=9)


@pytest.mark.parametrize(
    "do", [unaccepted, advised, unknown_key, added_key, loaded_unknown, other_milestones, written, cycled]
)
def test_a_warning_names_the_line_of_the_caller(do: Callable[[], None]):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        do()
    first = do.__code__.co_firstlineno
    assert [(warning.filename, first < warning.lineno < first + 6) for warning in caught] == [(__file__, True)]
