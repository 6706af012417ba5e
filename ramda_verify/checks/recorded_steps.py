"""Are steps right from where real trainings were? One step from each recorded state, group by group.

The oracle is the literal transcription of the method in NumPy float64. A recorded tensor has groups of all sizes side
by side, so each is judged by its own.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, norm
from ramda_verify.checks.kernels import device_of
from ramda_verify.checks.optimizers import transcription_of
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi_model import PsiModel, norm_terms, psi_value, require_model
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.recorded import all_recorded, recorded
from ramda_verify.recorded.replay import replay
from ramda_verify.recorded.store import RecordedStep
from ramda_verify.targets import Target
from solvers.kernels import BACKENDS
from solvers.regularizers.base import accumulation_dtype
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


def taken(step: RecordedStep, backend: str) -> tuple[Any, torch.nn.Parameter, Array]:
    """The optimizer and the parameter after the step by ``backend``, and Ŵ."""
    made, param = replay(step, device=device_of(backend) if backend in BACKENDS else "cpu", backend=backend)
    found: list[Array] = []
    made.observers.append(lambda _, w_hat: found.append(w_hat.cpu().double().numpy()))
    made.step()
    return made, param, found[0]


def measure_step(step: str, backend: str) -> Measurement:
    """Deviation of the state, entry by entry, and of W, given the kernel's own Ŵ, in units of rounding.

    An entry's unit is the epsilon of the dtype times what it was computed from, its old and its new value (for W also
    Ŵ). What float32 cannot hold, up to its smallest normal number, is no deviation.
    """
    known = recorded(step)
    made, param, w_hat = taken(known, backend)
    exact = exact_step(known, w_hat)
    sums = torch.finfo(accumulation_dtype(param)).eps
    pairs: dict[str, tuple[torch.Tensor, Array, Array, Array, float]] = {}
    # Triton's interpreter rounds to 16 bits towards zero: by an epsilon, not half of one.
    pairs["W"] = (param.detach(), exact.method.W, known.W, w_hat, max(sums, torch.finfo(param.dtype).eps / 8))
    for key in known.state:
        nothing = np.zeros(known.shape)
        pairs[key] = (made.state[param][key], getattr(exact.method, NAMES[key]), getattr(known, key), nothing, sums)
    worst, note = 0.0, ""
    for key, (mine, right, before, beside, unit) in pairs.items():
        size = np.abs(right) + np.abs(before) + np.abs(beside)
        deviation = np.abs(mine.cpu().double().numpy() - right)
        violation = np.where(np.isnan(deviation), np.inf, np.maximum(deviation - TINY, 0.0) / (unit * size + TINY))
        if not violation.max() <= worst:
            at = np.unravel_index(int(violation.argmax()), violation.shape)
            worst = float(violation.max())
            note = f"{key}{list(map(int, at))} is {float(mine[at]):.9g}, exactly {float(right[at]):.9g}"
    return Measurement(worst, note)


def measure_residual(step: str, backend: str) -> Measurement:
    """Largest ||residual of a group|| of Ŵ over the size of what the group's B is formed from, in exact arithmetic."""
    known = recorded(step)
    made, _, w_hat = taken(known, backend)
    exact = exact_step(known, w_hat)
    worst, note = 0.0, ""
    if made.unaccepted_steps:
        return Measurement(np.inf, f"{made.unaccepted_steps} steps were not accepted")
    for index, (price, indices) in enumerate(norm_terms(require_model(known.regularizer), known.shape)):
        z, b, d, formed = (a.ravel()[indices] for a in (w_hat, exact.B, exact.D, exact.forming))
        alone = PsiModel("GroupLasso", price / len(indices) ** 0.5, "input")
        residual = certificate.stationarity(z[:, None], b[:, None], d[:, None], exact.lam, alone)
        # Where B or the solution is denormal, float32 has no digits to give.
        residual = max(0.0, residual - TINY * (norm(d) + len(indices) ** 0.5)) if residual == residual else np.inf
        violation = residual / (norm(formed) + TINY)
        if not violation <= worst:
            worst, note = violation, f"group {index}: residual {residual:.3g}, B is formed from {norm(formed):.3g}"
    return Measurement(worst, note)


