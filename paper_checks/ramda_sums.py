"""RAMDA's own sums, read from its state at chosen steps, on gradients whose moments are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ramda_verify.problems.planted import Planted
from solvers import L1, RAMDA, Regularizer

Array = np.ndarray

LR, EPS = 0.01, 1e-6


@dataclass(frozen=True)
class Sums:
    """At every step of ``steps``: alpha, and one row each of V/alpha, U/alpha and P/alpha."""

    steps: Array
    weight_sum: Array
    gradient: Array
    squared_gradient: Array
    preconditioner: Array


def checkpoints(first: int, last: int, count: int) -> list[int]:
    """Steps spaced evenly in the logarithm, without repetition."""
    return sorted({round(step) for step in np.geomspace(first, last, count)})


def known_gradients(mean: Array, noise: Array, seed: int, steps: Sequence[int]) -> Sums:
    """Gradients ``mean + noise * N(0, 1)``, the same at every point: at each W the situation of a fixed point."""
    rng = np.random.default_rng([seed, 1])
    return _run(lambda W: mean + noise * rng.standard_normal(mean.shape), mean.shape, L1(0.1), steps)


def converging_run(problem: Planted, seed: int, steps: Sequence[int]) -> Sums:
    """Stochastic gradients of a quadratic at RAMDA's own points, from the origin to a known solution."""
    gradients = problem.gradients(seed)
    return _run(lambda W: next(gradients)(W), problem.solution.shape, problem.regularizer, steps)


def _run(
    gradient: Callable[[Array], Array], shape: tuple[int, ...], regularizer: Regularizer, steps: Sequence[int]
) -> Sums:
    param = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
    optimizer = RAMDA([param], lr=LR, momentum=0.1, eps=EPS, regularizer=regularizer)
    wanted, rows = set(steps), []
    for step in range(1, max(steps) + 1):
        param.grad = torch.from_numpy(gradient(param.detach().numpy()))
        optimizer.step()
        if step in wanted:
            state, alpha = optimizer.state[param], float(optimizer.state[param]["weight_sum"])
            P = optimizer.normal_form(param.detach(), state, optimizer.param_groups[0]).D
            rows.append((alpha, *((sums / alpha).numpy() for sums in (state["grad_sum"], state["grad_sq_sum"], P))))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Sums(np.array(sorted(wanted)), *columns)
