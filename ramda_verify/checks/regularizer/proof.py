"""The prox proved right for all inputs, where prox and value can be read as arithmetic; see ramda_verify/proof."""

import math

from hypothesis import strategies as st

from ramda_verify import proof as proofs
from ramda_verify import tolerances
from ramda_verify.cases.exact_set import is_constrained
from ramda_verify.cases.strategies import shapes
from ramda_verify.engine.property import check
from ramda_verify.engine.record import CheckResult, Counterexample, Measurement, NothingClaimed, Verdict
from ramda_verify.engine.snippets import snippet
from ramda_verify.engine.targets import Target
from ramda_verify.proof import Proof, prove
from solvers.regularizers.members import Regularizer

ID = "proof"

#: Below this size of w and of the step a counterexample shows a guard against division by zero, not a wrong formula.
SMALLEST = 1e-9


def proof_result(target: Target) -> CheckResult:
    """What the prover finds of the target's example: a proof, a counterexample, or neither, with the reason."""
    proof = prove(target.example, name=target.name)
    refuted = finding(proof, target.example)
    seconds = round(proof.seconds, 3)
    if refuted is not None:
        case, measured = {"regularizer": target.example}, Measurement(math.inf, refuted.note)
        code = snippet(ID, target, case, measured, tolerances.PROOF.value)
        shown = Counterexample("", math.inf, refuted.note, code)
        return CheckResult(ID, target.name, Verdict.FAIL, 1, math.inf, None, seconds, shown, refuted.note)
    if proof.proved:
        words = f"{proof.subject}, {proof.parameters}".strip(", ")
        return CheckResult(ID, target.name, Verdict.PROVED, 1, None, None, seconds, detail=words)
    words = f"no proof, {proof.verdict.value}: {proof.detail}".rstrip(": ")
    return CheckResult(ID, target.name, Verdict.SKIP, 0, None, None, seconds, detail=words)


@check(
    ID,
    claim="For all real w and steps and all parameters in their range no z has a lower prox objective than prox.",
    source="prox and value traced into real arithmetic, decided by an SMT solver",
    kind="regularizer",
    tolerance=tolerances.PROOF,
    cases=lambda target: st.builds(lambda r: {"regularizer": r}, target.instances),
    share=0.01,
    cost=5,
    recorded="never",
)
def measure_proof(regularizer: Regularizer) -> Measurement:
    """0 where the prox is proved, infinite where it is refuted. Raises NothingClaimed where neither is."""
    proof = prove(regularizer)
    if proof.proved:
        return Measurement(0.0)
    refuted = finding(proof, regularizer)
    if refuted is not None:
        return Measurement(math.inf, refuted.note)
    raise NothingClaimed(f"{proof.verdict.value}: {proof.detail}")


def finding(proof: Proof, regularizer: Regularizer) -> proofs.Counterexample | None:
    """The counterexample by which a proof refutes, by numbers of the size that a prox meets; None where it does not.

    A set whose value has a tolerance is another set to the prover, the larger one that this tolerance makes: there the
    sampled checks decide, which know the set from its projection.
    """
    refuted = proof.counterexample if proof.verdict is proofs.ProofVerdict.REFUTED else None
    if refuted is None or is_constrained(regularizer, min(shapes(regularizer), key=math.prod)):
        return None
    sizes = [abs(refuted.values.get(name, math.inf)) for name in ("w", "step")]
    return refuted if max(sizes) >= SMALLEST else None
