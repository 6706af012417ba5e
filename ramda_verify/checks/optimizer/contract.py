"""The optimizers keep their contract: saving and continuing, and the structured iterate on request."""

import io
from typing import Any

import numpy as np
import torch

from ramda_verify import tolerances
from ramda_verify.checks.helpers import finite, size, tensor
from ramda_verify.checks.optimizer.runs import (
    CLASSES,
    EXACT,
    STEPS,
    advance,
    direct_regularizers,
    gradients,
    low_rank_regularizers,
    settings_of,
    staged,
)
from ramda_verify.checks.optimizer.steps import transcription_of
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Measurement
from ramda_verify.engine.worst import Worst, relative
from solvers import Regularizer, Stages
from solvers.optimizers import StructuredOptimizer


@check(
    "save-and-continue",
    claim="Saved, loaded with weights_only and continued, a run gives the same bits as without a break.",
    source="the contract of an optimizer",
    kind="optimizer",
    tolerance=tolerances.EXACT,
    cases=staged(direct_regularizers() | low_rank_regularizers()),
    share=0.2,
    cost=2,
)
def measure_reload(
    optimizer: str, regularizer: Regularizer, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """Stop, save, ``torch.load(weights_only=True)``, continue: the same bits as going on."""
    settings = settings_of(optimizer, **hyper)
    gradient = gradients(shape, seed)

    def build(value: torch.Tensor) -> tuple[torch.nn.Parameter, StructuredOptimizer, Stages]:
        param = torch.nn.Parameter(value.clone())
        made = CLASSES[optimizer]([param], **settings, regularizer=regularizer)
        return param, made, Stages(made, milestones, gamma=0.5)

    worst = Worst()
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        param, made, stages = build(torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype))
        advance(param, made, stages, gradient, range(STEPS // 2))
        file = io.BytesIO()
        torch.save({"optimizer": made.state_dict(), "stages": stages.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        other, reloaded, other_stages = build(param.detach())
        reloaded.load_state_dict(saved["optimizer"])
        other_stages.load_state_dict(saved["stages"])
        advance(param, made, stages, gradient, range(STEPS // 2, STEPS))
        advance(other, reloaded, other_stages, gradient, range(STEPS // 2, STEPS))
        same = torch.equal(finite("W", param.detach()), other)  # never where an entry of either is NaN
        deviation = float((param - other).detach().abs().max())
        worst.see(0.0 if same else 1.0, f"{dtype}: differs by {deviation:.3g} after the reload")
    return worst.measurement()


@check(
    "structured-iterate",
    claim="The Ŵ of a step, and Ŵ recomputed from the state, are those of a literal NumPy transcription; W stays.",
    source="paper, Algorithm 1",
    kind="optimizer",
    tolerance=tolerances.TRANSCRIPTION,
    cases=staged(direct_regularizers()),
    share=0.3,
)
def measure_structured_iterate(
    optimizer: str, regularizer: Regularizer, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """structured_iterate() and what observers see are the Ŵ of the transcription; swapping it in and out leaves W bit
    for bit.
    """
    start, settings = np.random.default_rng(seed).standard_normal(shape), settings_of(optimizer, **hyper)
    literal = transcription_of(optimizer, start, settings, regularizer)
    param = torch.nn.Parameter(tensor(start))
    made = CLASSES[optimizer]([param], **settings, regularizer=regularizer, schedule=EXACT)
    seen: list[torch.Tensor] = []
    made.observers.append(lambda _, w_hat: seen.append(w_hat.clone()))
    gradient = gradients(shape, seed)
    worst = Worst()
    for t in range(10):
        param.grad = tensor(gradient(t, param.detach().numpy()))
        made.step()
        literal.step(gradient(t, literal.W))
        before = param.detach().clone()
        with made.structured_iterate_swapped_in():
            inside = param.detach().clone()
        worst.see(0.0 if torch.equal(param, before) else np.inf, f"W changed at step {t + 1}")
        for what, w_hat in (("recomputed", inside), ("shown", seen[t])):
            apart = float((w_hat - tensor(literal.structured)).abs().max())
            worst.see(relative(apart, size(literal.structured, before)), f"Ŵ {what} is {apart:.3g} off at step {t + 1}")
    return worst.measurement()
