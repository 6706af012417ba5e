"""Every way in which a regularizer may misbehave beside its numbers, each the only fault there is."""

import itertools

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from ramda_verify.checks.regularizer.manners import shares_memory
from tests.judges.regularizers import Made
from tests.judges.test_world import draw


def manners(regularizer, w=(1.0, -2.0), step=3.0, other=(0.5, 0.25)):
    return measure("manners", regularizer=regularizer, w=np.array(w), step=step, other=np.array(other))


class Shrunk:
    """A tenth off at a step of 3, more at longer ones; right in everything."""

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return w / (1 + step / 30)


class ValueOfOneEntry(Shrunk):
    def value(self, w):
        return w.abs().sum()[None]


class NarrowProx(Shrunk):
    def prox(self, w, step):
        return super().prox(w, step).float()


class ProxWritesIntoItsInput(Shrunk):
    def prox(self, w, step):
        found = super().prox(w, step)
        w *= 2
        return found


class ValueWritesIntoItsInput(Shrunk):
    def value(self, w):
        found = super().value(w)
        w *= 2
        return found


class ReturnsItsInput(Shrunk):
    def prox(self, w, step):
        return w[:]


class AnswersFromABuffer(Shrunk):
    """Every answer of prox is one array."""

    def __init__(self):
        self.array = torch.zeros(2, dtype=torch.float64)

    def prox(self, w, step):
        return self.array.copy_(super().prox(w, step))


class FirstAnswerIsSpoiledByValue(Shrunk):
    """What prox returned for w is overwritten when value is asked about another tensor."""

    def __init__(self):
        self.answers: list = []

    def prox(self, w, step):
        self.answers.append(super().prox(w, step))
        return self.answers[-1]

    def value(self, w):
        if w.tolist() != [1.0, -2.0]:
            self.answers[0].zero_()
        return super().value(w)


class ReturnsAStoredAnswer(Shrunk):
    """Answers a question that it has heard with the tensor that it gave then."""

    def __init__(self):
        self.answers: dict = {}

    def prox(self, w, step):
        return self.answers.setdefault((tuple(w.tolist()), step), super().prox(w, step))


class RemembersTheLongestStep(Shrunk):
    def __init__(self):
        self.longest = 0.0

    def prox(self, w, step):
        self.longest = max(self.longest, step)
        return super().prox(w, self.longest)


class RemembersTheLargestEntry(Shrunk):
    """In its prox or in its value."""

    def __init__(self, in_prox):
        self.in_prox, self.largest = in_prox, 0.0

    def prox(self, w, step):
        self.largest = max(self.largest, float(w.max()))
        return super().prox(w, step) + self.in_prox * self.largest

    def value(self, w):
        self.largest = max(self.largest, float(w.max()))
        return super().value(w) + (not self.in_prox) * self.largest


class OtherCopies(Shrunk):
    """A copy has another prox, or another value."""

    def __init__(self, prox=0.0, value=0.0):
        self.added = {"prox": prox, "value": value}
        self.is_copy = False

    def __deepcopy__(self, memo):
        made = type(self)(**self.added)
        made.is_copy = True
        return made

    def prox(self, w, step):
        return super().prox(w, step) + self.is_copy * self.added["prox"]

    def value(self, w):
        return super().value(w) + self.is_copy * self.added["value"]


class CannotBeCopied(Shrunk):
    def __deepcopy__(self, memo):
        raise RuntimeError("there is one of me")


class OnTheCPU(Shrunk):
    """Its answer is on the CPU, wherever its input was."""

    def prox(self, w, step):
        return torch.zeros(2, dtype=w.dtype) if w.is_meta else super().prox(w, step)


class ReadsNumbers(Shrunk):
    """What it reads does not exist on the meta device."""

    def prox(self, w, step):
        return w * 1.0 if float(w.max()) < 0 else super().prox(w, step)


@pytest.mark.parametrize(
    "right", [Shrunk(), CannotBeCopied(), ReadsNumbers(), OtherCopies()], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("w", [(1.0, -2.0), (0.0, 0.0), (-1.0, -1.0)])
def test_good_manners_are_no_violation(right, w):
    assert manners(right, w).violation == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (ValueOfOneEntry(), "value must return a 0-d tensor"),
        (NarrowProx(), "prox returned dtype"),
        (ProxWritesIntoItsInput(), "prox or value changed its input"),
        (ValueWritesIntoItsInput(), "prox or value changed its input"),
        (ReturnsItsInput(), "prox returned memory of its input"),
        (AnswersFromABuffer(), "an earlier answer of prox changed"),
        (FirstAnswerIsSpoiledByValue(), "an earlier answer of prox changed"),
        (ReturnsAStoredAnswer(), "two answers of prox share memory"),
        (RemembersTheLongestStep(), "two answers to the same question"),
        (RemembersTheLargestEntry(in_prox=True), "two answers to the same question"),
        (RemembersTheLargestEntry(in_prox=False), "two answers to the same question"),
        (OtherCopies(prox=1.0), "a copy of the regularizer"),
        (OtherCopies(value=1.0), "a copy of the regularizer"),
        (OnTheCPU(), "prox returned a tensor on cpu"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_bad_manners_are_infinite_and_named(wrong, words):
    found = manners(wrong)
    assert found.violation == np.inf
    assert words in found.note


@pytest.mark.parametrize(
    ("w", "other"), [((1.0, -2.0), (1.0, -2.0)), ((0.0, 0.0), (0.0, 0.0)), ((-1.0, -1.0), (0.5, 0.5))]
)
def test_a_buffer_shows_whichever_of_the_other_questions_is_another_one(w, other):
    """2*w + 1 where the other tensor is w itself, also at zero; the other tensor where 2*w + 1 is w."""
    found = manners(AnswersFromABuffer(), w, other=other)
    assert found.violation == np.inf
    assert "an earlier answer of prox changed" in found.note


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: torch.rand(()), "torch generator"),
        (lambda: torch.manual_seed(0), "torch generator"),
        (draw, "numpy generator"),
        (lambda: torch.set_num_threads(3), "threads"),
        (lambda: torch.set_num_threads(5), "threads"),
        (lambda: torch.set_default_dtype(torch.float32), "default dtype"),
        (lambda: torch.set_default_dtype(torch.float64), "default dtype"),
        (lambda: torch.set_grad_enabled(True), "gradients"),
        (lambda: torch.set_grad_enabled(False), "gradients"),
    ],
)
@pytest.mark.parametrize("member", ["prox", "value"])
def test_what_a_call_sets_for_the_whole_process_is_found_whatever_it_was_before(change, named, member):
    def prox(w, step):
        _ = change() if member == "prox" else None
        return w / 2

    def value(w):
        _ = change() if member == "value" else None
        return w.abs().sum()

    threads, dtype, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        found = manners(Made(value, prox))
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
    assert found.violation == np.inf
    assert found.note == f"a call of prox and of value changed, for the whole process, {named}"


def test_memory_is_shared_by_views_of_one_storage_alone():
    base = torch.arange(6.0)
    for one, other in ((base, base), (base[:2], base[4:]), (base[2:3], base), (base.view(2, 3).T, base[5:])):
        assert shares_memory(one, other)
        assert shares_memory(other, one)
    apart = [base, torch.zeros(6), torch.zeros(6), base.clone(), torch.zeros(0), torch.zeros(0)]
    for one, other in itertools.permutations(apart, 2):
        assert not shares_memory(one, other)
    assert not shares_memory(base[:0], base)
