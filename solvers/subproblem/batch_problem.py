"""Many subproblems of one regularizer and one shape, and the way to ask all of them at once.

A regularizer is written for one tensor. ``torch.vmap`` applies it to every problem of a batch at once. Where it cannot
(a prox that reads numbers out of its tensors, say), it is applied to one problem at a time, and ``looped`` tells it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from solvers.regularizers.members import Scalar
from solvers.subproblem.model import Subproblem
from solvers.subproblem.per_problem import Flag, Number
from solvers.subproblem.problems import Problems
from solvers.subproblem.scale_free import row_norms

#: A function of one problem and of tensors that belong to it; returns a tensor or a tuple of tensors.
OfOneProblem = Callable[..., Any]

#: Up to this many problems are faster one by one, measured on 12 entries each.
REPAID_ABOVE = 2


@dataclass(frozen=True)
class SubproblemBatch(Problems):
    """``min over Z_i of 1/2<Z_i, D_i*Z_i> - <B_i, Z_i> + lam_i * psi(Z_i)`` for i = 0, ..., batch - 1.

    ``B`` and ``D`` have shape (batch, *shape), ``lam`` is a tensor of shape (batch,); ``regularizer`` and ``scale``
    are shared and mean what they mean in ``Subproblem``. ``looped`` collects, by the name of a function, why vmap
    refused it. Arguments are checked by ``solve_batch``, not here.
    """

    lam: Tensor
    looped: dict[str, str] = field(default_factory=dict)

    lead = 1

    def prototype(self) -> Subproblem:
        """A problem of this shape, regularizer and scale with B = D = lam = 1: for all that values do not decide.

        Raises what ``Subproblem`` raises where one problem of the batch would be refused.
        """
        one = torch.ones(self.B.shape[1:], dtype=self.B.dtype, device=self.B.device)
        return Subproblem(one, one, 1.0, self.regularizer, self.scale)

    def __len__(self) -> int:
        return self.B.shape[0]

    def rows(self, chosen: Flag) -> "SubproblemBatch":
        """The problems with these indices or flags; what vmap refused is remembered in common."""
        return replace(self, B=self.B[chosen], D=self.D[chosen], lam=self.lam[chosen])

    def prox(self, w: Tensor, theta: Any) -> Tensor:
        def prox(problem: Subproblem, w: Tensor, theta: Tensor) -> Tensor:
            return problem.prox(w, theta)

        found: Tensor = self.each(prox, w, theta)
        return found

    def step_lipschitz(self, step_rule: str = "block") -> Tensor:
        """L of every problem: of shape (batch,), or that of B with some dimensions of 1."""

        def blockwise_max(problem: Subproblem) -> Tensor:
            L = problem.step_lipschitz(step_rule)
            return L if L.ndim == 0 else L.reshape((1,) * (problem.B.ndim - L.ndim) + L.shape)

        found: Tensor = self.each(blockwise_max)
        return found

    def each(self, function: OfOneProblem, *tensors: Tensor) -> Any:
        """``function(problem, *tensors_of_the_problem)`` for every problem; results stacked along a first dimension.

        One or two problems are handed over as they are: vmap costs about as much as three calls of the function.
        """
        name = function.__name__
        if len(self) > REPAID_ABOVE and name not in self.looped:
            try:
                return torch.vmap(lambda B, D, lam, *own: function(self._problem(B, D, lam), *own))(
                    self.B, self.D, self.lam, *tensors
                )
            # A plug-in may break under vmap in any way; the loop then shows whether it is at fault.
            except Exception as error:
                self.looped[name] = f"{type(error).__name__}: {error}".split(". ")[0].splitlines()[0]
        weights = self.lam.tolist()
        found = [
            function(self._problem(self.B[i], self.D[i], weights[i]), *(tensor[i] for tensor in tensors))
            for i in range(len(self))
        ]
        if isinstance(found[0], Tensor):
            return torch.stack(found)
        return tuple(torch.stack(column) for column in zip(*found, strict=True))

    def _problem(self, B: Tensor, D: Tensor, lam: Scalar) -> Subproblem:
        return Subproblem(B, D, lam, self.regularizer, self.scale)

    def read(self, tensor: Tensor) -> Any:
        return tensor.double() if tensor.is_floating_point() else tensor

    def full(self, value: Any) -> Any:
        dtype = torch.float64 if isinstance(value, float) else None
        return torch.full((len(self),), value, dtype=dtype, device=self.B.device)

    def along(self, number: Number, like: Tensor) -> Any:
        return number if number.ndim > 1 else number.to(like.dtype).reshape(-1, *(1,) * (like.ndim - 1))

    def norm(self, tensor: Tensor) -> Tensor:
        return row_norms(tensor)

    def sum(self, tensor: Tensor) -> Tensor:
        return self.flat(tensor).sum(1).double()

    def largest(self, tensor: Tensor) -> Tensor:
        return self.flat(tensor).amax(1).double()

    def bounds(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.flat(tensor).aminmax(dim=1)
        return low.double(), high.double()

    def finite(self, tensor: Tensor) -> Tensor:
        return torch.isfinite(tensor).reshape(len(self), -1).all(dim=1)
