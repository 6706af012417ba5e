# mypy: allow-untyped-defs
"""The elementwise part of each method: the state takes the gradient in, and gives B and D. Formulas in task.py."""

import triton
import triton.language as tl

from solvers.kernels.gpu.arithmetic import cube_root


@triton.jit
def coefficient(k, number: tl.constexpr, HOW: tl.constexpr):
    return tl.load(k + number).to(HOW.sums)


@triton.jit
def update(g, x0, x1, x2, k, HOW: tl.constexpr):
    """The state after the gradient ``g``; ``k`` points to the coefficients. What a recurrence has not, it returns as is."""
    if HOW.recurrence == "ramda":
        weighted = coefficient(k, 0, HOW) * g
        x1 += weighted
        x2 += weighted * g
    elif HOW.recurrence == "rmda":
        x1 += coefficient(k, 0, HOW) * g
    elif HOW.recurrence == "proxsgd":
        kept = (1 - tl.load(k)).to(HOW.sums)
        x0 = kept * x0 + coefficient(k, 0, HOW) * g
    else:
        x0 += coefficient(k, 1, HOW) * (g - x0)
        x1 = coefficient(k, 2, HOW) * x1 + coefficient(k, 3, HOW) * (g * g)
        if HOW.recurrence == "proxgen_amsgrad":
            x2 = tl.where(x2 > x1, x2, x1)
    return x0, x1, x2


@triton.jit
def normal_form(w, x0, x1, x2, k, HOW: tl.constexpr):
    """B and D from the point ``w`` and the state."""
    if HOW.recurrence == "ramda":
        d = cube_root(x2, HOW.sums) + coefficient(k, 1, HOW)
        b = d * x0 - x1
    elif HOW.recurrence == "rmda":
        beta = coefficient(k, 1, HOW)
        d = tl.zeros_like(x0) + beta
        b = beta * x0 - x1
    elif HOW.recurrence == "proxsgd":
        d = tl.zeros_like(x0) + 1
        b = w - coefficient(k, 1, HOW) * x0
    else:
        v = x1
        if HOW.recurrence == "proxgen_amsgrad":
            v = x2
        d = coefficient(k, 4, HOW) * tl.sqrt(v) + coefficient(k, 5, HOW)
        b = d * (coefficient(k, 0, HOW) * w) - coefficient(k, 6, HOW) * x0
    return b, d
