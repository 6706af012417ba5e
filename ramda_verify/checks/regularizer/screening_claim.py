"""Where ``zero_mask`` switches, the solution has just become zero: there a mask shows that screens too much."""

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, seeds
from ramda_verify.checks.helpers import Array, finite, needs, shown, size, tensor
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from solvers.regularizers.members import HasZeroMask

#: lam from where to where, relative to the size of B.
RANGE = (1e-8, 1e8)

HALVINGS = 60

#: lam beyond the switch, relative to it.
BEYOND = (1.0, 1 + 1e-9, 1 + 1e-3, 2.0)


def _seeded(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda case, seed: {"regularizer": case["regularizer"], "w": case["w"], "seed": seed},
        prox_cases(target.instances),
        seeds(),
    )


@check(
    "screening-switch",
    claim="At the lam from which on zero_mask screens an entry, the solution of that entry is zero.",
    source="with D = 1 the solution of the subproblem is prox(B, lam); the switch is found by bisection",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=_seeded,
    applies=needs("zero_mask"),
    share=0.3,
)
def measure_switch(regularizer: HasZeroMask, w: Array, seed: int) -> Measurement:
    """The largest entry of prox(w, lam) that is screened out, relative to w, at and just above the lam at which the
    first entry, the last, and one other are screened. With the metric D = 1 that prox is the solution.
    """
    B, scale = tensor(w), size(w)
    if not np.any(w):
        raise NothingClaimed("the solution at B = 0 is zero at every lam")
    entry = int(np.random.default_rng(seed).integers(w.size))

    def mask(lam: float) -> torch.Tensor:
        found = regularizer.zero_mask(B, lam)
        return torch.broadcast_to(found, B.shape).reshape(-1)

    worst = Worst()
    for what in (torch.any, torch.all, lambda screened: screened[entry]):
        low, high = RANGE[0] * scale, RANGE[1] * scale
        if bool(what(mask(low))) or not bool(what(mask(high))):
            high = low  # no switch in the range; a mask that is true from the beginning is tried there
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if bool(what(mask(middle))) else (middle, high)
        for factor in BEYOND:
            lam = high * factor
            screened = mask(lam)
            left = finite("prox", regularizer.prox(B, lam)).reshape(-1)[screened]
            note = f"zero_mask screens {shown(left)} out of prox({shown(w)}, {lam:.17g})"
            worst.see(relative(float(left.abs().amax()) if left.numel() else 0.0, scale), note)
    return worst.measurement()
