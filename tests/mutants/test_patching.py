"""A patch reaches every holder of a function, ends with its test, and breaks where the part is not where it was."""

import functools
import re
from pathlib import Path
from typing import Any, cast

import pytest

from ramda_verify.checks.optimizer import steps
from solvers import RAMDA, GroupLasso, Stages, Subproblem
from solvers.regularizers import norm_equation
from solvers.subproblem import methods, solve_batch
from solvers.subproblem.criterion import residual_norm
from solvers.subproblem.proximal_gradient import proximal_gradient
from tests.mutants import patching


def zero(*arguments, **options):
    return 0.0


def test_every_holder_sees_an_edit(monkeypatch):
    alias, partial, table = residual_norm, functools.partial(residual_norm), methods.ITERATIVE
    with monkeypatch.context() as inner:
        patching.everywhere(residual_norm, zero)(inner)
        patching.everywhere(proximal_gradient, zero)(inner)
        assert alias(1, 2) == partial(1, 2) == table["proximal_gradient"](1, 2, step_rule="block") == 0.0
        assert patching.unreached(inner) == []
    with pytest.raises(AttributeError):
        alias(1, 2)


def test_functions_under_decorators_are_edited_and_put_back(monkeypatch):
    before, edited = patching.plain(solve_batch).__code__, cast(Any, solve_batch)
    with monkeypatch.context() as inner:
        patching.everywhere(solve_batch, zero)(inner)
        assert edited() == 0.0
    assert patching.plain(solve_batch).__code__ is before


def test_the_original_is_out_of_reach(monkeypatch):
    right = patching.original(methods.in_order)
    patching.everywhere(methods.in_order, lambda first, convex: ("none",))(monkeypatch)
    assert methods.in_order("splitting", True) == ("none",)
    assert right("splitting", True) == ("splitting", "accelerated")


def test_one_problem_and_many_are_told_apart(monkeypatch):
    patching.for_batches(residual_norm, zero)(monkeypatch)
    assert len(patching.unreached(monkeypatch)) == 1
    with pytest.raises(AttributeError):
        residual_norm(None, None)
    assert len(patching.unreached(monkeypatch)) == 1


def test_what_is_never_called_is_named(monkeypatch):
    patching.member(Subproblem, "objective", zero)(monkeypatch)
    patching.class_in(steps, Stages, type("Wrong", (Stages,), {}))(monkeypatch)
    assert patching.unreached(monkeypatch) == ["Subproblem.objective", "Wrong()"]


@pytest.mark.parametrize(
    "patch",
    [
        patching.member(Subproblem, "no_such_member", zero),
        patching.class_in(steps, Subproblem, GroupLasso),
        patching.entry({"ramda": RAMDA}, "no such key", RAMDA),
        patching.constant(norm_equation, "NO_SUCH_CONSTANT", 1),
        patching.constant(norm_equation, "__doc__", ""),
    ],
)
def test_what_is_not_where_it_was_is_loud(patch, monkeypatch):
    with pytest.raises(AssertionError):
        patch(monkeypatch)


def test_a_constant_that_another_module_copied_is_loud(monkeypatch):
    monkeypatch.setattr(methods, "TIGHT", norm_equation.TIGHT, raising=False)
    with pytest.raises(AssertionError, match=r"copied by.*methods"):
        patching.constant(norm_equation, "TIGHT", 1.0)(monkeypatch)


def test_a_function_is_edited_once(monkeypatch):
    patching.everywhere(residual_norm, zero)(monkeypatch)
    with pytest.raises(AssertionError, match="patched twice"):
        patching.everywhere(residual_norm, zero)(monkeypatch)


@pytest.mark.parametrize("file", sorted(Path(__file__).parent.glob("*.py")), ids=lambda file: file.name)
def test_mutants_patch_through_these_functions_alone(file):
    """A patch by the name of a module or of a function says nothing when that name goes."""
    found = re.findall(r"import_module|sys\.modules|monkeypatch\.(?:setattr|setitem)\([^,]+, \"\w+\"", file.read_text())
    assert found == [] or file.name in ("patching.py", Path(__file__).name)
