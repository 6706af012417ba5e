"""psi is what its members say of it: convex, a sum over entries, equal to its model."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.exact_set import LOOSENESS, VANISHING
from ramda_verify.cases.strategies import prox_cases, seeds, tensors
from ramda_verify.checks.helpers import (
    Array,
    feasible,
    finite,
    needs,
    norm,
    psi_value,
    size,
    tensor,
)
from ramda_verify.checks.regularizer.objective import Psi
from ramda_verify.engine.property import Inconclusive, check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from ramda_verify.oracles.psi import has_model, model_value
from solvers.regularizers.members import Regularizer


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
    scale = abs(at_w) + abs(at_other)
    if between - chord > tolerances.CLOSED_FORM.value * scale:
        scale = psi.size(w) + psi.size(other)
    return Measurement(relative(between - chord, scale), note)


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
