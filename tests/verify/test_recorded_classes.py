"""Classes derived from our regularizers take recorded problems where they can be built with their weights."""

from dataclasses import dataclass
from typing import Any

from ramda_verify.cases.recorded import all_recorded, recorded
from ramda_verify.cases.recorded.problems import RecordedProblem
from solvers import L1, GroupLasso


class WithoutArguments(GroupLasso):
    """A user's own, whose constructor takes nothing."""

    def __init__(self):
        super().__init__(0.3, "input")


@dataclass(frozen=True)
class WithMore(GroupLasso):
    """A user's own, with one more field."""

    more: float = 5.0


@dataclass(frozen=True)
class NeedsMore(GroupLasso):
    """A user's own, which takes no weight as small as those of trainings."""

    def __post_init__(self):
        if self.reg_weight < 0.5:
            raise ValueError("too little")


def test_a_class_with_more_fields_keeps_them():
    step = recorded("mlp-ramda-reading-middle-1.weight")
    psi: Any = step.regularizer
    built = RecordedProblem.of(step, WithMore(1.0, more=7.0)).regularizer
    assert built == WithMore(psi.reg_weight, psi.grouping, more=7.0)


def test_other_classes_have_no_recorded_problems():
    step = recorded("mlp-ramda-reading-middle-1.weight")
    assert RecordedProblem.of(step, WithoutArguments()) is None
    assert RecordedProblem.of(step, NeedsMore(1.0)) is None
    assert RecordedProblem.of(step, L1(1.0)) is None


def test_neither_has_a_class_that_could_be_built_with_the_weight_but_is_another_one():
    step = next(step for step in all_recorded().values() if isinstance(step.regularizer, L1))
    assert RecordedProblem.of(step, GroupLasso(1.0)) is None
    assert RecordedProblem.of(step, L1(1.0)).regularizer == step.regularizer
