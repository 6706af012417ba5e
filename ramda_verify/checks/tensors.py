"""A regularizer treats tensors as tensors: layout, batches, dtypes, devices, inputs left alone."""

import numpy as np
import torch
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, finite, psi_value, size, tensor
from ramda_verify.property import Check
from ramda_verify.record import Measurement
from ramda_verify.strategies import prox_cases
from ramda_verify.worst import Worst, relative
from solvers.regularizers.base import Regularizer, offers


def layouts(w: Tensor) -> dict[str, Tensor]:
    """The same tensor in other memory: transposed storage, every second entry of a larger one."""
    padded = torch.full((*w.shape[:-1], 2 * w.shape[-1]), torch.nan, dtype=w.dtype)
    padded[..., ::2] = w
    transposed = w.permute(*reversed(range(w.ndim))).contiguous().permute(*reversed(range(w.ndim)))
    return {"transposed storage": transposed, "strided storage": padded[..., ::2]}


def measure_layout(regularizer: Regularizer, w: Array, step: float) -> Measurement:
    """Same answer in every memory layout and every time; shape, dtype and device kept; the input unchanged."""
    given = tensor(w)
    first = regularizer.prox(given, step)
    if not isinstance(first, Tensor):
        return Measurement(np.inf, f"prox must return a tensor, got {type(first).__name__}")
    for what in ("shape", "dtype", "device"):
        if getattr(first, what) != getattr(given, what):
            return Measurement(np.inf, f"prox returned {what} {getattr(first, what)} for {getattr(given, what)}")
    finite("prox", first)
    if not torch.equal(given, tensor(w)):
        return Measurement(np.inf, "prox changed its input")
    if not torch.equal(first, regularizer.prox(given, step)):
        return Measurement(np.inf, "prox gave two answers to the same question")
    worst, value = Worst(), psi_value(regularizer, w)
    for name, other in layouts(given).items():
        deviation = float((regularizer.prox(other, step) - first).abs().max())
        worst.see(relative(deviation, size(w, first)), f"{name} changes prox by {deviation:.3g}")
        elsewhere = float(regularizer.value(other))
        # Both may be infinite, outside a constraint.
        change = 0.0 if value == elsewhere else relative(abs(elsewhere - value), abs(value) + size(w))
        worst.see(change, f"{name} changes value from {value:.6g} to {elsewhere:.6g}")
    return worst.measurement()


def measure_dtypes(regularizer: Regularizer, w: Array, step: float) -> Measurement:
    """float32 and bfloat16 agree with float64 on the same numbers, in units of their epsilon; the dtype is kept.

    The prox of a nonconvex psi jumps, and rounding decides on which side: there it is enough that the objective is as
    low as in float64.
    """
    worst = Worst()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        for dtype in (torch.float32, torch.bfloat16):
            narrow = tensor(w, dtype).to(device)
            if not bool(torch.isfinite(narrow).all()):
                continue  # the dtype does not hold the case
            found = regularizer.prox(narrow, step)
            if found.dtype != dtype or found.device != narrow.device:
                return Measurement(np.inf, f"prox returned {found.dtype} on {found.device} for {dtype} on {device}")
            exact = regularizer.prox(narrow.double(), step)
            # A prox of constraints may be far larger than its argument: that of zero onto a simplex, say.
            unit = torch.finfo(dtype).eps * size(narrow.double().cpu().numpy(), exact.cpu().numpy())
            deviation = relative(float((found.double() - exact).abs().max()), unit)
            if not offers(regularizer, "convex"):
                deviation = min(deviation, _rise(regularizer, narrow.double(), step, found.double(), exact, dtype))
            worst.see(deviation, f"{dtype} on {device} is {deviation:.3g} epsilons away from float64")
    return worst.measurement()


def _rise(regularizer: Regularizer, w: Tensor, step: float, found: Tensor, exact: Tensor, dtype: torch.dtype) -> float:
    """How much higher the prox objective is at ``found`` than at ``exact``, in epsilons of its terms."""
    moved = [0.5 * float((z - w).square().sum()) for z in (found, exact)]
    psi = [step * psi_value(regularizer, z.cpu().numpy()) for z in (found, exact)]
    scale = moved[1] + psi[1] + 0.5 * float(w.square().sum())
    return relative(moved[0] + psi[0] - moved[1] - psi[1], torch.finfo(dtype).eps * scale)


CHECKS = (
    Check(
        id="layout-invariance",
        claim="prox and value depend on the entries alone: any memory layout, again and again, input left unchanged.",
        source="the contract of a regularizer",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=lambda target: prox_cases(target.instances),
        measure=measure_layout,
    ),
    Check(
        id="dtype-agreement",
        claim="float32 and bfloat16 on every device at hand agree with float64 to a few units of their epsilon.",
        source="the contract of a regularizer",
        kind="regularizer",
        tolerance=tolerances.FLOAT32,
        cases=lambda target: prox_cases(target.instances),
        measure=measure_dtypes,
    ),
)
