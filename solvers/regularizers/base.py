"""What a regularizer is, what it may add, and how the rest of the library asks for it.

A regularizer is any object with ``value`` and ``prox``; nothing is inherited. Everything else is optional and
unlocks speed and sharper certificates. A class that claims an optional member is held to it by the verifier.
``offers`` finds out what an object has, for readers and for type checkers: after ``if offers(r, "metric_prox")`` the
type of ``r`` is ``HasMetricProx``, and so on. The protocols of this file describe types; no class inherits from them.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeGuard, overload, runtime_checkable

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.layout import WeightLayout

#: A number, as Python has it or as a 0-d tensor, which stays on its device.
Scalar = float | Tensor


@runtime_checkable
class Regularizer(Protocol):
    """psi, its own weight included; +inf outside the set, where psi constrains (an indicator).

    A regularizer is any object with these two methods. The type of a step is not fixed, so that a class that writes
    ``float`` in its place is a regularizer, too. The optional members are those of ``OPTIONAL_MEMBERS``.
    """

    def value(self, w: Tensor, /) -> Tensor:
        """psi(w).

        Arguments:
            w: a finite floating-point tensor.

        Returns:
            A 0-d tensor; +inf where w is outside the set of a constraint.
        """

    def prox(self, w: Tensor, step: Any, /) -> Tensor:
        """``argmin_z step*psi(z) + 1/2||z - w||^2`` (Moreau, 1965; Parikh and Boyd, 2014, section 1.1).

        Arguments:
            w: a finite floating-point tensor.
            step: a finite number > 0, which may come as a 0-d tensor; where psi separates, a tensor that broadcasts
                against w, see ``separable`` and ``blockwise_max``.

        Returns:
            A tensor of the shape, dtype and device of w; one of the minimisers, where there are several.
        """


#: Optional members and what each one unlocks.
OPTIONAL_MEMBERS = {
    "convex": "bool: psi is convex. Absent means unknown, and the safe nonconvex step size is used.",
    "separable": "bool: psi is a sum over entries, and prox takes a tensor step of w's shape.",
    "shapes": "the shapes of tensors to try, where not every shape makes sense.",
    "check_shape": "check_shape(shape) raises ValueError where psi is not defined on such a tensor.",
    "metric_prox": "metric_prox(B, D, lam): argmin 1/2<Z,D*Z> - <B,Z> + lam*psi(Z); a tensor or a MetricProx.",
    "prox_with_derivative": "prox_with_derivative(w, step): an object with point, the prox; derivative(H), an element "
    "of the prox's generalised Jacobian at w applied to H; and gain, a number from 0 to 1 that stands for the "
    "derivative where one number has to. The splitting then takes Newton steps.",
    "subgradient_residual": "subgradient_residual(Z, G, lam): the minimum-norm element of G + lam*dpsi(Z).",
    "blockwise_max": "blockwise_max(D): max of D over each block that psi couples, broadcastable to D; prox then "
    "takes such a tensor as its step.",
    "group_norms": "group_norms(w): psi as a weighted sum of the norms of equal groups and of entries, see GroupNorms; "
    "None where the memory of w has gaps or no such array describes the groups. The compiled steps need it, once where "
    "the regularizer is a frozen dataclass of numbers and texts, else at every step.",
    "for_layout": "for_layout(layout, shape): this regularizer for a weight of such a WeightLayout, e.g. (in, out); "
    "None where there is none. parameter_groups asks it; without it every weight is taken for (out, in, *kernel).",
    "zero_mask": "zero_mask(B, lam): True where the subproblem's solution is provably zero, broadcastable to B.",
    "structure": "structure(w): a tensor that names the manifold of w; equal tensors mean the same manifold.",
    "sparsity": "sparsity(w): (structured zeros, all) as two ints, e.g. parameters in zero groups and parameters.",
    "violation": "violation(w): of a constraint, the distance from w to its set as a 0-d tensor, 0 inside; value stays "
    "infinite outside. Without it the verifier forgives an infinite value where rounding alone has left the set.",
    "dtypes": "the floating-point dtypes that prox and value support; absent means float64, float32, bfloat16 and "
    "float16, as far as torch has the operations.",
    "examples": "examples(), a classmethod: instances over the range of the parameters, the plainest first. The "
    "verifier draws from them, and varies the weights of a dataclass (its fields whose names end in weight) by itself.",
    "as_cvxpy": "as_cvxpy(x): psi of a CVXPY variable, the exact model that the verifier compares with.",
}


#: Members that say the same as other methods in other words. A class that redefines one of these and inherits such a
#: member has not said that it still holds: its parent has.
RESTATES = {"group_norms": ("value", "prox", "metric_prox"), "prox_with_derivative": ("prox",)}


class MetricProx(NamedTuple):
    """A solution of the subproblem together with the number of inner iterations that it took.

    Attributes:
        point: the solution, of the kind of B.
        iterations: the number, an int or a 0-d integer tensor.
    """

    point: Tensor
    iterations: int


class GroupNorms(NamedTuple):
    """psi(w) = weight * sum over groups of ||w_g||_2 + entry_weight * sum over entries of |w_i|, the groups given by
    where their entries lie in memory.

    In the order of memory the tensor is an array of shape (blocks, outer, groups, inner), and a group is one index of
    the first axis and one of the third. Groups of one entry make the first sum an L1 norm, too.

    Attributes:
        weight: a number >= 0, the weight of the group norms.
        outer, groups, inner, blocks: the lengths of the axes, ints >= 1 whose product is the number of entries.
        entry_weight: a number >= 0, the weight of the entries.
    """

    weight: float
    outer: int
    groups: int
    inner: int
    blocks: int = 1
    entry_weight: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(blocks, outer, groups, inner), the tensor in the order of memory."""
        return self.blocks, self.outer, self.groups, self.inner

    @property
    def by_entries(self) -> bool:
        """Whether psi is a sum over entries of ``(weight + entry_weight) * |w_i|``: groups have one, or no weight."""
        return self.outer * self.inner == 1 or self.weight == 0

    @property
    def all_groups(self) -> int:
        """The number of groups, those of all blocks."""
        return self.blocks * self.groups

    @property
    def parts(self) -> int:
        """The number of parts of the tensor that psi does not couple: entries or groups."""
        return self.all_groups * (self.outer * self.inner if self.by_entries else 1)


