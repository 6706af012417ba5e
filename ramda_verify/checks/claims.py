"""Are the optional members true? A wrong claim is a finding as much as a wrong prox."""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, comparison_points, needs, size, tensor
from ramda_verify.oracles import psi_oracle
from ramda_verify.property import Check, Inconclusive
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import prox_cases, seeds, subproblem_cases, tensors
from ramda_verify.targets import Target
from solvers.regularizers import WeightLayout
from solvers.regularizers.base import offers


def measure_convex(regularizer: Any, w: Array, other: Array, share: float, **_: Any) -> Measurement:
    """psi((1-a) w + a v) <= (1-a) psi(w) + a psi(v), relative to the values."""
    at_w, at_other, between = (
        float(regularizer.value(tensor(point))) for point in (w, other, (1 - share) * w + share * other)
    )
    chord = (1 - share) * at_w + share * at_other
    if not np.isfinite(chord):
        return Measurement(0.0)
    scale = abs(at_w) + abs(at_other) + np.finfo(float).tiny
    return Measurement((between - chord) / scale, f"psi is {between:.6g} on the chord, whose ends average {chord:.6g}")


def measure_separable(regularizer: Any, w: Array, step: float, seed: int) -> Measurement:
    """psi(w) = sum_i psi_i(w_i), and prox with one step per entry solves each entry's problem."""
    zero = float(regularizer.value(tensor(np.zeros_like(w))))
    total = zero
    for index in range(w.size):
        alone = np.zeros_like(w)
        alone.flat[index] = w.flat[index]
        total += float(regularizer.value(tensor(alone))) - zero
    value = float(regularizer.value(tensor(w)))
    # Both may be infinite, outside a constraint.
    worst = 0.0 if value == total else abs(value - total) / (abs(value) + abs(total) + np.finfo(float).tiny)
    note = f"psi(w) = {value:.6g}, its entries add to {total:.6g}"
    rng = np.random.default_rng(seed)
    per_entry = step * 10.0 ** rng.uniform(-2, 2, w.shape)
    together = regularizer.prox(tensor(w), tensor(per_entry)).numpy()
    for index in range(w.size):
        alone_z = regularizer.prox(tensor(w), float(per_entry.flat[index])).numpy()
        deviation = abs(together.flat[index] - alone_z.flat[index]) / size(w)
        if not deviation <= worst:
            worst, note = (
                deviation,
                f"entry {index} with its step {per_entry.flat[index]:.6g} differs by {deviation:.3g}",
            )
    return Measurement(worst, note)


def measure_metric_prox(regularizer: Any, B: Array, D: Array, lam: float, seed: int) -> Measurement:
    """No point has a lower Q than metric_prox(B, D, lam), relative to the scale of Q."""
    found = regularizer.metric_prox(tensor(B), tensor(D), lam)
    Z = (found[0] if isinstance(found, tuple) else found).numpy()
    if Z.shape != B.shape:
        return Measurement(np.inf, f"metric_prox returned shape {Z.shape} for {B.shape}")

    # Q plus 1/2<B, B/D>, in the form that does not cancel: 1/2<Z - B/D, D*(Z - B/D)> + lam*psi.
    def objective(point: Array) -> float:
        return 0.5 * float((D * (point - B / D) ** 2).sum()) + lam * float(regularizer.value(tensor(point)))

    ours = objective(Z)
    best = min([*comparison_points(B / D, Z, seed), *_scaled(Z, B / D, D)], key=objective)
    gap = ours - objective(best)
    scale = abs(ours) + 0.5 * float((B * B / D).sum()) + np.finfo(float).tiny
    note = f"metric_prox returned {Z.tolist()}; {best.tolist()} is lower by {gap:.3g}"
    return Measurement(gap / scale if np.isfinite(ours) else np.inf, note)


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


def measure_structure(regularizer: Any, w: Array, step: float) -> Measurement:
    """structure answers the same for the same point in other memory, and prox near a prox point keeps its structure.

    The prox of a partly smooth psi at w stays on one manifold for w in the relative interior; for a point produced by
    prox, its own prox with a vanishing step must not lose zeros that it has.
    """
    z = regularizer.prox(tensor(w), step)
    named = regularizer.structure(z)
    if not isinstance(named, torch.Tensor):
        return Measurement(np.inf, f"structure must return a tensor, got {type(named).__name__}")
    again = regularizer.structure(z.clone())
    if not torch.equal(named, again):
        return Measurement(np.inf, "structure names the same point in two ways")
    if offers(regularizer, "sparsity"):
        zeros, total = regularizer.sparsity(z)
        at_zero, _ = regularizer.sparsity(torch.zeros_like(z))
        if not 0 <= zeros <= total:
            return Measurement(np.inf, f"sparsity says {zeros} structured zeros of {total}")
        if at_zero != total:
            return Measurement(np.inf, f"sparsity says {at_zero} of {total} at zero")
        same = torch.equal(named, regularizer.structure(torch.zeros_like(z)))
        if same != (zeros == total):
            return Measurement(np.inf, f"structure and sparsity disagree: {zeros} of {total} at {z.tolist()}")
    return Measurement(0.0)


