"""Wrong splittings and wrong singular values: what is fast must not be allowed to be false."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import GroupLasso, NuclearNorm
from solvers.regularizers.base import shrink
from solvers.regularizers.singular_values import shrink_by_gram, shrink_by_svd, shrink_singular_values
from solvers.subproblem import anderson, newton, splitting
from solvers.subproblem.criterion import certainly_descends
from solvers.subproblem.ending import Ending, Iterate
from solvers.subproblem.iterate import run
from solvers.subproblem.result import Status
from solvers.subproblem.splitting import splitting_step
from tests.mutants.mutant import wrong_regularizer, wrong_solver
from tests.mutants.patching import constant, everywhere, for_one, member, original, together

RIGHT_STEP = original(splitting_step)


def step_of_the_metric(subproblem, x, rho, Z=None):
    """The prox of the quadratic part without rho in its denominator."""
    step = RIGHT_STEP(subproblem, x, rho, Z)
    Z = step.iterate.point
    return step._replace(move=splitting.RELAXATION * ((subproblem.B + rho * (2 * Z - x)) / subproblem.D - Z))


def step_without_reflection(subproblem, x, rho, Z=None):
    """Starts the quadratic part at Z in place of 2*Z - x: stationary elsewhere, and certified at zero."""
    step = RIGHT_STEP(subproblem, x, rho, Z)
    Z = step.iterate.point
    move = splitting.RELAXATION * ((subproblem.B + rho * Z) / (subproblem.D + rho) - Z)
    return step._replace(iterate=Iterate(Z, torch.zeros_like(Z)), move=move)


def certificate_of_the_other_point(subproblem, x, rho, Z=None):
    """The gradient is taken at X, the subgradient of psi at Z: zero, always."""
    step = RIGHT_STEP(subproblem, x, rho, Z)
    X = step.iterate.point + step.move / splitting.RELAXATION
    return step._replace(iterate=step.iterate._replace(member=subproblem.gradient(X) + rho * (x - step.iterate.point)))


def long_extrapolation(self, x, move):
    """Runs ahead by ten moves, for ever."""
    return x + 10 * move, True


#: Nobody looks whether an extrapolation or a Newton step shortens the move.
UNGUARDED = constant(splitting, "SAFEGUARD", float("inf"))


def leap(self, x, prox, member, rho):
    """A Newton step that leaps away."""
    return x - 10 * member / rho


def accepts_everything(subproblem, iterates, start, **options):
    """Says CONVERGED after one iteration, with a residual of zero."""
    return Ending(next(iterates).point, Status.CONVERGED, 1, 0.0)


def descends_by_half(subproblem, Z, member, reference):
    """Adds the quadratic term with the wrong factor: Q may have risen where this says that it fell."""
    move = reference - Z
    return bool(torch.sum(move * (member + 2 * subproblem.D * move)) >= 0)


def descends_always(subproblem, Z, member, reference):
    """(7b) by certificate holds without a look at the certificate's sign."""
    return True


def gram_in_its_own_dtype(matrix: Tensor, threshold: Any) -> Tensor:
    """Squares in float32: half of the digits are lost."""
    squares, left = torch.linalg.eigh(matrix @ matrix.mT)
    sigma = squares.clamp_min(0).sqrt()
    return (left * (shrink(sigma, threshold) / sigma.clamp_min(1e-30))) @ (left.mT @ matrix)


def shrunk_by_another(matrix: Tensor, threshold: Any) -> Tensor:
    """float32 matrices lose a hundredth more of every singular value."""
    factor = 1.0 if matrix.dtype == torch.float64 else 1.01
    return shrink_by_svd(matrix, factor * threshold)


@dataclass(frozen=True)
class ReadsTheRank(NuclearNorm):
    """Slices the singular vectors to the rank, a number that vmap cannot give."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        int(self.structure(point))
        return super().subgradient_residual(point, gradient, lam)


@dataclass(frozen=True)
class OneRankForAll(NuclearNorm):
    """Under vmap every matrix counts as one of full rank."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        if not torch._C._functorch.is_batchedtensor(point):
            return super().subgradient_residual(point, gradient, lam)
        left, _, right = torch.linalg.svd(point.reshape(point.shape[0], -1), full_matrices=False)
        return gradient + lam * self.reg_weight * (left @ right).reshape(point.shape)


MUTANTS = [
    wrong_solver(
        "step_of_the_metric",
        everywhere(splitting_step, step_of_the_metric),
        NuclearNorm,
        "splitting-solution",
        "splitting-rate",
    ),
    wrong_solver(
        "step_without_reflection",
        everywhere(splitting_step, step_without_reflection),
        NuclearNorm,
        "splitting-solution",
    ),
    wrong_solver(
        "certificate_of_the_other_point",
        everywhere(splitting_step, certificate_of_the_other_point),
        GroupLasso,
        "splitting-certificate",
    ),
    wrong_solver(
        "unguarded_extrapolation",
        together(UNGUARDED, member(anderson.Anderson, "propose", long_extrapolation)),
        GroupLasso,
        "splitting-rate",
        "splitting-solution",
    ),
    wrong_solver(
        "unguarded_newton",
        together(UNGUARDED, member(newton.Newton, "propose", leap)),
        NuclearNorm,
        "splitting-rate",
        "splitting-solution",
    ),
    wrong_solver(
        "splitting_accepts_everything",
        for_one(run, accepts_everything),
        NuclearNorm,
        "splitting-solution",
        "narrow-certificate",
    ),
    wrong_solver(
        "descends_always", everywhere(certainly_descends, descends_always), NuclearNorm, "splitting-certificate"
    ),
    wrong_solver(
        "descends_by_half",
        everywhere(certainly_descends, descends_by_half),
        NuclearNorm,
        "splitting-certificate",
    ),
    wrong_solver(
        "gram_in_its_own_dtype",
        everywhere(shrink_by_gram, gram_in_its_own_dtype),
        NuclearNorm,
        "narrow-singular-values",
    ),
    wrong_solver(
        "shrunk_by_another",
        everywhere(shrink_singular_values, shrunk_by_another),
        NuclearNorm,
        "narrow-singular-values",
    ),
    wrong_regularizer(ReadsTheRank, "batch-of-matrices", raises=("RuntimeError",)),
    wrong_regularizer(OneRankForAll, "batch-of-matrices"),
]
