"""What an optimizer refuses, warns of and lets pass, each on both sides of its condition."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from solvers import RAMDA, RMDA, GroupLasso, ProxGen, ProxSGD
from solvers.optimizers.refusals import _finite_norms, check_parameter
from solvers.optimizers.settings import check_keys, check_shapes
from tests.registry import optimizers

each = pytest.mark.parametrize("cls", optimizers())


@pytest.mark.parametrize(
    ("name", "module", "refused"),
    [
        ("DTensor", "torch.distributed.tensor", True),
        ("DTensor", "somebodys.tensors", False),
        ("Shard", "torch.distributed.tensor", False),
    ],
)
def test_a_tensor_that_is_spread_over_processes_is_known_by_its_class(name, module, refused):
    kind: Any = type(name, (nn.Parameter,), {"__module__": module})
    param: Any = torch.ones(2, 2).as_subclass(kind)
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


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"check_finite": False}, True),
        ({"check_finite": False, "backend": "triton"}, True),
        ({}, False),
        ({"check_finite": False, "backend": "plain"}, False),
        ({"check_finite": False, "backend": "native"}, False),
        ({"backend": "native"}, False),
    ],
    ids=str,
)
def test_a_step_that_can_be_captured_waits_for_nothing(options, allowed):
    if allowed:
        assert RAMDA([nn.Parameter(torch.ones(2))], capturable=True, **options).capturable
    else:
        with pytest.raises(ValueError, match="capturable=True needs check_finite=False"):
            RAMDA([nn.Parameter(torch.ones(2))], capturable=True, **options)
