"""How much structure a network has: measured on Ŵ, the point that carries it."""

from dataclasses import dataclass
from typing import Any

from solvers.optimizers.wrapped import unwrapped
from solvers.regularizers.base import offers


@dataclass(frozen=True)
class StructureLevel:
    """``zeros`` structured zeros among ``total``: parameters in zero groups, or zero singular values, or zero
    entries.
    """

    zeros: int
    total: int

    @property
    def fraction(self) -> float:
        return self.zeros / self.total if self.total else 0.0


def structure_levels(optimizer: Any) -> dict[str, StructureLevel]:
    """Structure of Ŵ^t per kind of regularizer (its class name), summed over all parameters that have it.

    For GroupLasso the fraction is the paper's weighted group sparsity, parameters in zero groups over parameters in
    groups; for NuclearNorm its low-rank level, zero singular values over all.
    """
    optimizer = unwrapped(optimizer)
    structured = optimizer.structured_iterate()
    levels: dict[str, StructureLevel] = {}
    for group in optimizer.param_groups:
        regularizer = group["regularizer"]
        if not offers(regularizer, "sparsity"):
            continue
        kind = type(regularizer).__name__
        for param in group["params"]:
            zeros, total = regularizer.sparsity(structured[param])
            if total:
                before = levels.get(kind, StructureLevel(0, 0))
                levels[kind] = StructureLevel(before.zeros + zeros, before.total + total)
    return levels
