"""Many subproblems of one regularizer and one shape, and the way to ask all of them at once.

A regularizer is written for one tensor, and so are the formulas of ``Subproblem``. ``torch.vmap`` applies them to every
problem of a batch in one go; where it cannot (a prox that reads numbers out of its tensors, say), they are applied one
problem at a time, and ``looped`` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import Regularizer, Scalar
from solvers.subproblem.model import Subproblem

#: A function of one problem and of tensors that belong to it; returns a tuple of tensors.
OfOneProblem = Callable[..., tuple[Tensor, ...]]

#: Up to this many problems are faster one by one, measured on 12 entries each.
REPAID_ABOVE = 2


@dataclass(frozen=True)
class SubproblemBatch:
    """``min over Z_i of 1/2<Z_i, D_i*Z_i> - <B_i, Z_i> + lam_i * psi(Z_i)`` for i = 0, ..., batch - 1.

    ``B`` and ``D`` have shape (batch, *shape), ``lam`` is a tensor of shape (batch,); ``regularizer`` and ``scale``
    are shared and mean what they mean in ``Subproblem``. ``looped`` collects, by the name of a function, why vmap
    refused it. Arguments are checked by ``solve_batch``, not here.
    """

    B: Tensor
    D: Tensor
    lam: Tensor
    regularizer: Regularizer
    scale: float = 1.0
    looped: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.B.shape[0]

    def prototype(self) -> Subproblem:
        """A problem of this shape, regularizer and scale with B = D = lam = 1: for all that values do not decide.

        Raises what ``Subproblem`` raises where one problem of the batch would be refused.
        """
        one = torch.ones(self.B.shape[1:], dtype=self.B.dtype, device=self.B.device)
        return Subproblem(one, one, 1.0, self.regularizer, self.scale)

    def check_values(self) -> None:
        """Raise ValueError unless every B is finite and every D finite and > 0. Synchronises with the device."""
        validate.finite("B", self.B)
        validate.finite("D", self.D)
        if not bool((self.D > 0).all()):
            raise ValueError(f"D must be > 0 everywhere, got a smallest entry of {float(self.D.min()):g}")

    def rows(self, chosen: Tensor) -> "SubproblemBatch":
        """The problems with these indices; what vmap refused is remembered in common."""
        return replace(self, B=self.B[chosen], D=self.D[chosen], lam=self.lam[chosen])

    def each(self, function: OfOneProblem, *tensors: Tensor) -> tuple[Tensor, ...]:
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
        return tuple(torch.stack(column) for column in zip(*found, strict=True))

    def _problem(self, B: Tensor, D: Tensor, lam: Scalar) -> Subproblem:
        return Subproblem(B, D, lam, self.regularizer, self.scale)
