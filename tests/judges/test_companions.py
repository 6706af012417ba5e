"""Subproblems out of a seed: every kind of tensor, metric and weight is among them, in the shares that are meant."""

import numpy as np
import pytest

from ramda_verify.cases.companions import (
    AROUND_A_THRESHOLD,
    LARGEST_ENTRY,
    PLAIN,
    PLAIN_SEEDS,
    array,
    companion,
    metric,
    weight,
    within_reach,
    without_a_slice,
)
from solvers import L1

SEEDS = range(300)


def arrays(shape, plain=False):
    kind = {"plain": True} if plain else {}
    return [array(np.random.default_rng(seed), shape, **kind) for seed in SEEDS]


def test_a_quarter_of_the_arrays_each_is_plain_normal_wide_and_of_usual_size():
    """Told apart by the share of entries that are no plain numbers: 0, all, 0.3 and 0.5."""
    found = arrays((400,))
    others = np.array([np.mean(~np.isin(w, PLAIN)) for w in found])
    kinds = [others == 0, others == 1, (others > 0.2) & (others < 0.4), (others > 0.4) & (others < 0.6)]
    assert all(0.17 < kind.mean() < 0.33 for kind in kinds)
    assert sum(kind.sum() for kind in kinds) == len(found)
    plain, normal, wide, usual = (
        np.concatenate([w for w, chosen in zip(found, kind, strict=True) if chosen]) for kind in kinds
    )
    assert set(plain) == set(PLAIN)
    assert abs(np.mean(normal)) < 0.05
    assert 0.95 < np.std(normal) < 1.05
    powers = np.log10(np.abs(wide[~np.isin(wide, PLAIN)]))
    assert -6 <= powers.min() < -5.9 < 5.9 < powers.max() <= 6
    assert 0.45 < np.mean(wide[~np.isin(wide, PLAIN)] > 0) < 0.55
    assert -4 <= usual.min() < -3.95 < 3.95 < usual.max() <= 4
    assert np.isin(PLAIN, wide).all()
    assert np.isin(PLAIN, usual).all()


def test_plain_numbers_have_ties_zeros_and_both_signs():
    assert {0.0, 1.0, -1.0} < set(PLAIN)
    assert len(set(PLAIN)) == len(PLAIN) == 6
    assert all(np.isin(w, PLAIN).all() for w in arrays((30,), plain=True))


def test_a_fifth_of_the_arrays_has_equal_rows_and_a_fifth_a_slice_of_zeros():
    """The slice is across any axis, at any place; in a vector there is neither."""
    found = [w for w in arrays((6, 7)) if w.any()]
    equal = [bool((w == w[:1]).all()) for w in found]
    rows = [tuple(np.flatnonzero(~w.any(axis=1))) for w in found]
    columns = [tuple(np.flatnonzero(~w.any(axis=0))) for w in found]
    sliced = [(len(r) == 1 or len(c) == 1) and not e for r, c, e in zip(rows, columns, equal, strict=True)]
    assert 0.13 < np.mean(equal) < 0.27
    assert 0.13 < np.mean(sliced) < 0.27
    assert {r for r in rows if len(r) == 1} >= {(place,) for place in range(6)}
    one_column = {c for c, e in zip(columns, equal, strict=True) if len(c) == 1 and not e}
    assert one_column >= {(place,) for place in range(7)}
    vectors = arrays((400,))
    assert all(len(np.unique(w)) > 1 for w in vectors)


def test_a_slice_is_set_to_zero_in_a_copy():
    ones = np.ones((2, 3))
    assert without_a_slice(ones, 0, 1).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert without_a_slice(ones, 1, 2).tolist() == [[1, 1, 0], [1, 1, 0]]
    assert without_a_slice(ones, 1, 3).tolist() == [[0, 1, 1], [0, 1, 1]]  # places are counted around
    assert (ones == 1).all()


def metrics(extreme, max_condition=1e8, plain=False, shape=(500,)):
    kind = {"plain": True} if plain else {}
    return [metric(np.random.default_rng(seed), shape, max_condition, extreme, **kind) for seed in SEEDS]


def test_condition_numbers_are_of_all_sizes_up_to_the_largest():
    """A fifth each spreads over none, a quarter, half and all of the powers of ten, and over some share of them."""
    found = metrics(extreme=False)
    spreads = np.array([np.log10(D.max() / D.min()) for D in found])
    assert spreads.max() <= 8 * (1 + 1e-12)
    near = [np.abs(spreads - share * 8) < 0.15 for share in (0.0, 0.25, 0.5, 1.0)]
    assert all(0.14 < chosen.mean() < 0.3 for chosen in near)
    assert 0.08 < 1 - sum(chosen.mean() for chosen in near) < 0.25
    assert all(0.7 < D.max() <= 1 for D in found)
    two_values = [len(np.unique(np.round(np.log10(D), 9))) == 2 for D in found if D.max() > D.min()]
    assert 0.2 < np.mean(two_values) < 0.4
    even = [np.log10(D) for D, spread in zip(found, spreads, strict=True) if spread > 7.9]
    assert np.abs(np.mean([powers.mean() for powers in even]) + 4) < 0.2


