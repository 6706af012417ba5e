"""The prox proved right for all inputs, where prox and value can be read as arithmetic; see ramda_verify/proof."""

import math
from dataclasses import replace

from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.exact_set import is_constrained
from ramda_verify.cases.strategies import shapes
from ramda_verify.engine.property import check
from ramda_verify.engine.record import CheckResult, Counterexample, Measurement, NothingClaimed, Verdict
from ramda_verify.engine.snippets import snippet
from ramda_verify.engine.targets import Target
from ramda_verify.proof import Proof, ProofVerdict, prove
from solvers.regularizers.members import Regularizer

ID = "proof"

#: Below this size of w and of the step a counterexample shows a guard against division by zero, not a wrong formula.
SMALLEST = 1e-9


def proof_result(target: Target) -> CheckResult:
    """What the prover finds of the target's example: a proof, a counterexample, or neither, with the reason."""
    proof = prove(target.example, name=target.name)
    words = f"{proof.subject}, {proof.parameters}".strip(", ") if proof.proved else proof.detail
    if proof.proved:
        status = Verdict.PROVED
    elif is_finding(proof, target.example):
        status = Verdict.FAIL
    else:
        status, words = Verdict.SKIP, f"no proof, {proof.verdict.value}: {proof.detail}".rstrip(": ")
    result = CheckResult(ID, target.name, status, int(status is not Verdict.SKIP), None, None, round(proof.seconds, 3))
    if status is not Verdict.FAIL or proof.counterexample is None:
        return _with(result, detail=words)
    case = {"regularizer": target.example}
    measured = Measurement(math.inf, proof.counterexample.note)
    code = snippet(ID, target, case, measured, tolerances.EXACT.value)
    return _with(result, detail=proof.counterexample.note, worst=math.inf, snippet=code)


@check(
    ID,
    claim="For all real w and steps and all parameters in their range no z has a lower prox objective than prox.",
    source="prox and value traced into real arithmetic, decided by an SMT solver",
    kind="regularizer",
    tolerance=tolerances.EXACT,
    cases=lambda target: st.builds(lambda r: {"regularizer": r}, target.instances),
    share=0.01,
    cost=5,
    recorded="never",
    large=False,
)
def measure_proof(regularizer: Regularizer) -> Measurement:
    """0 where the prox is proved, infinite where it is refuted. Raises NothingClaimed where neither is."""
    proof = prove(regularizer)
    if proof.proved:
        return Measurement(0.0)
    if is_finding(proof, regularizer) and proof.counterexample is not None:
        return Measurement(math.inf, proof.counterexample.note)
    raise NothingClaimed(f"{proof.verdict.value}: {proof.detail}")


def is_finding(proof: Proof, regularizer: Regularizer) -> bool:
    """Whether a proof refutes, by numbers of the size that a prox meets.

    A set whose value has a tolerance is another set to the prover, the larger one that this tolerance makes: there the
    sampled checks decide, which know the set from its projection.
    """
    if is_constrained(regularizer, min(shapes(regularizer), key=math.prod)):
        return False
    if proof.verdict is not ProofVerdict.REFUTED or proof.counterexample is None:
        return False
    values = proof.counterexample.values
    return max(abs(values.get("w", 1.0)), abs(values.get("step", 1.0))) >= SMALLEST


def _with(result: CheckResult, *, detail: str, worst: float | None = None, snippet: str = "") -> CheckResult:
    found = Counterexample("", math.inf, detail, snippet) if snippet else None
    return replace(result, detail=detail, worst=worst, counterexample=found)
