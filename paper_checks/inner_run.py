"""A run of the inner solver under judgement, kept whole."""

from itertools import islice

import numpy as np

from paper_checks.random_subproblems import Array, RandomSubproblem
from solvers.subproblem.proximal_gradient import proximal_gradient


def inner_run(problem: RandomSubproblem, *, tolerance: float, max_iterations: int) -> tuple[Array, Array]:
    """The points Z_0, Z_1, ..., Z_J as one stack and the certificates s_1, ..., s_J as another.

    Step 1/L with one L for all entries (Algorithm 2); stops at the first ||s|| <= ``tolerance``.
    """
    points, members = [problem.start.numpy()], []
    for iterate in islice(proximal_gradient(problem.subproblem, problem.start, step_rule="global"), max_iterations):
        points.append(iterate.point.numpy())
        members.append(iterate.member.numpy())
        if float(iterate.member.norm()) <= tolerance:
            break
    return np.stack(points), np.stack(members)


def norms(stack: Array) -> Array:
    """The norm of every point of a stack."""
    return np.linalg.norm(stack.reshape(len(stack), -1), axis=1)