class HasShapes(Regularizer, Protocol):
    @property
    def shapes(self) -> Sequence[Sequence[int]]:
        """The shapes to try, at least one."""


class HasShapeCheck(Regularizer, Protocol):
    def check_shape(self, shape: Sequence[int], /) -> None:
        """Refuse a tensor on which psi is not defined.

        Arguments:
            shape: that of a tensor.

        Raises:
            ValueError: psi is not defined on a tensor of this shape.
        """


class HasMetricProx(Regularizer, Protocol):
    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar, /) -> Tensor | MetricProx:
        """``argmin_Z 1/2<Z, D*Z> - <B, Z> + lam*psi(Z)``, the prox of lam*psi in the metric D at the centre B/D.

        Arguments:
            B: a finite floating-point tensor.
            D: a finite tensor > 0 of the shape, dtype and device of B.
            lam: a number > 0, or a 0-d tensor.

        Returns:
            The solution, of the kind of B, or a MetricProx.
        """


class ProxWithDerivative(Protocol):
    """A prox and an element of its generalised Jacobian, as ``prox_with_derivative`` returns them."""

    @property
    def point(self) -> Tensor:
        """``prox(w, step)``, of the kind of w."""

    @property
    def gain(self) -> float:
        """A number from 0 to 1 that stands for the derivative where one number has to: the mean of its left factor."""

    def derivative(self, direction: Tensor, /) -> Tensor:
        """An element of the generalised Jacobian of the prox at w (Clarke), applied to a direction.

        Arguments:
            direction: a tensor of the kind of w.

        Returns:
            A tensor of the kind of w, linear in ``direction``.
        """


