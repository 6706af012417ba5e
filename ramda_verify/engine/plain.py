"""Plain counterexamples: a greedy pass over a failing case that keeps what fails.

Hypothesis shrinks the choices from which it drew a case. A large tensor is one choice, a seed, and numbers found by
bisection are none; so what it leaves is made smaller and plainer here, entry by entry, as long as the same failure
remains.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ramda_verify.engine.record import Case, Measurement

#: Measures a case: the failure, or None where there is none.
Failure = Callable[[Case], Measurement | None]

#: Entries up to which each is tried by itself.
BY_ENTRY = 64
PLAIN = (0.0, 1.0, 2.0, -1.0, 0.5)


def plainest(case: Case, found: Measurement, failure: Failure, *, seconds: float = 3.0) -> tuple[Case, Measurement]:
    """The case after every replacement that leaves it failing, and what is measured of it.

    Axes and rows go first, then entries become 0, 1, 2 or numbers of two digits, then so do the single numbers. It
    stops when nothing changes any more or after ``seconds``.
    """
    end = time.monotonic() + seconds
    changed = True
    while changed:
        changed = False
        for candidate in _plainer(case):
            if time.monotonic() > end:
                return case, found
            measured = failure(candidate)
            if measured is not None:
                case, found, changed = candidate, measured, True
                break
    return case, found


def _plainer(case: Case) -> Iterator[Case]:
    yield from _cut(case)
    for name, value in case.items():
        if type(value) is np.ndarray:
            yield from ({**case, name: array} for array in _in_blocks(value, positive=name in ("D", "lam")))
    for name, value in case.items():
        if type(value) is np.ndarray and value.size <= BY_ENTRY:
            yield from ({**case, name: array} for array in _plainer_array(value, positive=name in ("D", "lam")))
    for name, value in case.items():
        if isinstance(value, float):
            yield from ({**case, name: number} for number in _plainer_numbers(value) if number > 0)
        elif isinstance(value, int) and not isinstance(value, bool) and name == "seed" and value:
            yield {**case, name: 0}


def _cut(case: Case) -> Iterator[Case]:
    """The case with less of one axis, in all arrays that have it: its halves, then it without one place."""
    arrays = {name: value for name, value in case.items() if type(value) is np.ndarray and value.ndim}
    if not arrays:
        return
    longest = max(arrays.values(), key=lambda array: array.ndim)
    for axis, length in enumerate(longest.shape):
        shared = {n: a for n, a in arrays.items() if a.shape[: axis + 1] == longest.shape[: axis + 1]}
        for kept in _fewer(length):
            yield {**case, **{name: np.take(array, kept, axis=axis).copy() for name, array in shared.items()}}


def _fewer(length: int) -> Iterator[list[int]]:
    """The places that are kept: half of them, three quarters, and so on, without the first or the last ones."""
    without = length // 2
    while without:
        yield list(range(length - without))
        yield list(range(without, length))
        without //= 2
    if length <= 16:
        yield from ([i for i in range(length) if i != place] for place in range(1, length - 1))


def _in_blocks(array: np.ndarray, *, positive: bool) -> Iterator[np.ndarray]:
    """The array with one plain number throughout, or in a half, a quarter and so on of its entries; or all rounded."""
    length = array.size
    while length > 1:
        for start in range(0, array.size, length):
            for number in (1.0,) if positive else (0.0, 1.0):
                plainer = array.copy()
                plainer.flat[start : start + length] = number
                if _digits_of(plainer) < _digits_of(array):
                    yield plainer
        length = (length + 1) // 2 if length > 2 else 1
    rounded = np.vectorize(lambda value: float(f"{value:.1g}"))(array) if array.size else array
    if _digits_of(rounded) < _digits_of(array):
        yield rounded


def _digits_of(array: np.ndarray) -> tuple[int, int]:
    """How plain an array is: how many of its entries are not 0, then how many digits they have."""
    return int(np.count_nonzero(array)), sum(_digits(value)[0] * 100 + _digits(value)[1] for value in array.flat)


def _plainer_array(array: np.ndarray, *, positive: bool) -> Iterator[np.ndarray]:
    for index, value in enumerate(array.flat):
        for number in _plainer_numbers(float(value)):
            if number > 0 or not positive:
                plainer = array.copy()
                plainer.flat[index] = number
                yield plainer


def _plainer_numbers(value: float) -> list[float]:
    """Numbers that are plainer than this one, the plainest first."""
    rounded = [float(f"{value:.1g}"), float(f"{value:.2g}")] if np.isfinite(value) else []
    offered: list[float] = []
    for number in (*PLAIN, *rounded):
        if _digits(number) >= _digits(value):
            break
        offered.append(number)
    return offered


def _digits(value: Any) -> tuple[int, int]:
    """How plain a number is: its place in PLAIN, else its digits."""
    if value in PLAIN:
        return 0, PLAIN.index(value)
    return 1, len(repr(float(value)))