def measure_cvxpy_value(regularizer: Any, w: Array, step: float) -> Measurement:
    """psi by the CVXPY model (ours: ramda_verify/oracles, a user's: as_cvxpy) equals value."""
    model = psi_oracle.model_value(w, regularizer)
    if not np.isfinite(model):
        raise Inconclusive("the CVXPY model has no value here")
    value = float(regularizer.value(tensor(w)))
    return Measurement(
        abs(model - value) / (abs(model) + abs(value) + np.finfo(float).tiny), f"value {value:.9g}, model {model:.9g}"
    )


def measure_layout(regularizer: Any, w: Array, conv_groups: int) -> Measurement:
    """psi of a linear map is the same number in both orders of the weight's axes."""
    orders = {"out_in": w, "in_out": in_other_order(w, conv_groups)}
    try:
        found = {
            order: regularizer.for_layout(WeightLayout(order, conv_groups), weight.shape)
            for order, weight in orders.items()
        }
    except ValueError:
        return Measurement(0.0)  # an instance with a layout of its own, or one for other shapes
    if None in found.values():
        return Measurement(0.0)
    here, there = (float(found[order].value(tensor(weight))) for order, weight in orders.items())
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


def _layouts(target: Target) -> st.SearchStrategy[Case]:
    def with_groups(case: Case) -> st.SearchStrategy[Case]:
        divisors = [g for g in (1, 2, 3) if case["w"].shape[0] % g == 0]
        return st.sampled_from(divisors).map(
            lambda g: {"regularizer": case["regularizer"], "w": case["w"], "conv_groups": g}
        )

    return prox_cases(target.instances).filter(lambda case: case["w"].ndim > 1).flatmap(with_groups)


def _chords(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(
        lambda case: st.builds(
            lambda other, share: {"regularizer": case["regularizer"], "w": case["w"], "other": other, "share": share},
            tensors(case["w"].shape),
            st.floats(0.01, 0.99),
        )
    )


def _seeded_prox(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


def _seeded_subproblem(target: Target) -> st.SearchStrategy[Case]:
    cases = subproblem_cases(target.instances, max_condition=1e6)
    return st.builds(lambda case, seed: {**case, "seed": seed}, cases, seeds())


CHECKS = (
    Check(
        id="convex-claim",
        claim="A regularizer that says convex lies below its chords.",
        source="definition of convexity",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=_chords,
        measure=measure_convex,
        applies=needs("convex"),
    ),
    Check(
        id="separable-claim",
        claim="A regularizer that says separable is a sum over entries, and its prox takes one step per entry.",
        source="the contract of a regularizer",
        kind="regularizer",
        tolerance=tolerances.ITERATIVE_PROX,
        cases=_seeded_prox,
        measure=measure_separable,
        applies=needs("separable"),
        share=0.5,
    ),
    Check(
        id="metric-prox-claim",
        claim="No point has a lower Q than metric_prox(B, D, lam).",
        source="definition of the subproblem",
        kind="regularizer",
        tolerance=tolerances.CHALLENGE,
        cases=_seeded_subproblem,
        measure=measure_metric_prox,
        applies=needs("metric_prox"),
    ),
    Check(
        id="structure-claim",
        claim="structure names a manifold consistently and agrees with sparsity.",
        source="the contract of a regularizer",
        kind="regularizer",
        tolerance=tolerances.EXACT,
        cases=lambda target: prox_cases(target.instances),
        measure=measure_structure,
        applies=needs("structure"),
        share=0.5,
    ),
    Check(
        id="layout-claim",
        claim="for_layout gives the same psi of a linear map, whichever way its weight is stored.",
        source="definition of the layouts, entry by entry",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=_layouts,
        measure=measure_layout,
        applies=needs("for_layout"),
        share=0.5,
    ),
    Check(
        id="cvxpy-value",
        claim="value equals the CVXPY model of psi, which is written apart from it.",
        source="ramda_verify/oracles/cvxpy_models.py, or the regularizer's as_cvxpy",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=lambda target: prox_cases(target.instances),
        measure=measure_cvxpy_value,
        applies=lambda target: target.probe(
            lambda r: None if psi_oracle.has_model(r) else "no CVXPY model (as_cvxpy) to compare with"
        ),
        share=0.5,
    ),
)
