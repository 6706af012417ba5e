"""Solutions that claim what cannot be proved of them, and float64 certificates outside of their enclosures."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.certificate import shortest, stationarity
from ramda_verify.oracles.duality_gap import lower_bound
from solvers import L1, GroupLasso, MetricProx, NuclearNorm, SparseGroupLasso
from solvers import Simplex as SimplexSet
from solvers.subproblem.criterion import best_residual
from tests.mutants.claims import ResidualUnweighted
from tests.mutants.mutant import nothing, wrong_regularizer, wrong_solver
from tests.mutants.patching import Patch, everywhere, for_one, member, original, together
from tests.mutants.solver_slips import objective_per_group, of_solution, of_subproblem

SOLUTION, CERTIFICATES = "enclosure", "enclosed-certificates"


@dataclass(frozen=True)
class SlightlyLong(GroupLasso):
    """metric_prox is too long by a part in 10^13, as after a Newton step too few."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = super().metric_prox(B, D, lam)
        return found._replace(point=found.point * (1 + 1e-13))


@dataclass(frozen=True)
class SolvedInFloat32(SparseGroupLasso):
    """The solution in a metric is right to single precision only."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = super().metric_prox(B, D, lam)
        return found._replace(point=found.point.float().to(B.dtype))


def claimed(**wrong: Any) -> Patch:
    """A solution says this of itself, whatever is true."""
    return of_solution(lambda fields: {**fields, **{name: change(fields[name]) for name, change in wrong.items()}})


#: The right parts, which no patch reaches.
RIGHT_RESIDUAL, RIGHT_SCALAR = Norm.residual, Scalar.residual
RIGHT_BOUND, RIGHT_SHORTEST = original(lower_bound), original(shortest)


def half_the_price(self: Norm, z: np.ndarray, slope: np.ndarray, relative: float) -> np.ndarray:
    """The shortest subgradient with half of the group's price."""
    return RIGHT_RESIDUAL(self.scaled(0.5), z, slope, relative)


def one_sided(self: Scalar, z: np.ndarray, slope: np.ndarray, relative: float) -> np.ndarray:
    """At a kink the right derivative alone."""
    right = slope + self.price * self.function.slopes(z)[1]
    return np.where(z == 0, right, RIGHT_SCALAR(self, z, slope, relative))


def without_the_last(atoms: Any, z: Any, slope: Any, rank_tolerance: float) -> Any:
    """The residual without the last atom."""
    return RIGHT_SHORTEST(atoms[:-1], z, slope, rank_tolerance)


def dual_too_long(atom: type) -> Patch:
    """The dual point is not brought into the ball of its norm, and nobody looks."""
    return together(member(atom, "multiplier", lambda self, v, z, d: v), member(atom, "conjugate", lambda self, u: 0.0))


def support_of_the_mean(self: Simplex, u: np.ndarray) -> float:
    """The support function with the mean of the entries in place of the largest."""
    return self.radius * float(u.mean())


def slightly_high(Z: Any, B: Any, D: Any, lam: float, regularizer: Any) -> float:
    """A lower bound that is too high by a part in 10^9 of B*B/D."""
    return RIGHT_BOUND(Z, B, D, lam, regularizer) + 1e-9 * float((B * B / D).sum())


MUTANTS = [
    wrong_regularizer(SlightlyLong, SOLUTION),
    wrong_regularizer(SolvedInFloat32, SOLUTION),
    wrong_solver("residual_of_no_sizes", nothing, ResidualUnweighted, SOLUTION),
    wrong_solver("residual_forgotten", for_one(best_residual, lambda *_: 0.0), NuclearNorm, SOLUTION),
    wrong_solver("half_of_the_residual", claimed(residual=lambda r: r / 2), NuclearNorm, SOLUTION),
    wrong_solver("nan_residual_claimed", claimed(residual=lambda r: math.nan), L1, SOLUTION),
    wrong_solver("nan_objective_claimed", claimed(objective=lambda q: math.nan), GroupLasso, SOLUTION),
    wrong_solver("objective_a_little_low", claimed(objective=lambda q: q - 1e-12 * abs(q)), L1, SOLUTION),
    wrong_solver("objective_of_groups", of_subproblem("objective", objective_per_group), GroupLasso, SOLUTION),
    wrong_solver("point_moved", claimed(point=lambda z: torch.where(z > 0, z * (1 + 1e-13), z)), SimplexSet, SOLUTION),
    wrong_solver("half_the_price", member(Norm, "residual", half_the_price), GroupLasso, CERTIFICATES),
    wrong_solver("one_sided_slope", member(Scalar, "residual", one_sided), L1, CERTIFICATES),
    wrong_solver("group_dropped", everywhere(shortest, without_the_last), SparseGroupLasso, CERTIFICATES),
    wrong_solver("dual_too_long", dual_too_long(Norm), GroupLasso, CERTIFICATES),
    wrong_solver("spectral_dual_too_long", dual_too_long(Spectral), NuclearNorm, CERTIFICATES),
    wrong_solver("support_of_the_mean", member(Simplex, "conjugate", support_of_the_mean), SimplexSet, CERTIFICATES),
    wrong_solver("bound_a_little_high", everywhere(lower_bound, slightly_high), L1, CERTIFICATES),
    wrong_solver("nan_stationarity", everywhere(stationarity, lambda *_: math.nan), L1, CERTIFICATES),
    wrong_solver("nan_lower_bound", everywhere(lower_bound, lambda *_: math.nan), L1, CERTIFICATES),
]
