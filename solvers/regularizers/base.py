"""How the rest of the library asks a regularizer for its members, and what regularizers share.

``offers`` finds out what an object has, for readers and for type checkers: after ``if offers(r, "metric_prox")`` the
type of ``r`` is ``HasMetricProx``, and so on; see ``members``.
"""

from typing import Literal, TypeGuard, overload

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.members import (
    OPTIONAL_MEMBERS,
    RESTATES,
    HasBlockwiseMax,
    HasDtypes,
    HasExamples,
    HasGroupNorms,
    HasLayouts,
    HasMetricProx,
    HasProxWithDerivative,
    HasShapeCheck,
    HasShapes,
    HasSparsity,
    HasStructure,
    HasSubgradientResidual,
    HasViolation,
    HasZeroMask,
    Scalar,
)


def is_constant(regularizer: object) -> bool:
    """Whether what it says of a tensor cannot change: a frozen dataclass of numbers and texts.

    Arguments:
        regularizer: any object.

    Returns:
        True for a frozen dataclass whose attributes are numbers, texts or None.
    """
    traits = getattr(type(regularizer), "__dataclass_params__", None)
    plain = (int, float, str, type(None))
    return traits is not None and traits.frozen and all(isinstance(v, plain) for v in vars(regularizer).values())


def require_regularizer(name: str, value: object) -> None:
    """Refuse what is no regularizer.

    Arguments:
        name: the argument that the message names.
        value: any object.

    Raises:
        TypeError: ``value`` is a class, or lacks ``value`` or ``prox``; the message names every missing method.
    """
    if isinstance(value, type):
        raise TypeError(f"{name} must be a regularizer object, got the class {value.__name__}; call it first")
    missing = [method for method in ("value", "prox") if not callable(getattr(value, method, None))]
    if missing:
        raise TypeError(
            f"{name} must have the methods value(w) and prox(w, step); {value!r} lacks {', '.join(missing)}"
        )


@overload
def offers(regularizer: object, member: Literal["shapes"]) -> TypeGuard[HasShapes]: ...
@overload
def offers(regularizer: object, member: Literal["check_shape"]) -> TypeGuard[HasShapeCheck]: ...
@overload
def offers(regularizer: object, member: Literal["metric_prox"]) -> TypeGuard[HasMetricProx]: ...
@overload
def offers(regularizer: object, member: Literal["prox_with_derivative"]) -> TypeGuard[HasProxWithDerivative]: ...
@overload
def offers(regularizer: object, member: Literal["subgradient_residual"]) -> TypeGuard[HasSubgradientResidual]: ...
@overload
def offers(regularizer: object, member: Literal["blockwise_max"]) -> TypeGuard[HasBlockwiseMax]: ...
@overload
def offers(regularizer: object, member: Literal["group_norms"]) -> TypeGuard[HasGroupNorms]: ...
@overload
def offers(regularizer: object, member: Literal["for_layout"]) -> TypeGuard[HasLayouts]: ...
@overload
def offers(regularizer: object, member: Literal["zero_mask"]) -> TypeGuard[HasZeroMask]: ...
@overload
def offers(regularizer: object, member: Literal["structure"]) -> TypeGuard[HasStructure]: ...
@overload
def offers(regularizer: object, member: Literal["sparsity"]) -> TypeGuard[HasSparsity]: ...
@overload
def offers(regularizer: object, member: Literal["violation"]) -> TypeGuard[HasViolation]: ...
@overload
def offers(regularizer: object, member: Literal["dtypes"]) -> TypeGuard[HasDtypes]: ...
@overload
def offers(regularizer: object, member: Literal["examples"]) -> TypeGuard[HasExamples]: ...
@overload
def offers(regularizer: object, member: str) -> bool: ...
def offers(regularizer: object, member: str) -> bool:
    """Whether a regularizer has an optional member (for a bool member: has it and it is True).

    Arguments:
        regularizer: any object.
        member: a key of ``OPTIONAL_MEMBERS``.

    Returns:
        True or False. A ``prox_with_derivative`` that a class inherits while it redefines ``prox`` does not count.

    Raises:
        KeyError: there is no optional member of this name.
    """
    if member not in OPTIONAL_MEMBERS:
        raise KeyError(member)
    found = getattr(regularizer, member, None)
    if member == "prox_with_derivative" and redefined_by(regularizer, member) is not None:
        return False
    return found if isinstance(found, bool) else found is not None


def redefined_by(regularizer: object, member: str) -> str | None:
    """The name of the class, or "the object", that redefines what ``member`` restates and inherits it, or None.

    Arguments:
        regularizer: any object.
        member: a key of ``RESTATES``.

    Returns:
        The name; None where the member is at least as new as what it restates.
    """
    own = vars(regularizer) if hasattr(regularizer, "__dict__") else {}
    for name, level in (("the object", own), *((owner.__name__, vars(owner)) for owner in type(regularizer).__mro__)):
        if member in level:
            return None
        if not level.keys().isdisjoint(RESTATES[member]):
            return name
    return None


def accumulation_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype in which sums over ``tensor`` are taken: float32 for 16-bit tensors, else its own.

    Arguments:
        tensor: a floating-point tensor.

    Returns:
        The dtype.
    """
    return torch.float32 if tensor.dtype in (torch.bfloat16, torch.float16) else tensor.dtype


def check_prox_arguments(w: Tensor, step: Scalar) -> None:
    """Refuse bad arguments of a prox.

    A tensor step comes from the library's own solvers and is not read, so that no device has to be waited for.

    Arguments:
        w: must be a floating-point tensor.
        step: where it is a number, it must be finite and > 0.

    Raises:
        ValueError or TypeError: an argument is none of these.
    """
    validate.floating_tensor("w", w)
    if not isinstance(step, Tensor):
        validate.positive("step", step)


def price_of_norm(step: Scalar, weight: float) -> Scalar:
    """``step * weight``, what a prox charges for a unit of a norm, in float64: of entries that float32 holds the norm
    may lie above its range, and so may the price that takes a part of it.

    Arguments:
        step: a number >= 0, or a tensor of any floating-point dtype.
        weight: that of the norm in psi, >= 0.

    Returns:
        A number, or a float64 tensor of the shape of ``step``.
    """
    return step.double() * weight if isinstance(step, Tensor) else step * weight


def priced(price: Scalar, direction: Tensor) -> Tensor:
    """``price * direction``, 0 where the direction is 0: also at an infinite price, of a lam*reg_weight out of range.

    Arguments:
        price: a number >= 0, or a tensor that broadcasts against ``direction``; may be infinite.
        direction: a floating-point tensor.

    Returns:
        A tensor of the shape of ``direction``.
    """
    return torch.where(direction != 0, price * direction, 0.0)


def shrink(w: Tensor, threshold: Scalar) -> Tensor:
    """Soft threshold ``sign(w) * max(|w| - threshold, 0)``, entry by entry; exact zeros, never -0 or NaN.

    Arguments:
        w: a floating-point tensor.
        threshold: a number >= 0, or a tensor that broadcasts against w.

    Returns:
        A tensor of the shape of w.
    """
    return torch.where(w.abs() > threshold, w - torch.sign(w) * threshold, torch.zeros_like(w))
