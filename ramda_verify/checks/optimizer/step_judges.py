"""One step judged in NumPy float64, group by group, against the literal transcription of its method.

What a step started from comes as a ``RecordedStep``, cut down or whole. Nothing here asks the optimizer for a formula.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ramda_verify.cases.recorded.store import RecordedStep
from ramda_verify.checks.helpers import Array, norm
from ramda_verify.checks.optimizer.steps import transcription_of
from ramda_verify.engine.worst import Worst, infinite_if_nan
from ramda_verify.oracles import certificate
from ramda_verify.oracles.atoms import Norm
from ramda_verify.oracles.psi import atoms_of, norm_terms, psi_value
from solvers.optimizers.diagnostics import BlockReport
from solvers.subproblem import Status

#: Entries of the state, and what the transcriptions call them.
NAMES = {
    "step": "t",
    "weight_sum": "alpha",
    "initial_point": "W0",
    "grad_sum": "V",
    "grad_sq_sum": "U",
    "momentum_buffer": "m",
    "exp_avg": "m",
    "exp_avg_sq": "v",
    "max_exp_avg_sq": "v_largest",
}
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class ExactStep:
    """The recorded step in float64: the method after it, and the subproblem in it.

    ``forming`` is the size of what B is the difference of, entry by entry: its rounding is relative to that.
    """

    method: Any
    B: Array
    D: Array
    lam: float
    forming: Array


def exact_step(step: RecordedStep, w_hat: Array) -> ExactStep:
    """The transcription put into the recorded state and given the recorded gradient; it takes ``w_hat`` for Ŵ."""
    hyper = {key: tuple(value) if isinstance(value, list) else value for key, value in step.hyper.items()}
    method = transcription_of(step.optimizer, step.W, hyper, step.regularizer)
    for key, value in {**step.state, **step.counters}.items():
        if hasattr(method, NAMES.get(key, "")):
            setattr(method, NAMES[key], np.asarray(value, dtype=np.float64)[()])
    subproblem: list[tuple[Array, Array, float]] = []

    def solve(B: Array, D: Array, lam: float) -> Array:
        subproblem.append((B, D, lam))
        return w_hat

    method.solve = solve
    reference = getattr(method, "W0", step.W)
    method.step(step.G)
    ((B, D, lam),) = subproblem
    return ExactStep(method, B, D, lam, np.abs(D * reference) + np.abs(B))


def state_deviation(
    known: RecordedStep, exact: ExactStep, after: dict[str, Array], w_hat: Array, *, unit: float, unit_of_w: float
) -> tuple[float, str]:
    """Largest deviation of the state and of W after the step (``after["W"]``), in units of rounding, and where.

    An entry's unit is ``unit`` (for W ``unit_of_w``) times what it was computed from, its old and its new value, for W
    also Ŵ. What float32 cannot hold, up to its smallest normal number, is no deviation; a NaN is an infinite one.
    """
    worst = Worst()
    for key, mine in after.items():
        right = getattr(exact.method, NAMES.get(key, key))
        before = known.arrays.get(key, known.arrays["W"] if key == "initial_point" else np.zeros(known.shape))
        size = np.abs(right) + np.abs(before.astype(np.float64)) + (np.abs(w_hat) if key == "W" else 0.0)
        deviation = np.abs(mine.astype(np.float64) - right)
        rounding = (unit_of_w if key == "W" else unit) * size + TINY
        violation = infinite_if_nan(np.maximum(deviation - TINY, 0.0) / rounding)
        at = np.unravel_index(int(violation.argmax()), violation.shape)
        note = f"{key}{list(map(int, at))} is {float(mine[at]):.9g}, exactly {float(right[at]):.9g}"
        worst.see(float(violation[at]), note)
    return worst.violation, worst.note


def group_residual(known: RecordedStep, exact: ExactStep, w_hat: Array) -> tuple[float, str]:
    """Largest ||residual of a group|| of Ŵ over the size of what the group's B is formed from, and where.

    psi = 0 counts as groups of one entry. Raises TypeError where psi is no sum of norms of disjoint groups.
    """
    terms = norm_terms(atoms_of(known.regularizer, known.shape))
    if terms is None:
        raise TypeError(f"psi must be a sum of norms of disjoint groups, got {known.regularizer!r}")
    entries = [(0.0, np.array([index])) for index in range(w_hat.size)]
    worst = Worst()
    for index, (price, indices) in enumerate(terms or entries):
        z, b, d, formed = (a.ravel()[indices] for a in (w_hat, exact.B, exact.D, exact.forming))
        residual = certificate.stationarity(z, b, d, exact.lam, [Norm(price, np.arange(len(indices)))])
        # Where B or the solution is denormal, float32 has no digits to give.
        spare = TINY * (norm(d) + len(indices) ** 0.5)
        note = f"group {index}: residual {residual:.3g}, B is formed from {norm(formed):.3g}"
        worst.see((residual - spare) / (norm(formed) + TINY), note)
    return worst.violation, worst.note


def criterion_fault(known: RecordedStep, exact: ExactStep, block: BlockReport, w_hat: Array) -> str | None:
    """What is wrong with the report of a step by (7), evaluated in float64 at ``w_hat`` as it came; None if nothing is.

    Accepted has to mean a residual up to eps_t, and a residual at the level of rounding that it is there; any other
    end is a fault. Q may not rise. All comparisons allow for rounding in the dtype of ``w_hat``.
    """
    eps, Z = float(np.finfo(w_hat.dtype).eps), w_hat.astype(np.float64)
    scale = float(known.hyper["lr"]) if exact.method.divided_by_rate else 1.0
    residual = scale * certificate.stationarity_of_rounded(w_hat, exact.B, exact.D, exact.lam, known.regularizer)
    rounding = 64 * eps * scale * (norm(exact.forming) + norm(exact.D.max() * Z))
    if block.accepted and not residual <= block.tolerance + rounding:
        return f"accepted with residual {residual:.3g}, eps_t {block.tolerance:.3g}"
    if block.status is Status.PRECISION_LIMIT and not residual <= rounding:
        return f"at the rounding level with residual {residual:.3g}, rounding {rounding:.3g}"
    if not block.accepted and block.status is not Status.PRECISION_LIMIT:
        return f"{block.status.value}: residual {residual:.3g}, eps_t {block.tolerance:.3g}"
    terms = (Z - known.W) * (0.5 * exact.D * (Z + known.W) - exact.B)
    psi = [exact.lam * psi_value(point, known.regularizer) for point in (Z, known.W)]
    rise = float(terms.sum()) + psi[0] - psi[1]
    if not rise <= 64 * eps * (float(np.abs(terms).sum()) + sum(psi)):
        return f"Q rose by {rise:.3g}"
    return None
