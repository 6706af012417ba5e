"""The prox is the minimiser that it says it is: claims about ``prox(w, step)`` and ``value(w)`` alone."""

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, comparison_points, finite, lowest, needs, psi_value, size, tensor
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import prox_cases, seeds, steps, tensors
from ramda_verify.targets import Target
from ramda_verify.worst import Worst, relative
from solvers.regularizers.base import Regularizer

PARIKH_BOYD = "Parikh and Boyd, Proximal Algorithms, 2014"


def _prox(regularizer: Regularizer, w: Array, step: float) -> Array:
    return finite("prox", regularizer.prox(tensor(w), step).detach().numpy())


def _with_seed(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


def measure_minimises(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """How far below the prox objective at prox(w, step) some other point lies, relative to its scale."""
    z = _prox(regularizer, w, step)

    def objective(x: Array) -> float:
        return step * psi_value(regularizer, x) + 0.5 * float(((x - w) ** 2).sum())

    ours = objective(z)
    rival, theirs = lowest(objective, comparison_points(w, z, seed))
    # The scale of the sum: its two terms at the points compared.
    scale = abs(ours) + abs(step * psi_value(regularizer, z)) + 0.5 * float((w**2).sum())
    note = f"prox returned {z.tolist()} with objective {ours:.6g}; {rival.tolist()} has {theirs:.6g}"
    return Measurement(relative(ours - theirs, scale), note)


def measure_optimality(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """Violation of psi(x) >= psi(z) + <(w - z)/step, x - z> over many x: whether (w - z)/step is in dpsi(z)."""
    z = _prox(regularizer, w, step)
    member, at_z = (w - z) / step, psi_value(regularizer, z)
    worst = Worst()
    for x in comparison_points(w, z, seed):
        at_x = psi_value(regularizer, x)
        if at_x == np.inf:
            continue  # outside a constraint the inequality holds whatever the subgradient
        slack = at_z + float((member * (x - z)).sum()) - at_x
        # (w - z)/step carries the rounding of w: size(w)/step is the scale of what cannot be told.
        scale = abs(at_z) + abs(at_x) + size(w) / step * float(np.abs(x - z).sum())
        note = f"(w - z)/step = {member.tolist()} is no subgradient at z = {z.tolist()}: psi at {x.tolist()} is lower"
        worst.see(relative(slack, scale), note)
    return worst.measurement()


def measure_firmly_nonexpansive(regularizer: Regularizer, w: Array, other: Array, step: float) -> Measurement:
    """||Pw - Pv||^2 <= <Pw - Pv, w - v>, relative to ||w - v||^2."""
    moved = _prox(regularizer, w, step) - _prox(regularizer, other, step)
    distance = float(((w - other) ** 2).sum())
    # Rounding of the prox is relative to its input, so it enters through the size of w and v.
    scale = distance + size(w, other) * float(np.sqrt(distance))
    excess = float((moved**2).sum() - (moved * (w - other)).sum())
    return Measurement(relative(excess, scale), f"prox moves the pair to distance {np.linalg.norm(moved):.6g}")


def measure_limits(regularizer: Regularizer, w: Array, step: float, factor: float) -> Measurement:
    """As the step grows psi(prox) must fall and ||prox - w|| grow; as it vanishes prox must approach w.

    The descent bound 1/2||z - w||^2 <= step*(psi(w) - psi(z)) gives the limit at zero with its rate; comparing with
    any x gives psi(z) <= psi(x) + ||x - w||^2/(2 step), the limit at infinity. Both hold for nonconvex psi.
    """
    worst = Worst()
    # Where psi is infinite, outside a constraint, the bounds say nothing.
    at_w, at_zero = psi_value(regularizer, w), psi_value(regularizer, np.zeros_like(w))
    previous: tuple[float, float] | None = None
    square = float((w**2).sum())
    scale_of_psi = 1e-3 * abs(at_w) if at_w < np.inf else 0.0
    rounding = 1e-3 * square
    for s in sorted({step * 1e-9, step, step * factor, step * 1e9}):
        z = _prox(regularizer, w, s)
        psi, moved = psi_value(regularizer, z), 0.5 * float(((z - w) ** 2).sum())
        worst.see(0.0 if psi < np.inf else np.inf, f"psi(prox) = {psi} at step {s:g}")
        if at_w < np.inf:
            excess = moved - s * (at_w - psi)
            worst.see(relative(excess, rounding + s * (abs(at_w) + abs(psi))), f"step {s:g}: descent fails")
        if at_zero < np.inf:
            excess = s * (psi - at_zero) - 0.5 * square + moved
            worst.see(relative(excess, square + s * abs(psi)), f"step {s:g}: zero is better than prox")
        if previous is not None:
            rise = relative(psi - previous[0], abs(psi) + abs(previous[0]) + scale_of_psi)
            worst.see(rise, f"psi(prox) rises to {psi:g} at step {s:g}")
            back = relative(previous[1] - moved, rounding + moved)
            worst.see(back, f"prox comes back towards w at step {s:g}")
        previous = psi, moved
    return worst.measurement()


def measure_value_consistency(regularizer: Regularizer, w: Array, step: float, move: Array) -> Measurement:
    """value is a 0-d tensor, finite at every prox and nowhere NaN or -inf, and the Moreau envelope that it forms with
    prox has the gradient w - prox(w).

    e(w) = min step*psi + 1/2||. - w||^2 satisfies e(w+h) - e(w) - <w - z, h> <= 1/2||h||^2 for every psi, and >= 0 for
    convex psi: value and prox belong together.
    """
    value = regularizer.value(tensor(w))
    if not isinstance(value, torch.Tensor) or value.shape != ():
        return Measurement(np.inf, f"value(w) must be a 0-d tensor, got {value!r}")
    psi_value(regularizer, w)

    def envelope(point: Array) -> tuple[float, Array]:
        z = _prox(regularizer, point, step)
        return step * psi_value(regularizer, z) + 0.5 * float(((z - point) ** 2).sum()), z

    (at_w, z), (at_moved, _) = envelope(w), envelope(w + move)
    if not (at_w < np.inf and at_moved < np.inf):
        return Measurement(np.inf, f"value is infinite at prox(w) = {z.tolist()} or at the prox of the moved point")
    curvature = at_moved - at_w - float(((w - z) * move).sum())
    bound = 0.5 * float((move**2).sum())
    scale = bound + abs(at_w) + abs(at_moved) + size(w, move) ** 2
    note = f"the envelope curves by {curvature:.6g}, allowed 0 to {bound:.6g}"
    worst = Worst()
    worst.see(relative(curvature - bound, scale), note)
    if getattr(regularizer, "convex", False):
        worst.see(relative(-curvature, scale), note)
    return worst.measurement()


def _pair(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: st.builds(lambda other: {**case, "other": other}, tensors(case["w"].shape))
    )


def _moved(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: st.builds(lambda move: {**case, "move": move}, tensors(case["w"].shape))
    )


def _factored(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, factor: {**case, "factor": 1 + factor}, prox_cases(target.instances), steps())


CHECKS = (
    Check(
        id="prox-minimises",
        claim="No other point has a lower step*psi(x) + 1/2||x - w||^2 than prox(w, step).",
        source=f"definition of the prox; {PARIKH_BOYD}, eq. 1.1",
        kind="regularizer",
        tolerance=tolerances.CHALLENGE,
        cases=_with_seed,
        measure=measure_minimises,
    ),
    Check(
        id="prox-optimality",
        claim="For convex psi, (w - prox(w, step))/step is a subgradient of psi at prox(w, step).",
        source=f"{PARIKH_BOYD}, eq. 3.4",
        kind="regularizer",
        tolerance=tolerances.SUBGRADIENT,
        cases=_with_seed,
        measure=measure_optimality,
        applies=needs("convex"),
    ),
    Check(
        id="prox-firmly-nonexpansive",
        claim="For convex psi, ||Pw - Pv||^2 <= <Pw - Pv, w - v> for P = prox(., step).",
        source=f"{PARIKH_BOYD}, section 2.3",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=_pair,
        measure=measure_firmly_nonexpansive,
        applies=needs("convex"),
    ),
    Check(
        id="prox-limits",
        claim="prox(w, step) tends to w as step -> 0 and to a minimiser of psi as step -> infinity, monotonically.",
        source="comparison of the prox objective at two points; holds for nonconvex psi",
        kind="regularizer",
        tolerance=tolerances.ITERATIVE_PROX,
        cases=_factored,
        measure=measure_limits,
    ),
    Check(
        id="value-consistency",
        claim="value is a 0-d tensor, finite at every prox, and prox is the prox of that value (envelope gradient).",
        source=f"{PARIKH_BOYD}, section 3.1",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=_moved,
        measure=measure_value_consistency,
    ),
)
