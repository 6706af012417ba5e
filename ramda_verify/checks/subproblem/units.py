"""Problems whose numbers are of the size of 1, to be brought to other sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify.cases.strategies import subproblem_cases
from ramda_verify.checks.helpers import Array, tensor
from ramda_verify.engine.record import Case, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY
from solvers.regularizers.base import offers
from solvers.subproblem import Subproblem, available_methods


def homogeneous(regularizer: Any, point: Tensor) -> bool:
    """Whether psi(2w) = 2 psi(w) > 0 far out along this point, and its prox agrees."""
    far = point * 1e3
    twice, once = regularizer.prox(2 * far, 2.0), regularizer.prox(far, 1.0)
    values = [float(regularizer.value(where)) for where in (2 * once, once)]
    close = values[1] > 0 and abs(values[0] - 2 * values[1]) <= 1e-12 * abs(values[0])
    return close and bool(((twice - 2 * once).abs() <= 1e-12 * far.abs().max()).all())


class ValueAndProx:
    """A regularizer reduced to value, prox and convex: what its other members say of huge numbers is its own affair."""

    def __init__(self, regularizer: Any) -> None:
        self.value, self.prox = regularizer.value, regularizer.prox
        self.convex = offers(regularizer, "convex")


def methods_of(problem: Subproblem) -> tuple[str, ...]:
    return ("auto", *available_methods(problem), *(["splitting"] if problem.convex else []))


#: Entries below this share of the largest are denormal, or nothing, at the smallest sizes that are tried.
DUST = 1e-10


def of_unit_size(array: Array) -> Array:
    """The array divided by its largest entry, those below DUST of it zero. Raises NothingClaimed where all are zero."""
    largest = float(np.abs(array).max())
    if largest == 0:
        raise NothingClaimed("an array is zero, which has no scale")
    return np.where(np.abs(array) < DUST * largest, 0.0, array / largest)


def unit_problem(B: Array, D: Array, lam: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, float]:
    """The problem with B and D at most 1, as the dtype holds it. Raises NothingClaimed where B is zero."""
    weight = min(lam / max(float(np.abs(B).max()), TINY), 100.0)
    return tensor(of_unit_size(B), dtype), tensor(D / D.max(), dtype), weight


def mild_cases(target: Target) -> st.SearchStrategy[Case]:
    """Problems that plain iteration solves: max D/min D is at most 30, or 100 in a recorded one."""
    return subproblem_cases(target.instances, max_condition=30.0, extreme=False, hardest=100.0)


def with_drawn(
    cases: st.SearchStrategy[Case], more: Callable[[Case], dict[str, st.SearchStrategy[Any]]]
) -> st.SearchStrategy[Case]:
    """The cases with further entries, each drawn from the strategy that ``more`` names for a case."""
    return cases.flatmap(
        lambda case: st.fixed_dictionaries({**{name: st.just(value) for name, value in case.items()}, **more(case)})
    )
