"""Masks that screen too much at one lam alone, distances to a set that are wrong at one place, and traits of psi."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from ramda_verify.checks.regularizer import traits
from ramda_verify.engine.record import NothingClaimed
from ramda_verify.oracles.psi import atoms_of
from solvers import L1, MCP, GroupLasso, NuclearNorm, SparseGroupLasso
from solvers.regularizers import MetricProx
from solvers.regularizers.simplex import Simplex
from tests.judges.regularizers import Made, zero

ROUNDINGS = 256 * 2.0**-52


def soft(w, step):
    return torch.where(w.abs() > step, w - w.sign() * step, 0.0)


def switch(zero_mask, w, seed=0, prox=soft):
    regularizer = Made(lambda w: w.abs().sum(), prox, zero_mask=zero_mask)
    return measure("screening-switch", regularizer=regularizer, w=np.array(w), seed=seed)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_a_mask_that_screens_what_is_zero_is_right(scale, seed):
    w = scale * np.array([[1.0, -2.0], [0.0, 4.0]])
    assert switch(lambda B, lam: B.abs() <= lam, w, seed).violation <= 1e-15


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("size", [1.0, 2.0, 4.0])
def test_an_entry_screened_too_early_is_left_over(scale, size):
    """The smallest where any is screened, the largest where all are, the one between where a seed has drawn it; at
    lam = 4/5 of the entry a fifth of it is left, relative to the largest.
    """
    w = scale * np.array([1.0, -2.0, 4.0])

    def early(B, lam):
        return B.abs() <= (1 + 0.25 * ((B.abs() / scale).round() == size).double()) * lam

    found = [switch(early, w, seed) for seed in range(6)]
    worst = np.max([one.violation for one in found])  # NaN where one is
    assert worst == pytest.approx(size / 5 / 4, rel=1e-9)
    if size != 2.0:
        assert np.min([one.violation for one in found]) == worst
    assert any("zero_mask screens [" in one.note for one in found)


@pytest.mark.parametrize(
    ("low", "high"),
    [(1.0, 1 + 1e-12), (1 + 5e-10, 1 + 5e-9), (1 + 5e-4, 1 + 5e-3), (1.9, 2.1)],
    ids=lambda v: f"{v:.3g}",
)
def test_a_mask_is_tried_at_its_switch_just_beyond_and_twice_as_far(low, high):
    """Between two multiples of the first switch it screens all, of which up to 99 in a hundred is left."""
    w = [1.0, 100.0]
    found = switch(lambda B, lam: (B.abs() <= lam) | (low <= lam <= high), w, seed=1)
    assert found.violation == pytest.approx(0.985, abs=0.006)


@pytest.mark.parametrize("at", [1e-7, 1e7])
def test_a_switch_is_found_far_from_the_size_of_the_entries(at):
    """A mask of all entries at once; at lam = at*4 the prox, which knows no lam, leaves all of them."""
    found = switch(lambda B, lam: torch.tensor(lam >= 4 * at), [1.0, 4.0], prox=lambda w, step: w * (step < 5 * at))
    assert found.violation == 1.0


def test_a_mask_without_a_switch_is_tried_at_the_least_lam():
    assert switch(lambda B, lam: torch.ones_like(B, dtype=torch.bool), [1.0, 4.0]).violation == pytest.approx(
        1, rel=1e-6
    )
    assert switch(lambda B, lam: torch.zeros_like(B, dtype=torch.bool), [1.0, 4.0]).violation == 0
    # All is screened at the least lam and not at a larger one, for good or up to its threshold.
    for threshold in (0.0, 1.0):
        found = switch(lambda B, lam, least=threshold: (lam < 1e-3) | (B.abs() <= least * lam), [1.0, 4.0])
        assert found.violation == pytest.approx(1, rel=1e-6)
    with pytest.raises(NothingClaimed):
        switch(lambda B, lam: B.abs() <= lam, [0.0, 0.0])


def test_a_mask_of_rows_is_one_of_their_entries():
    """The row of norm 1.4 is screened at 1.2, where its prox leaves 1 - 1.2/1.4 of it."""

    def rows(w, step):
        lengths = w.norm(dim=1, keepdim=True)
        return torch.where(lengths > step, w * (1 - step / lengths), 0.0)

    for share, left in ((1.0, 0.0), (1.25, 0.2 * 3 / 3)):
        found = switch(
            lambda B, lam, share=share: B.norm(dim=1, keepdim=True) <= share * lam, [[1.0, 1.0], [3.0, -3.0]], prox=rows
        )
        assert found.violation == pytest.approx(left, abs=1e-9)


def violation(regularizer, w):
    return measure("violation-claim", regularizer=regularizer, w=np.array(w))


def up_to_one(error=lambda w: 0.0, value=None):
    """The set of all x <= 1; ``error(w)`` is added to the distance."""

    def distance(w):
        return (w - 1).clamp_min(0).norm() + torch.as_tensor(error(w), dtype=w.dtype)

    return Made(
        (lambda w: torch.where((w <= 1).all(), 0.0, torch.inf)) if value is None else value,
        lambda w, step: w.clamp_max(1.0),
        violation=distance,
    )


@pytest.mark.parametrize("w", [[3.0], [3.0, -2.0, 5.0], [0.5], [1.0], [0.0, 0.0]])
def test_a_right_distance_is_right(w):
    assert violation(up_to_one(), w).violation <= 1e-3


@pytest.mark.parametrize("place", [3.0, 2.0, 1.0, -1.0, -7.0])
def test_a_distance_is_looked_at_on_both_sides_of_the_projection_and_on_it(place):
    """From 3 through the projection 1 and beyond."""
    wrong = up_to_one(lambda w: 0.25 * (abs(float(w) - place) < 1e-9))
    found = violation(wrong, [3.0])
    assert found.violation > 1e3
    assert f"w = [{place}]" in found.note
    assert violation(up_to_one(lambda w: 0.25 * (abs(float(w) - 0.9) < 1e-9)), [3.0]).violation <= 1e-3


def test_a_projection_is_looked_at_as_it_was_returned():
    """From 1e17 the way to 1 rounds to one to 0."""
    assert violation(up_to_one(lambda w: 0.25 * (float(w) == 1.0)), [1e17]).violation > 1e3


@pytest.mark.parametrize("units", [0.5, -2.0])
@pytest.mark.parametrize("scale", [1.0, 2.0**10])
def test_a_distance_is_missed_in_units_of_the_move(units, scale):
    """From 3 to 1: a billionth of 2, and roundings of 3 and 1, times the root of nine entries."""
    unit = (2e-9 + ROUNDINGS * 4 * 3) * scale

    def distance(w):
        return (w - scale).clamp_min(0).norm() + units * unit * (w[0] == 3 * scale)

    wrong = Made(
        lambda w: torch.where((w <= scale).all(), 0.0, torch.inf),
        lambda w, step: w.clamp_max(scale),
        violation=distance,
    )
    assert violation(wrong, [3.0 * scale, *[0.0] * 8]).violation == pytest.approx(abs(units), rel=1e-6)


@pytest.mark.parametrize("units", [0.5, 2.0])
def test_inside_a_distance_is_zero_up_to_rounding(units):
    error = units * ROUNDINGS * 1.0
    assert violation(up_to_one(lambda w: error), [0.5]).violation == pytest.approx(units, rel=1e-6)


@pytest.mark.parametrize(
    ("w", "expected"), [([1 + 0.9e-5, *[0.0] * 8], 0.3), ([1 + 4.5e-5, *[0.0] * 8], 1.5), ([3.0], 2e5 / 3)]
)
def test_where_value_is_finite_a_point_is_in_the_set_up_to_the_tolerance_of_a_value(w, expected):
    """A value that is never infinite: 1e-5 of the point and of the root of the number of entries is allowed."""
    found = violation(up_to_one(value=zero), w)
    assert found.violation == pytest.approx(expected, rel=1e-4)
    assert found.note.endswith(", and value is finite")


def test_where_value_is_infinite_a_point_is_outside_unless_it_has_not_moved():
    blind = up_to_one(lambda w: -float((w - 1).clamp_min(0).norm()))
    found = violation(blind, [3.0])
    assert found.violation == np.inf
    assert found.note.endswith(", and value is infinite")
    # A value that is infinite up to the edge, and on it.
    found = violation(up_to_one(value=lambda w: zero(w) + torch.inf), [0.5])
    assert found.violation == 0
    assert violation(up_to_one(value=lambda w: zero(w) + torch.inf), [1 + 1e-14]).violation <= 1e-3


@pytest.mark.parametrize("answer", [2.0, torch.tensor([2.0]), None])
def test_a_distance_is_a_0d_tensor(answer):
    found = violation(Made(zero, violation=lambda w: answer), [3.0])
    assert found.violation == np.inf
    assert found.note == f"violation(w) must be a 0-d tensor, got {answer!r}"


@pytest.mark.parametrize("broken", ["prox", "violation"])
def test_a_nan_is_no_distance(broken):
    spoiled = up_to_one(lambda w: torch.nan if broken == "violation" else 0.0)
    if broken == "prox":
        spoiled.prox = lambda w, step: w * torch.nan
        with pytest.raises(ArithmeticError, match="prox"):
            violation(spoiled, [3.0])
    else:
        assert violation(spoiled, [3.0]).violation == np.inf


def asked(question, regularizer, shape=(3, 4)):
    return question(regularizer, atoms_of(regularizer, shape), shape)


ITERATION = "a metric that is not constant needs iteration"


@pytest.mark.parametrize(
    ("regularizer", "direct", "by_prox"),
    [
        (L1(1.0), None, None),
        (GroupLasso(1.0), None, None),
        (SparseGroupLasso(1.0, 1.0), None, None),
        (NuclearNorm(1.0), "the regularizer does not offer metric_prox", None),
    ],
    ids=["entries", "groups", "both", "singular values"],
)
def test_who_has_a_direct_solution(regularizer, direct, by_prox):
    assert asked(traits.directly_solved, regularizer) == direct
    assert asked(traits.directly_solved_by_prox, regularizer) == by_prox
    solving = Made(zero, metric_prox=lambda B, D, lam: B)
    atoms = atoms_of(regularizer, (3, 4))
    assert traits.directly_solved(solving, atoms, (3, 4)) == (ITERATION if direct else None)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "metric_prox does not count iterations"),
        ({"metric_prox": lambda B, D, lam: B}, "metric_prox does not count iterations"),
        ({"metric_prox": lambda B, D, lam: MetricProx(B, 3)}, None),
        ({"metric_prox": lambda B, D, lam: B / 0 if D.shape == (3, 4) else MetricProx(B, 3)}, "does not count"),
        ({"metric_prox": lambda B: B}, None),
    ],
)
def test_who_counts_iterations(members, reason):
    """What is raised the check itself reports."""
    found = traits.counted_iterations(Made(zero, **members), (), (3, 4))
    assert found is None if reason is None else reason in found


def test_who_has_a_certificate():
    assert traits.certified(Made(zero, subgradient_residual=lambda Z, G, lam: G), (), (1,)) is None
    assert "subgradient_residual" in traits.certified(Made(zero), (), (1,))


@pytest.mark.parametrize(
    ("regularizer", "homogeneous", "norms", "values"),
    [
        (L1(1.0), True, True, False),
        (NuclearNorm(1.0), True, False, True),
        (MCP(1.0), False, False, False),
        (Simplex(1.0), False, False, False),
        (SparseGroupLasso(1.0, 1.0), True, False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_traits_of_known_psi(regularizer, homogeneous, norms, values):
    assert traits.is_homogeneous(regularizer, (3, 4)) == homogeneous
    assert (asked(traits.norms_of_groups, regularizer) is None) == norms
    assert (asked(traits.singular_values, regularizer) is None) == values


def test_of_an_unknown_psi_nothing_is_known():
    assert not traits.is_homogeneous(Made(zero), (3, 4))
    reason = traits.asks(lambda *_: None)(SimpleNamespace(probe=lambda ask: ask(Made(zero))))
    assert reason == traits.UNKNOWN


@pytest.mark.parametrize(
    ("answers", "expected"),
    [((None, None), None), ((None, "second"), "second"), (("first", "second"), "first"), (("first", None), "first")],
)
def test_the_first_reason_counts_of_the_largest_shape(answers, expected):
    regularizer, shapes = L1(1.0), []

    def answering(answer):
        def question(of, atoms, shape):
            assert of is regularizer
            assert [len(atom.indices) for atom in atoms] == [np.prod(shape)]
            shapes.append(shape)
            return answer

        return question

    applies = traits.asks(*(answering(answer) for answer in answers))
    assert applies(SimpleNamespace(probe=lambda ask: ask(regularizer))) == expected
    assert {int(np.prod(shape)) for shape in shapes} == {16}