def test_extreme_metrics_reach_both_ends():
    """Half of them; entries from 1e-12 to 1e12, the condition number as before."""
    found = metrics(extreme=True)
    tops = np.array([np.log10(D.max()) for D in found])
    assert 0.4 < np.mean(np.abs(tops) < 0.05) < 0.6
    assert 11 < tops.max() <= 12
    lowest = np.log10([D.min() for D in found])
    assert -12 * (1 + 1e-12) <= lowest.min() < -11
    assert max(D.max() / D.min() for D in found) <= 1e8 * (1 + 1e-9)
    assert 0.15 < np.mean(tops > 1) < 0.5
    assert np.mean(tops < -1) > 0.03


@pytest.mark.parametrize(("max_condition", "small"), [(1e8, 0.1), (10.0, 0.1), (4.0, 0.25), (1.0, 1.0)])
def test_a_plain_metric_has_two_plain_values(max_condition, small):
    found = np.concatenate(metrics(extreme=True, max_condition=max_condition, plain=True, shape=(9,)))
    np.testing.assert_allclose(sorted(set(found)), sorted({small, 1.0}), rtol=1e-12)
    assert small == 1 or 0.4 < np.mean(found == 1) < 0.6


@pytest.mark.parametrize(("critical", "used"), [(0.5e-12, False), (2e-12, True), (0.5e12, True), (2e12, False)])
def test_a_critical_weight_out_of_all_proportion_is_not_used(critical, used):
    rng = np.random.default_rng(0)
    found = {weight(rng, [critical, np.nan, np.inf]) for _ in range(100)}
    assert any(lam in {critical * factor for factor in AROUND_A_THRESHOLD} for lam in found) == used


def test_other_weights_have_all_powers_of_ten():
    rng = np.random.default_rng(0)
    powers = np.log10([weight(rng, []) for _ in range(400)])
    assert -4 <= powers.min() < -3.8 < 3.8 < powers.max() <= 4
    assert {weight(rng, [], plain=True) for _ in range(50)} == {0.5, 1.0, 2.0}


def test_weights_lie_around_a_threshold():
    """At it, a rounding from it, beside it and far from it, on both sides."""
    assert 1.0 in AROUND_A_THRESHOLD
    for low, high in ((1e-12, 1e-6), (0.1, 0.95)):
        assert any(low < 1 - factor < high for factor in AROUND_A_THRESHOLD)
    assert any(1e-12 < factor - 1 < 1e-6 for factor in AROUND_A_THRESHOLD)
    assert any(1.5 < factor < 10 for factor in AROUND_A_THRESHOLD)
    assert min(AROUND_A_THRESHOLD) == pytest.approx(1 / max(AROUND_A_THRESHOLD))
    assert min(AROUND_A_THRESHOLD) > 0


@pytest.mark.parametrize(("largest", "factor"), [(1e12, 1.0), (2e12, 0.5), (-4e12, 0.25)])
def test_no_entry_is_larger_than_a_trillion(largest, factor):
    assert LARGEST_ENTRY == 1e12
    assert within_reach(np.array([largest, 3.0]), 1.0).tolist() == [largest * factor, 3.0 * factor]
    halves = within_reach(np.array([0.75 * largest, 3.0]), np.array([0.75, 2.0]))
    assert halves.tolist() == [0.75 * largest * factor, 3.0 * factor]


def made(seed, **changes):
    asked = []

    def critical(regularizer, B, D):
        asked.append((regularizer, B, D))
        return [7e5]

    settings = {"regularizer": L1(1.0), "shape": (3, 4), "max_condition": 1e6, "extreme": True, **changes}
    found = companion(seed, critical=critical, **settings)
    ((regularizer, B, D),) = asked
    assert regularizer == settings["regularizer"]
    assert B is found["B"]
    assert D is found["D"]
    return found


def test_a_companion_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = made(5000), made(5000), made(5001)
    for name in ("B", "D", "lam", "point"):
        assert np.array_equal(first[name], again[name])
    assert not np.array_equal(first["point"], other["point"])


def test_small_seeds_make_plain_numbers():
    """To which counterexamples shrink; B is multiplied by D half of the time."""
    found = [made(seed) for seed in range(200)]
    assert all(np.isin(case["point"], PLAIN).all() for case in [*found, made(PLAIN_SEEDS - 1)])
    assert all(len(set(case["D"].ravel())) <= 2 for case in found)
    as_they_are = [np.isin(case["B"], PLAIN).all() for case in found if case["B"].any() and case["D"].min() < 1]
    assert 0.4 < np.mean(as_they_are) < 0.65
    assert all(
        np.isin(np.round(case["B"] / case["D"], 9), PLAIN).all()
        for case in found
        if not np.isin(case["B"], PLAIN).all()
    )
    beside = {case["lam"] for case in found} - {0.5, 1.0, 2.0}
    assert beside == {7e5 * factor for factor in AROUND_A_THRESHOLD}


def test_other_seeds_make_numbers_of_all_kinds():
    found = [made(seed) for seed in range(PLAIN_SEEDS, PLAIN_SEEDS + 100)]
    assert any(not np.isin(case["point"], PLAIN).all() for case in found)
    assert any(len(set(case["D"].ravel())) == case["D"].size for case in found)
    assert any(case["D"].max() > 1e3 for case in found)
    assert all(np.abs(case["B"] / case["D"]).max() <= LARGEST_ENTRY * (1 + 1e-12) for case in found)
    calm = [made(seed, extreme=False, max_condition=10.0) for seed in range(PLAIN_SEEDS, PLAIN_SEEDS + 50)]
    assert all(case["D"].max() <= 1 and case["D"].max() / case["D"].min() <= 10 * (1 + 1e-12) for case in calm)
