"""The checks, one question a file. ``measure`` reruns a single case, as the snippets of counterexamples do."""

from typing import Any

from ramda_verify.checks.kernels import residual as kernel_residual
from ramda_verify.checks.kernels import steps as kernels
from ramda_verify.checks.optimizer import acceptance, recorded_steps
from ramda_verify.checks.optimizer import contract as optimizer_contract
from ramda_verify.checks.optimizer import steps as optimizers
from ramda_verify.checks.problems import identification, training
from ramda_verify.checks.regularizer import (
    claims,
    contract,
    layout_claim,
    manners,
    metric_prox_claim,
    narrow_members,
    proof,
    prox,
    prox_derivative,
    prox_homotopy,
    prox_rays,
    residual_claim,
    screening_claim,
    search,
    structure_claim,
    tensors,
    violation_claim,
)
from ramda_verify.checks.subproblem import (
    batch,
    certificate,
    choice,
    enclosure,
    far_solutions,
    high_precision,
    out_of_range,
    rate,
    scales,
    singular_values,
)
from ramda_verify.checks.subproblem import solutions as subproblem
from ramda_verify.engine.property import Check, checks_of
from ramda_verify.engine.record import Measurement

#: What is asked of solutions of the subproblem, which most methods make of proxes.
OF_SOLUTIONS: tuple[Check, ...] = checks_of(
    subproblem,
    high_precision,
    batch,
    certificate,
    enclosure,
    rate,
    scales,
    out_of_range,
    far_solutions,
    choice,
    singular_values,
)
#: In the order in which reports list them.
ALL_CHECKS: tuple[Check, ...] = (
    *checks_of(
        contract,
        proof,
        manners,
        prox,
        prox_homotopy,
        prox_rays,
        tensors,
        prox_derivative,
        search,
        claims,
        metric_prox_claim,
        layout_claim,
        violation_claim,
        structure_claim,
        screening_claim,
        residual_claim,
        narrow_members,
    ),
    *OF_SOLUTIONS,
    *checks_of(
        optimizers,
        optimizer_contract,
        kernels,
        kernel_residual,
        acceptance,
        recorded_steps,
        identification,
        training,
    ),
)
BY_ID = {check.id: check for check in ALL_CHECKS}


def measure(check_id: str, **case: Any) -> Measurement:
    """The violation of one case of one check, as the suite measures it."""
    return BY_ID[check_id].measure(**case)
