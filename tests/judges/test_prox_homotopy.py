"""A prox disagrees with itself on the way from its answer to its input, and beyond."""

import math
from contextlib import suppress

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer.prox_homotopy import measure_homotopy
from ramda_verify.engine.record import NothingClaimed
from tests.judges.cases import close
from tests.judges.regularizers import made

ROUNDED, LAST_DIGITS = 256 * 2.0**-52, 8 * 2.0**-52
#: Powers of two, of which products with numbers of few digits have no rounding.
ON_THE_WAY = [0.7, *(2.0**-k for k in (1, 2, 4, 7, 10, 14, 20, 30, 40))]
BEYOND = [2.0**k for k in (1, 4, 10, 20, 30, 40)]


def shrunk(w, step):
    """The prox of |w|."""
    return w.sign() * (w.abs() - step).clamp_min(0)


def wrong_at(step, error, convex=False, prox=shrunk, value=lambda w: w.abs().sum()):
    """A prox that adds an error at one step alone, a billionth more or less."""
    return made(value, lambda w, s: prox(w, s) + (error if abs(s / step - 1) < 1e-9 else 0.0), convex=convex)


@pytest.mark.parametrize("convex", [False, True])
@pytest.mark.parametrize("share", [*ON_THE_WAY, *BEYOND, 0.6])
def test_an_error_at_one_share_of_the_way_is_seen(share, convex):
    """The step is one that leaves all shares of it, and all points, within what is tried."""
    w, step = np.array([3.0, -2.0]), 1.5 if share < 1 else 2.0**-10
    tried = share in ON_THE_WAY or (convex and share in BEYOND)
    found = measure_homotopy(wrong_at(share * step, 1e-2 * max(share, 1.0), convex), w, step, 1.0, 1.0)
    assert (found.violation > 1) == tried


@pytest.mark.parametrize("convex", [False, True])
@pytest.mark.parametrize("share", [0.5, 16.0])
def test_an_error_counts_relative_to_the_move_on_the_way(share, convex):
    """w = 3 and z = 2: the accuracy is 1e-9 of the share of the way, which is 1; roundings are nothing beside it."""
    for factor in (0.5, 50.0):
        error = factor * 1e-9 * share
        found = measure_homotopy(wrong_at(share, error, convex), np.array([3.0]), 1.0, 1.0, 1.0)
        if share > 1 and not convex:
            assert found.violation < 0.1
        else:
            assert found.violation == close(factor, rel=1e-2)


@pytest.mark.parametrize("factor", [0.7, 1.5])
@pytest.mark.parametrize(("share", "magnified"), [(2.0**-7, 1.0), (16.0, 16.0)])
def test_where_nothing_moves_roundings_of_answer_and_move_and_of_the_anchor_are_allowed(share, magnified, factor):
    """psi = 0 with an anchor of 5: as a prox that returns its input, but for one step."""

    def prox(w, step):
        return torch.where(w == 0, 5.0, w)

    allowed = magnified * ROUNDED * (8.0 + 5.0)
    regularizer = wrong_at(share, factor * allowed, True, prox, lambda w: 0.0)
    found = measure_homotopy(regularizer, np.array([8.0]), 1.0, 1.0, 1.0)
    if factor < 1:
        assert found.violation == close(factor, rel=1e-2)
        return
    # The digits of both inputs, which are four roundings of 8 each; and psi's own size, which is the anchor.
    digits = (magnified + 1) * 4 * 2.0**-52 * 8.0
    assert found.violation == close(factor * allowed / (allowed + digits + magnified * ROUNDED * 5.0), rel=1e-3)


