"""What the prover decides: right regularizers are proved, wrong ones refuted, and the rest is never a pass."""

import contextlib
import io
import math
import re

import pytest
import torch

from ramda_verify.proof import ProofVerdict, prove
from solvers import L1, MCP, GroupLasso, NuclearNorm
from solvers.regularizers import Zero
from tests.plug_ins.right.groups import LargestEntry
from tests.proof import right, wrong


def name(regularizer):
    return type(regularizer).__name__


LIBRARY = [(L1(1.0), "each entry"), (Zero(), "each entry"), (MCP(1.0), "each entry")]
LIBRARY += [(GroupLasso(0.5, grouping), "a group of 2 or 3 entries") for grouping in ("input", "output")]


@pytest.mark.parametrize(("regularizer", "subject"), LIBRARY, ids=lambda value: str(value)[:24])
def test_the_library_is_proved(regularizer, subject):
    proof = prove(regularizer)
    assert (proof.verdict, proof.subject) == (ProofVerdict.PROVED, subject)
    assert proof.parameters in ("reg_weight >= 0", "reg_weight >= 0, gamma > 0", "no parameters")


@pytest.mark.parametrize("regularizer", right.ENTRIES + right.GROUPS, ids=name)
def test_a_right_regularizer_is_proved(regularizer):
    # SCAD takes ten seconds on a quiet core; the others a tenth of that.
    proof = prove(regularizer, seconds=60)
    assert proof.verdict is ProofVerdict.PROVED, proof
    assert proof.subject == ("each entry" if regularizer in right.ENTRIES else "a group of 2 or 3 entries")


@pytest.mark.parametrize("regularizer", wrong.ENTRIES + wrong.GROUPS, ids=name)
def test_a_wrong_regularizer_is_refuted(regularizer):
    proof = prove(regularizer)
    assert proof.verdict is ProofVerdict.REFUTED, proof
    printed = io.StringIO()
    shown: dict = {}
    with contextlib.redirect_stdout(printed), contextlib.suppress(ValueError):
        exec(proof.counterexample.snippet, shown)
    assert printed.getvalue() or "raises" in proof.counterexample.note
    values = proof.counterexample.values
    if "z" in values:
        psi, w, step = shown["regularizer"].value, shown["w"], values["step"]
        best, rival = (step * float(psi(x)) + 0.5 * float((x - w).square().sum()) for x in (shown["p"], shown["z"]))
        assert rival < best
    elif "p" in shown:
        assert not torch.isfinite(shown["p"]).all() or math.isnan(shown["regularizer"].value(shown["p"]))


@pytest.mark.parametrize("regularizer", right.LONG, ids=name)
def test_no_right_regularizer_is_accused_in_a_hurry(regularizer):
    proof = prove(regularizer, seconds=2)
    assert proof.verdict in (ProofVerdict.UNDECIDED, ProofVerdict.PROVED), proof


class SumOfAll:
    """Couples all entries; with one entry alone it is the L1 norm."""

    def value(self, w):
        return w.sum().abs()

    def prox(self, w, step):
        return w - w.sum().clamp(-step, step)


class LargestByAmax:
    """The largest entry, which is a norm of one entry too."""

    def value(self, w):
        return w.abs().amax()

    def prox(self, w, step):
        return w.sign() * (w.abs() - step).clamp(min=0)


class Rounds:
    def value(self, w):
        return (w - w.round()).abs().sum()

    def prox(self, w, step):
        return w.round()


class PlainNumbers(right.SquaredL2):
    def prox(self, w, step):
        return w / (1 + float(step) * self.reg_weight)


class RefusesTensors(right.SquaredL2):
    def prox(self, w, step):
        if not isinstance(step, float):
            raise TypeError(f"step must be a float, got {type(step)}")
        return w / (1 + step * self.reg_weight)


class LoopsOnData(right.SquaredL2):
    def prox(self, w, step):
        while (w.abs() > 1).any():
            w = w / 2
        return w


class CountsPositions:
    """The number of entries that torch finds depends on the data; a trace must not keep that of its example."""

    def value(self, w):
        return 0 * w.sum()

    def prox(self, w, step):
        return w * (w > 0).nonzero().shape[0]


