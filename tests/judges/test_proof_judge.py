"""What a run reports of each outcome of the prover, and which counterexamples accuse a regularizer."""

import contextlib
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from ramda_verify.checks import BY_ID
from ramda_verify.checks.regularizer import proof as judge
from ramda_verify.engine.record import NothingClaimed, Verdict
from ramda_verify.engine.targets import Target
from ramda_verify.proof import Counterexample, Proof, ProofVerdict
from solvers import L1
from tests.judges.regularizers import Made, zero

PROVED = Proof("tried", ProofVerdict.PROVED, "each entry", "reg_weight >= 0", 1.23456)
UNDECIDED = Proof("tried", ProofVerdict.UNDECIDED, "each entry", seconds=20.00051, detail="out of time")


def refuted(**values):
    return Proof(
        "tried",
        ProofVerdict.REFUTED,
        seconds=0.5,
        counterexample=Counterexample(values, "z is lower", "print('of the prover')"),
    )


BOX = Made(lambda w: torch.where((w.abs() <= 1).all(), 0.0, torch.inf), lambda w, step: w.clamp(-1, 1))


def target(regularizer):
    return Target("tried", "regularizer", regularizer, st.just(regularizer), lambda _: ["regularizer = made_here"])


@pytest.mark.parametrize(
    ("proof", "regularizer", "status", "detail"),
    [
        (PROVED, L1(1.0), Verdict.PROVED, "each entry, reg_weight >= 0"),
        (replace(PROVED, parameters=""), L1(1.0), Verdict.PROVED, "each entry"),
        (PROVED, BOX, Verdict.PROVED, "each entry, reg_weight >= 0"),
        (UNDECIDED, L1(1.0), Verdict.SKIP, "no proof, undecided: out of time"),
        (replace(UNDECIDED, verdict=ProofVerdict.OUTSIDE, detail=""), L1(1.0), Verdict.SKIP, "no proof, outside"),
        (refuted(w=1.0), BOX, Verdict.SKIP, "no proof, refuted"),
        # A counterexample at parameters that may be out of range.
        (replace(refuted(w=1.0), verdict=ProofVerdict.UNDECIDED), L1(1.0), Verdict.SKIP, "no proof, undecided"),
        (refuted(w=1e-10, step=1e-12), L1(1.0), Verdict.SKIP, "no proof, refuted"),
    ],
)
def test_a_proof_or_none_has_words_and_no_counterexample(proof, regularizer, status, detail, monkeypatch):
    monkeypatch.setattr(judge, "prove", lambda example, name: replace(proof, name=name))
    found = judge.proof_result(target(regularizer))
    assert (found.check, found.target, found.status, found.detail) == ("proof", "tried", status, detail)
    assert (found.worst, found.tolerance, found.counterexample) == (None, None, None)
    assert found.cases == (1 if status is Verdict.PROVED else 0)
    assert found.seconds == pytest.approx(proof.seconds, abs=5e-4)
    assert str(found.seconds) in ("1.235", "20.001", "0.5")


@pytest.mark.parametrize("regularizer", [L1(1.0), Made(zero)], ids=["ours", "another"])
def test_a_refuted_target_comes_with_a_script_a_note_and_an_infinite_violation(regularizer, monkeypatch):
    monkeypatch.setattr(judge, "prove", lambda example, name: refuted(w=1.0, step=2.0))
    found = judge.proof_result(target(regularizer))
    assert (found.check, found.target, found.status, found.cases) == ("proof", "tried", Verdict.FAIL, 1)
    assert (found.worst, found.tolerance, found.seconds) == (math.inf, None, 0.5)
    shown = found.counterexample
    assert found.detail == shown.note == "z is lower"
    assert shown.violation == math.inf
    assert {"regularizer = made_here", "print(measure('proof', regularizer=regularizer))"} <= set(
        shown.snippet.splitlines()
    )
    assert "violation inf, allowed 0: z is lower" in shown.snippet


def test_the_script_of_a_refuted_target_measures_the_same(monkeypatch):
    monkeypatch.setattr(judge, "prove", lambda example, name="": refuted(w=1.0))
    lines = ["from solvers import L1", "regularizer = L1(1.0)"]
    found = judge.proof_result(replace(target(L1(1.0)), import_lines=lambda _: lines))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(found.counterexample.snippet, {})
    assert "violation=inf, note='z is lower'" in printed.getvalue()


@pytest.mark.parametrize(
    ("values", "accused"),
    [
        ({"w": 1.0, "step": 1.0}, True),
        ({"w": -1.0, "step": 1e-12}, True),
        ({"w": 1e-12, "step": 1.0}, True),
        ({"w": 1.001e-9, "step": 1e-12}, True),
        ({"w": -1.001e-9, "step": 1e-12}, True),
        ({"w": 1e-9, "step": 1e-12}, True),
        ({"w": 1e-12, "step": 1e-9}, True),
        ({"w": 0.999e-9, "step": 0.999e-9}, False),
        ({"w": 0.0, "step": 1e-300}, False),
        ({"w": 1e-12}, True),
        ({"step": 1e-12}, True),
        ({}, True),
    ],
)
def test_who_is_refuted_by_tiny_numbers_alone_is_not_accused(values, accused):
    """A number that the counterexample does not name is not tiny."""
    proof = refuted(**values)
    assert judge.finding(proof, L1(1.0)) == (proof.counterexample if accused else None)


def test_a_set_is_not_accused_and_neither_is_who_is_not_refuted():
    assert judge.finding(refuted(w=1.0), BOX) is None
    assert judge.finding(PROVED, L1(1.0)) is None
    assert judge.finding(UNDECIDED, L1(1.0)) is None


@pytest.mark.parametrize(
    ("proof", "regularizer", "violation"),
    [
        (PROVED, L1(1.0), 0.0),
        (PROVED, BOX, 0.0),
        (refuted(w=1.0), L1(1.0), np.inf),
        (refuted(w=1.0), BOX, None),
        (refuted(w=1e-12, step=1e-12), L1(1.0), None),
        (UNDECIDED, L1(1.0), None),
    ],
)
def test_a_case_of_the_check_is_judged_alike(proof, regularizer, violation, monkeypatch):
    monkeypatch.setattr(judge, "prove", lambda example: proof)
    measured = BY_ID["proof"].measure
    if violation is None:
        with pytest.raises(NothingClaimed, match=f"{proof.verdict.value}: {proof.detail}"):
            measured(regularizer)
    else:
        found = measured(regularizer)
        assert (found.violation, found.note) == (violation, "z is lower" if violation else "")