class HasProxWithDerivative(Regularizer, Protocol):
    def prox_with_derivative(self, w: Tensor, step: float, /) -> ProxWithDerivative:
        """The prox and an element of its generalised Jacobian.

        Arguments:
            w: a finite floating-point tensor.
            step: a finite number > 0.

        Returns:
            The two, for use until w is changed.
        """


class HasSubgradientResidual(Regularizer, Protocol):
    def subgradient_residual(self, Z: Tensor, G: Tensor, lam: Scalar, /) -> Tensor:
        """The member of ``G + lam*dpsi(Z)`` of least norm: zero where Z is stationary.

        Arguments:
            Z: a finite floating-point tensor.
            G: the gradient of the smooth part at Z, of the kind of Z.
            lam: a number >= 0, or a 0-d tensor.

        Returns:
            A tensor of the kind of Z; infinite where psi(Z) is.
        """


class HasBlockwiseMax(Regularizer, Protocol):
    def blockwise_max(self, D: Tensor, /) -> Tensor:
        """The largest entry of D in each block that psi couples.

        Arguments:
            D: a tensor > 0.

        Returns:
            A tensor that broadcasts against D. ``prox`` takes such a tensor as its step.
        """


class HasGroupNorms(Regularizer, Protocol):
    def group_norms(self, w: Tensor, /) -> GroupNorms | None:
        """psi as a weighted sum of the norms of equal groups and of entries.

        Arguments:
            w: a floating-point tensor; its shape and where its entries lie in memory count.

        Returns:
            The description, or None where there is none for such a tensor.
        """


class HasLayouts(Regularizer, Protocol):
    def for_layout(self, layout: WeightLayout, shape: Sequence[int], /) -> Regularizer | None:
        """This regularizer for a weight of another layout.

        Arguments:
            layout: the order of the axes and the blocks of the weight.
            shape: that of the weight.

        Returns:
            The regularizer, or None where there is none for this layout.

        Raises:
            ValueError: this object names another layout already, or the shape does not fit.
        """


class HasZeroMask(Regularizer, Protocol):
    def zero_mask(self, B: Tensor, lam: Scalar, /) -> Tensor:
        """Where the solution of the subproblem is provably zero (Theorem 1 of arXiv 2102.03869), whatever D.

        Arguments:
            B: a finite floating-point tensor.
            lam: a number >= 0, or a 0-d tensor.

        Returns:
            A boolean tensor that broadcasts against B.
        """


class HasStructure(Regularizer, Protocol):
    def structure(self, w: Tensor, /) -> Tensor:
        """What names the manifold on which w lies.

        Arguments:
            w: a floating-point tensor.

        Returns:
            A tensor. Equal ones mean the same manifold.
        """


class HasSparsity(Regularizer, Protocol):
    def sparsity(self, w: Tensor, /) -> tuple[int, int]:
        """How much of w is structured zeros.

        Arguments:
            w: a floating-point tensor.

        Returns:
            (structured zeros, all), two ints, e.g. parameters in zero groups and parameters.
        """


class HasViolation(Regularizer, Protocol):
    def violation(self, w: Tensor, /) -> Tensor:
        """The Euclidean distance from w to the set of a constraint.

        Arguments:
            w: a floating-point tensor.

        Returns:
            A 0-d tensor, 0 inside.
        """


class HasDtypes(Regularizer, Protocol):
    @property
    def dtypes(self) -> Sequence[torch.dtype]:
        """The floating-point dtypes that ``prox`` and ``value`` support."""


class HasExamples(Regularizer, Protocol):
    def examples(self) -> Sequence[Regularizer]:
        """Instances over the range of the parameters, the plainest first."""


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


def shrink(w: Tensor, threshold: Scalar) -> Tensor:
    """Soft threshold ``sign(w) * max(|w| - threshold, 0)``, entry by entry; exact zeros, never -0 or NaN.

    Arguments:
        w: a floating-point tensor.
        threshold: a number >= 0, or a tensor that broadcasts against w.

    Returns:
        A tensor of the shape of w.
    """
    return torch.where(w.abs() > threshold, w - torch.sign(w) * threshold, torch.zeros_like(w))
