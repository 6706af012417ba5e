"""The optional members are true: a wrong claim is a finding as much as a wrong prox."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.exact_set import LOOSENESS, VANISHING
from ramda_verify.cases.strategies import prox_cases, seeds, subproblem_cases, tensors
from ramda_verify.checks.helpers import (
    Array,
    comparison_points,
    feasible,
    finite,
    needs,
    norm,
    psi_value,
    shown,
    size,
    tensor,
)
from ramda_verify.checks.regularizer.objective import ACCURACY, ROUNDING, ProxProblem, Psi
from ramda_verify.engine.property import Inconclusive, check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, relative
from ramda_verify.oracles.psi import has_model, model_value
from solvers.regularizers import WeightLayout
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasLayouts, HasMetricProx, Regularizer

#: The condition number of the metric in which a fixed point is asked for.
MILD = 30.0


def _chords(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: st.builds(
            lambda other, share: {"regularizer": case["regularizer"], "w": case["w"], "other": other, "share": share},
            tensors(case["w"].shape),
            st.floats(0.01, 0.99),
        )
    )


@check(
    "convex-claim",
    claim="A regularizer that says convex lies below its chords.",
    source="definition of convexity",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=_chords,
    applies=needs("convex"),
)
def measure_convex(regularizer: Regularizer, w: Array, other: Array, share: float, **_: Any) -> Measurement:
    """psi((1-a) w + a v) <= (1-a) psi(w) + a psi(v), relative to the values; between proxes where psi is infinite."""
    w, other = feasible(regularizer, w), feasible(regularizer, other)
    psi = Psi(regularizer, w.shape)
    at_w, at_other = psi.at(w), psi.at(other)
    if not (at_w < np.inf and at_other < np.inf):
        raise NothingClaimed("psi is infinite at the prox of an end of the chord: nothing lies above it")
    point = (1 - share) * w + share * other
    between, chord = psi.at(point), (1 - share) * at_w + share * at_other
    note = f"psi is {between:.6g} on the chord, whose ends average {chord:.6g}"
    if between == np.inf:
        # Rounding may put the point outside a constraint; the prox of a vanishing step is the projection on it.
        outside = finite("prox", regularizer.prox(tensor(point), VANISHING)).numpy() - point
        return Measurement(relative(size(outside), size(w, other)), note)
    return Measurement(relative(between - chord, psi.size(w) + psi.size(other)), note)


def _seeded_prox(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


@check(
    "separable-claim",
    claim="A regularizer that says separable is a sum over entries, and its prox takes one step per entry.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.ITERATIVE_PROX,
    cases=_seeded_prox,
    applies=needs("separable"),
    share=0.5,
)
def measure_separable(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """psi(w) = sum_i psi_i(w_i), and prox with one step per entry solves each entry's problem."""
    worst = Worst()
    # Where psi is infinite at zero, differences to that value say nothing.
    zero = psi_value(regularizer, np.zeros_like(w))
    if zero < np.inf:
        total = zero
        for index in range(w.size):
            alone = np.zeros_like(w)
            alone.flat[index] = w.flat[index]
            total += psi_value(regularizer, alone) - zero
        value = psi_value(regularizer, w)
        # Both may be infinite, outside a constraint.
        apart = 0.0 if value == total else relative(abs(value - total), abs(value) + abs(total))
        worst.see(apart, f"psi(w) = {value:.6g}, its entries add to {total:.6g}")
    rng = np.random.default_rng(seed)
    per_entry = step * 10.0 ** rng.uniform(-2, 2, w.shape)
    together = regularizer.prox(tensor(w), tensor(per_entry)).numpy()
    for index in range(w.size):
        alone_z = regularizer.prox(tensor(w), float(per_entry.flat[index])).numpy()
        deviation = float(abs(together.flat[index] - alone_z.flat[index]))
        note = f"entry {index} with its step {per_entry.flat[index]:.6g} differs by {deviation:.3g}"
        worst.see(relative(deviation, size(w)), note)
    return worst.measurement()


def _seeded_subproblem(target: Target) -> st.SearchStrategy[Case]:
    cases = subproblem_cases(target.instances, max_condition=1e6)
    return st.builds(lambda case, seed: {**case, "seed": seed}, cases, seeds())


@check(
    "metric-prox-claim",
    claim="metric_prox(B, D, lam) is a fixed point of proximal gradient, and no point has a lower Q.",
    source="definition of the subproblem; with a step below 1/max D its minimiser is the only fixed point there",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_seeded_subproblem,
    applies=needs("metric_prox"),
)
def measure_metric_prox(regularizer: HasMetricProx, B: Array, D: Array, lam: float, seed: int) -> Measurement:
    """metric_prox(B, D, lam) is a fixed point of proximal gradient, which shows an error in full; no point has a lower
    Q, which shows it squared, but everywhere; and with lam = 0 it is B/D.

    The fixed point is asked for in a metric of mild condition, D cut off below, where a step moves every entry.
    """
    worst, psi = Worst(), Psi(regularizer, B.shape)
    mild = np.maximum(D, D.max() / MILD)
    for metric in (D, mild):
        Z = _metric_prox(regularizer, B, metric, lam)
        centre = B / metric
        problem = ProxProblem(psi, centre, lam, Z, metric)
        for point in [*comparison_points(centre, Z, seed), *_scaled(Z, centre, metric)]:
            x, at_x = point, psi.at(point)
            worst.see(problem.excess(x, at_x), f"metric_prox returned {shown(Z)}; Q is lower at {shown(x)}")
    theta = 1.0 / float(mild.max()) * (1.0 if offers(regularizer, "convex") else 0.5)
    moved = finite("prox", regularizer.prox(tensor(Z - theta * (mild * Z - B)), theta * lam)).numpy()
    unit = ACCURACY * norm(Z - centre) + psi.rounding(Z, centre) * Z.size**0.5 + TINY
    note = f"metric_prox returned {shown(Z)}, from which a proximal gradient step leads to {shown(moved)}"
    worst.see(relative(norm(moved - Z), unit), note)
    if psi.near(centre) < np.inf:
        free = _metric_prox(regularizer, B, mild, 0.0)
        worst.see(relative(norm(free - centre), ROUNDING * norm(centre) + TINY), "with lam = 0 metric_prox is not B/D")
    return worst.measurement()


