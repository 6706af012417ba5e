"""How a snippet makes the object of a counterexample."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def import_lines_of(regularizer: Any) -> Callable[[Mapping[str, float]], Sequence[str]]:
    """Lines of Python that import the class of an object and make one with some parameters changed."""
    cls = type(regularizer)

    def lines(values: Mapping[str, float]) -> list[str]:
        from ramda_verify.proof.parameters import arguments_of

        arguments = {**arguments_of(regularizer), **values}
        words = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        return [f"from {cls.__module__} import {cls.__qualname__}", f"regularizer = {cls.__qualname__}({words})"]

    return lines