class ThroughNumpy:
    def value(self, w):
        return 0 * w.sum()

    def prox(self, w, step):
        return torch.from_numpy(w.detach().numpy() * 1.0)


@pytest.mark.parametrize(
    ("regularizer", "verdict", "reason"),
    [
        (NuclearNorm(1.0), ProofVerdict.OUTSIDE, "svd"),
        (SumOfAll(), ProofVerdict.OUTSIDE, "sums"),
        (LargestByAmax(), ProofVerdict.OUTSIDE, ""),
        (LargestEntry(), ProofVerdict.NOT_PROVABLE, r"\.py line \d+"),
        (Rounds(), ProofVerdict.NOT_PROVABLE, "round"),
        (PlainNumbers(), ProofVerdict.NOT_PROVABLE, "float.*line"),
        (RefusesTensors(), ProofVerdict.NOT_PROVABLE, "TypeError.*float"),
        (LoopsOnData(), ProofVerdict.NOT_PROVABLE, "branches"),
        (CountsPositions(), ProofVerdict.NOT_PROVABLE, "sym_size|nonzero"),
        (ThroughNumpy(), ProofVerdict.NOT_PROVABLE, "numpy"),
    ],
    ids=lambda value: name(value) if hasattr(value, "prox") else "",
)
def test_what_cannot_be_proved_says_why(regularizer, verdict, reason):
    proof = prove(regularizer)
    assert proof.verdict is verdict, proof
    assert not proof.proved
    assert re.search(reason, proof.detail), proof.detail


class StepAsTensor:
    """Soft threshold with a step that is made a tensor, of which torch warns where it is one already, in a trace."""

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        threshold = torch.tensor(step, dtype=w.dtype)
        return torch.sign(w) * (w.abs() - threshold).clamp_min(0)


def test_what_torch_warns_of_in_a_trace_reaches_nobody(recwarn):
    assert prove(StepAsTensor()).verdict is ProofVerdict.PROVED
    assert len(recwarn) == 0


def test_no_time_is_no_proof():
    proof = prove(right.SCAD(), seconds=0.4)
    assert proof.verdict is ProofVerdict.UNDECIDED
    assert "time" in proof.detail


class Checked:
    """Soft threshold, right for parameters that nobody declares, wrong beyond."""

    def __init__(self, reg_weight=0.5, a=3.0):
        self.reg_weight, self.a = reg_weight, a

    def value(self, w):
        return self.reg_weight * w.abs().sum()

    def prox(self, w, step):
        threshold = step * self.reg_weight
        return torch.where(torch.as_tensor(self.a) > 2, right.soft(w, threshold), w)


class Derived:
    """A number that the constructor computes from another does not vary on its own."""

    def __init__(self, reg_weight=0.5):
        right.checked("reg_weight", reg_weight, 0, closed=True)
        self.reg_weight, self.half = reg_weight, reg_weight / 2

    def value(self, w):
        return 2 * self.half * w.abs().sum()

    def prox(self, w, step):
        return right.soft(w, step * self.reg_weight)


class Exponent:
    """An exponent stays a number; the weight varies beside it."""

    def __init__(self, reg_weight=0.5, p=2):
        right.checked("reg_weight", reg_weight, 0, closed=True)
        right.checked("p", p, 1)
        self.reg_weight, self.p = reg_weight, p

    def value(self, w):
        return self.reg_weight / 2 * (w.abs() ** self.p).sum()

    def prox(self, w, step):
        return w / (1 + step * self.reg_weight)


@pytest.mark.parametrize(
    ("regularizer", "parameters"),
    [
        (Checked(), "reg_weight > 0 (assumed), at a = 3"),
        (Derived(), "no parameters"),
        (Exponent(), "reg_weight >= 0, at p = 2"),
    ],
)
def test_parameters_that_do_not_vary_are_named(regularizer, parameters):
    proof = prove(regularizer)
    assert (proof.verdict, proof.parameters) == (ProofVerdict.PROVED, parameters)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"seconds.*0"):
        prove(L1(1.0), seconds=0)
    with pytest.raises(TypeError, match=r"regularizer.*prox"):
        prove(object())
