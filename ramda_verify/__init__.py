"""The verifier: independent oracles, property checks, the runner, the report, the command line.

``check``, ``battery``, ``prove`` and ``enclose`` are imported when they are first asked for: ``import ramda_verify``
alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramda_verify.api import battery, check
    from ramda_verify.enclosing import enclose
    from ramda_verify.proof import prove

    __version__: str

__all__ = ["__version__", "battery", "check", "enclose", "prove"]

_PLACES = {
    "battery": "ramda_verify.api",
    "check": "ramda_verify.api",
    "enclose": "ramda_verify.enclosing",
    "prove": "ramda_verify.proof",
}


if not TYPE_CHECKING:  # to a type checker it would make every name one of this module

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("ramda-verify")
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
