"""A traced function as one piece of arithmetic: its ways put together by the conditions that lead to them."""

import math
from collections.abc import Sequence
from typing import Any

from ramda_verify.proof import elementwise as e
from ramda_verify.proof.arrays import Array, filled, map_elements
from ramda_verify.proof.extended import NAN
from ramda_verify.proof.interpreter import run_graph
from ramda_verify.proof.terms import Context, Truth
from ramda_verify.proof.tracing import Path


def read(context: Context, paths: Sequence[Path], inputs: Sequence[Array], shape: Sequence[int]) -> Array:
    """What the function returns, an array of elements of this shape; not a number where the function raises.

    Raises Coupled or Unreadable where an operation has no reading.
    """
    outcomes: list[tuple[tuple[bool, ...], list[Truth], Array]] = []
    for path in paths:
        result, conditions = run_graph(context, path.graph, inputs)
        if path.error is not None:
            result = filled(shape, NAN)
        outcomes.append((path.answers, [e.truth(condition[()]) for condition in conditions], _shaped(result, shape)))
    return _joined(context, outcomes, 0)


def _shaped(result: Array, shape: Sequence[int]) -> Array:
    """The result as an array of numbers of this shape."""
    if result.size != math.prod(shape):
        raise e.Unreadable(f"a result of shape {result.shape} where {tuple(shape)} is expected")
    return result.reshape(shape)


def _joined(context: Context, outcomes: list[Any], depth: int) -> Array:
    """The ways that share their first ``depth`` answers, chosen among by the next one."""
    if len(outcomes) == 1:
        return outcomes[0][2]
    yes, no = ([way for way in outcomes if way[0][depth] is answer] for answer in (True, False))
    condition = filled((), outcomes[0][1][depth])
    return map_elements(context, e.where, condition, _joined(context, yes, depth + 1), _joined(context, no, depth + 1))
