"""How much structure a network has: measured on Ŵ, the point that carries it, or on the parameters."""

from dataclasses import dataclass

from torch import Tensor

from solvers import validate
from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.settings import regularizer_of
from solvers.optimizers.wrapped import unwrapped
from solvers.regularizers.base import offers

POINTS = {"structured_iterate": "Ŵ", "parameters": "W, the parameters"}


@dataclass(frozen=True)
class StructureLevel:
    """Structured zeros: parameters in zero groups, or zero singular values, or zero entries.

    Attributes:
        zeros: their number.
        total: the number of parameters in groups, of singular values or of entries.
    """

    zeros: int
    total: int

    @property
    def fraction(self) -> float:
        """``zeros / total``; 0 where there is nothing to count."""
        return self.zeros / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.fraction:.1%}, {self.zeros:,} of {self.total:,}".replace("%", " %")


class StructureLevels(dict[str, StructureLevel]):
    """Structure levels by kind of regularizer, which print themselves.

    Arguments:
        levels: class name to level.
        of: the point at which they are, "structured_iterate" or "parameters".
        structured: where they are those of the parameters, those of Ŵ; the printed form compares the two.
    """

    def __init__(
        self, levels: dict[str, StructureLevel], of: str, structured: dict[str, StructureLevel] | None = None
    ) -> None:
        super().__init__(levels)
        self.of = of
        self.structured = structured

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        lines = [f"structure of {POINTS[self.of]}"]
        for kind, level in self.items():
            lines.append(f"{kind:{width}}  {level}")
            more = (self.structured or {}).get(kind)
            if more is not None and more.zeros > level.zeros:
                lines.append(
                    f"{'':{width}}  Ŵ has {more}: W is an average of past Ŵ and has its zeros once the momentum is 1, "
                    "or by materialize"
                )
        return "\n".join(lines)


def structure_levels(optimizer: object, of: str = "structured_iterate") -> StructureLevels:
    """Structure per kind of regularizer (its class name), summed over all parameters that have it and are trained.

    For GroupLasso the fraction is the paper's weighted group sparsity, parameters in zero groups over parameters in
    groups; for NuclearNorm its low-rank level, zero singular values over all. Parameters that require no gradient and
    were never stepped are not counted: they are as they came.

    Arguments:
        optimizer: an optimizer of this library, or a wrapper of accelerate's or Lightning's around one.
        of: "structured_iterate" for Ŵ^t, which carries the structure; "parameters" for W^t, which inherits it at the
            end of training only.

    Returns:
        A dict from class name to StructureLevel, which prints itself.

    Raises:
        TypeError: there is no optimizer of this library in ``optimizer``.
        ValueError: ``of`` is neither of the two.
    """
    validate.one_of("of", of, tuple(POINTS))
    inside = unwrapped(optimizer)
    structured = _levels(inside, inside.structured_iterate())
    if of == "structured_iterate":
        return StructureLevels(structured, of)
    return StructureLevels(_levels(inside, {}), of, structured)


def _levels(optimizer: StructuredOptimizer, points: dict[Tensor, Tensor]) -> dict[str, StructureLevel]:
    """Levels at ``points``; a parameter without one is its own."""
    levels: dict[str, StructureLevel] = {}
    for group in optimizer.param_groups:
        regularizer = regularizer_of(group["regularizer"])
        if not offers(regularizer, "sparsity"):
            continue
        kind = type(regularizer).__name__
        for param in group["params"]:
            untrained = not param.requires_grad and not optimizer.state.get(param)
            if untrained or param.numel() == 0:
                continue
            zeros, total = regularizer.sparsity(points.get(param, param.detach()))
            if total:
                before = levels.get(kind, StructureLevel(0, 0))
                levels[kind] = StructureLevel(before.zeros + zeros, before.total + total)
    return levels
