"""Lines of Python that make the object of a counterexample."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ramda_verify.engine.arguments import arguments_of
from ramda_verify.engine.construction import changed, construction


def import_lines_of(
    regularizer: Any, loading: Sequence[str] | None = None
) -> Callable[[Mapping[str, float]], Sequence[str]]:
    """A function from parameters that differ from the object's own to lines that make such an object.

    ``loading`` are lines that make ``regularizer`` itself; without them it is made by its class, which is imported.
    """

    def lines(values: Mapping[str, float]) -> list[str]:
        own = arguments_of(regularizer)
        same = all(own.get(name) == value for name, value in values.items())
        if loading is None:
            return construction(regularizer, None if same else values)
        return [*loading] if same else [*loading, *changed(regularizer, values)]

    return lines
