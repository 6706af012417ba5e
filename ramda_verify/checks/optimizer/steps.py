"""The optimizers take the steps of their papers: against literal transcriptions and against their parents."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, size, tensor
from ramda_verify.checks.optimizer.runs import (
    CLASSES,
    EXACT,
    STEPS,
    direct_regularizers,
    gradients,
    low_rank_regularizers,
    plain,
    settings_of,
    staged,
    trajectory,
)
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Measurement
from ramda_verify.engine.worst import relative
from ramda_verify.oracles import float_subproblem, parents, transcriptions
from solvers import Regularizer, Stages


def transcription_of(optimizer: str, start: Array, settings: dict[str, Any], regularizer: Regularizer) -> Any:
    def subproblem(B: Array, D: Array, lam: float) -> Array:
        return float_subproblem.solve(B, D, lam, regularizer)

    return transcriptions.TRANSCRIPTIONS[optimizer](start, **settings, solve=subproblem)


@check(
    "step-transcription",
    claim="W and Ŵ equal a literal NumPy transcription over 50 steps, with restarts and the momentum ramp.",
    source="paper, Algorithms 1 and 3, appendix A.1; arXiv 2112.02612; Yang et al. 2020",
    kind="optimizer",
    tolerance=tolerances.TRANSCRIPTION,
    cases=staged(direct_regularizers()),
    share=0.3,
    cost=3,
)
@check(
    "step-transcription-iterative",
    claim="The same where the subproblem needs iteration (nuclear norm), solved to rounding.",
    source="as step-transcription",
    kind="optimizer",
    tolerance=tolerances.TRANSCRIPTION_ITERATIVE,
    cases=staged(low_rank_regularizers()),
    share=0.1,  # a case solves 50 subproblems of low rank twice, each to rounding
    cost=30,
)
def measure_transcription(
    optimizer: str, regularizer: Regularizer, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """Largest deviation of W and Ŵ from the transcription over 50 steps with restarts, relative to their size."""
    settings = settings_of(optimizer, **hyper)
    start = np.random.default_rng(seed + 1).standard_normal(shape)
    param = torch.nn.Parameter(tensor(start))
    ours = CLASSES[optimizer]([param], **settings, regularizer=regularizer, schedule=EXACT)
    W, w_hat = trajectory(ours, param, gradients(shape, seed), Stages(ours, milestones, gamma=0.5))

    count = iter(range(STEPS))
    literal = transcriptions.run(
        transcription_of(optimizer, start, settings, regularizer),
        lambda point: gradients(shape, seed)(next(count), point),
        STEPS,
        milestones,
        gamma=0.5,
        ramp=True,
    )
    deviation = np.maximum(np.abs(W - literal.W[1:]), np.abs(w_hat - literal.structured[1:]))
    step = int(deviation.reshape(STEPS, -1).max(axis=1).argmax()) + 1
    share = relative(float(deviation.max()), size(literal.W))
    return Measurement(share, f"largest deviation {deviation.max():.3g} at step {step}")


class Parent(NamedTuple):
    """What a method is without a regularizer: ``make(start, settings)`` returns a function from gradient to next point.

    ``decays``: the parent has the decoupled weight decay that the method has.
    """

    make: Callable[[Array, dict[str, Any]], Callable[[Array], Array]]
    decays: bool = False


def _by_torch(made: Callable[..., torch.optim.Optimizer], start: Array) -> Callable[[Array], Array]:
    param = torch.nn.Parameter(tensor(start))
    optimizer = made([param])

    def step(gradient: Array) -> Array:
        param.grad = tensor(gradient)
        optimizer.step()
        return param.detach().numpy().copy()

    return step


def _sgd(start: Array, settings: dict[str, Any]) -> Callable[[Array], Array]:
    """torch starts its buffer at the first gradient undampened, ProxSGD at zero."""
    kept = 1 - settings["momentum"]

    def made(params: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(params, lr=settings["lr"], momentum=kept, dampening=kept)
        optimizer.state[params[0]]["momentum_buffer"] = torch.zeros_like(params[0])
        return optimizer

    return _by_torch(made, start)


PARENTS = {
    "ramda": Parent(lambda start, s: parents.Madgrad.for_ramda(start, s["lr"], s["momentum"], s["eps"]).step),
    "rmda": Parent(lambda start, s: parents.Mda(start, s["lr"], s["momentum"]).step),
    "proxsgd": Parent(_sgd),
    "proxgen": Parent(lambda start, s: _by_torch(lambda params: torch.optim.AdamW(params, **s), start), decays=True),
}


@check(
    "parent-method",
    claim="Without a regularizer the method is MADGRAD, MDA, torch's SGD or torch's AdamW.",
    source="design of each method; Defazio and Jelassi 2022; Jelassi and Defazio 2020",
    kind="optimizer",
    tolerance=tolerances.PARENT,
    cases=plain,
    share=0.3,
    cost=2,
)
def measure_parent(
    optimizer: str, shape: tuple[int, ...], seed: int, lr: float, momentum: float, decay: float, amsgrad: bool
) -> Measurement:
    """Without a regularizer the method is its parent: MADGRAD, MDA, torch's SGD with dampening, torch's AdamW."""
    parent = PARENTS[optimizer]
    settings = settings_of(optimizer, lr, momentum, decay if parent.decays else 0.0, amsgrad)
    start = np.random.default_rng(seed + 1).standard_normal(shape)
    gradient = gradients(shape, seed)
    param = torch.nn.Parameter(tensor(start))
    W, _ = trajectory(CLASSES[optimizer]([param], **settings), param, gradient, None)
    step, point, expected = parent.make(start, settings), start, []
    for t in range(STEPS):
        point = step(gradient(t, point))
        expected.append(point.copy())
    deviation = np.abs(W - np.array(expected))
    worst = int(deviation.reshape(STEPS, -1).max(axis=1).argmax()) + 1
    share = relative(float(deviation.max()), size(W))
    return Measurement(share, f"largest deviation {deviation.max():.3g} at step {worst}")
