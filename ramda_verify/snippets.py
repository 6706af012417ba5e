"""Counterexamples as text: what the case is, and Python that reproduces it when pasted."""

import textwrap
from typing import Any

import numpy as np

from ramda_verify.record import Case, Measurement
from ramda_verify.recorded.problems import NamedArray
from ramda_verify.targets import Target

#: Columns of a comment.
COMMENT_WIDTH = 79


def literal(value: Any) -> str:
    """A Python expression for an argument; float64 arrays round-trip exactly, recorded ones go by their names."""
    if isinstance(value, NamedArray) and value.expression is not None:
        return value.expression
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()!r})" if value.size else f"np.zeros({value.shape!r})"
    return repr(value)


def describe_case(case: Case) -> str:
    """The arguments in one line."""
    return ", ".join(f"{name}={literal(value)}" for name, value in case.items())


def snippet(check_id: str, target: Target, case: Case, measurement: Measurement, tolerance: float) -> str:
    """A script that measures the violation of this case again."""
    lines = ["import numpy as np", "from ramda_verify.checks import measure"]
    if any(isinstance(value, NamedArray) for value in case.values()):
        lines.append("from ramda_verify.recorded import recorded")
    if "regularizer" in case:
        lines += target.import_lines(case["regularizer"])
    lines += [f"{name} = {literal(value)}" for name, value in case.items() if name != "regularizer"]
    arguments = ", ".join(f"{name}={name}" for name in case)
    lines.append(f"print(measure({check_id!r}, {arguments}))")
    said = f"violation {measurement.violation:.3g}, allowed {tolerance:.3g}: {measurement.note}".rstrip(": ")
    lines += textwrap.wrap(said, COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")
    return "\n".join(lines)
