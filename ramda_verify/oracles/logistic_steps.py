"""The two moves of the certified optimum: accelerated proximal gradient, and Newton on the nonzero groups."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.lazily import lazily
from ramda_verify.oracles.logistic_problem import Array, LogisticProblem

linalg = lazily("scipy.linalg")


def accelerated(
    problem: LogisticProblem, weight: Array, bias: Array, lipschitz: float, steps: int, tolerance: float = 0.0
) -> tuple[Array, Array]:
    """At most ``steps`` steps of FISTA with restart where the momentum points uphill (O'Donoghue and Candes, 2015).

    Ends early once the gradient mapping, ``lipschitz`` times the length of the proximal step, is at most ``tolerance``.
    """
    step = 1.0 / lipschitz
    ahead_weight, ahead_bias, inertia = weight, bias, 1.0
    for _ in range(steps):
        grad_weight, grad_bias = problem.gradient(problem.smooth(ahead_weight, ahead_bias)[1])
        new_weight = problem.shrink(ahead_weight - step * grad_weight, step)
        new_bias = ahead_bias - step * grad_bias
        back_weight, back_bias = ahead_weight - new_weight, ahead_bias - new_bias
        uphill = np.vdot(back_weight, new_weight - weight) + back_bias @ (new_bias - bias)
        new_inertia = 1.0 if uphill > 0 else (1 + np.sqrt(1 + 4 * inertia**2)) / 2
        carried = 0.0 if uphill > 0 else (inertia - 1) / new_inertia
        ahead_weight = new_weight + carried * (new_weight - weight)
        ahead_bias = new_bias + carried * (new_bias - bias)
        weight, bias, inertia = new_weight, new_bias, new_inertia
        if lipschitz * np.hypot(np.linalg.norm(back_weight), np.linalg.norm(back_bias)) <= tolerance:
            break
    return weight, bias


def newton(problem: LogisticProblem, weight: Array, bias: Array) -> tuple[Array, Array] | None:
    """One damped Newton step on the nonzero groups and the bias, where F is smooth; None if it finds no descent.

    A group that the step would carry through the origin is set to zero: a proximal step brings it back if that was
    wrong.
    """
    loss, probabilities = problem.smooth(weight, bias)
    grad_weight, grad_bias = problem.gradient(probabilities)
    norm = np.linalg.norm(weight, axis=0)
    support = np.flatnonzero(norm).astype(np.int64)
    direction = weight[:, support] / norm[support]
    gradient = np.column_stack([grad_weight[:, support] + problem.threshold * direction, grad_bias])
    hessian = _hessian(problem, probabilities, support, direction, norm[support])
    move = _solve(hessian, -gradient.ravel())
    if move is None:
        return None
    move = move.reshape(gradient.shape)
    slope = float(np.vdot(gradient, move))
    before = loss + problem.penalty(weight)
    residual = problem.residual(weight, grad_weight, grad_bias)
    for halving in range(12):
        size = 0.5**halving
        new_weight, new_bias = np.zeros_like(weight), bias + size * move[:, -1]
        columns = weight[:, support] + size * move[:, :-1]
        new_weight[:, support] = np.where((columns * direction).sum(axis=0) > 0, columns, 0.0)
        new_loss, new_probabilities = problem.smooth(new_weight, new_bias)
        if new_loss + problem.penalty(new_weight) <= before + 1e-4 * size * slope:
            return new_weight, new_bias
        # Near the optimum the decrease of F drowns in rounding, the residual does not.
        if problem.residual(new_weight, *problem.gradient(new_probabilities)) <= 0.5 * residual:
            return new_weight, new_bias
    return None


def _hessian(
    problem: LogisticProblem, probabilities: Array, support: NDArray[np.int64], direction: Array, norm: Array
) -> Array:
    """Hessian of F in (W[:, support], b), index (class, group or bias), made positive definite on the null direction.

    For classes a != b the block is ``-(1/n) sum_i p_a p_b x x'``; the blocks of a row sum to zero, which gives a = b.
    """
    n, classes = probabilities.shape
    x = np.column_stack([problem.features[:, support], np.ones(n)])
    size = x.shape[1]
    hessian = np.zeros((classes, size, classes, size))
    for a, b in combinations(range(classes), 2):
        scaled = x * np.sqrt(probabilities[:, a] * probabilities[:, b] / n)[:, None]
        block = scaled.T @ scaled
        hessian[a, :, b, :] = hessian[b, :, a, :] = -block
        hessian[a, :, a, :] += block
        hessian[b, :, b, :] += block
    # The norm of a nonzero group curves across its direction: (threshold / r) * (I - u u').
    for position, (u, r) in enumerate(zip(direction.T, norm, strict=True)):
        hessian[:, position, :, position] += problem.threshold / r * (np.eye(classes) - np.outer(u, u))
    # Adding one number to every bias changes nothing: this keeps the step free of it.
    hessian[:, -1, :, -1] += 1.0 / classes
    return hessian.reshape(classes * size, classes * size)


def _solve(hessian: Array, right_side: Array) -> Array | None:
    """Cholesky with a ridge that grows until it succeeds: equal or constant columns make the Hessian singular."""
    diagonal = np.einsum("ii->i", hessian)
    scale, added = float(diagonal.mean()), 0.0
    for ridge in (1e-13, 1e-11, 1e-9, 1e-7):
        diagonal += ridge * scale - added
        added = ridge * scale
        try:
            return linalg.cho_solve(linalg.cho_factor(hessian), right_side)
        except linalg.LinAlgError:
            continue
    return None
