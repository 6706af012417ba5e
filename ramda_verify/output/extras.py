"""The optional parts of the package: which packages each needs, and which of them are not there."""

import sys
from importlib.util import find_spec

#: The packages of each extra of pyproject.toml, and the modules by which they are imported.
EXTRAS: dict[str, dict[str, str]] = {
    "verify": {
        "hypothesis": "hypothesis",
        "cvxpy": "cvxpy",
        "clarabel": "clarabel",
        "mpmath": "mpmath",
        "scipy": "scipy",
        "scikit-learn": "sklearn",
        "z3-solver": "z3",
        "python-flint": "flint",
        "jinja2": "jinja2",
        "matplotlib": "matplotlib",
        "platformdirs": "platformdirs",
        "joblib": "joblib",
        "msgspec": "msgspec",
    },
    "train": {
        "matplotlib": "matplotlib",
        "platformdirs": "platformdirs",
        "scikit-learn": "sklearn",
        "scipy": "scipy",
        "threadpoolctl": "threadpoolctl",
        "joblib": "joblib",
        "msgspec": "msgspec",
    },
    "bench": {
        "clarabel": "clarabel",
        "cvxpy": "cvxpy",
        "matplotlib": "matplotlib",
        "scikit-learn": "sklearn",
        "scipy": "scipy",
        "msgspec": "msgspec",
    },
}


def missing_modules(extra: str) -> tuple[str, ...]:
    """The packages of an extra that cannot be imported here."""
    return tuple(package for package, module in EXTRAS[extra].items() if not is_there(module))


def is_there(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def how_to_install(extra: str) -> str:
    return f"pip install 'ramda-verify[{extra}]'"
