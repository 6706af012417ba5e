"""Solvers that square before they scale, hand infinities around, or stay with the method that they began with."""

import torch

from solvers import L1, GroupLasso, NuclearNorm, Subproblem
from solvers.subproblem import methods, scale_free
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.criterion import RoundingFloor
from solvers.subproblem.ending import Iterate
from solvers.subproblem.problems import Problems
from solvers.subproblem.relay import in_turn
from tests.mutants.mutant import wrong_solver
from tests.mutants.patching import everywhere, for_batches, for_one, member, original, together

IN_TURN = original(in_turn)


def norm_without_scaling(tensor):
    """The root of a sum of squares."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))


def row_norms_without_scaling(tensor):
    return torch.linalg.vector_norm(tensor.reshape(len(tensor), -1), dim=1, dtype=torch.float64)


def product_without_scaling(self, slope, move):
    """An inner product that underflows to 0, so that momentum is never dropped."""
    return self.sum(slope * move)


def floor_without_point(self, Z):
    """The rounding of B alone."""
    return self._share * self._size * self._scale


def prox_of_anything(self, w, theta):
    """Asks for the prox of an infinity."""
    return self.regularizer.prox(w, theta * self.lam)


def accelerated_with_overflow(subproblem, start, *, step_rule="block"):
    """The prox of an infinity is zero, and zero has not moved: a residual of zero."""
    theta = 1 / subproblem.step_lipschitz(step_rule)
    Z = start
    while True:
        w = Z - theta * subproblem.gradient(Z)
        Z_next = torch.where(torch.isfinite(w), subproblem.prox(w.nan_to_num(posinf=0.0, neginf=0.0), theta), 0.0)
        yield Iterate(Z_next, (subproblem.D - 1 / theta) * (Z_next - Z))
        Z = Z_next


def first_method_alone(problems, methods, *more):
    """Nobody takes over from the first method."""
    return IN_TURN(problems, methods[:1], *more)


def accelerated_alone(batch, methods, *more):
    """A batch knows the accelerated method only."""
    return IN_TURN(batch, ["accelerated"], *more)


def many_entries(subproblem):
    """Few entries mean "accelerated", whatever the metric."""
    return subproblem.B.numel() >= methods.MANY_ENTRIES


SCALE, RANGE, FAR, CHOICE = (
    "scale-equivariance",
    "numbers-out-of-range",
    "direct-solution-far-from-B",
    "automatic-choice",
)
MUTANTS = [
    wrong_solver("norm_without_scaling", everywhere(scale_free.norm, norm_without_scaling), NuclearNorm, SCALE),
    wrong_solver(
        "row_norms_without_scaling", everywhere(scale_free.row_norms, row_norms_without_scaling), GroupLasso, SCALE
    ),
    wrong_solver(
        "product_without_scaling",
        member(Problems, "product", product_without_scaling),
        NuclearNorm,
        SCALE,
    ),
    wrong_solver("floor_without_point", member(RoundingFloor, "__call__", floor_without_point), L1, FAR),
    wrong_solver(
        "prox_of_anything",
        member(Subproblem, "prox", prox_of_anything),
        GroupLasso,
        RANGE,
    ),
    wrong_solver(
        "accelerated_with_overflow",
        for_one(accelerated_proximal_gradient, accelerated_with_overflow),
        GroupLasso,
        RANGE,
    ),
    wrong_solver(
        "choice_by_entry_count",
        together(everywhere(methods._splitting_first, many_entries), for_one(in_turn, first_method_alone)),
        NuclearNorm,
        CHOICE,
    ),
    wrong_solver("batch_of_one_method", for_batches(in_turn, accelerated_alone), NuclearNorm, CHOICE),
]