@pytest.mark.parametrize(("share", "magnified"), [(0.5, 1.0), (1024.0, 1024.0)])
def test_where_an_answer_is_off_the_rounding_of_the_step_is_allowed_as_psi_is_steep(share, magnified):
    """psi = |w| of slope 1 and a prox that is 2 everywhere: wrong by much more than is allowed."""
    still = made(
        lambda w: w.abs().sum(),
        lambda w, s: torch.full_like(w, 2.0 + (1e-3 if abs(s / (1e4 * share) - 1) < 1e-9 else 0.0)),
        convex=True,
    )
    found = measure_homotopy(still, np.array([2.0]), 1e4, 1.0, 1.0)
    allowed = magnified * ROUNDED * (2.0 + 2.0 + 2.0)  # of the answer, of the anchor and of psi's own size
    allowed += LAST_DIGITS * 1e4 * (magnified + share)
    assert found.violation == close(1e-3 / allowed, rel=1e-3)


@pytest.mark.parametrize(
    ("scale", "stretch", "point", "step"),
    [
        (1.0, 1.0, 3.0, 0.5),
        (10.0, 1.0, 30.0, 5.0),
        (1.0, 100.0, 3.0, 50.0),
        (1e-4, 1e3, 3e-4, 0.05),
        (1e9, 1e9, 3e9, 1e12),
        (1e-9, 1e-9, 3e-9, 1e-12),
        (1e15, 1.0, 1e12, 1e12),
        (1e15, 1e-8, 1e12, 5e6),
    ],
)
def test_input_and_step_are_multiplied_and_kept_within_reach(scale, stretch, point, step):
    first = []

    def prox(w, s):
        first.append((float(w[0]), s))
        return w / 2

    measure_homotopy(made(prox=prox, convex=True), np.array([3.0]), 0.5, scale, stretch)
    inputs = [given for given in first if given[0] != 0.0]
    assert inputs[0] == (close(point, rel=1e-12), close(step, rel=1e-12))


@pytest.mark.parametrize("step", [1e-12, 3.0, 1e12])
@pytest.mark.parametrize("w", [3.0, 1e12, 9e11])
def test_no_step_and_no_point_out_of_reach_is_tried(step, w):
    """But one on the edge is: at a step of 1e-12 those beyond w, at 1e12 those on the way."""
    seen = []

    def prox(x, s):
        seen.append((float(x[0]), s))
        return torch.full_like(x, 0.5 * w)

    with suppress(NothingClaimed):
        measure_homotopy(made(prox=prox, convex=True), np.array([w]), step, 1.0, 1.0)
    for share in (*ON_THE_WAY, *BEYOND):
        point = 0.5 * w + share * 0.5 * w
        reached = 1e-12 <= share * step <= 1e12 and point <= 1e12
        assert ((point, share * step) in seen) == reached
    assert all(1e-12 <= s <= 1e12 and abs(x) <= 1e12 for x, s in seen)


def test_a_point_and_a_step_on_the_edge_of_what_is_tried():
    tried = []

    def prox(x, s):
        tried.append((float(x[0]), s))
        return torch.zeros_like(x)

    for w, step in ((0.5e12, 0.5e12), (1.0, 2e-12), (0.5e12 + 1.0, 0.5), (0.5, 0.5e12 + 1)):
        with suppress(NothingClaimed):
            measure_homotopy(made(prox=prox, convex=True), np.array([w]), step, 1.0, 1.0)
    assert {(1e12, 1e12), (0.5, 1e-12)} <= set(tried)
    assert max(s for _, s in tried) == 1e12
    assert max(x for x, _ in tried) <= 1e12


def test_the_sentence_names_both_calls_and_both_answers():
    words = measure_homotopy(wrong_at(0.25, 0.5), np.array([3.0]), 1.0, 1.0, 1.0).note
    assert all(part in words for part in ("[3.0], 1)", "[2.0]", "[2.25], 0.25)", "[2.5] came back"))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_on_the_way_is_a_finding(bad):
    with pytest.raises(ArithmeticError, match="prox"):
        measure_homotopy(wrong_at(0.25, bad), np.array([3.0]), 1.0, 1.0, 1.0)
