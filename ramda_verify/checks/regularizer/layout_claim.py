"""for_layout keeps psi of a linear map, however its weight is stored."""

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases
from ramda_verify.checks.helpers import Array, needs, tensor
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from solvers.regularizers import WeightLayout
from solvers.regularizers.members import HasLayouts


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
