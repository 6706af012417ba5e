"""The structure of the limit appears and stays: Theorem 3, on problems whose support is known for certain."""

from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import seeds
from ramda_verify.checks.helpers import finite, on_one_manifold, tensor
from ramda_verify.checks.optimizer.runs import CLASSES
from ramda_verify.engine.property import Inconclusive, check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, largest
from ramda_verify.oracles.logistic_optimum import OptimumStatus
from ramda_verify.problems import digits
from ramda_verify.problems.planted import Planted, plantable, planted
from solvers import Stages
from solvers.optimizers import METHODS

#: Steps of a planted run, and the share at its end in which the structure may not change any more.
STEPS, TAIL = 1000, 0.3


def _planted_cases(target: Target) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries({"problem": st.just(target.name), "seed": seeds()})


@check(
    "identification-planted",
    claim="RAMDA and RMDA reach the manifold of the known solution, and every later Ŵ stays on it.",
    source="paper, Theorem 3; RMDA: arXiv 2112.02612",
    kind="problem",
    tolerance=tolerances.IDENTIFICATION,
    cases=_planted_cases,
    problems=plantable(),
    share=0.02,  # a case is a training of 1000 steps by each method, up to half a minute; --full makes 20 of them
    cost=30,
)
def measure_planted(problem: str, seed: int) -> Measurement:
    """Share of the last steps in which Ŵ is not on the manifold of the known solution; and Ŵ ends near it.

    For every method of regularized dual averaging, which are those whose iterate is an average.
    """
    worst, unsolved = Worst(), []
    for optimizer in (name for name, method in METHODS.items() if method.record.averages):
        try:
            _run_planted(planted(problem, seed), optimizer, seed, worst)
        except Inconclusive as reason:
            unsolved.append(reason)
    if unsolved and worst.violation <= 0:
        raise unsolved[0]
    return worst.measurement()


def _run_planted(known: Planted, optimizer: str, seed: int, worst: Worst) -> None:
    param = torch.nn.Parameter(torch.zeros(known.solution.shape, dtype=torch.float64))
    made = CLASSES[optimizer]([param], lr=0.2, momentum=0.1, regularizer=known.regularizer)
    # Early, so that the noise of many steps is averaged when the structure is first looked at.
    stages = Stages(made, [STEPS // 8, STEPS // 4], gamma=0.1)
    structured: dict[str, torch.Tensor] = {}
    made.observers.append(lambda _, w_hat: structured.update(last=finite("Ŵ", w_hat)))
    gradients = known.gradients(seed)
    wanted = tensor(known.solution)
    first_tail, wrong = int(STEPS * (1 - TAIL)), 0
    for step in range(STEPS):
        param.grad = tensor(next(gradients)(param.detach().numpy()))
        made.step()
        stages.step()
        if step >= first_tail:
            wrong += not on_one_manifold(known.regularizer, structured["last"], wanted)
    if made.unaccepted_steps:
        raise Inconclusive(f"{optimizer}: {made.unaccepted_steps} inner solves were not accepted")
    error = float(np.abs(structured["last"].numpy() - known.solution).max())
    worst.see(0.0 if error <= 0.25 else np.inf, f"{optimizer}: Ŵ ends {error:.3g} away from the solution")
    share = wrong / (STEPS - first_tail)
    worst.see(share, f"{optimizer}: {wrong} of the last {STEPS - first_tail} steps off the manifold")


#: The hyperparameters of the runs on the digits.
ON_DIGITS = {"ramda": {"lr": 1e-1, "momentum": 1e-2, "eps": 1e-6}, "proxsgd": {"lr": 1.0, "momentum": 0.1}}


@cache
def _digits_run(optimizer: str, seed: int) -> digits.SupportHistory:
    return digits.train(CLASSES[optimizer], seed, **ON_DIGITS[optimizer])


def trace_digits(target: Target) -> dict[str, Any]:
    """Support over time for RAMDA and, for comparison, ProxSGD, whose support is not promised to settle."""
    return {
        "kind": "support",
        "runs": {name: vars(_digits_run(name, 0)) for name in ON_DIGITS},
    }


@check(
    "identification-digits",
    claim="On scikit-learn's digits RAMDA's Ŵ has exactly the support of the certified optimum at the end.",
    source="paper, Theorem 3; certificate: ramda_verify/oracles/logistic_optimum.py",
    kind="problem",
    tolerance=tolerances.IDENTIFICATION,
    cases=lambda target: st.builds(lambda seed: {"optimizer": "ramda", "seed": seed}, seeds()),
    problems=("digits",),
    trace=trace_digits,
    share=0.01,  # a case is a training of 180 epochs; --full makes 10 of them
    cost=100,
)
def measure_digits(optimizer: str, seed: int) -> Measurement:
    """Largest number of groups in which Ŵ's support differs from the certified one over the last 30 epochs."""
    optimum = digits.optimum()
    if optimum.status is not OptimumStatus.CERTIFIED:
        raise Inconclusive(f"the optimum is not certified: {optimum.status.value}, residual {optimum.residual:.2e}")
    history = _digits_run(optimizer, seed)
    worst = largest(history.differing[-30:])
    note = (
        f"{worst:g} of {len(optimum.margins)} groups differ; certified residual {optimum.residual:.1e}, "
        f"smallest margin of a zero group {optimum.zero_margin:.3g}"
    )
    return Measurement(worst, note)
