"""An accepted step is what (7) says: every step of a run, with the certificate recomputed outside the solver."""

import math
import warnings
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import finite, tensor
from ramda_verify.checks.optimizer.runs import CLASSES, gradients, has_preconditioner, settings_of
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi import psi_value
from solvers import GroupLasso, NuclearNorm, PowerSchedule, Regularizer
from solvers.optimizers.diagnostics import StepReport
from solvers.subproblem import Status

STEPS, LR = 30, 0.1

#: A structure of low rank found by iteration, hard and easy, and one of zero groups found directly.
REGULARIZERS = (NuclearNorm(0.2), NuclearNorm(0.05), GroupLasso(0.1, "input"))


def observed_run(
    optimizer: str,
    regularizer: Regularizer,
    shape: tuple[int, ...],
    seed: int,
    steps: int,
    limit: int,
    tolerance: float,
) -> tuple[list[StepReport], list[tuple[Any, ...]]]:
    """Reports of a run, and (W before, Ŵ, B, D, lam) of each step as numpy arrays."""
    param = torch.nn.Parameter(tensor(np.random.default_rng(seed).standard_normal(shape)))
    made = CLASSES[optimizer](
        [param],
        **settings_of(optimizer, lr=LR, momentum=0.3, decay=0.0, amsgrad=False),
        regularizer=regularizer,
        schedule=PowerSchedule(tolerance),
        max_inner_iterations=limit,
    )
    solved: list[tuple[Any, ...]] = []
    gradient = gradients(shape, seed)
    structured: list[torch.Tensor] = []
    made.observers.append(lambda _, w_hat: structured.append(w_hat.clone()))
    with made.diagnostics.recorded() as reports, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for t in range(steps):
            before = param.detach().clone()
            param.grad = tensor(gradient(t, before.numpy()))
            made.step()
            B, D, lam = made.normal_form(before, made.state[param], made.param_groups[0])
            solved.append((before.numpy(), structured[-1].numpy(), B.numpy(), D.numpy(), lam))
    return reports, solved


def trace_acceptance(target: Target) -> dict[str, Any] | None:
    """Residuals and eps_t of two runs with the nuclear norm: enough inner iterations, and two.

    Nothing to see for methods without a preconditioner: in a constant metric one step solves the subproblem.
    """
    if not has_preconditioner(target.name):
        return None
    runs = {}
    for name, limit in (("inner iterations as needed", 1000), ("at most 2 inner iterations", 2)):
        reports, _ = observed_run(target.name, NuclearNorm(0.2), (8, 6), 0, 200, limit, 1e-2)
        runs[name] = {
            "step": [report.step for report in reports],
            "residual": [max(report.residual, 1e-16) for report in reports],
            "tolerance": [report.tolerance for report in reports],
            "accepted": [report.accepted for report in reports],
        }
    return {"kind": "acceptance", "runs": runs}


def _cases(target: Target) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(
        {
            "optimizer": st.just(target.name),
            "shape": st.sampled_from([(4, 3), (2, 2, 2)]),
            "seed": st.integers(0, 2**16),
            "limit": st.sampled_from([1, 3, 1000]),
            "tolerance": st.sampled_from([1e-1, 1e-3, 1e-6]),
        }
    )


@check(
    "criterion-acceptance",
    claim="A step is called accepted exactly if (7) holds, recomputed outside the solver; Q falls as reported.",
    source="paper, eq. 7 and 8",
    kind="optimizer",
    tolerance=tolerances.EXACT,
    cases=_cases,
    share=0.1,
    cost=4,
    trace=trace_acceptance,
)
def measure_acceptance(optimizer: str, shape: tuple[int, ...], seed: int, limit: int, tolerance: float) -> Measurement:
    """Of every step called accepted: the recomputed residual over eps_t, and (7b) with psi by plain loops.

    One run with each of REGULARIZERS.
    """
    worst = Worst()
    for regularizer in REGULARIZERS:
        _judge(optimizer, regularizer, shape, seed, limit, tolerance, worst)
    return worst.measurement()


def _judge(
    optimizer: str,
    regularizer: Regularizer,
    shape: tuple[int, ...],
    seed: int,
    limit: int,
    tolerance: float,
    worst: Worst,
) -> None:
    """Every condition is written as what must hold, which a NaN does not."""
    reports, solved = observed_run(optimizer, regularizer, shape, seed, STEPS, limit, tolerance)
    for report, (before, w_hat, B, D, lam) in zip(reports, solved, strict=True):

        def must_hold(fact: bool, words: str, step: int = report.step) -> None:
            worst.see(0.0 if fact else np.inf, f"{regularizer}, step {step}: {words}")

        finite("Ŵ", w_hat)
        # Rounding moves the point by eps, and with it a tiny singular value: the certificate is for a neighbour.
        # eps_t = tolerance * unit / t, and the unit of all four methods is their step size.
        due = tolerance * LR / report.step
        must_hold(abs(report.tolerance - due) <= 1e-12 * due, f"eps_t is {report.tolerance:.6g}")
        residual = certificate.stationarity(w_hat, B, D, lam, regularizer, rank_tolerance=1e-12)
        rounding = 1e-12 * float(np.linalg.norm(B) + np.linalg.norm(D.max() * w_hat))
        if report.accepted:
            must_hold(residual <= due + rounding, f"accepted, but the residual is {residual:.3g} > {due:.3g}")
        else:
            must_hold(residual > due - rounding, f"rejected, but the residual is {residual:.3g}")
        for block in report.blocks:
            words = f"{block.status.value}, residual {block.residual:.3g}"
            must_hold(not math.isnan(block.residual), words)
            must_hold(block.status is not Status.CONVERGED or block.residual <= block.tolerance, words)
        terms = (w_hat - before) * (0.5 * D * (w_hat + before) - B)
        psi = lam * psi_value(w_hat, regularizer), lam * psi_value(before, regularizer)
        rise = float(terms.sum()) + psi[0] - psi[1]
        rounding = 1e-12 * (float(np.abs(terms).sum()) + sum(psi))
        must_hold(rise <= rounding, f"Q rose by {rise:.3g}")
        drop = report.objective_drop
        must_hold(abs(drop + rise) <= rounding, f"Q is reported to fall by {drop:.6g}, but fell by {-rise:.6g}")
