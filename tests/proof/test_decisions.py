"""Which parameters vary in a proof, whether psi is seen in entries or groups, and what becomes of the first answers."""

import math

import pytest
import torch

from ramda_verify.proof import ProofVerdict, prove
from solvers.regularizers import Zero
from tests.proof.right import SquaredL2, checked, soft


def test_a_proof_is_named_and_a_class_is_made():
    proof = prove(Zero)
    assert (proof.name, proof.proved) == ("Zero", True)
    assert prove(Zero(), name="mine").name == "mine"


class GuessedAndChecked:
    """Right where ``a``, whose range nobody knows, is above 2."""

    def __init__(self, a=3.0, reg_weight=0.5):
        checked("reg_weight", reg_weight, 0, closed=True)
        self.a, self.reg_weight = a, reg_weight

    def value(self, w):
        return self.reg_weight * w.abs().sum()

    def prox(self, w, step):
        return torch.where(torch.as_tensor(self.a) > 2, soft(w, step * self.reg_weight), w)


def test_only_a_guessed_range_is_left_out_where_it_has_a_counterexample():
    proof = prove(GuessedAndChecked())
    assert (proof.verdict, proof.parameters, proof.detail) == (ProofVerdict.PROVED, "reg_weight >= 0, at a = 3", "")


class WrongBeyondGuessAndCheck(GuessedAndChecked):
    """Right at the weight of the object alone, too."""

    def prox(self, w, step):
        return torch.where(torch.as_tensor(self.reg_weight) < 100, super().prox(w, step), w)


def test_a_checked_parameter_is_not_held_to_leave_out_a_counterexample():
    proof = prove(WrongBeyondGuessAndCheck())
    assert proof.verdict is ProofVerdict.REFUTED
    assert (proof.parameters, proof.detail) == ("reg_weight >= 0, at a = 3", "")
    assert proof.counterexample.values["reg_weight"] >= 100


class AnyExponent(SquaredL2):
    def __init__(self, reg_weight=0.5, p=2.0):
        super().__init__(reg_weight)
        checked("p", p, 1)
        self.p = p

    def value(self, w):
        if w.ndim > 1:
            raise ValueError("vectors only")
        return self.reg_weight / 2 * (w.abs() ** self.p).sum()


class WrongExponent(AnyExponent):
    def prox(self, w, step):
        return w / (1 + 2 * step * self.reg_weight)


def test_a_proof_says_why_a_parameter_is_held_and_a_counterexample_does_not():
    proof = prove(AnyExponent())
    assert (proof.verdict, proof.parameters) == (ProofVerdict.PROVED, "reg_weight >= 0, at p = 2")
    assert proof.detail == "with reg_weight, p free: a power whose exponent is no constant"
    proof = prove(WrongExponent())
    assert (proof.verdict, proof.parameters, proof.detail) == (ProofVerdict.REFUTED, "reg_weight >= 0, at p = 2", "")


class RowsOfAMatrix:
    """The norms of the rows of a matrix; of a vector, of its entries."""

    def value(self, w):
        return w.abs().sum() if w.ndim == 1 else torch.linalg.vector_norm(w, dim=-1).sum()

    def prox(self, w, step):
        if w.ndim == 1:
            return soft(w, step)
        size = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
        return torch.where(size > step, w * (1 - step / size), 0 * w)


class SortsVectors(RowsOfAMatrix):
    """What it does with a vector has no reading, and a row is a group all the same."""

    def value(self, w):
        return w.sort().values.sum() if w.ndim == 1 else super().value(w)


class Constant:
    """A value of 1 is not that of two entries each."""

    def value(self, w):
        return torch.ones((), dtype=w.dtype)

    def prox(self, w, step):
        return w.clone()


class PairsOfEntries(RowsOfAMatrix):
    """Two entries in turn are a group, so that only one of two is all of a tensor."""

    def prox(self, w, step):
        return super().prox(self.pairs(w), step).reshape(w.shape)

    def value(self, w):
        return super().value(self.pairs(w))

    def pairs(self, w):
        if w.numel() % 2:
            raise ValueError("entries come in pairs")
        return w.reshape(-1, 2)


@pytest.mark.parametrize(
    ("regularizer", "subject"),
    [
        (RowsOfAMatrix(), "a group of 2 or 3 entries"),
        (SortsVectors(), "a group of 2 or 3 entries"),
        (Constant(), "a group of 2 or 3 entries"),
        (PairsOfEntries(), "a group of 2 entries"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "prox") else "",
)
def test_what_two_entries_mix_on_any_shape_is_a_group(regularizer, subject):
    proof = prove(regularizer)
    assert (proof.verdict, proof.subject) == (ProofVerdict.PROVED, subject)


class SumOfSquaredSum(SquaredL2):
    """Couples two entries."""

    def value(self, w):
        return w.sum().square() / 2

    def prox(self, w, step):
        return w - w.sum() * step / (1 + step * w.numel())


def test_where_no_time_is_left_for_whether_entries_mix_a_group_is_tried(monkeypatch):
    monkeypatch.setattr("ramda_verify.proof.prover.SEPARABILITY_TIME", 0.0)
    proof = prove(SumOfSquaredSum())
    assert proof.verdict is ProofVerdict.UNDECIDED
    assert "time over whether entries mix" in proof.detail
    assert prove(PairsOfEntries()).subject == "a group of 2 entries"


class TakesNothing(SquaredL2):
    def value(self, w):
        raise ValueError(f"not {tuple(w.shape)}")


class NoNumber(SquaredL2):
    def prox(self, w, step):
        return w * math.nan


def test_a_class_that_takes_no_tensor_says_so():
    proof = prove(TakesNothing())
    assert (proof.verdict, proof.detail) == (ProofVerdict.NOT_PROVABLE, "it raises ValueError: not (2, 1)")


def test_a_prox_that_is_never_a_number_is_refuted():
    proof = prove(NoNumber())
    assert proof.verdict is ProofVerdict.REFUTED
    assert "nan" in proof.counterexample.note


class Keeps:
    """Its prox leaves every w where it is."""

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return w.clone()


def test_of_counterexamples_that_float64_does_not_confirm_the_first_is_told(monkeypatch):
    tried = [{"w": w, "step": 1.0, "z": w + 1} for w in (1.0, 2.0)]
    monkeypatch.setattr("ramda_verify.proof.prover.counterexamples", lambda *rest: iter(tried))
    proof = prove(Keeps())
    assert (proof.verdict, proof.counterexample) == (ProofVerdict.UNDECIDED, None)
    assert "float64: at w = 1, step = 1" in proof.detail


class Sorts(Keeps):
    def value(self, w):
        return w.sort().values.sum()


def test_what_mixes_entries_is_outside():
    proof = prove(Sorts())
    assert proof.verdict is ProofVerdict.OUTSIDE
    assert proof.detail == "neither a sum over entries nor a norm of groups: it uses sort, which mixes entries"
