"""What a regularizer does beside computing: to its input, to its earlier answers, to the process around it.

A prox whose numbers are right on the first call may still return its input, overwrite an earlier answer, remember what
it was asked before, draw from the generators of others or answer on the wrong device.
"""

import copy

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, tensors
from ramda_verify.checks.helpers import Array, tensor
from ramda_verify.checks.regularizer.contract import kind_of_prox, kind_of_value
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.world import World, left_alone, made_telling
from solvers.regularizers.members import Regularizer


def _with_another(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: tensors(case["w"].shape).map(lambda other: {**case, "other": other})
    )


@check(
    "manners",
    claim="prox and value answer alike at every call, keep to their own memory, and leave the process as it was.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.EXACT,
    cases=_with_another,
    share=0.5,
)
def measure_manners(regularizer: Regularizer, w: Array, step: float, other: Array) -> Measurement:
    """0 where all is well, else infinite, with what is not."""
    fault = _fault(regularizer, tensor(w), step, tensor(other))
    return Measurement(0.0) if fault is None else Measurement(np.inf, fault)


def _fault(regularizer: Regularizer, w: Tensor, step: float, other: Tensor) -> str | None:
    given, fresh = w.clone(), _copied(regularizer)
    first, value = regularizer.prox(w, step), regularizer.value(w)
    kind = kind_of_prox(first, w) or kind_of_value(value)
    if kind is not None:
        return kind
    changed = _changed_by_a_call(regularizer, w, step)
    if changed:
        return f"a call of prox and of value changed, for the whole process, {', '.join(changed).replace('_', ' ')}"
    if not torch.equal(w, given):
        return "prox or value changed its input"
    if shares_memory(first, w):
        return "prox returned memory of its input: what is done to one is done to both; return a clone"
    kept = first.clone()
    regularizer.prox(other, step)
    regularizer.value(other)
    regularizer.prox(2 * w + 1, 2 * step)
    if not torch.equal(first, kept):
        return "an earlier answer of prox changed when it was called again: it is a buffer"
    again = regularizer.prox(w, step)
    if shares_memory(first, again):
        return "two answers of prox share memory"
    if not torch.equal(again, kept) or not torch.equal(regularizer.value(w), value):
        return "prox or value gave two answers to the same question, with others in between"
    if fresh is not None and not (torch.equal(fresh.prox(w, step), kept) and torch.equal(fresh.value(w), value)):
        return "a copy of the regularizer, which was asked nothing before, answers otherwise"
    return _elsewhere(regularizer, w, step)


def _changed_by_a_call(regularizer: Regularizer, w: Tensor, step: float) -> list[str]:
    """What of the process is another after a call of prox and of value, in either of two states of it."""
    changed: dict[str, None] = {}
    for which in (0, 1):
        with left_alone():
            made_telling(which)
            before = World.now()
            regularizer.prox(w, step)
            regularizer.value(w)
            changed.update(dict.fromkeys(before.differences(World.now())))
    return list(changed)


def _copied(regularizer: Regularizer) -> Regularizer | None:
    """A deep copy, as it was before it was asked anything; None of what cannot be copied."""
    try:
        return copy.deepcopy(regularizer)
    except Exception:
        return None


def shares_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are views of one storage."""
    return one.numel() > 0 and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _elsewhere(regularizer: Regularizer, w: Tensor, step: float) -> str | None:
    """Whether prox answers on the device of w, tried on torch's meta device, which every torch has.

    It has no numbers: a prox that reads one, or has tables on the CPU, raises, and nothing is known.
    """
    try:
        found = regularizer.prox(w.to("meta"), step)
    except Exception:
        return None
    return (
        None if found.device.type == "meta" else f"prox returned a tensor on {found.device} for one on another device"
    )
