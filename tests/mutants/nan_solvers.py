"""Inner solvers whose point, certificate, residual or objective is NaN, for one problem or one iteration."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from solvers import L1, GroupLasso, NuclearNorm
from solvers.regularizers.singular_values import shrink_singular_values
from solvers.subproblem import Subproblem, solve_batch
from solvers.subproblem.batch_result import BatchSolution
from solvers.subproblem.criterion import prox_member
from solvers.subproblem.ending import Ending, Iterate
from solvers.subproblem.iterate import run
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.result import Status
from solvers.subproblem.splitting import splitting_step
from solvers.subproblem.verdict import certify
from tests.mutants.mutant import wrong_solver
from tests.mutants.nans import first_spoiled, spoiled
from tests.mutants.patching import Patch, everywhere, for_one, member, original
from tests.mutants.solver_slips import PROX_MEMBER, PROXIMAL_GRADIENT, of_solution

SHRINK, SPLITTING_STEP, RUN = original(shrink_singular_values), original(splitting_step), original(run)
SOLVE_BATCH = original(solve_batch)


def with_fields(**wrong: Any) -> Patch:
    """Fields of every Solution replaced."""
    return of_solution(lambda fields: {**fields, **wrong})


def of_batch(change: Callable[[BatchSolution], BatchSolution]) -> Patch:
    """What ``solve_batch`` returns, changed."""

    def wrong(*arguments: Any, **options: Any) -> BatchSolution:
        found = SOLVE_BATCH(*arguments, **options)
        return change(found) if len(found) else found

    return everywhere(solve_batch, wrong)


def point_of_one(found: BatchSolution) -> BatchSolution:
    """The point of the first problem of several has a NaN."""
    return replace(found, point=torch.cat([first_spoiled(found.point[:1]), found.point[1:]]))


def residual_of_one(found: BatchSolution) -> BatchSolution:
    return replace(found, residual=first_spoiled(found.residual))


def residual_that_misses(found: BatchSolution) -> BatchSolution:
    """The residual of the first problem is NaN, and its status does not call it converged."""
    status = (Status.ITERATION_LIMIT, *found.status[1:])
    return replace(found, residual=first_spoiled(found.residual), status=status)


def objective_of_one(found: BatchSolution) -> BatchSolution:
    return replace(found, objective=first_spoiled(found.objective))


def certificate(slope, w, Z, theta):
    """The certificate of a step has a NaN where the point has a positive entry first."""
    found = PROX_MEMBER(slope, w, Z, theta)
    return torch.where(Z.reshape(-1)[0] > 0, first_spoiled(found), found)


def second_iterate(subproblem, start, *, step_rule="block"):
    """The second point and its certificate are NaN; the first and the third are right."""
    iterates = PROXIMAL_GRADIENT(subproblem, start, step_rule=step_rule)
    for count, iterate in enumerate(iterates, 1):
        yield Iterate(*map(spoiled, iterate)) if count == 2 else iterate


def second_certificate(subproblem, start, *, step_rule="block"):
    """The certificate alone."""
    iterates = PROXIMAL_GRADIENT(subproblem, start, step_rule=step_rule)
    for count, iterate in enumerate(iterates, 1):
        yield iterate._replace(member=spoiled(iterate.member)) if count == 2 else iterate


def takes_nan_for_solved(subproblem, point, iterations, tolerance):
    """A direct solution with a NaN is called converged."""
    return Ending(first_spoiled(point), Status.CONVERGED, iterations, 0.0)


def change_of_objective(self, Z, reference):
    """The reported change of Q is NaN."""
    change = torch.tensor(math.nan, dtype=torch.float64)
    return change, change


def splitting_point(subproblem, x, rho, Z=None):
    """Z has a NaN where x begins with a positive number; the move goes on without it."""
    step = SPLITTING_STEP(subproblem, x, rho, Z)
    point = torch.where(x.reshape(-1)[0] > 0, first_spoiled(step.iterate.point), step.iterate.point)
    return step._replace(iterate=step.iterate._replace(point=point))


def splitting_certificate(subproblem, x, rho, Z=None):
    """The certificate has a NaN where x begins with a positive number."""
    step = SPLITTING_STEP(subproblem, x, rho, Z)
    member = torch.where(x.reshape(-1)[0] > 0, first_spoiled(step.iterate.member), step.iterate.member)
    return step._replace(iterate=step.iterate._replace(member=member))


def accepts_nan(subproblem, iterates, start, *, exact_always=True, **options):
    """The splitting ends at NaN and calls that converged."""
    if exact_always:
        return RUN(subproblem, iterates, start, **options)
    point = next(iterates).point
    return Ending(first_spoiled(point), Status.CONVERGED, 1, 0.0, torch.zeros_like(point))


def shrunk_in_float32(matrix: Any, threshold: Any) -> Any:
    """The shrunken matrix has a NaN in float32."""
    found = SHRINK(matrix, threshold)
    return first_spoiled(found) if matrix.dtype == torch.float32 else found


AGREE, DESCENT, EQUAL, SOUND = "solver-agreement", "objective-descent", "batch-equals-solve", "criterion-soundness"
MEMBER, RATE, ORACLE = "certificate-membership", "proximal-gradient-rate", "subproblem-oracle"
MUTANTS = [
    wrong_solver("nan_objective", with_fields(objective=math.nan), GroupLasso, ORACLE, EQUAL),
    wrong_solver("nan_residual", with_fields(residual=math.nan), L1, AGREE, EQUAL, SOUND, "splitting-solution"),
    wrong_solver(
        "nan_residual_not_converged",
        with_fields(residual=math.nan, status=Status.ITERATION_LIMIT),
        NuclearNorm,
        EQUAL,
        SOUND,
        "narrow-certificate",
    ),
    wrong_solver("nan_point_of_a_batch", of_batch(point_of_one), GroupLasso, EQUAL, AGREE, SOUND, DESCENT),
    wrong_solver("nan_residual_of_a_batch", of_batch(residual_of_one), L1, EQUAL, AGREE, SOUND),
    wrong_solver("nan_residual_that_misses", of_batch(residual_that_misses), GroupLasso, EQUAL, SOUND),
    wrong_solver("nan_objective_of_a_batch", of_batch(objective_of_one), NuclearNorm, EQUAL),
    wrong_solver("nan_certificate", everywhere(prox_member, certificate), L1, MEMBER, RATE),
    wrong_solver("nan_second_iterate", for_one(proximal_gradient, second_iterate), GroupLasso, MEMBER, RATE),
    wrong_solver(
        "nan_second_certificate",
        for_one(proximal_gradient, second_certificate),
        NuclearNorm,
        MEMBER,
        RATE,
        "minimum-norm-subgradient",
    ),
    wrong_solver("nan_taken_for_solved", for_one(certify, takes_nan_for_solved), GroupLasso, ORACLE, EQUAL, AGREE),
    wrong_solver("nan_change", member(Subproblem, "objective_change", change_of_objective), L1, DESCENT),
    wrong_solver(
        "nan_splitting_point",
        everywhere(splitting_step, splitting_point),
        GroupLasso,
        "splitting-certificate",
        "splitting-rate",
        "splitting-solution",
    ),
    wrong_solver(
        "nan_splitting_certificate",
        everywhere(splitting_step, splitting_certificate),
        NuclearNorm,
        "splitting-certificate",
        "splitting-rate",
    ),
    wrong_solver(
        "nan_splitting_accepted",
        for_one(run, accepts_nan),
        NuclearNorm,
        "splitting-solution",
        "narrow-certificate",
    ),
    wrong_solver(
        "nan_shrunk_in_float32",
        everywhere(shrink_singular_values, shrunk_in_float32),
        NuclearNorm,
        "narrow-singular-values",
    ),
]
