"""On the way from prox(w, step) to w the prox stays where it is, with a step as much shorter.

For every psi, z = prox(w, s) implies prox(z + t(w - z), t*s) = {z} for 0 < t < 1: the objective there is t times that
of w plus (1 - t)/2 ||x - z||^2 and a constant. For convex psi it holds for t > 1 too, since (w - z)/s is a subgradient
at z. So a prox that is right at one step is right at all steps along the ray, and an error shows in full, where an
objective shows its square. An input e away moves the answer by no more than 2||e||/(1 - t).
"""

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.companions import LARGEST_ENTRY, within_reach
from ramda_verify.cases.strategies import prox_cases
from ramda_verify.checks.helpers import Array, finite, norm, shown, size, tensor
from ramda_verify.checks.regularizer.objective import ACCURACY, ROUNDING, STEP_ROUNDING, Psi, jitter
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

#: Shares of the way. Powers of two, by which no rounding enters, and one that is none: a step that is rounded to
#: float32 is rounded alike at all powers of two of it.
SHARES = (0.7, *(2.0**-k for k in (1, 2, 4, 7, 10, 14, 20, 30, 40)))

#: For convex psi the ray goes on beyond w.
BEYOND = tuple(2.0**k for k in (1, 4, 10, 20, 30, 40))

#: Steps that are tried.
STEPS = (1e-12, 1e12)


def _scaled(target: Target) -> st.SearchStrategy[Case]:
    exponents = st.one_of(st.just(0), st.integers(-4, 9))
    return st.builds(
        lambda case, scale, stretch: {**case, "scale": 10.0**scale, "stretch": 10.0**stretch},
        prox_cases(target.instances),
        exponents,
        exponents,
    )


@check(
    "prox-homotopy",
    claim="z = prox(w, step) implies prox(z + t(w - z), t*step) = z for 0 < t < 1; for convex psi beyond.",
    source="the prox objective at z + t(w - z) is t times that at w, plus (1 - t)/2 ||x - z||^2 and a constant",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_scaled,
)
def measure_homotopy(regularizer: Regularizer, w: Array, step: float, scale: float, stretch: float) -> Measurement:
    """The distance of prox(z + t(w - z), t*step) from z, in units of what the accuracy of a prox allows.

    w is multiplied by ``scale``, or by what leaves its entries at LARGEST_ENTRY, and the step by ``scale*stretch``
    first.
    """
    w, step = within_reach(w * scale, 1.0), min(max(step * scale * stretch, STEPS[0]), STEPS[1])
    z = _prox(regularizer, w, step)
    worst, psi = Worst(), Psi(regularizer, w.shape)
    rounding = psi.rounding(z, w - z)
    for share in (*SHARES, *(BEYOND if offers(regularizer, "convex") else ())):
        point, shorter = z + share * (w - z), share * step
        if not (STEPS[0] <= shorter <= STEPS[1] and np.abs(point).max() <= LARGEST_ENTRY):
            continue
        found = _prox(regularizer, point, shorter)
        moved = share * norm(w - z)
        # The error of z, which the ray magnifies beyond w, and the rounding of the point.
        allowed = ACCURACY * moved + max(share, 1.0) * rounding + TINY
        if not norm(found - z) <= allowed:
            shaken = jitter(regularizer, w, step, z), jitter(regularizer, point, shorter, found)
            allowed += max(share, 1.0) * shaken[0] + shaken[1]
            allowed += max(share, 1.0) * ROUNDING * psi.own_size
            allowed += STEP_ROUNDING * (max(share, 1.0) * step + shorter) * psi.slope(z, size(w))
        note = (
            f"prox({shown(w)}, {step:g}) is {shown(z)}, so prox({shown(point)}, {shorter:g}) is the same, but "
            f"{shown(found)} came back"
        )
        worst.see(relative(norm(found - z), allowed), note)
    return worst.measurement()


def _prox(regularizer: Regularizer, w: Array, step: float) -> Array:
    return finite("prox", regularizer.prox(tensor(w), step).detach().numpy())
