"""Measurements as what JSON knows."""

import math
from collections.abc import Mapping
from typing import Any


def jsonable(value: Any) -> Any:
    """Mappings, lists and numbers of numpy and torch as plain ones; NaN and infinities, which JSON lacks, as text."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(entry) for entry in value]
    if hasattr(value, "tolist"):  # arrays, tensors and their numbers
        return jsonable(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value
