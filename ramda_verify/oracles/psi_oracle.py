"""psi by an independent model, ours or the one that a user's regularizer brings."""

import math
from typing import Any

import cvxpy as cp

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.cvxpy_models import expression
from ramda_verify.oracles.psi_model import describe, psi_value


def has_model(regularizer: Any) -> bool:
    """Whether there is a model of psi apart from the regularizer's own ``value``."""
    return callable(getattr(regularizer, "as_cvxpy", None)) or describe(regularizer) is not None


def model_value(x: Array, regularizer: Any) -> float:
    """psi(x) by ``as_cvxpy`` where the regularizer brings it, else by plain loops; nan where the model has no value."""
    if not callable(getattr(regularizer, "as_cvxpy", None)):
        return psi_value(x, regularizer)
    value = expression(cp.Constant(x), regularizer).value
    return math.nan if value is None else float(value)
