"""A broken enclosure is seen: on subproblems with rational solutions each of these states something that is not so."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.enclosure import balls, bound, norm, scalar, simplex, spectral
from ramda_verify.oracles.enclosure.part import Member
from tests.oracles.exact_problems import PROBLEMS, contradictions, points

#: ``enclose`` as the name of the package hides the module.
MODULE = __import__("sys").modules["ramda_verify.oracles.enclosure.enclose"]
RIGHT = {
    "norm": norm.NormPart.member,
    "scalar": scalar.ScalarPart.member,
    "simplex": simplex.SimplexPart.member,
    "spectral": spectral.SpectralPart.member,
    "slack": spectral.SpectralPart._slack,
    "bound": bound.bound,
    "length": balls.length,
    "NormPart": norm.NormPart.__init__,
}


def member(name, change):
    """A subgradient that is changed after it was found."""
    return lambda self, y, v: change(RIGHT[name](self, y, v), y, v)


def nothing(found, y, v):
    return Member([entry * 0 for entry in found.u], found.slack, found.nearest)


def whatever_is_wanted(found, y, v):
    return Member(list(v), found.slack, True)


def shorter(found, y, v):
    """The right one, a part in 10^6 too short."""
    return Member([entry * (1 - 1e-6) for entry in found.u], found.slack, found.nearest)


def of_the_largest(s, d, slack, blocks):
    """Strong convexity with the largest entry of D."""
    found = RIGHT["bound"](s, d, slack, blocks)
    top, low = max(d, key=float), min(d, key=float)
    return found._replace(square=found.square * low / top)


def a_quarter(s, d, slack, blocks):
    """``1/2 ||s||^2/mu`` once too often halved."""
    found = RIGHT["bound"](s, d, slack, blocks)
    return bound.Bound(found.square / 4, found.metric_square / 4, found.gap / 4)


def price_in_float32(self, atom, lam):
    RIGHT["NormPart"](self, atom, lam)
    self.price = balls.flint.arb(float(np.float32(float(self.price)) * np.float32(0.999)))


MUTANTS = {
    "norm forgotten": (norm.NormPart, "member", member("norm", nothing)),
    "norm without its ball": (norm.NormPart, "member", member("norm", whatever_is_wanted)),
    "norm a little short": (norm.NormPart, "member", member("norm", shorter)),
    "price rounded": (norm.NormPart, "__init__", price_in_float32),
    "scalar forgotten": (scalar.ScalarPart, "member", member("scalar", nothing)),
    "scalar without bounds": (scalar.ScalarPart, "member", member("scalar", whatever_is_wanted)),
    "scalar a little short": (scalar.ScalarPart, "member", member("scalar", shorter)),
    "normals without a sign": (simplex.SimplexPart, "member", member("simplex", whatever_is_wanted)),
    "simplex not entered": (simplex.SimplexPart, "nearby", lambda self, z: None),
    "singular values without a bound": (spectral.SpectralPart, "member", member("spectral", whatever_is_wanted)),
    "singular values forgotten": (spectral.SpectralPart, "member", member("spectral", nothing)),
    "largest entry of D": (MODULE, "bound", of_the_largest),
    "a quarter": (MODULE, "bound", a_quarter),
    "move forgotten": (MODULE, "length", lambda entries: RIGHT["length"](entries) / 2),
    "rounded down": (MODULE, "above", lambda ball: math.nextafter(balls.below(ball.upper()), 0.0) * (1 - 1e-9)),
}


def found_wrong(seeds=range(8)):
    """The first contradiction, None where there is none."""
    for seed in seeds:
        for make in PROBLEMS:
            random = np.random.default_rng(seed)
            problem = make(random)
            for Z in points(problem, random):
                if contradictions(problem, Z):
                    return contradictions(problem, Z)
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_enclosure_contradicts_a_known_solution(name, monkeypatch):
    holder, attribute, wrong = MUTANTS[name]
    monkeypatch.setattr(holder, attribute, wrong)
    assert found_wrong() is not None
