"""The derivative that comes with a prox is that of the prox: Newton's method is only as fast as it is true."""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, seeds
from ramda_verify.checks.helpers import Array, finite, needs, norm, tensor
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative

#: Steps of the differences, in units of the largest entry, and how far from w they are taken, in the same units.
DIFFERENCES = (1e-4, 1e-6)

ASIDE = 1e-2

PLACES = 4


def _seeded(target: Target) -> st.SearchStrategy[Case]:
    return prox_cases(target.instances).flatmap(lambda case: seeds().map(lambda seed: {**case, "seed": seed}))


@check(
    "prox-derivative",
    claim="prox_with_derivative gives the prox and a symmetric derivative between 0 and 1, that of the prox.",
    source="the contract of a regularizer; Qi and Sun, 1993",
    kind="regularizer",
    tolerance=tolerances.DERIVATIVE,
    cases=_seeded,
    applies=needs("prox_with_derivative"),
    share=0.3,
)
def measure_derivative(regularizer: Any, w: Array, step: float, seed: int) -> Measurement:
    """``point`` is prox(w, step); at w the derivative is symmetric, between 0 and 1 and its ``gain`` too; and at one of
    a few points beside w at least it agrees with differences of prox: at others a kink may lie between.
    """
    generator, worst = np.random.default_rng(seed), Worst()
    unit = float(np.abs(w).max()) or 1.0
    G, H = (generator.standard_normal(w.shape) for _ in range(2))
    G, H = G / norm(G), H / norm(H)
    here = regularizer.prox_with_derivative(tensor(w), step)
    apart = finite("point", here.point) - regularizer.prox(tensor(w), step)
    worst.see(float(apart.abs().max()) / unit, "point is not prox(w, step)")
    images = {name: _image(here, direction) for name, direction in (("G", G), ("H", H))}
    crossed = float((G * images["H"]).sum() - (H * images["G"]).sum())
    worst.see(abs(crossed), f"<G, J H> - <H, J G> = {crossed:.3g} for G and H of norm 1")
    quotient = float((H * images["H"]).sum())
    worst.see(max(-quotient, quotient - 1), f"<H, J H> = {quotient:.6g} for H of norm 1")
    worst.see(max(-float(here.gain), float(here.gain) - 1), f"gain is {here.gain}")
    errors = []
    for _ in range(PLACES):
        beside = w + ASIDE * unit * generator.standard_normal(w.shape)
        image = _image(regularizer.prox_with_derivative(tensor(beside), step), H)
        errors += [norm(image - _difference(regularizer, beside, step, H, h * unit)) for h in DIFFERENCES]
    worst.see(relative(min(errors), 1.0), f"J H is {min(errors):.3g} from the difference of prox, at the best point")
    return worst.measurement()


def _image(prox: Any, direction: Array) -> Array:
    found: Tensor = prox.derivative(tensor(direction))
    return finite("derivative", found).numpy()


def _difference(regularizer: Any, w: Array, step: float, H: Array, h: float) -> Array:
    ends = [finite("prox", regularizer.prox(tensor(w + sign * h * H), step)) for sign in (1, -1)]
    return torch.sub(*ends).numpy() / (2 * h)
