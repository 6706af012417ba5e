"""Objects without methods that the oracles take for regularizers of the library, by name and attributes."""

from typing import Any


def named(name: str, **attributes: Any) -> Any:
    """An object of a class ``name`` that claims to be of the library."""
    made = type(name, (), {"__module__": "solvers.regularizers.somewhere"})()
    vars(made).update(attributes)
    return made


def sparse_group_lasso(entry_weight: float, reg_weight: float, grouping: str = "input") -> Any:
    return named(
        "SparseGroupLasso",
        entry_weight=entry_weight,
        reg_weight=reg_weight,
        grouping=grouping,
        layout="out_in",
        conv_groups=1,
    )
