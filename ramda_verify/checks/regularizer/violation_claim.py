"""``violation`` is the distance to the set on which psi is finite."""

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.exact_set import LOOSENESS, VANISHING
from ramda_verify.cases.strategies import prox_cases
from ramda_verify.checks.helpers import Array, finite, needs, norm, psi_value, shown, size, tensor
from ramda_verify.checks.regularizer.objective import ACCURACY, Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, relative
from solvers.regularizers.members import HasViolation

#: Where violation is looked at, from w (0) to its projection (1) and beyond, into the set or out on another side.
PLACES = (0.0, 0.5, 1.0, 2.0, 5.0)


def _points(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).map(lambda case: {"regularizer": case["regularizer"], "w": case["w"]})


@check(
    "violation-claim",
    claim="violation(w) is the distance from w to the set on which psi is finite, 0 inside.",
    source="the contract of a regularizer; a prox with a vanishing step is the projection",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_points,
    applies=needs("violation"),
    share=0.5,
)
def measure_violation(regularizer: HasViolation, w: Array) -> Measurement:
    """violation against the distance that a vanishing step moves a point, and against value, which is infinite outside
    and finite inside, up to a tolerance of its own: at w, at its projection, between them and on the other side.
    """
    found, worst = regularizer.violation(tensor(w)), Worst()
    if not isinstance(found, torch.Tensor) or found.shape != ():
        return Measurement(np.inf, f"violation(w) must be a 0-d tensor, got {found!r}")
    projected = finite("prox", regularizer.prox(tensor(w), VANISHING)).numpy()
    for share in PLACES:
        _at(regularizer, w + share * (projected - w) if share != 1 else projected, worst)
    return worst.measurement()


def _at(regularizer: HasViolation, w: Array, worst: Worst) -> None:
    distance, value = float(regularizer.violation(tensor(w))), psi_value(regularizer, w)
    projected = finite("prox", regularizer.prox(tensor(w), VANISHING)).numpy()
    moved, unit = norm(projected - w), Psi(regularizer, w.shape).rounding(w, projected) * w.size**0.5 + TINY
    note = f"violation is {distance:.9g}, a vanishing step moves w = {shown(w)} by {moved:.9g}"
    worst.see(relative(abs(distance - moved), unit + ACCURACY * moved), note)
    if value == np.inf:
        worst.see(0.0 if distance > 0 or moved <= unit else np.inf, f"{note}, and value is infinite")
    else:
        worst.see(relative(distance, LOOSENESS * size(w) * w.size**0.5), f"{note}, and value is finite")
