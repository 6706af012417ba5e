"""The support of Ŵ, watched at every step."""

import torch
from torch import Tensor

from solvers.regularizers import GroupLasso


class SupportTracker:
    """An observer of an optimizer: when did the support of Ŵ last change, when did it last differ from the truth.

    ``expected`` is the mask of the certified nonzero groups. All bookkeeping stays on the parameter's device, so that
    watching does not make the host wait. ``structured`` holds the latest Ŵ of every parameter seen.
    """

    def __init__(self, regularizer: GroupLasso, param: Tensor, expected: Tensor) -> None:
        self.regularizer = regularizer
        self.param = param
        self.expected = expected.to(param.device)
        self.steps = 0
        self.mask: Tensor | None = None
        self.structured: dict[Tensor, Tensor] = {}
        self._last_change = torch.zeros((), dtype=torch.int64, device=param.device)
        self._last_difference = torch.zeros_like(self._last_change)

    def observe(self, param: Tensor, structured: Tensor) -> None:
        """Called by the optimizer inside each step; keeps a reference, copies nothing."""
        self.structured[param] = structured
        if param is not self.param:
            return
        self.steps += 1
        mask = self.regularizer.structure(structured)
        if self.mask is None:
            self._last_change.fill_(self.steps)
        else:
            self._last_change.masked_fill_((mask != self.mask).any(), self.steps)
        self._last_difference.masked_fill_((mask != self.expected).any(), self.steps)
        self.mask = mask

    @property
    def stable_from(self) -> int | None:
        """The first step from which the support stayed what it is now; None before the first step."""
        return int(self._last_change) if self.steps else None

    @property
    def identified_from(self) -> int | None:
        """The first step from which the support stayed equal to the expected one; None where it is not equal now."""
        last = int(self._last_difference)
        return last + 1 if self.steps and last < self.steps else None

    def nonzero(self) -> list[int]:
        """Indices of the nonzero groups of the latest Ŵ."""
        return [] if self.mask is None else torch.nonzero(self.mask).flatten().tolist()

    def differing(self) -> list[int]:
        """Indices of the groups on which the latest Ŵ and the expected support differ."""
        return [] if self.mask is None else torch.nonzero(self.mask != self.expected).flatten().tolist()
