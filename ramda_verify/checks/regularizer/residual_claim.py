"""``subgradient_residual`` for every psi, convex or not: what a prox proves of it, and what psi itself does not allow.

At Z = prox(w, lam) the vector w - Z lies in lam*dpsi(Z), so the residual of G = Z - w is zero, and that of a G which
is e away is no longer than e. At any point a residual r claims that r - G lies in lam*dpsi(Z): psi may then nowhere
fall below that slope to first order, which the difference quotients at two small distances show.
"""

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, seeds
from ramda_verify.checks.helpers import Array, finite, needs, norm, shown, size, tensor
from ramda_verify.checks.regularizer.objective import ACCURACY, EPS, ROUNDING, Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, relative
from solvers.regularizers.members import HasSubgradientResidual

Rng = np.random.Generator

#: Distances, relative to the point, at which slopes are compared: what is true of a slope stays at all of them.
DISTANCES = (1e-4, 1e-6)

#: More of them, where psi still has the digits, as it may bend at a scale of its own, far below that of the point: the
#: first two are tried relative to that scale as well.
SMALLER_DISTANCES = (1e-8, 1e-10, 1e-12)

#: Share of ||s|| + ||G|| by which a quotient may fall short: curvature times a distance.
STEEPNESS = 1e-2

#: Where a residual is too long, Z is moved by a few roundings, so many times in each of two ways; it may be so many
#: times longer by that.
MOVES, JITTERS = 8, 8

#: Sizes of the e by which G is wrong, relative to w - Z.
ERRORS = (0.0, 1e-3, 1.0, 1e3)


def _seeded(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


@check(
    "residual-claim",
    claim="subgradient_residual is as short as prox proves that it can be, and psi allows the slope it claims.",
    source="optimality of the prox; definition of a subgradient to first order, for nonconvex psi too",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_seeded,
    applies=needs("subgradient_residual"),
    share=0.5,
)
def measure_residual(regularizer: HasSubgradientResidual, w: Array, step: float, seed: int) -> Measurement:
    """The larger of both violations, in units of what the accuracy of the prox allows; a quotient's in STEEPNESS."""
    rng, worst, psi = np.random.default_rng(seed), Worst(), Psi(regularizer, w.shape)
    Z = finite("prox", regularizer.prox(tensor(w), step)).numpy()
    member = w - Z
    slack = ACCURACY * norm(member) + psi.rounding(w, Z) * w.size**0.5
    direction = rng.standard_normal(w.shape)
    unit = size(member) if np.any(member) else 1.0
    for share in ERRORS:
        error = share * unit * direction
        found = _residual(regularizer, Z, error - member, step)
        excess = norm(found) - norm(error)
        if excess > slack:
            excess -= JITTERS * _jitter(regularizer, w, Z, error - member, step, found, rng)
        note = f"||r|| = {norm(found):.6g} at Z = {shown(Z)}, where w - Z is {norm(error):.3g} away from -G"
        worst.see(relative(excess, slack + ROUNDING * norm(error) + TINY), note)
        _slopes(psi, Z, found - (error - member), norm(error) + norm(member), step, rng, worst)
    away = w if psi.at(w) < np.inf else Z
    gradient = direction * size(w)
    _slopes(psi, away, _residual(regularizer, away, gradient, step) - gradient, norm(gradient), step, rng, worst)
    return worst.measurement()


def _jitter(
    regularizer: HasSubgradientResidual, w: Array, Z: Array, G: Array, lam: float, found: Array, rng: Rng
) -> float:
    """How far the residual moves where the entries of Z move by a rounding: a singular value barely above zero leaves
    its singular vectors undetermined, and w - Z is a member at the exact Z, not at the one that was rounded. As a prox
    that decomposes a matrix rounds small entries as coarsely as the largest one, Z moves to proxes beside w as well.
    Some moves hardly show what the residual itself loses in a decomposition; of as many as these one does.
    """
    moves = []
    for _ in range(MOVES):
        moves.append(Z * (1 + EPS * rng.integers(-2, 3, Z.shape)))
        beside = tensor(w + EPS * size(w) * rng.integers(-2, 3, w.shape))
        moves.append(finite("prox", regularizer.prox(beside, lam)).numpy())
    return max(norm(_residual(regularizer, moved, G, lam) - found) for moved in moves)


def _residual(regularizer: HasSubgradientResidual, Z: Array, G: Array, lam: float) -> Array:
    return finite("subgradient_residual", regularizer.subgradient_residual(tensor(Z), tensor(G), lam)).numpy()


def _slopes(
    psi: Psi, Z: Array, slope: Array, size_of_G: float, lam: float, rng: np.random.Generator, worst: Worst
) -> None:
    """psi(Z + h*d) >= psi(Z) + h<slope, d>/lam - o(h) in a few directions d of length 1."""
    here, scale = psi.at(Z), size(Z) if np.any(Z) else psi.own_size or 1.0
    usual = [distance * scale for distance in DISTANCES]
    smaller = [distance * scale for distance in SMALLER_DISTANCES] + [share * psi.own_size for share in DISTANCES]
    smaller = sorted({h for h in smaller if 0 < h < usual[-1]}, reverse=True)
    directions = [rng.standard_normal(Z.shape), slope, -slope, *_single(Z, rng)]
    unit = STEEPNESS * (norm(slope) + size_of_G) + TINY
    for direction in directions:
        if not norm(direction):
            continue
        d = direction / norm(direction)
        short: list[float] = []
        before: tuple[float, float] | None = None
        for h in (*usual, *smaller):
            there = psi.at(Z + h * d)
            if there == np.inf:
                short.append(0.0)
                before = None
                continue
            noise = ROUNDING * lam * (abs(here) + abs(there) + psi.size(Z)) / h
            seen = 0.0 if before is None else STEEPNESS * abs(before[1])
            if h < usual[-1] and noise > max(unit, seen):
                break
            # The move that was made: of the one that was meant, rounding takes the digits below those of Z.
            missing = (float((slope * (Z + h * d - Z)).sum()) - lam * (there - here)) / h
            short.append(relative(missing, unit + noise))
            if before is not None:
                # What shrinks in proportion to the distance is the curvature of psi: its limit at zero counts as well,
                # also where the slope and G are zero, and with them the unit.
                limit = (missing * before[0] - before[1] * h) / (before[0] - h)
                short.append(relative(limit, unit + noise))
            before = h, missing
        # The excess over one unit, so that the tolerance is that of the other claims.
        note = f"at Z = {shown(Z)} psi falls below the slope r - G = {shown(slope)} in direction {shown(d)}"
        worst.see(min(short), note)


def _single(Z: Array, rng: np.random.Generator) -> list[Array]:
    """A single entry, both ways."""
    entry = np.zeros_like(Z)
    entry.flat[int(rng.integers(Z.size))] = 1.0
    return [entry, -entry]
