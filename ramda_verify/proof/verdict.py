"""What a proof may end with, and its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ProofVerdict(StrEnum):
    """PROVED and REFUTED are final; the others say why there is no proof, and are never a pass."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    NOT_PROVABLE = "not provable"
    OUTSIDE = "outside"


#: What each verdict means, for a report's legend.
MEANINGS = {
    ProofVerdict.PROVED: "no z has a lower step*psi(z) + 1/2 (z - w)^2 than prox(w, step), for all real w, all "
    "steps > 0 and all parameters in the range shown, in exact arithmetic",
    ProofVerdict.REFUTED: "a counterexample, found by the solver and confirmed by the class itself in float64",
    ProofVerdict.UNDECIDED: "the solver ran out of time, or its counterexample is no counterexample in float64",
    ProofVerdict.NOT_PROVABLE: "the code cannot be read as arithmetic",
    ProofVerdict.OUTSIDE: "psi is neither a sum over entries nor a function of the norm of a group",
}

#: What no proof says, whatever its verdict.
LIMITS = (
    "A proof is about real numbers: rounding, overflow and the narrower dtypes are for the sampled checks. It is about "
    "one entry (and that two entries do not mix), or one group of the sizes shown: other shapes and layouts, what a "
    "class remembers between calls, and its other members are for the sampled checks, too. Constants are read as the "
    "simple fractions or roots that they round to."
)


@dataclass(frozen=True)
class Counterexample:
    """Numbers by name (w, step, z, the parameters), the two objectives, and Python that shows them again."""

    values: Mapping[str, float]
    note: str
    snippet: str


@dataclass(frozen=True)
class Proof:
    """The outcome for one regularizer.

    ``subject`` is what the claim is about ("one entry", "a group of 2 or 3 entries"), ``parameters`` for which values,
    ``detail`` why there is no proof, or what else is to be known.
    """

    name: str
    verdict: ProofVerdict
    subject: str = ""
    parameters: str = ""
    seconds: float = 0.0
    detail: str = ""
    counterexample: Counterexample | None = None

    @property
    def proved(self) -> bool:
        return self.verdict is ProofVerdict.PROVED
