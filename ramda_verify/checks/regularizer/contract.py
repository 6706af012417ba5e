"""The signature of a regularizer: prox(w, step) gives a tensor like w, value(w) a 0-d tensor.

Whatever else is wrong then, no other check could say more: this one runs first, and where it fails alone.
"""

import inspect

import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import regularizers_and_shapes
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from solvers.regularizers.members import Regularizer

SIGNATURES = {"value": ("w",), "prox": ("w", "step")}


def _shapes(target: Target) -> st.SearchStrategy[Case]:
    return regularizers_and_shapes(target.instances).map(lambda pair: {"regularizer": pair[0], "shape": pair[1]})


@check(
    "contract",
    claim="prox(w, step) returns finite numbers of the shape, dtype and device of w, value(w) a 0-d tensor, no NaN.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.EXACT,
    cases=_shapes,
    recorded="never",
)
def measure_contract(regularizer: Regularizer, shape: tuple[int, ...]) -> Measurement:
    """0 where both methods take and return what they must on ones of this shape; else infinite, with what is wrong."""
    for name, arguments in SIGNATURES.items():
        try:
            inspect.signature(getattr(regularizer, name)).bind(*arguments)
        except TypeError as error:
            wanted = f"{name}({', '.join(arguments)})"
            return Measurement(float("inf"), f"{wanted} cannot be called with these arguments: {error}")
        except ValueError:
            pass  # a built-in function without a signature
    w = torch.ones(shape, dtype=torch.float64)
    fault = kind_of_value(regularizer.value(w.clone())) or kind_of_prox(regularizer.prox(w.clone(), 1.0), w)
    return Measurement(0.0) if fault is None else Measurement(float("inf"), fault)


def kind_of_prox(found: object, w: torch.Tensor) -> str | None:
    """What is wrong with the type, shape, dtype, device or range of an answer of prox; None if nothing is."""
    if not isinstance(found, torch.Tensor):
        return f"prox must return a tensor, got {type(found).__name__}"
    for what in ("shape", "dtype", "device"):
        if getattr(found, what) != getattr(w, what):
            return f"prox returned {what} {getattr(found, what)} for {what} {getattr(w, what)}"
    return None if bool(torch.isfinite(found).all()) else f"prox returned {found.tolist()} for {w.tolist()}"


def kind_of_value(found: object) -> str | None:
    """The same for value."""
    if isinstance(found, torch.Tensor) and found.shape == () and not found.is_complex():
        return "value returned NaN" if bool(found.isnan()) else None
    shown = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
    return f"value must return a 0-d tensor, got {shown}"