def _metric_prox(regularizer: HasMetricProx, B: Array, D: Array, lam: float) -> Array:
    found = regularizer.metric_prox(tensor(B), tensor(D), lam)
    Z = (found[0] if isinstance(found, tuple) else found).numpy()
    if Z.shape != B.shape:
        raise ArithmeticError(f"metric_prox returned shape {Z.shape} for {B.shape}")
    return finite("metric_prox", Z)


def _scaled(Z: Array, centre: Array, D: Array) -> list[Array]:
    """Moves whose length in the metric is small: towards the centre, entry by entry in the units of 1/sqrt(D)."""
    distance = np.sqrt(float((D * (Z - centre) ** 2).sum()))
    moves = []
    for index in range(Z.size):
        for sign in (1e-3, -1e-3, 1e-1, -1e-1):
            point = Z.copy()
            point.flat[index] += sign * distance / np.sqrt(D.flat[index])
            moves.append(point)
    return [*moves, Z + 1e-3 * (centre - Z), Z - 1e-3 * (centre - Z)]


@check(
    "cvxpy-value",
    claim="value equals the CVXPY model of psi, which is written apart from it.",
    source="ramda_verify/oracles/psi.py, or the regularizer's as_cvxpy",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=lambda target: prox_cases(target.instances),
    applies=lambda target: target.probe(lambda r: None if has_model(r) else "the regularizer does not offer as_cvxpy"),
    share=0.5,
)
def measure_cvxpy_value(regularizer: Regularizer, w: Array, step: float) -> Measurement:
    """psi by the CVXPY model (ours: ramda_verify/oracles, a user's: as_cvxpy) equals value, at w and, where both are
    infinite there, at prox(w).
    """
    model, value = model_value(w, regularizer), psi_value(regularizer, w)
    if model == value == np.inf:
        w = finite("prox", regularizer.prox(tensor(w), step)).numpy()
        model, value = model_value(w, regularizer), psi_value(regularizer, w)
    elif np.inf in (model, value):
        # Both may draw the edge of a set a little wider than it is.
        outside = norm(finite("prox", regularizer.prox(tensor(w), VANISHING)).numpy() - w)
        near = 0 < outside <= LOOSENESS * size(w)
        return Measurement(0.0 if near else np.inf, f"value {value:.9g}, model {model:.9g}")
    if not np.isfinite(model):
        raise Inconclusive("the CVXPY model has no value here")
    return Measurement(relative(abs(model - value), abs(model) + abs(value)), f"value {value:.9g}, model {model:.9g}")


def _layouts(target: Target) -> st.SearchStrategy[Case]:
    def with_groups(case: Case) -> st.SearchStrategy[Case]:
        divisors = [g for g in (1, 2, 3) if case["w"].shape[0] % g == 0]
        return st.sampled_from(divisors).map(
            lambda g: {"regularizer": case["regularizer"], "w": case["w"], "conv_groups": g}
        )

    return prox_cases(target.instances).filter(lambda case: case["w"].ndim > 1).flatmap(with_groups)


@check(
    "layout-claim",
    claim="for_layout gives the same psi of a linear map, whichever way its weight is stored.",
    source="definition of the layouts, entry by entry",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=_layouts,
    applies=needs("for_layout"),
    share=0.5,
    recorded="never",  # their weights lie as linear layers store them, one layout of the two,
)
def measure_layout(regularizer: HasLayouts, w: Array, conv_groups: int) -> Measurement:
    """psi of a linear map is the same number in both orders of the weight's axes."""
    orders = {"out_in": w, "in_out": in_other_order(w, conv_groups)}
    try:
        found = {
            order: regularizer.for_layout(WeightLayout(order, conv_groups), weight.shape)
            for order, weight in orders.items()
        }
    except ValueError:
        return Measurement(0.0)  # an instance with a layout of its own, or one for other shapes
    here, there = [None if r is None else float(r.value(tensor(orders[order]))) for order, r in found.items()]
    if here is None or there is None:
        return Measurement(0.0)
    deviation = 0.0 if here == there else abs(here - there) / (abs(here) + abs(there))
    return Measurement(deviation, f"psi is {here:.9g} for (out, in) and {there:.9g} for (in, out)")


def in_other_order(w: Array, conv_groups: int) -> Array:
    """A weight (out, in/g, *kernel) as (in, out/g, *kernel), entry by entry from its channel numbers."""
    outputs = w.shape[0] // conv_groups
    found = np.empty((conv_groups * w.shape[1], outputs, *w.shape[2:]))
    for out, within in np.ndindex(*w.shape[:2]):
        block = out // outputs
        found[block * w.shape[1] + within, out - block * outputs] = w[out, within]
    return found
