"""The checks, one question a file. ``measure`` reruns a single case, as the snippets of counterexamples do."""

from typing import Any

from ramda_verify.checks import (
    acceptance,
    batch,
    certificate,
    choice,
    claims,
    contract,
    enclosure,
    far_solutions,
    identification,
    kernel_residual,
    kernels,
    manners,
    narrow_members,
    optimizer_contract,
    optimizers,
    out_of_range,
    proof,
    prox,
    prox_derivative,
    prox_homotopy,
    prox_rays,
    rate,
    recorded_steps,
    residual_claim,
    scales,
    screening_claim,
    search,
    singular_values,
    structure_claim,
    subproblem,
    tensors,
    training,
    violation_claim,
)
from ramda_verify.property import Check
from ramda_verify.record import Measurement

ALL_CHECKS: tuple[Check, ...] = (
    *contract.CHECKS,
    *proof.CHECKS,
    *manners.CHECKS,
    *prox.CHECKS,
    *prox_homotopy.CHECKS,
    *prox_rays.CHECKS,
    *tensors.CHECKS,
    *prox_derivative.CHECKS,
    *search.CHECKS,
    *claims.CHECKS,
    *violation_claim.CHECKS,
    *structure_claim.CHECKS,
    *screening_claim.CHECKS,
    *residual_claim.CHECKS,
    *narrow_members.CHECKS,
    *subproblem.CHECKS,
    *batch.CHECKS,
    *certificate.CHECKS,
    *enclosure.CHECKS,
    *rate.CHECKS,
    *scales.CHECKS,
    *out_of_range.CHECKS,
    *far_solutions.CHECKS,
    *choice.CHECKS,
    *singular_values.CHECKS,
    *optimizers.CHECKS,
    *optimizer_contract.CHECKS,
    *kernels.CHECKS,
    *kernel_residual.CHECKS,
    *acceptance.CHECKS,
    *recorded_steps.CHECKS,
    *identification.CHECKS,
    *training.CHECKS,
)
BY_ID = {check.id: check for check in ALL_CHECKS}


def measure(check_id: str, **case: Any) -> Measurement:
    """The violation of one case of one check, as the suite measures it."""
    return BY_ID[check_id].measure(**case)
