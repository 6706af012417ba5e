"""How much structure a network has: read from Ŵ, or from the parameters, which then say that they are."""

from typing import Any

import pytest
import torch
from torch import nn

from solvers import RAMDA, GroupLasso, NuclearNorm, StructureLevel, structure_levels
from tests.registry import weighted


def test_structure_is_read_from_what():
    """W keeps an average of the start for long; Ŵ has its zeros at once."""
    param, free = torch.nn.Parameter(torch.randn(5, 4)), torch.nn.Parameter(torch.randn(5, 4))
    low = torch.nn.Parameter(torch.randn(3, 3))
    groups = [
        {"params": [param], "regularizer": GroupLasso(1e4)},
        {"params": [low], "regularizer": NuclearNorm(1e4)},
        {"params": [free]},
    ]
    optimizer = RAMDA(groups, momentum=0.1)
    assert structure_levels(optimizer)["GroupLasso"] == StructureLevel(0, 20)
    for tensor in (param, low, free):
        tensor.grad = torch.randn_like(tensor)
    with pytest.warns(RuntimeWarning, match="became zero as a whole"):
        optimizer.step()
    assert structure_levels(optimizer) == {"GroupLasso": StructureLevel(20, 20), "NuclearNorm": StructureLevel(3, 3)}
    assert param.ne(0).all()


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
def test_frozen_weights_are_not_counted():
    """What the optimizer never steps has no structure of its making; it counts from its first step on."""
    params = [nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4, 5)), nn.Parameter(torch.ones(5, 5))]
    params[0].requires_grad_(False)
    optimizer = RAMDA(params, regularizer=GroupLasso(100.0))
    assert structure_levels(optimizer)["GroupLasso"] == StructureLevel(0, 45)
    for param in params[1:]:
        param.grad = torch.randn_like(param)
    optimizer.step()
    params[1].requires_grad_(False)
    assert structure_levels(optimizer)["GroupLasso"] == StructureLevel(45, 45)
    params[1].requires_grad_(True)
    assert structure_levels(optimizer, of="parameters")["GroupLasso"] == StructureLevel(0, 45)


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
def test_levels_of_the_parameters_say_that_they_are():
    param = nn.Parameter(torch.randn(5, 4))
    optimizer = RAMDA([param], regularizer=GroupLasso(100.0), momentum=0.1)
    param.grad = torch.randn_like(param)
    optimizer.step()
    structured, dense = structure_levels(optimizer), structure_levels(optimizer, of="parameters")
    assert (structured["GroupLasso"].zeros, dense["GroupLasso"].zeros) == (20, 0)
    assert str(structured).splitlines() == ["structure of Ŵ", "GroupLasso  100.0 %, 20 of 20"]
    lines = str(dense).splitlines()
    assert lines[:2] == ["structure of W, the parameters", "GroupLasso  0.0 %, 0 of 20"]
    assert "Ŵ has 100.0 %" in lines[2]
    assert param.ne(0).all()

    # Where W is Ŵ there is nothing to add.
    optimizer.param_groups[0]["momentum"] = 1.0
    optimizer.step()
    assert str(structure_levels(optimizer, of="parameters")).splitlines()[1:] == ["GroupLasso  100.0 %, 20 of 20"]


@pytest.mark.parametrize("of", ["w", "Ŵ", None])
def test_levels_of_nothing_else(of):
    with pytest.raises(ValueError, match="of must be one of 'structured_iterate', 'parameters'"):
        structure_levels(RAMDA([nn.Parameter(torch.ones(2, 2))]), of=of)


class Wrapper:
    """As accelerate's AcceleratedOptimizer and Lightning's LightningOptimizer keep an optimizer."""

    def __init__(self, inside, attribute):
        setattr(self, attribute, inside)


@pytest.mark.parametrize("attributes", [["optimizer"], ["_optimizer"], ["optimizer", "_optimizer"]])
def test_levels_look_inside_wrappers(attributes):
    wrapped: Any = RAMDA([nn.Parameter(torch.zeros(2, 3))], regularizer=GroupLasso(0.1))
    for attribute in attributes:
        wrapped = Wrapper(wrapped, attribute)
    assert structure_levels(wrapped)["GroupLasso"] == StructureLevel(6, 6)


def test_wrappers_of_nothing():
    other = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    circle: Any = Wrapper(None, "optimizer")
    circle.optimizer = circle
    for optimizer in (other, Wrapper(other, "optimizer"), circle, None, "RAMDA"):
        with pytest.raises(TypeError, match="optimizer must be a StructuredOptimizer or wrap one, got"):
            structure_levels(optimizer)


def test_levels_add_up_over_parameters():
    params = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.ones(4, 5))]
    level = structure_levels(RAMDA(params, regularizer=GroupLasso(0.1)))["GroupLasso"]
    assert level == StructureLevel(6, 26)
    assert level.fraction == pytest.approx(6 / 26)
    assert StructureLevel(0, 0).fraction == 0.0


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
@pytest.mark.parametrize("regularizer", [*weighted(0.1, "sparsity"), GroupLasso(0.1, "output")], ids=repr)
def test_empty_parameters_count_for_nothing(regularizer, shape):
    params = [torch.nn.Parameter(torch.zeros(shape)), torch.nn.Parameter(torch.zeros(4, 5))]
    optimizer = RAMDA(params, regularizer=regularizer)
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    right = structure_levels(RAMDA(params[1:], regularizer=regularizer))
    for of in ("structured_iterate", "parameters"):
        assert structure_levels(optimizer, of=of) == right
