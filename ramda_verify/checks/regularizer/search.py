"""Searches for a better point than a prox returns: at random, by parts, downhill, and along the lines of the atoms."""

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.exact_set import with_exact_set
from ramda_verify.cases.strategies import prox_cases, seeds, subproblem_cases
from ramda_verify.checks.helpers import Array, finite, metric_prox, needs, psi_value, shown, tensor
from ramda_verify.checks.regularizer.objective import Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from ramda_verify.oracles.challenger import Challenge, challenge_prox, challenge_subproblem
from ramda_verify.oracles.naive_prox import naive_prox
from ramda_verify.oracles.psi import is_known, model_value
from solvers.regularizers.members import HasMetricProx, Regularizer

#: Line searches take some 300 evaluations an entry: larger tensors are left to the other searches.
LINE_SEARCHED = 64


def _prox(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


@check(
    "prox-search",
    claim="A search finds nothing better than prox(w, step): random moves, parts at zero, descent, line searches.",
    source="definition of the prox; ramda_verify/oracles/challenger.py and naive_prox.py",
    kind="regularizer",
    tolerance=tolerances.CHALLENGE,
    cases=_prox,
    share=0.1,
)
def measure_prox_search(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """What a search gains on prox(w, step), and for a known psi what line searches gain, relative to the objective."""
    known, regularizer = is_known(regularizer), with_exact_set(regularizer, w.shape)
    z = finite("prox", regularizer.prox(tensor(w), step).detach().numpy())
    at_z, distance = psi_value(regularizer, z), 0.5 * float(((z - w) ** 2).sum())
    if at_z == np.inf:
        raise NothingClaimed("psi is infinite at the prox, which has no objective to be compared")
    scale = distance + 2 * abs(step * at_z) + 0.5 * float((w**2).sum())
    worst = Worst()
    found = challenge_prox(lambda x: psi_value(regularizer, x), w, step, z, seed)
    rounding = step * Psi(regularizer, w.shape).value_rounding(z)
    worst.see(relative(found.improvement - rounding, scale), _better(found, z))
    if known and w.size <= LINE_SEARCHED:
        answer = naive_prox(w, step, getattr(regularizer, "inner", regularizer))
        if answer.solved and answer.objective is not None and answer.point is not None:
            gain = step * model_value(z, getattr(regularizer, "inner", regularizer)) + distance - answer.objective
            words = f"line searches find {shown(answer.point)}, lower by {gain:.3g} than {shown(z)}"
            worst.see(relative(gain, scale), words)
    return worst.measurement()


def _subproblem(target: Target) -> st.SearchStrategy[Case]:
    cases = subproblem_cases(target.instances, max_condition=1e6)
    return st.builds(lambda case, seed: {**case, "seed": seed}, cases, seeds())


@check(
    "metric-prox-search",
    claim="A search finds nothing with a lower Q than metric_prox(B, D, lam).",
    source="definition of the subproblem; ramda_verify/oracles/challenger.py",
    kind="regularizer",
    tolerance=tolerances.CHALLENGE,
    cases=_subproblem,
    applies=needs("metric_prox"),
    share=0.1,
)
def measure_metric_search(regularizer: HasMetricProx, B: Array, D: Array, lam: float, seed: int) -> Measurement:
    """What a search gains on metric_prox(B, D, lam), relative to the scale of Q."""
    Z = metric_prox(regularizer, B, D, lam)
    if psi_value(regularizer, Z) == np.inf:
        raise NothingClaimed("psi is infinite at the point, which has no objective to be compared")
    rival = challenge_subproblem(lambda x: psi_value(regularizer, x), B, D, lam, Z, seed)
    scale = abs(rival.candidate_objective) + 0.5 * float((B * B / D).sum())
    rounding = lam * Psi(regularizer, B.shape).value_rounding(Z)
    return Measurement(relative(rival.improvement - rounding, scale), _better(rival, Z))


def _better(found: Challenge, candidate: Array) -> str:
    words = f"{shown(found.point)} ({found.source}) is lower by {found.improvement:.3g} than {shown(candidate)}"
    return f"{words}, of {found.tried} points tried"
