"""The reading of a trace compared with the class itself at sampled points: what was traced is what runs."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.parameters import Parameter
from ramda_verify.proof.question import Question, Traced
from ramda_verify.proof.replay import point_of
from ramda_verify.tolerances import CLOSED_FORM, FLOAT32

#: Sampled points of one question. They need not be many: a trace that differs at all differs almost everywhere.
SAMPLES = 12


def disagreement(traced: Traced, question: Question, build: Callable[[Mapping[str, float]], Any]) -> str | None:
    """Where the reading and the class differ, in words, or None."""
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        chosen = {p.name: _sample(p, rng) for p in traced.parameters}
        if not _in_range(traced, chosen):
            continue
        try:
            regularizer = build(chosen)
        except Exception as error:
            return f"the class refuses {chosen}, which is in the range that was found or declared: {error}"
        w, step = rng.uniform(-6, 6), 10 ** rng.uniform(-1.5, 1)
        w = abs(w) if question.group else w
        point = point_of(traced.shape, w)
        inputs = {**chosen, "step": step, "w": w, "largest of w": float(point.abs().max())}
        prox, psi = _of_class(partial(_prox, regularizer, step), point), _of_class(regularizer.value, point)
        scale = point.reshape(-1)[-1].item() if question.group else 1.0
        read = evaluate(question.context, question.prox, inputs) * scale
        read_psi = evaluate(question.context, question.psi_of_w, inputs)
        for what, ours, found in (("prox", read, prox), ("psi", read_psi, psi)):
            theirs = float(found)
            if not _alike(ours, theirs, abs(w) + abs(theirs), found.dtype):
                raised = next((path.error for path in (*traced.prox, *traced.value) if path.error), None)
                if math.isnan(ours) and raised is not None:
                    return f"with tensors for numbers it raises {raised}"
                words = f"w = {w:.6g}, step = {step:.6g}{_words(chosen)}"
                return f"{what} is read as {ours:.9g} where the class gives {theirs:.9g}, at {words}"
    return None


def _of_class(function: Callable[[Tensor], Any], point: Tensor) -> Tensor:
    """What the class gives; not a number where it raises, as in a reading."""
    try:
        return torch.as_tensor(function(point.clone())).reshape(-1)[-1]
    except Exception:
        return torch.tensor(math.nan)


def _prox(regularizer: Any, step: float, w: Tensor) -> Tensor:
    found: Tensor = regularizer.prox(w, step)
    return found


def _words(chosen: Mapping[str, float]) -> str:
    return "".join(f", {name} = {value:.6g}" for name, value in chosen.items())


def _sample(parameter: Parameter, rng: np.random.Generator) -> float:
    """A value near the object's own, within the numeric bounds."""
    value = parameter.own * 2 ** rng.uniform(-1, 1) if parameter.own != 0 else rng.uniform(0, 1)
    for bound in parameter.bounds:
        if isinstance(bound.limit, float):
            inside = value > bound.limit if bound.relation in (">", ">=") else value < bound.limit
            value = value if inside else (parameter.own + bound.limit) / 2
    return value


def _in_range(traced: Traced, chosen: Mapping[str, float]) -> bool:
    """Whether ranges that name other parameters hold as well."""
    rules = {">": float.__gt__, ">=": float.__ge__, "<": float.__lt__, "<=": float.__le__}
    values = {**{p.name: p.own for p in traced.fixed}, **chosen}
    return all(
        rules[bound.relation](values[p.name], values[bound.limit])
        for p in (*traced.parameters, *traced.fixed)
        for bound in p.bounds
        if isinstance(bound.limit, str)
    )


def _alike(one: float, other: float, scale: float, dtype: torch.dtype) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return one == other or (math.isnan(one) and math.isnan(other))
    # A count times a Python number is a tensor of the default dtype, float32.
    narrow = FLOAT32.value * torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
    return abs(one - other) <= max(CLOSED_FORM.value, narrow) * scale
