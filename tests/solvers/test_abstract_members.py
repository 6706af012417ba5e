"""What a kind of problem or a method has to define: a class that leaves one member out cannot be made."""

import pytest
import torch

from solvers import L1
from solvers.optimizers.method import Method
from solvers.subproblem.numbers import Numbers
from solvers.subproblem.problems import Problems

NUMBERS = ("each", "read", "full", "along", "norm", "sum", "largest", "bounds", "finite", "rows")
PROBLEM = (torch.ones(2), torch.ones(2), 1.0, L1(1.0))
KINDS = [
    (Numbers, NUMBERS, ()),
    (Problems, (*NUMBERS, "prox", "step_lipschitz"), PROBLEM),
    (Method, ("new_state", "accumulate", "normal_form"), ()),
]
MEMBERS = [
    pytest.param(kind, names, arguments, name, id=f"{kind.__name__}.{name}")
    for kind, names, arguments in KINDS
    for name in names
]


@pytest.mark.parametrize(("kind", "names", "arguments", "left_out"), MEMBERS)
def test_a_member_that_is_left_out_is_named(kind, names, arguments, left_out):
    def made(*left_out: str):
        return type("Own", (kind,), {name: lambda self: None for name in names if name not in left_out})

    with pytest.raises(TypeError, match=left_out):
        made(left_out)(*arguments)
    assert isinstance(made()(*arguments), kind)
