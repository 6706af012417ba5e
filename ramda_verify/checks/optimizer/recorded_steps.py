"""Steps are right from where real trainings were: one step from each recorded state, group by group.

The oracle is the literal transcription of the method in NumPy float64. A recorded tensor has groups of all sizes side
by side, so each is judged by its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.recorded import all_recorded, recorded
from ramda_verify.cases.recorded.capture import array, tensors_of
from ramda_verify.cases.recorded.replay import replay
from ramda_verify.cases.recorded.store import RecordedStep
from ramda_verify.checks.helpers import Array
from ramda_verify.checks.kernels.steps import device_of
from ramda_verify.checks.optimizer.step_judges import criterion_fault, exact_step, group_residual, state_deviation
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from solvers.kernels import BACKENDS
from solvers.regularizers.base import accumulation_dtype


def taken(step: RecordedStep, backend: str) -> tuple[Any, torch.nn.Parameter, Array]:
    """The optimizer and the parameter after the step by ``backend``, and Ŵ."""
    made, param = replay(step, device=device_of(backend) if backend in BACKENDS else "cpu", backend=backend)
    found: list[Array] = []
    made.observers.append(lambda _, w_hat: found.append(w_hat.cpu().double().numpy()))
    made.step()
    return made, param, found[0]


def _stepped_by(*backends: str) -> Callable[[Target], st.SearchStrategy[Case]]:
    def cases(target: Target) -> st.SearchStrategy[Case]:
        available = [name for name in backends if name == "plain" or BACKENDS[name].unavailable_reason() is None]
        return st.fixed_dictionaries(
            {"step": steps_of(target.name, direct=True), "backend": st.sampled_from(available)}
        )

    return cases


def _needs_triton(target: Target) -> str | None:
    device_of("triton")
    reason = BACKENDS["triton"].unavailable_reason()
    return None if reason is None else f"the triton step cannot run here: {reason}"


STEP_CLAIM = "From a recorded state a step updates the state as the paper says, entry by entry, and mixes Ŵ into W."

RECORDED = "states, gradients and hyperparameters of real trainings"


@check(
    "recorded-kernel-step",
    claim=STEP_CLAIM,
    source=f"as step-transcription; {RECORDED}",
    kind="optimizer",
    tolerance=tolerances.KERNEL,
    cases=_stepped_by("plain", "native"),
    recorded="only",
    cost=2,
)
@check(
    "recorded-gpu-kernel-step",
    claim=STEP_CLAIM,
    source=f"as step-transcription; {RECORDED}",
    kind="optimizer",
    tolerance=tolerances.KERNEL,
    cases=_stepped_by("triton"),
    recorded="only",
    applies=_needs_triton,
    share=0.1,
    cost=4,
)
def measure_step(step: str, backend: str) -> Measurement:
    """``state_deviation`` of one step, given the kernel's own Ŵ."""
    known = recorded(step)
    made, param, w_hat = taken(known, backend)
    unit = torch.finfo(accumulation_dtype(param)).eps
    # Triton's interpreter rounds to 16 bits towards zero: by an epsilon, not half of one.
    unit_of_w = max(unit, torch.finfo(param.dtype).eps / 8)
    after = {"W": array(param), **tensors_of(made.state[param])}
    exact = exact_step(known, w_hat)
    return Measurement(*state_deviation(known, exact, after, w_hat, unit=unit, unit_of_w=unit_of_w))


RESIDUAL_CLAIM = "From a recorded state Ŵ is stationary in every group, however small it is beside the others."


@check(
    "recorded-residual",
    claim=RESIDUAL_CLAIM,
    source=f"definition of the subproblem, residual recomputed in float64; {RECORDED}",
    kind="optimizer",
    tolerance=tolerances.FLOAT32_RESIDUAL,
    cases=_stepped_by("plain", "native"),
    recorded="only",
    cost=2,
)
@check(
    "recorded-gpu-residual",
    claim=RESIDUAL_CLAIM,
    source=f"definition of the subproblem, residual recomputed in float64; {RECORDED}",
    kind="optimizer",
    tolerance=tolerances.FLOAT32_RESIDUAL,
    cases=_stepped_by("triton"),
    recorded="only",
    applies=_needs_triton,
    share=0.1,
    cost=4,
)
def measure_residual(step: str, backend: str) -> Measurement:
    """``group_residual`` of one step; a step that is not accepted fails."""
    known = recorded(step)
    made, _, w_hat = taken(known, backend)
    if made.unaccepted_steps:
        return Measurement(np.inf, f"{made.unaccepted_steps} steps were not accepted")
    return Measurement(*group_residual(known, exact_step(known, w_hat), w_hat))


def _alone(target: Target) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries({"step": steps_of(target.name, direct=False)})


@check(
    "recorded-criterion",
    claim="From a recorded state a step is accepted as (7) demands, recomputed outside the solver; Q never rises.",
    source=f"paper, eq. 7; {RECORDED}",
    kind="optimizer",
    tolerance=tolerances.EXACT,
    cases=_alone,
    recorded="only",
)
def measure_criterion(step: str) -> Measurement:
    """``criterion_fault`` of one step, by whatever steps there by default."""
    known = recorded(step)
    made, _ = replay(known)
    found: list[Array] = []
    made.observers.append(lambda _, w_hat: found.append(w_hat.numpy()))
    with made.diagnostics.recorded() as reports:
        made.step()
    (block,) = reports[0].blocks
    fault = criterion_fault(known, exact_step(known, found[0].astype(np.float64)), block, found[0])
    return Measurement(0.0 if fault is None else np.inf, fault or "")


def steps_of(optimizer: str, *, direct: bool) -> st.SearchStrategy[str]:
    """Names of the recorded steps of an optimizer; with ``direct`` those that a kernel takes."""
    names = [
        step.name
        for step in all_recorded().values()
        if step.optimizer == optimizer and (not direct or hasattr(step.regularizer, "group_norms"))
    ]
    return st.sampled_from(names)
