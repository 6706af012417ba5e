"""How the inner solvers read numbers and flags: plain ones of a single problem, tensors of a batch in lock-step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from torch import Tensor

from solvers.subproblem.per_problem import Flag, Number
from solvers.subproblem.scale_free import is_finite, norm


class Numbers(ABC):
    """Reductions over each problem and what is read from them; ``per_problem`` describes the kinds of both."""

    @abstractmethod
    def each(self, function: Callable[..., Any], *tensors: Tensor) -> Any:
        """``function(problem, *tensors_of_the_problem)`` of every problem.

        Arguments:
            function: of a ``Subproblem`` and tensors; returns a tensor or a tuple of tensors.
            *tensors: of the shape of B, or with one entry for each problem.

        Returns:
            What the function returns, stacked along a first dimension for a batch.
        """

    @abstractmethod
    def read(self, tensor: Tensor) -> Any:
        """The number or flag in a tensor.

        Arguments:
            tensor: one entry for each problem.

        Returns:
            A number or bool, for a batch a float64 or boolean tensor of shape (batch,).
        """

    @abstractmethod
    def full(self, value: Any) -> Any:
        """The same number or flag for every problem.

        Arguments:
            value: a number or bool.

        Returns:
            As ``read``.
        """

    @abstractmethod
    def along(self, number: Number, like: Tensor) -> Any:
        """A number per problem, or one per block, in the shape and dtype in which it multiplies points.

        Arguments:
            number: as ``read`` returns it, or a tensor of the shape that ``step_lipschitz`` has.
            like: a point.

        Returns:
            A number, or a tensor that broadcasts to ``like``.
        """

    @abstractmethod
    def norm(self, tensor: Tensor) -> Number:
        """The Euclidean norm of each problem's part, in float64: 0 only where every entry is, at any scale.

        Arguments:
            tensor: of the shape of B.

        Returns:
            The number.
        """

    @abstractmethod
    def sum(self, tensor: Tensor) -> Number:
        """The sum of the entries of each problem's part, in the tensor's own dtype.

        Arguments:
            tensor: of the shape of B.

        Returns:
            The number.
        """

    @abstractmethod
    def largest(self, tensor: Tensor) -> Number:
        """The largest entry of each problem's part.

        Arguments:
            tensor: of the shape of B.

        Returns:
            The number.
        """

    @abstractmethod
    def bounds(self, tensor: Tensor) -> tuple[Number, Number]:
        """The smallest and the largest entry of each problem's part.

        Arguments:
            tensor: of the shape of B.

        Returns:
            The two numbers.
        """

    @abstractmethod
    def finite(self, tensor: Tensor) -> Flag:
        """Whether every entry of a problem's part is finite.

        Arguments:
            tensor: of the shape of B.

        Returns:
            The flag.
        """

    @abstractmethod
    def rows(self, chosen: Flag) -> Self:
        """Some of the problems.

        Arguments:
            chosen: the flag, or for a batch the indices, of those.

        Returns:
            An object of this class; a single problem is itself.
        """


class NumbersOfOne(Numbers):
    """Those of a single problem: Python's numbers and bools."""

    def each(self, function: Callable[..., Any], *tensors: Tensor) -> Any:
        return function(self, *tensors)

    def read(self, tensor: Tensor) -> Any:
        return tensor.item()

    def full(self, value: Any) -> Any:
        return value

    def along(self, number: Any, like: Tensor) -> Any:
        return number

    def norm(self, tensor: Tensor) -> float:
        return norm(tensor)

    def sum(self, tensor: Tensor) -> float:
        return float(tensor.sum())

    def largest(self, tensor: Tensor) -> float:
        return float(tensor.amax())

    def bounds(self, tensor: Tensor) -> tuple[float, float]:
        low, high = tensor.aminmax()
        return float(low), float(high)

    def finite(self, tensor: Tensor) -> bool:
        return is_finite(tensor)

    def rows(self, chosen: Any) -> Self:
        return self
