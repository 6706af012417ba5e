"""What a regularizer is and what it may add, as types: protocols that no class inherits from.

A regularizer is any object with ``value`` and ``prox``. Everything else is optional and unlocks speed and sharper
certificates. A class that claims an optional member is held to it by the verifier.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

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
    "structure": "structure(w): a tensor or an integer that names the manifold of w; equal ones mean the same.",
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

    @classmethod
    def of(cls, found: "Tensor | MetricProx") -> "MetricProx":
        """What a ``metric_prox`` returned, as a pair.

        Arguments:
            found: a tensor, which counts as the result of one iteration, or a pair (point, iterations).

        Returns:
            The pair.

        Raises:
            TypeError: found is neither.
        """
        if isinstance(found, Tensor):
            return cls(found, 1)
        if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Tensor):
            return cls(*found)
        raise TypeError(f"metric_prox must return a tensor or a pair (point, iterations), got {found!r}")


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
            A tensor of the kind of Z; of no account where psi(Z) is infinite and dpsi(Z) empty.
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
    def structure(self, w: Tensor, /) -> Tensor | int:
        """What names the manifold on which w lies.

        Arguments:
            w: a floating-point tensor.

        Returns:
            A tensor, or an integer such as a rank. Equal ones mean the same manifold.
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
