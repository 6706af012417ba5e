"""Counterexamples as text: what the case is, and Python that reproduces it when pasted."""

import textwrap
from typing import Any

import numpy as np

from ramda_verify.cases.exact_set import ExactSet
from ramda_verify.cases.recorded.problems import NamedArray
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target

#: Columns of a comment.
COMMENT_WIDTH = 79
#: Entries up to which an array is listed though all are alike.
LISTED = 8


def literal(value: Any) -> str:
    """A Python expression for an argument; float64 arrays round-trip exactly, recorded ones go by their names."""
    if isinstance(value, NamedArray) and value.expression is not None:
        return value.expression
    if isinstance(value, np.ndarray):
        if not value.size:
            return f"np.zeros({value.shape!r})"
        alike = value.size > LISTED and bool((value == value.flat[0]).all())
        return f"np.full({value.shape!r}, {value.flat[0].item()!r})" if alike else f"np.array({value.tolist()!r})"
    return repr(value)


def assignment(name: str, value: Any) -> list[str]:
    """Lines that give a variable the value; an array that is zero but for a few places is written by these."""
    plain = type(value) is np.ndarray and value.size > LISTED and np.count_nonzero(value) <= LISTED
    if not plain or not np.any(value):
        return [f"{name} = {literal(value)}"]
    places = np.flatnonzero(value)
    return [f"{name} = np.zeros({value.shape!r})", f"{name}.flat[{places.tolist()}] = {value.flat[places].tolist()}"]


def describe_case(case: Case) -> str:
    """The arguments in one line."""
    return ", ".join(f"{name}={literal(value)}" for name, value in case.items())


def snippet(check_id: str, target: Target, case: Case, measurement: Measurement, tolerance: float) -> str:
    """A script that measures the violation of this case again."""
    lines = ["import numpy as np", "from ramda_verify.checks import measure"]
    if any(isinstance(value, NamedArray) for value in case.values()):
        lines.append("from ramda_verify.cases.recorded import recorded")
    if "regularizer" in case:
        regularizer = case["regularizer"]
        lines += target.import_lines(regularizer.inner if isinstance(regularizer, ExactSet) else regularizer)
        if isinstance(regularizer, ExactSet):
            lines += ["from ramda_verify.cases.exact_set import ExactSet", "regularizer = ExactSet(regularizer)"]
    lines += [line for name, value in case.items() if name != "regularizer" for line in assignment(name, value)]
    arguments = ", ".join(f"{name}={name}" for name in case)
    lines.append(f"print(measure({check_id!r}, {arguments}))")
    said = f"violation {measurement.violation:.3g}, allowed {tolerance:.3g}: {measurement.note}".rstrip(": ")
    lines += textwrap.wrap(said, COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")
    return "\n".join(lines)
