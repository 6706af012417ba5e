"""The rivals that a challenger tries, each of them alone, and what it says of the best of them."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.challenger import SIMPLEX_ENTRIES, SINGLES, _distinct, challenge_prox, challenge_subproblem

#: Where the objective is smallest without psi, and what was offered; no entry and no sum of two is another's.
CENTRE = np.array([[3.7, -2.4, 1.3], [0.6, -0.21, 5.9]])
CANDIDATE = np.array([[2.9, -1.7, 0.0], [0.45, 0.0, 4.3]])


def tried(centre, candidate, value=lambda x: 0.0, seed=0):
    """All points at which psi is evaluated, the candidate first."""
    points = []

    def recorded(x):
        points.append(x.copy())
        return value(x)

    challenge_prox(recorded, centre, 1.0, candidate, seed, polish=False)
    return points


POINTS = tried(CENTRE, CANDIDATE)


def with_entry(x, place, value):
    changed = x.copy()
    changed[place] = value
    return changed


RIVALS = {
    "zero": np.zeros((2, 3)),
    "centre": CENTRE,
    "negative": -CANDIDATE,
    "rounded": np.array([[4.0, -2.0, 1.0], [1.0, 0.0, 6.0]]),
    **{f"candidate times {f}": CANDIDATE * f for f in (0.5, 0.9, 0.99, 0.999, 0.99999, 1.00001, 1.001, 1.01, 1.1, 2.0)},
    **{f"centre times {f}": CENTRE * f for f in (0.5, 0.9, 0.99, 0.999, 0.99999, 1.00001, 1.001, 1.01, 1.1, 2.0)},
    **{f"between, {s}": CANDIDATE + s * (CENTRE - CANDIDATE) for s in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)},
    **{f"zeroed entry {place}": with_entry(CANDIDATE, place, 0.0) for place in np.ndindex(2, 3) if CANDIDATE[place]},
    **{f"entry {place} of the centre": with_entry(CANDIDATE, place, CENTRE[place]) for place in np.ndindex(2, 3)},
    **{f"zeroed row {row}": with_entry(CANDIDATE, row, 0.0) for row in (0, 1)},
    **{f"row {row} of the centre": with_entry(CANDIDATE, row, CENTRE[row]) for row in (0, 1)},
    **{f"zeroed column {c}": with_entry(CANDIDATE, (slice(None), c), 0.0) for c in (0, 1, 2)},
    **{f"column {c} of the centre": with_entry(CANDIDATE, (slice(None), c), CENTRE[:, c]) for c in (0, 1, 2)},
    **{f"largest above {t}": np.where(np.abs(CENTRE) > t, CENTRE, 0.0) for t in (4.0, 3.0, 2.0, 1.0, 0.5)},
}


@pytest.mark.parametrize("name", RIVALS)
def test_a_psi_that_is_low_at_one_rival_alone_is_seen_there(name):
    def value(x):
        return -50.0 if np.abs(x - RIVALS[name]).max() <= 1e-12 else 0.0

    found = challenge_prox(value, CENTRE, 2.0, CANDIDATE, polish=False)
    assert np.abs(found.point - RIVALS[name]).max() <= 1e-12
    assert found.source != "candidate"
    assert found.solved
    distance = 0.5 * float(((RIVALS[name] - CENTRE) ** 2).sum())
    assert found.objective == pytest.approx(2.0 * -50.0 + distance)
    assert found.candidate_objective == pytest.approx(0.5 * float(((CANDIDATE - CENTRE) ** 2).sum()))
    assert found.improvement == pytest.approx(found.candidate_objective - found.objective)
    assert found.tried == len(POINTS)


@pytest.mark.parametrize("which", ["candidate", "centre"])
@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (4, 3), (3, 2, 2)])
def test_every_lower_rank_is_tried(which, shape):
    random = np.random.default_rng(3)
    centre, candidate = random.standard_normal(shape), random.standard_normal(shape)
    matrix = {"candidate": candidate, "centre": centre}[which].reshape(3 if shape[0] == 3 else 4, -1)
    left, sigma, right = np.linalg.svd(matrix)
    points = tried(centre, candidate)
    for rank in (1, 2):
        best = sum(sigma[i] * np.outer(left[:, i], right[i]) for i in range(rank)).reshape(shape)
        assert any(np.abs(point - best).max() <= 1e-12 for point in points)


def test_noise_of_every_size_is_tried_on_all_entries_on_the_support_and_on_a_few():
    """The size is that of the largest entry, 5.9; eight draws of each kind."""
    moves = [point - CANDIDATE for point in POINTS[-9 * 8 * 3 :]]
    support = CANDIDATE != 0
    for power in range(-8, 1):
        block = moves[(power + 8) * 24 : (power + 9) * 24]
        size = 5.9 * 10.0**power
        for everywhere, on_support, on_few in zip(block[0::3], block[1::3], block[2::3], strict=True):
            assert 0.3 < np.abs(everywhere).max() / size < 4
            assert (everywhere != 0).all()
            assert np.array_equal(on_support, np.where(support, everywhere, 0.0))
            assert ((on_few == 0) | (on_few == everywhere)).all()
        shares = np.mean([move != 0 for move in block[2::3]])
        assert 0.02 < shares < 0.5
        spread = np.std(np.array(block[0::3])) / size
        assert 0.7 < spread < 1.4
    assert np.abs(np.mean(np.array(moves[-24::3]))) < 3.0


@pytest.mark.parametrize(("centre", "candidate", "size"), [(0.0, 0.0, 1.0), (0.0, 40.0, 40.0), (-40.0, 0.0, 40.0)])
def test_noise_is_as_large_as_the_larger_of_centre_and_candidate(centre, candidate, size):
    points = tried(np.full(50, centre), np.full(50, candidate))
    everywhere = [point - candidate for point in points[-24::3]]
    assert np.std(everywhere) == pytest.approx(size, rel=0.2)


def test_a_seed_means_the_same_rivals():
    assert all(np.array_equal(*pair) for pair in zip(POINTS, tried(CENTRE, CANDIDATE), strict=True))
    assert not np.array_equal(POINTS[-3], tried(CENTRE, CANDIDATE, seed=1)[-3])


def test_the_first_of_many_entries_and_slices_are_tried_one_by_one():
    centre = np.arange(1.0, 301.0)
    points = np.array(tried(centre, 2 * centre))
    changed = points != 2 * centre
    alone = np.flatnonzero(changed.sum(axis=1) == 1)
    assert set(np.flatnonzero(changed[alone].any(axis=0))) >= set(range(SINGLES))
    nonzero = (points != 0).sum(axis=1)
    assert set(range(1, SINGLES)) <= set(nonzero)
    assert all(
        np.array_equal(point[-kept:], centre[-kept:])
        for point, kept in zip(points, nonzero, strict=True)
        if 0 < kept < 200
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_is_tested_where_the_candidate_has_no_objective(bad):
    found = challenge_prox(lambda x: bad, CENTRE, 1.0, CANDIDATE)
    assert (found.solved, found.tried, found.source) == (False, 0, "none")
    assert math.isnan(found.improvement)
    assert str(bad) in found.detail


def test_points_without_a_value_are_counted_and_infinite_ones_lose():
    """psi is NaN where the first entry is zero, infinite where it is negative."""

    def value(x):
        return math.nan if x[0, 0] == 0 else math.inf if x[0, 0] < 0 else 0.0

    first = np.array([point[0, 0] for point in POINTS])
    found = challenge_prox(value, CENTRE, 1.0, CANDIDATE, polish=False)
    assert found.tried == (first >= 0).sum()
    assert found.detail == f"{(first == 0).sum()} of {(first >= 0).sum()} points had no value"
    assert np.array_equal(found.point, CENTRE)
    assert challenge_prox(lambda x: 0.0, CENTRE, 1.0, CANDIDATE).detail == ""


def test_a_rival_that_is_as_good_does_not_beat_the_candidate():
    for polish in (False, True):
        found = challenge_prox(lambda x: 0.0, CENTRE, 1.0, CENTRE, polish=polish)
        assert (found.source, found.improvement) == ("candidate", 0.0)


@pytest.mark.parametrize(("entries", "descends"), [(SIMPLEX_ENTRIES, True), (SIMPLEX_ENTRIES + 1, False)])
def test_small_tensors_are_searched_downhill(entries, descends):
    """psi = 1/2 ||x - a||^2 with an a that no rival meets: the prox at the step 1 is (w + a)/2."""
    w, a = np.linspace(1.0, 2.0, entries), np.cos(np.arange(entries)) + 5

    def value(x):
        return 0.5 * float(((x - a) ** 2).sum())

    best = 0.25 * float(((w - a) ** 2).sum())
    found = challenge_prox(value, w, 1.0, w)
    assert found.source.endswith(", polished") == descends
    assert (found.objective - best <= 1e-3 * best) == descends
    assert not challenge_prox(value, w, 1.0, w, polish=False).source.endswith("polished")


def test_a_descent_ends_at_the_minimiser_to_many_digits():
    a = np.array([[0.7], [-1.9]])
    w = np.array([[1.3], [0.4]])
    found = challenge_prox(lambda x: 0.5 * float(((x - a) ** 2).sum()), w, 1.0, 3 * w)
    assert found.point.shape == (2, 1)
    assert np.abs(found.point - (w + a) / 2).max() <= 1e-6
    assert found.objective == pytest.approx(0.25 * float(((w - a) ** 2).sum()), rel=1e-13)


def test_a_descent_into_a_region_without_a_value_or_without_a_bottom_finds_nothing():
    """psi is as above, but around the minimiser, where no rival lies, it is not finite."""
    a, w = np.array([5.0, 7.0]), np.array([1.0, 2.0])
    for hole in (-math.inf, math.nan):

        def value(x, hole=hole):
            return hole if np.abs(x - (w + a) / 2).max() < 0.05 else 0.5 * float(((x - a) ** 2).sum())

        found = challenge_prox(value, w, 1.0, w)
        assert found.improvement > 0
        assert math.isfinite(found.objective)


def test_a_descent_starts_from_the_candidate_and_from_other_valleys():
    """Three valleys: at the candidate, beside zero and, the deepest, beside the centre, which come in this order."""
    depths = {10.0: 1.0, 0.04: 0.9, -5.0: 3.0}

    def value(x):
        at = float(x[0])
        valleys = [depth * max(0.0, 1 - abs(at - place) / 0.2) for place, depth in depths.items()]
        return -sum(valleys) - 0.5 * (at + 4.85) ** 2

    found = challenge_prox(value, np.array([-4.85]), 1.0, np.array([10.0]))
    assert found.point[0] == pytest.approx(-5.0, abs=1e-8)
    assert found.improvement == pytest.approx(2.0, abs=1e-7)


def test_near_copies_of_one_point_are_one():
    def entries(*objectives):
        return [(objective, str(place), np.zeros(1)) for place, objective in enumerate(objectives)]

    def kept(objectives, count):
        return [int(name) for _, name, _ in _distinct(entries(*objectives), count)]

    assert kept([1.0, 1.0 + 1.9e-6, 1.0 + 2.1e-6, 5.0, 5.0, 6.0, 7.0], 3) == [0, 2, 3]
    assert kept([-1.0 - 2.1e-6, -1.0 - 1e-7, -1.0, 0.0, 0.0, 1e-30], 5) == [0, 2, 3, 5]
    assert _distinct([], 3) == []


def test_the_subproblem_has_its_own_objective_and_centre():
    B, D, lam = np.array([3.0, -2.0]), np.array([0.5, 4.0]), 0.7
    candidate = np.array([1.0, 1.0])

    def value(x):
        return 2.0 if np.array_equal(x, candidate) else 10.0 if not np.allclose(x, B / D, rtol=1e-15, atol=0) else -1.0

    for polish in (False, True):
        found = challenge_subproblem(value, B, D, lam, candidate, polish=polish)
        assert found.candidate_objective == pytest.approx(0.25 + 2.0 - 3.0 + 2.0 + 0.7 * 2.0)
        assert found.objective == pytest.approx(-0.5 * 9.0 / 0.5 - 0.5 * 4.0 / 4.0 - 0.7)
        assert found.point.tolist() == [6.0, -0.5]
        assert found.source.startswith("centre")
    lists = challenge_subproblem(value, B.tolist(), D.tolist(), lam, candidate.tolist(), polish=False)
    assert lists.objective == found.objective