def measure_criterion(step: str) -> Measurement:
    """The report of the step against its subproblem in float64: accepted exactly if (7) holds, up to rounding."""
    known = recorded(step)
    made, _ = replay(known)
    found: list[Array] = []
    made.observers.append(lambda _, w_hat: found.append(w_hat.numpy()))
    with made.diagnostics.recorded() as reports, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        made.step()
    (block,), w_hat = reports[0].blocks, found[0].astype(np.float64)
    exact = exact_step(known, w_hat)
    # ProxSGD's transcription solves the problem divided by lr.
    scale = float(known.hyper["lr"]) if known.optimizer == "proxsgd" else 1.0
    residual = scale * certificate.stationarity(found[0], exact.B, exact.D, exact.lam, known.regularizer)
    eps = float(np.finfo(found[0].dtype).eps)
    rounding = 64 * eps * scale * (norm(exact.forming) + norm(exact.D.max() * w_hat))
    if block.accepted and not residual <= block.tolerance + rounding:
        return Measurement(np.inf, f"accepted with residual {residual:.3g}, eps_t {block.tolerance:.3g}")
    if block.status is Status.PRECISION_LIMIT and not residual <= rounding:
        return Measurement(np.inf, f"at the rounding level with residual {residual:.3g}, rounding {rounding:.3g}")
    if not block.accepted and block.status is not Status.PRECISION_LIMIT:
        return Measurement(np.inf, f"{block.status.value}: residual {residual:.3g}, eps_t {block.tolerance:.3g}")
    terms = (w_hat - known.W) * (0.5 * exact.D * (w_hat + known.W) - exact.B)
    psi = [exact.lam * psi_value(point, known.regularizer) for point in (w_hat, known.W)]
    rise = float(terms.sum()) + psi[0] - psi[1]
    if not rise <= 64 * eps * (float(np.abs(terms).sum()) + sum(psi)):
        return Measurement(np.inf, f"Q rose by {rise:.3g}")
    return Measurement(0.0)


def steps_of(optimizer: str, *, direct: bool) -> st.SearchStrategy[str]:
    """Names of the recorded steps of an optimizer; with ``direct`` those that a kernel takes."""
    names = [
        step.name
        for step in all_recorded().values()
        if step.optimizer == optimizer and (not direct or hasattr(step.regularizer, "group_norms"))
    ]
    return st.sampled_from(names)


def _stepped_by(*backends: str) -> Callable[[Target], st.SearchStrategy[Case]]:
    def cases(target: Target) -> st.SearchStrategy[Case]:
        available = [name for name in backends if name == "plain" or BACKENDS[name].unavailable_reason() is None]
        return st.fixed_dictionaries(
            {"step": steps_of(target.name, direct=True), "backend": st.sampled_from(available)}
        )

    return cases


def _alone(target: Target) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries({"step": steps_of(target.name, direct=False)})


def _needs_triton(target: Target) -> str | None:
    device_of("triton")
    reason = BACKENDS["triton"].unavailable_reason()
    return None if reason is None else f"the triton step cannot run here: {reason}"


STEP_CLAIM = "From a recorded state a step updates the state as the paper says, entry by entry, and mixes Ŵ into W."
RESIDUAL_CLAIM = "From a recorded state Ŵ is stationary in every group, however small it is beside the others."
RECORDED = "states, gradients and hyperparameters of real trainings"

CHECKS = (
    Check(
        id="recorded-kernel-step",
        claim=STEP_CLAIM,
        source=f"as step-transcription; {RECORDED}",
        kind="optimizer",
        tolerance=tolerances.KERNEL,
        cases=_stepped_by("plain", "native"),
        measure=measure_step,
        cost=2,
    ),
    Check(
        id="recorded-gpu-kernel-step",
        claim=STEP_CLAIM,
        source=f"as step-transcription; {RECORDED}",
        kind="optimizer",
        tolerance=tolerances.KERNEL,
        cases=_stepped_by("triton"),
        measure=measure_step,
        applies=_needs_triton,
        share=0.1,
        cost=4,
    ),
    Check(
        id="recorded-residual",
        claim=RESIDUAL_CLAIM,
        source=f"definition of the subproblem, residual recomputed in float64; {RECORDED}",
        kind="optimizer",
        tolerance=tolerances.FLOAT32_RESIDUAL,
        cases=_stepped_by("plain", "native"),
        measure=measure_residual,
        cost=2,
    ),
    Check(
        id="recorded-gpu-residual",
        claim=RESIDUAL_CLAIM,
        source=f"definition of the subproblem, residual recomputed in float64; {RECORDED}",
        kind="optimizer",
        tolerance=tolerances.FLOAT32_RESIDUAL,
        cases=_stepped_by("triton"),
        measure=measure_residual,
        applies=_needs_triton,
        share=0.1,
        cost=4,
    ),
    Check(
        id="recorded-criterion",
        claim="From a recorded state a step is accepted as (7) demands, recomputed outside the solver; Q never rises.",
        source=f"paper, eq. 7; {RECORDED}",
        kind="optimizer",
        tolerance=tolerances.EXACT,
        cases=_alone,
        measure=measure_criterion,
    ),
)
