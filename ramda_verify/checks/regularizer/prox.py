"""The prox is the minimiser that it says it is: claims about ``prox(w, step)`` and ``value(w)`` alone."""

from functools import partial

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, seeds, steps, tensors
from ramda_verify.checks.helpers import Array, comparison_points, finite, needs, shown, size, tensor
from ramda_verify.checks.regularizer.objective import ProxProblem, Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

PARIKH_BOYD = "Parikh and Boyd, Proximal Algorithms, 2014"


def _prox(regularizer: Regularizer, w: Array, step: float) -> Array:
    return finite("prox", regularizer.prox(tensor(w), step).detach().numpy())


def _with_seed(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


def _rivals(regularizer: Regularizer, w: Array, step: float, z: Array, seed: int) -> list[Array]:
    """Points around z and w; what prox makes of some of them, the only points of a thin set that are at hand; w moved
    as prox moves other points, which a prox that works at one size only would have to do at another; and what it makes
    of w with other signs or in another order, brought back.
    """
    points = comparison_points(w, z, seed)
    rng = np.random.default_rng(seed)
    moved = [points[index] for index in rng.permutation(len(points))[:6]]
    inputs = [(0.5 * w, step), (2 * w, step), (w, 0.5 * step), (w, 2 * step), *((point, step) for point in moved)]
    smaller = [(10.0**-k * w, step) for k in (3, 6, 9, 12)]
    answers = [(point, _prox(regularizer, point, s)) for point, s in [*inputs, *smaller]]
    signs = rng.choice((-1.0, 1.0), w.shape)
    mirrored = [-_prox(regularizer, -w, step), signs * _prox(regularizer, signs * w, step)]
    mirrored.append(np.flip(_prox(regularizer, np.flip(w).copy(), step)).copy())
    moves = [w + (answer - point) for point, answer in answers]
    return [*points, *(answer for _, answer in answers), *moves, *mirrored]


@check(
    "prox-minimises",
    claim="No other point has a lower step*psi(x) + 1/2||x - w||^2 than prox(w, step).",
    source=f"definition of the prox; {PARIKH_BOYD}, eq. 1.1",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_with_seed,
)
def measure_minimises(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """How far below the prox objective at prox(w, step) some other point lies, in units of what rounding allows."""
    return _against_rivals(regularizer, w, step, seed, convex=False)


@check(
    "prox-optimality",
    claim="For convex psi, (w - prox(w, step))/step is a subgradient of psi at prox(w, step).",
    source=f"{PARIKH_BOYD}, eq. 3.4",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_with_seed,
    applies=needs("convex"),
)
def measure_optimality(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """Violation of psi(x) >= psi(z) + <(w - z)/step, x - z> over many x: whether (w - z)/step is in dpsi(z)."""
    return _against_rivals(regularizer, w, step, seed, convex=True)


def _against_rivals(regularizer: Regularizer, w: Array, step: float, seed: int, convex: bool) -> Measurement:
    z, psi, worst = _prox(regularizer, w, step), Psi(regularizer, w.shape), Worst()
    problem = ProxProblem(psi, w, step, z)
    if problem.at_z == np.inf:
        return Measurement(np.inf, f"value is infinite at prox(w) = {shown(z)}")
    for point in _rivals(regularizer, w, step, z, seed):
        x, at_x = point, psi.at(point)
        note = partial(_no_subgradient, z, x) if convex else partial(problem.beaten_by, x)
        worst.see(problem.excess(x, at_x, convex=convex), note)
    return worst.measurement()


def _no_subgradient(z: Array, x: Array) -> str:
    return f"(w - z)/step is no subgradient at z = {shown(z)}: psi at {shown(x)} is lower"


def _pair(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: st.builds(lambda other: {**case, "other": other}, tensors(case["w"].shape))
    )


@check(
    "prox-firmly-nonexpansive",
    claim="For convex psi, ||Pw - Pv||^2 <= <Pw - Pv, w - v> for P = prox(., step).",
    source=f"{PARIKH_BOYD}, section 2.3",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=_pair,
    applies=needs("convex"),
)
def measure_firmly_nonexpansive(regularizer: Regularizer, w: Array, other: Array, step: float) -> Measurement:
    """||Pw - Pv||^2 <= <Pw - Pv, w - v>, relative to ||w - v||^2."""
    moved = _prox(regularizer, w, step) - _prox(regularizer, other, step)
    distance = float(((w - other) ** 2).sum())
    # Rounding of the prox is relative to its input, so it enters through the size of w and v.
    scale = distance + size(w, other) * float(np.sqrt(distance))
    excess = float((moved**2).sum() - (moved * (w - other)).sum())
    return Measurement(relative(excess, scale), f"prox moves the pair to distance {np.linalg.norm(moved):.6g}")


def _factored(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, factor: {**case, "factor": 1 + factor}, prox_cases(target.instances), steps())


@check(
    "prox-limits",
    claim="prox(w, step) tends to w as step -> 0 and to a minimiser of psi as step -> infinity, monotonically.",
    source="comparison of the prox objective at two points; holds for nonconvex psi",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_factored,
)
def measure_limits(regularizer: Regularizer, w: Array, step: float, factor: float) -> Measurement:
    """At steps from 1e-9 to 1e9 times the given one, prox(w, .) is no worse than at any other of them, than w and zero.

    Comparing with w gives 1/2||z - w||^2 <= step*(psi(w) - psi(z)), the limit w at zero with its rate; comparing with
    any x gives psi(z) <= psi(x) + ||x - w||^2/(2 step), the limit at infinity; comparing two steps with each other,
    that psi(z) falls and ||z - w|| grows with the step. All hold for nonconvex psi.
    """
    psi, worst = Psi(regularizer, w.shape), Worst()
    steps_taken = sorted({step * 1e-9, step, step * factor, step * 1e9})
    problems = [ProxProblem(psi, w, s, _prox(regularizer, w, s)) for s in steps_taken]
    fixed = [(point, psi.at(point)) for point in (w, np.zeros_like(w))]
    for problem in problems:
        worst.see(0.0 if problem.at_z < np.inf else np.inf, f"psi is infinite at the prox with step {problem.step:g}")
        for x, at_x in [*fixed, *((other.z, other.as_rival) for other in problems)]:
            worst.see(problem.excess(x, at_x), partial(problem.beaten_by, x))
    return worst.measurement()


def _moved(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: st.builds(lambda move: {**case, "move": move}, tensors(case["w"].shape))
    )


@check(
    "value-consistency",
    claim="value is a 0-d tensor, finite at every prox, and prox is the prox of that value (envelope gradient).",
    source=f"{PARIKH_BOYD}, section 3.1",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_moved,
)
def measure_value_consistency(regularizer: Regularizer, w: Array, step: float, move: Array) -> Measurement:
    """value is a 0-d tensor, finite at every prox and nowhere NaN or -inf, and the Moreau envelope that it forms with
    prox has the gradient w - prox(w).

    e(w) = min step*psi + 1/2||. - w||^2 satisfies e(w+h) - e(w) - <w - z, h> <= 1/2||h||^2 for every psi, and >= 0 for
    convex psi: value and prox belong together. The first compares the prox of w + h with that of w, the second asks of
    (w - z)/step to be a subgradient at z.
    """
    value = regularizer.value(tensor(w))
    if not isinstance(value, torch.Tensor) or value.shape != ():
        return Measurement(np.inf, f"value(w) must be a 0-d tensor, got {value!r}")
    psi, worst = Psi(regularizer, w.shape), Worst()
    psi.at(w)
    here, there = (ProxProblem(psi, point, step, _prox(regularizer, point, step)) for point in (w, w + move))
    if not (here.at_z < np.inf and there.at_z < np.inf):
        return Measurement(np.inf, f"value is infinite at prox(w) = {shown(here.z)} or at the prox of w + move")
    for problem, other in ((here, there), (there, here)):
        note = problem.beaten_by(other.z)
        worst.see(problem.excess(other.z, other.as_rival), note)
        if offers(regularizer, "convex"):
            worst.see(problem.excess(other.z, other.as_rival, convex=True), f"the envelope is not convex: {note}")
    return worst.measurement()
