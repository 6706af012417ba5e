"""Sums, norms, largest entries and other reductions of arrays of elements."""

import math
from collections.abc import Callable
from typing import Any

from ramda_verify.proof import elementwise as e
from ramda_verify.proof import groups as g
from ramda_verify.proof.arrays import Array, Operation, as_array, map_elements, reduced
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.extended import ZERO, Number, add, constant, magnitude, maximum, minimum, multiply
from ramda_verify.proof.groups import Coupled, Element, Part
from ramda_verify.proof.terms import Context, conjunction, disjunction, negation


def total(elements: list[Element]) -> Element:
    if any(isinstance(element, Part) for element in elements):
        parts = [element for element in elements if isinstance(element, Part)]
        if len(parts) < len(elements):
            raise Coupled("it sums a part of what is one group elsewhere")
        return parts[0] if len(parts) == 1 else g.sum_of(parts)
    found = constant(ZERO)
    for place, element in enumerate(elements):
        found = e.number(element) if place == 0 else add(found, e.number(element))
    return found


def _extreme(choose: Callable[[Number, Number], Number]) -> Callable[[list[Element]], Element]:
    def pick(elements: list[Element]) -> Element:
        if all(isinstance(element, Part) for element in elements):
            parts = [element for element in elements if isinstance(element, Part)]
            if len(parts) > 1 and choose is minimum:
                raise Coupled("it takes the smallest entry of a group")
            return parts[0] if len(parts) == 1 else g.largest_of(parts)
        if all(not isinstance(element, Number | Part) for element in elements):
            return (disjunction if choose is maximum else conjunction)(*elements)
        found = e.number(elements[0])
        for element in elements[1:]:
            found = choose(found, e.number(element))
        return found

    return pick


largest, smallest = _extreme(maximum), _extreme(minimum)


def length(context: Context, order: float) -> Callable[[list[Element]], Element]:
    """The norm of some elements, of order 0, 1, 2 or infinity."""

    def measure(elements: list[Element]) -> Element:
        if any(isinstance(element, Part) for element in elements):
            parts = [element for element in elements if isinstance(element, Part)]
            if len(parts) < len(elements):
                raise Coupled("it takes the norm of a part of what is one group elsewhere")
            return g.size(parts[0]) if len(parts) == 1 else g.norm_of(parts, order)
        numbers = [e.number(element) for element in elements]
        if order == 0:
            return total([negation(element.zero) for element in numbers])
        if order == 1 or (order == 2 and len(numbers) == 1):
            return total([magnitude(element) for element in numbers])
        if order == math.inf:
            return largest([magnitude(element) for element in numbers])
        if order == 2:
            return e.square_root(context, total([multiply(element, element) for element in numbers]))
        raise Unreadable(f"a norm of order {order:g}")

    return measure


def vector_norm(
    context: Context, array: Any, order: float = 2, dim: Any = None, keepdim: bool = False, **rest: Any
) -> Array:
    return reduced(as_array(context, array), dim, keepdim, length(context, float(order)))


def older_norm(
    context: Context, array: Any, order: Any = None, dim: Any = None, keepdim: bool = False, **rest: Any
) -> Array:
    return vector_norm(context, array, 2 if order is None else order, dim, keepdim)


def sum_over(context: Context, array: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Array:
    return reduced(as_array(context, array), dim, keepdim, total)


def mean_over(context: Context, array: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Array:
    given = as_array(context, array)
    sums = sum_over(context, given, dim, keepdim)
    return map_elements(context, e.divide, sums, given.size // sums.size)


def extreme_over(rule: Callable[[list[Element]], Element], *, with_place: bool = False) -> Operation:
    def reduce(context: Context, array: Any, dim: Any = None, keepdim: bool = False) -> Any:
        found = reduced(as_array(context, array), dim, keepdim, rule)
        return (found, None) if with_place and dim is not None else found

    return reduce


def holds_over(rule: Callable[..., Any]) -> Operation:
    def reduce(context: Context, array: Any, dim: Any = None, keepdim: bool = False) -> Array:
        return reduced(as_array(context, array), dim, keepdim, lambda some: rule(*map(e.truth, some)))

    return reduce


def count_nonzero(context: Context, array: Any, dim: Any = None) -> Array:
    return reduced(as_array(context, array), dim, False, lambda some: total([e.truth(element) for element in some]))
