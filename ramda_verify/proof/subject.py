"""Lines of Python that make the object of a counterexample."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ramda_verify.proof.parameters import arguments_of


def import_lines_of(
    regularizer: Any, loading: Sequence[str] | None = None
) -> Callable[[Mapping[str, float]], Sequence[str]]:
    """A function from parameters that differ from the object's own to lines that make such an object.

    ``loading`` are lines that make ``regularizer`` itself; without them it is made by its class, which is imported.
    """
    cls = type(regularizer)

    def lines(values: Mapping[str, float]) -> list[str]:
        own = arguments_of(regularizer)
        words = ", ".join(f"{name}={value!r}" for name, value in {**own, **values}.items())
        if loading is not None:
            same = all(own.get(name) == value for name, value in values.items())
            return [*loading, *([] if same else [f"regularizer = type(regularizer)({words})"])]
        if cls.__module__ == "__main__" or "<" in cls.__qualname__:
            return [f"regularizer = {cls.__name__}({words})"]
        name = cls.__qualname__.split(".")[0]
        return [f"from {cls.__module__} import {name}", f"regularizer = {cls.__qualname__}({words})"]

    return lines
