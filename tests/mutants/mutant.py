"""What a mutant is: a wrong part, how to put it in place, and the checks that must reject it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st

from ramda_verify.cases import strategies
from ramda_verify.cases.strategies import reg_weights
from ramda_verify.engine.construction import construction
from ramda_verify.engine.targets import Target, plain_target
from solvers.regularizers.base import offers
from tests.mutants.patching import Patch


def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant is the regularizer itself."""


@dataclass(frozen=True)
class Mutant:
    """A wrong part by name, the target that shows it, and the checks each of which must reject it.

    ``raises`` names the errors that are how it shows, beside those of numbers that are not finite. Any other error says
    that the mutant itself no longer fits what it stands in for, and then nobody knows what its check would see. One
    case in ``rarity`` shows it: so many times the cases are tried at a drawn seed.
    """

    name: str
    target: Target
    checks: tuple[str, ...]
    patch: Patch = field(default=nothing)
    raises: tuple[str, ...] = ()
    rarity: int = 3


def instances_of(cls: type) -> st.SearchStrategy[Any]:
    """Regularizers of a mutant class over the whole range of its parameters, as the suite draws the correct ones."""
    return strategies.instances(cls.examples()) if offers(cls, "examples") else st.builds(cls, reg_weights())


def example_of(cls: type) -> Any:
    """The plainest instance."""
    return cls.examples()[0] if offers(cls, "examples") else cls(1.0)


def regularizer_target_of(cls: type) -> Target:
    return Target(cls.__name__, "regularizer", example_of(cls), instances_of(cls), construction, traced=False)


def wrong_regularizer(cls: type, *checks: str, raises: tuple[str, ...] = ()) -> Mutant:
    return Mutant(cls.__name__, regularizer_target_of(cls), checks, raises=raises)


def wrong_solver(name: str, patch: Patch, shown_by: type, *checks: str) -> Mutant:
    """A mutant of the solvers, which the regularizer class ``shown_by`` brings to light."""
    return Mutant(name, regularizer_target_of(shown_by), checks, patch)


def wrong_optimizer(name: str, patch: Patch, optimizer: str, *checks: str, raises: tuple[str, ...] = ()) -> Mutant:
    return Mutant(name, plain_target(optimizer, "optimizer"), checks, patch, raises)
