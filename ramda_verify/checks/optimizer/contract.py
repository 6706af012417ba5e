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
    claim="Ŵ recomputed from the state is the Ŵ of the step, and looking at it leaves W untouched.",
    source="paper, Algorithm 1",
    kind="optimizer",
    tolerance=tolerances.TRANSCRIPTION,
    cases=staged(direct_regularizers()),
    share=0.3,
)
def measure_structured_iterate(
    optimizer: str, regularizer: Regularizer, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """structured_iterate() is the Ŵ that the step has used; swapping it in and out leaves W bit for bit."""
    param = torch.nn.Parameter(tensor(np.random.default_rng(seed).standard_normal(shape)))
    made = CLASSES[optimizer]([param], **settings_of(optimizer, **hyper), regularizer=regularizer, schedule=EXACT)
    seen: list[torch.Tensor] = []
    made.observers.append(lambda _, w_hat: seen.append(w_hat.clone()))
    gradient = gradients(shape, seed)
    worst = Worst()
    for t in range(10):
        param.grad = tensor(gradient(t, param.detach().numpy()))
        made.step()
        before = param.detach().clone()
        with made.structured_iterate_swapped_in():
            inside = param.detach().clone()
        worst.see(0.0 if torch.equal(param, before) else np.inf, f"W changed at step {t + 1}")
        deviation = relative(float((inside - seen[t]).abs().max()), size(inside, before))
        worst.see(deviation, f"Ŵ recomputed is not the Ŵ of step {t + 1}")
    return worst.measurement()
