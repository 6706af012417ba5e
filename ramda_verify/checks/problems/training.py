"""A whole training is right: a small network is trained to the end, and every step of it is judged on the way."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.recorded.capture import array, before_step, counters_of, tensors_of
from ramda_verify.cases.recorded.plan import OPTIMIZERS
from ramda_verify.cases.recorded.store import RecordedStep
from ramda_verify.cases.strategies import seeds
from ramda_verify.checks.helpers import Array
from ramda_verify.checks.kernels.watched_backends import Log, watched_backends
from ramda_verify.checks.optimizer.shadow import EPS, TINY, Fault, Shadow
from ramda_verify.checks.optimizer.step_judges import criterion_fault, exact_step, state_deviation
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.problems.trainings import MLP, Run, begin, group_lasso, same
from solvers import NuclearNorm
from solvers.kernels import BACKENDS
from solvers.optimizers.diagnostics import BlockReport
from solvers.regularizers.base import offers
from solvers.regularizers.zero import Zero

#: Three stages of a hundred steps. The momentum of the last, a tenth times the root of its steps, reaches 1 at its end.
STEPS, MILESTONES, GAMMA = 300, [100, 200], 0.1

#: At the end: accuracy, where chance has a tenth, and share of structured zeros.
ACCURACY, STRUCTURE = 0.5, 0.05

#: Tolerance of the default schedule, which says what a residual may be at the first step.
FIRST_TOLERANCE = 1e-3

RUNS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "digits-ramda-group-lasso": ("ramda", group_lasso(1e-3)),
    "digits-ramda-nuclear-norm": ("ramda", same(NuclearNorm(3e-3))),
    "digits-proxgen-group-lasso": ("proxgen", group_lasso(1e-3)),
    "digits-proxgen-nuclear-norm": ("proxgen", same(NuclearNorm(1e-2))),
}


def _cases(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda seed: {"problem": target.name, "seed": seed}, seeds())


@check(
    "training-to-the-end",
    claim="In a whole training every step is accepted by (7), descends and is taken by its backend; it learns.",
    source="paper, Algorithms 1 and 3, eq. 7 and 8, appendix A.1",
    kind="problem",
    tolerance=tolerances.EXACT,
    cases=_cases,
    problems=tuple(RUNS),
    share=0.01,
    cost=50,
)
def measure_training(problem: str, seed: int) -> Measurement:
    """Infinite, with the step and the tensor, where anything about the run is not as it should be.

    Every step: who took it, its subproblem's residual against eps_t and the descent of Q in float64, state and mixing
    entry by entry. The whole run: sums, restarts and the ramp of the momentum. At the end: no step unaccepted, the
    network has learnt, structure is there, and with a momentum of 1 the weights are Ŵ.
    """
    optimizer, regularizer_of = RUNS[problem]
    cls, settings, _ = OPTIMIZERS[optimizer]
    options: dict[str, Any] = dict(settings)
    with watched_backends() as log:
        run = begin(MLP, cls, regularizer_of, milestones=MILESTONES, gamma=GAMMA, seed=seed, **options)
        try:
            _look_at_the_end(run, _follow(run, optimizer, log))
        except Fault as fault:
            return Measurement(np.inf, str(fault))
    return Measurement(0.0)


def _follow(run: Run, optimizer: str, log: Log) -> dict[torch.Tensor, Array]:
    """Train and judge every step; returns the last Ŵ of every parameter. Raises Fault."""
    parameters = [
        (name, param, group)
        for group in run.optimizer.param_groups
        for name, param in zip(group["param_names"], group["params"], strict=True)
    ]
    regularized = sum(not isinstance(group["regularizer"], Zero) for _, _, group in parameters)
    w_hats: dict[torch.Tensor, Array] = {}
    run.optimizer.observers.append(lambda param, w_hat: w_hats.update({param: array(w_hat)}))
    shadows: dict[str, Shadow] = {}
    with run.optimizer.diagnostics.recorded() as reports:
        for step in range(1, STEPS + 1):
            run.compute_gradients()
            before = {
                name: before_step(optimizer, name, param, group, run.optimizer.state.get(param, {}))
                for name, param, group in parameters
            }
            log.clear()
            run.optimizer.step()
            blocks = {block.parameter: block for block in reports[-1].blocks}
            for name, param, group in parameters:
                known, w_hat = before[name], w_hats[param]
                if step == 1:
                    hyper = {
                        key: tuple(value) if isinstance(value, list) else value for key, value in known.hyper.items()
                    }
                    shadows[name] = Shadow(optimizer, known.W, hyper, known.regularizer, MILESTONES[-1])
                shadows[name].step(known.G, w_hat.astype(np.float64))
                after = {"W": array(param), **tensors_of(run.optimizer.state[param])}
                try:
                    _judge_backend(log.backend_of(param), known)
                    _judge_step(known, after, blocks[name], w_hat)
                    _judge_tolerance(blocks[name].tolerance, shadows[name].steps_of_the_method, regularized, optimizer)
                    shadows[name].compare(after, counters_of(run.optimizer.state[param]), group)
                except Fault as fault:
                    raise Fault(f"step {step}, {name}: {fault}") from None
            run.stages.step()
            if step in MILESTONES:
                for shadow in shadows.values():
                    shadow.restart(GAMMA)
    return w_hats


def _judge_backend(found: str, known: RecordedStep) -> None:
    """The compiled step, where there is one for the regularizer and it was built."""
    compiled = offers(known.regularizer, "group_norms") and BACKENDS["native"].unavailable_reason() is None
    if found != ("native" if compiled else "plain"):
        raise Fault(f"the {found} backend took the step with {known.regularizer!r}")


def _judge_step(known: RecordedStep, after: dict[str, Array], block: BlockReport, w_hat: Array) -> None:
    exact = exact_step(known, w_hat.astype(np.float64))
    fault = criterion_fault(known, exact, block, w_hat)
    if fault is not None:
        raise Fault(fault)
    deviation, note = state_deviation(known, exact, after, w_hat, unit=EPS, unit_of_w=EPS)
    if not deviation <= tolerances.KERNEL.value:
        raise Fault(note)


def _judge_tolerance(tolerance: float, t: int, regularized: int, optimizer: str) -> None:
    """eps_t is at most the default schedule's with the learning rate of the run for its unit."""
    largest = FIRST_TOLERANCE * OPTIMIZERS[optimizer].hyperparameters["lr"] / t / math.sqrt(regularized)
    if not 0 < tolerance <= largest * (1 + 1e-9):
        raise Fault(f"eps_t is {tolerance:.6g}, at most {largest:.6g} expected")


def _look_at_the_end(run: Run, w_hats: dict[torch.Tensor, Array]) -> None:
    """No step unaccepted, something learnt, structure in W; with a momentum of 1 W is Ŵ. Raises Fault."""
    if run.optimizer.unaccepted_steps:
        raise Fault(f"{run.optimizer.unaccepted_steps} steps were not accepted")
    accuracy = run.training.accuracy(run.model) if run.training.accuracy is not None else math.nan
    if not accuracy >= ACCURACY:
        raise Fault(f"at the end {accuracy:.1%} of the digits are right")
    zeros = total = 0
    for group in run.optimizer.param_groups:
        for name, param in zip(group["param_names"], group["params"], strict=True):
            structured = np.where(np.abs(w_hats[param]) < TINY, 0.0, w_hats[param])
            if not np.array_equal(array(param), structured):
                raise Fault(f"at the end {name} is not Ŵ")
            if not isinstance(group["regularizer"], Zero):
                found = group["regularizer"].sparsity(param.detach())
                zeros, total = zeros + found[0], total + found[1]
    if not zeros >= STRUCTURE * total:
        raise Fault(f"at the end {zeros} of {total} are structured zeros")
