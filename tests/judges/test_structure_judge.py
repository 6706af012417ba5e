"""Where psi has a kink, by how much its slopes may differ there, and what structure and sparsity must say of it."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from ramda_verify.checks.regularizer.structure_claim import _is_spectral, _off_the_manifold, _sparsity_fault
from solvers import L1, GroupLasso, NuclearNorm
from solvers.regularizers import Zero
from tests.judges.regularizers import Made


def off(at, point, seed=0):
    """The entries along which there is a kink."""
    point = np.array(point)
    found = _off_the_manifold(SimpleNamespace(at=lambda w: float(at(w))), point, np.random.default_rng(seed))
    length = np.linalg.norm(point) or 1.0
    places = []
    for moved, _ in found:
        (place,) = np.flatnonzero(moved != point)
        assert 0.999e-12 <= (moved - point)[place] / length <= 1.001e-9
        places.append(int(place))
    return sorted(places)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_a_kink_is_where_psi_rises_both_ways(scale):
    point = [0.0, 3.0 * scale, 0.0]
    assert off(lambda w: abs(w[0]) + w[1] ** 2 / scale + w[2] ** 2 / scale, point) == [0]
    assert off(lambda w: abs(w[0]) + abs(w[1] - 3 * scale) + abs(w[2]), point) == [0, 1, 2]
    assert off(lambda w: -abs(w[0]) - abs(w[2]), point) == []
    assert off(lambda w: w[0] + abs(w[1]), point) == []
    assert off(lambda w: abs(w[0]), [0.0, 0.0, 0.0]) == [0]
    assert off(lambda w: 7.0, point) == []
    assert off(lambda w: abs(w).sum(), [0.0]) == [0]


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize(("distance", "most"), [(1e-3, 0.02), (1e-11, 0.1), (3e-14, 0.5)])
def test_slopes_at_a_kink_are_alike_at_all_distances(scale, distance, most):
    """At one distance, relative to the point, it may be another by so much."""

    def bent(share):
        def at(w):
            way = abs(w[0])
            return way * (1 + share * (0.9 < way / scale / distance < 1.1))

        return at

    for sign in (1, -1):
        assert off(bent(0.9 * sign * most), [0.0, scale]) == [0]
        assert off(bent(1.1 * sign * most), [0.0, scale]) == []


def test_slopes_are_compared_with_the_one_at_a_hundred_thousandth():
    def bent(share):
        return lambda w: abs(w[0]) * (1 + share * (0.9e-5 < abs(w[0]) < 1.1e-5))

    assert off(bent(0.019), [0.0, 1.0]) == [0]
    assert off(bent(0.025), [0.0, 1.0]) == []


@pytest.mark.parametrize(("slope", "kept"), [(1.1e-3, [0, 1]), (0.9e-3, [1])])
@pytest.mark.parametrize("other", [1.0, -1.0])
def test_a_kink_counts_from_a_thousandth_of_the_steepest_rise_or_fall(slope, kept, other):
    found = off(lambda w: slope * abs(w[0]) + other * abs(w[1]), [0.0, 0.0])
    assert found == (kept if other > 0 else kept[:-1])


@pytest.mark.parametrize(("distance", "counts"), [(1e-3, True), (1e-5, True), (1e-11, False), (3e-14, False)])
def test_the_steepest_is_looked_for_at_the_two_distances_with_digits(distance, counts):
    """Along another entry psi rises at one distance alone."""

    def at(w):
        return abs(w[0]) + 1e4 * abs(w[1]) * (0.9 * distance < abs(w[1]) < 1.1 * distance)

    assert off(at, [0.0, 0.0]) == ([] if counts else [0])


def test_where_psi_is_infinite_is_no_kink():
    assert off(lambda w: np.inf, [0.0, 0.0]) == []
    assert off(lambda w: np.inf if np.any(w) else 0.0, [0.0, 0.0]) == []
    assert off(lambda w: np.inf if w[1] else abs(w[0]), [0.0, 0.0]) == [0]
    assert off(lambda w: np.inf if w[0] == 0 else 0.0, [0.0, 0.0]) == []
    assert off(lambda w: np.inf if w[1] > 1e-4 else abs(w[0]) + abs(w[1]), [0.0, 0.0]) == [0]
    assert off(lambda w: np.inf if 0 < w[1] < 1e-12 else abs(w[0]) + abs(w[1]), [0.0, 0.0]) == [0]


@pytest.mark.parametrize("size", [2e-14, -2e-14, 4e-14, -4e-14, 1e-6])
@pytest.mark.parametrize("seed", range(4))
def test_beside_an_entry_that_is_all_but_zero_nothing_is_known(size, seed):
    """Others are looked at all the same."""
    found = off(lambda w: sum(abs(w - np.array([0.0, size, 1.0, 0.0]))), [0.0, size, 1.0, 0.0], seed)
    assert found == ([0, 2, 3] if abs(size) < 3e-14 else [0, 1, 2, 3])


def test_of_many_entries_a_few_are_drawn():
    seen = [off(lambda w: np.abs(w).sum(), np.zeros(12), seed) for seed in range(12)]
    assert {place for places in seen for place in places} == set(range(12))
    assert all(2 < len(set(places)) == len(places) < 12 for places in seen)


def structure(regularizer, w, step=1.0, seed=0):
    return measure("structure-claim", regularizer=regularizer, w=np.array(w), step=step, seed=seed)


def soft(w, step):
    return torch.where(w.abs() > step, w - w.sign() * step, 0.0)


def absolute(w):
    return w.abs().sum()


def entries(**members):
    return Made(absolute, soft, **members)


W = [[3.0, 0.5], [-0.5, -2.0]]


def count(w):
    return w.numel() - int(torch.count_nonzero(w)), w.numel()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"structure": lambda w: w != 0}, None),
        ({"sparsity": count}, None),
        ({"structure": lambda w: w != 0, "sparsity": count}, None),
        ({"structure": lambda w: [w != 0]}, "structure must return a tensor or an integer, got list"),
        ({"structure": lambda w: torch.tensor(w.stride())}, "structure differs in "),
        ({"structure": lambda w: torch.tensor(w.storage_offset())}, "structure differs in a storage offset"),
        ({"structure": lambda w: (w != 0) & bool(w.any())}, None),
        ({"structure": lambda w: torch.ones(2)}, "psi has a kink at [["),
        ({"structure": lambda w: int(torch.count_nonzero(w))}, None),
        ({"structure": lambda w: 2}, "psi has a kink at [["),
        ({"structure": lambda w: (w != 0) | (torch.count_nonzero(w) > 1)}, "psi has a kink at [[2.0"),
        ({"structure": lambda w: (w != 0) & (torch.count_nonzero(w) > 1)}, "psi has a kink at [[0.0, 0.0]"),
        ({"sparsity": lambda w: (0, w.numel())}, "sparsity is 0 of 4 at zero"),
        ({"structure": lambda w: w != 0, "sparsity": lambda w: (0, 3)}, "sparsity is 0 of 3 at zero"),
    ],
)
def test_a_wrong_word_is_infinite_and_shown(members, words):
    found = structure(entries(**members), W)
    assert found.violation == (0 if words is None else np.inf)
    assert (words or "") in found.note
    if words == "psi has a kink at [[":
        assert ", and structure is the same at [[" in found.note


def test_a_structure_that_is_nan_is_a_finding():
    with pytest.raises(ArithmeticError, match="structure"):
        structure(entries(structure=lambda w: w * torch.nan), W)
    with pytest.raises(ArithmeticError, match="prox"):
        structure(Made(absolute, lambda w, step: w * torch.nan, structure=lambda w: w != 0), W)


def test_a_prox_that_records_gradients_is_looked_at_without():
    tracked = Made(absolute, lambda w, step: soft(w, step).requires_grad_(), structure=lambda w: w != 0)
    assert structure(tracked, W).violation == 0


def test_the_structure_is_that_of_the_prox_with_this_step():
    """At 0.4 all entries are left, and none is at a kink."""
    blind = entries(structure=lambda w: (w != 0) | (torch.count_nonzero(w) > 1))
    assert structure(blind, W, step=0.4).violation == 0
    assert structure(blind, W, step=1.0).violation == np.inf


@pytest.mark.parametrize(
    "regularizer", [L1(0.5), GroupLasso(0.5), NuclearNorm(0.5), Zero()], ids=lambda r: type(r).__name__
)
def test_ours_are_right(regularizer):
    """Also the zero function, whose sparsity is none of none."""
    for step in (0.1, 1.0, 10.0):
        assert structure(regularizer, [*W, [1.0, 4.0]], step=step).violation == 0


SMOOTH = SimpleNamespace(at=lambda w: float((w**2).sum() + w[0, 0] ** 2))
KINKED = SimpleNamespace(at=lambda w: float(np.abs(w).sum()))
Z = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, -1.0]], dtype=torch.float64)


def fault(sparsity, z=Z, psi=SMOOTH, **members):
    return _sparsity_fault(Made(absolute, sparsity=sparsity, **members), z, psi, np.random.default_rng(0))


def answers(at_z, at_zero=(6, 6), at_ones=(0, 6)):
    """sparsity by what it is asked about: zero, ones, or anything else."""

    def sparsity(w):
        if not w.any():
            return at_zero
        return at_ones if bool((w == 1).all()) else at_z

    return sparsity


@pytest.mark.parametrize(
    "wrong", [3, [3, 6], (3,), (3, 6, 1), (3.0, 6), (3, 6.0), (True, 6), (3, True), (None, 6), None]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_sparsity_is_two_ints_wherever_it_is_asked(wrong, place):
    given = [(3, 6), (6, 6), (0, 6)]
    given[place] = wrong
    assert fault(answers(*given)) == f"sparsity must return two ints, (zeros, all), got {wrong!r}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answers((3, 6)), None),
        (answers((0, 6)), None),
        (answers((7, 6)), "sparsity is 7 structured zeros of 6"),
        (answers((-1, 6)), "sparsity is -1 structured zeros of 6"),
        (answers((3, 6), at_zero=(5, 6)), "sparsity is 5 of 6 at zero"),
        (answers((3, 6), at_zero=(7, 6)), "sparsity is 7 of 6 at zero"),
        (answers((3, 6), at_ones=(0, 5)), "sparsity counts [6, 6, 5] in all for tensors of one shape"),
        (answers((3, 6), at_zero=(6, 7)), "sparsity counts [6, 7, 6] in all for tensors of one shape"),
        (answers((4, 6)), "sparsity counts 4 zeros at [[1.0, 0.0, 2.0], [0.0, 0.0, -1.0]], which has fewer"),
        (answers((4, 7), (7, 7), (0, 7)), None),
        (answers((4, 4), (4, 4), (0, 4)), None),
        (answers((1, 3), (3, 3), (0, 3)), "sparsity counts 3 in all, of 6 parameters: it is asked for parameters"),
        (answers((1, 1), (1, 1), (0, 1)), "sparsity counts 1 in all, of 6 parameters: it is asked for parameters"),
        (answers((0, 12), (12, 12), (0, 12)), None),
        (answers((0, 0), (0, 0), (0, 0)), None),
    ],
)
def test_counts_are_those_of_zeros_and_of_parameters(given, words):
    said = fault(given)
    assert said is None if words is None else said.startswith(words)


def test_all_entries_may_be_zeros():
    assert fault(count, torch.zeros_like(Z)) is None
    assert fault(lambda w: (6, 6), torch.zeros_like(Z)) is None


def test_singular_values_may_be_counted_and_groups_may_not():
    """psi is a function of them where it is the same after every rotation."""
    rank = answers((1, 2), (2, 2), (1, 2))
    spectral = SimpleNamespace(at=lambda w: float(np.linalg.svd(w)[1].sum()))
    assert fault(rank, psi=spectral) is None
    assert "it is asked for parameters, not for groups" in fault(rank, psi=SimpleNamespace(at=lambda w: float(w[0, 0])))


@pytest.mark.parametrize(("left", "wrong"), [(5, False), (0, False), (6, True), (7, True)])
def test_beside_a_kink_at_zero_not_all_are_zeros(left, wrong):
    def sparsity(w):
        size = float(w.abs().max())
        return (6, 6) if size == 0 else (left if size < 1e-6 else 3, 6) if size < 2.5 and not (w == 1).all() else (0, 6)

    said = fault(sparsity, psi=KINKED)
    assert (said or "").startswith(f"psi has a kink at zero, and sparsity counts all {left} of 6 as zeros at") == wrong
    assert wrong or said is None
    assert fault(sparsity, psi=SMOOTH) is None


@pytest.mark.parametrize(
    ("z", "structure", "wrong"),
    [
        (Z, lambda w: w != 0, False),
        (Z, lambda w: torch.zeros(1), True),
        (0 * Z, lambda w: w != 0, False),
        (0 * Z, lambda w: torch.zeros(1), False),
        (-0.0 * Z.abs(), lambda w: torch.signbit(w), True),
    ],
)
def test_the_structure_of_zero_is_that_of_tensors_with_all_zeros_alone(z, structure, wrong):
    said = fault(count, z, structure=structure)
    zeros = count(z)[0]
    assert said is None if not wrong else said.startswith(f"structure and sparsity disagree: {zeros} of 6 at [[")


M = np.random.default_rng(1).standard_normal((3, 4))


@pytest.mark.parametrize(
    ("at", "point", "spectral"),
    [
        (lambda w: float((w**2).sum()), M, True),
        (lambda w: -float((w**2).sum()), M, True),
        (lambda w: 0.0, M, True),
        (lambda w: float(np.linalg.norm(w, axis=1).sum()), M, False),
        (lambda w: float(np.linalg.norm(w, axis=0).sum()), M, False),
        (lambda w: float(np.linalg.norm(w.reshape(3, 4), 2)), M.reshape(3, 2, 2), True),
        (lambda w: float(np.linalg.norm(w.reshape(3, 4), axis=1).sum()), M.reshape(3, 2, 2), False),
        (lambda w: 1.0, M[0], False),
    ],
)
def test_psi_of_singular_values_is_the_same_after_a_rotation_on_either_side(at, point, spectral):
    assert _is_spectral(SimpleNamespace(at=at), point) == spectral


@pytest.mark.parametrize("size", [1.0, -1000.0])
@pytest.mark.parametrize(("share", "same"), [(0.9e-9, True), (-0.9e-9, True), (1.1e-9, False), (-1.1e-9, False)])
def test_after_a_rotation_psi_may_differ_by_a_billionth(size, share, same):
    psi = SimpleNamespace(at=lambda w: size * (1 + share * (not np.array_equal(w, M))))
    assert _is_spectral(psi, M) == same


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("weight", [0.1, 1.0, 8.0])
def test_the_step_onto_a_kink_reaches_the_smallest_distance(scale, weight):
    psi = SimpleNamespace(at=lambda w: weight * abs(float(w[0])))
    ((_, step),) = _off_the_manifold(psi, np.array([0.0, scale]), np.random.default_rng(0))
    assert step * weight == pytest.approx(3e-14 * scale, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize(("slope", "farther"), [(1.0, 1.0), (0.5, 2.0), (0.01, 100.0), (0.0011, 1 / 0.0011)])
def test_the_flatter_the_kink_the_farther_off_it(scale, slope, farther):
    """Seen against the steepest entry, and where none is steep, against psi, which rises from zero by 2 a length."""
    point = np.array([0.0, 0.0, 3.0 * scale, 4.0 * scale])
    beside = SimpleNamespace(at=lambda w: float(abs(w[0]) + slope * abs(w[1])))
    moved = sorted(float((off - point).max()) for off, _ in _off_the_manifold(beside, point, np.random.default_rng(0)))
    assert moved == pytest.approx([5e-12 * scale, 5e-12 * scale * farther], rel=1e-3)

    alone = SimpleNamespace(at=lambda w: slope * abs(float(w[0])) - (0.0 if w.any() else 10 * scale))
    ((off, _),) = _off_the_manifold(alone, point, np.random.default_rng(0))
    assert float(off[0]) == pytest.approx(5e-12 * scale * farther, rel=1e-3)


def test_a_kink_is_left_no_farther_than_a_billionth():
    psi = SimpleNamespace(at=lambda w: abs(float(w[0])) - (0.0 if w.any() else 1e9))
    ((off, _),) = _off_the_manifold(psi, np.array([0.0, 1.0]), np.random.default_rng(0))
    assert float(off[0]) == pytest.approx(1e-9, rel=1e-3)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rows", [3, 130])
@pytest.mark.parametrize("row", [[2.6, 0.5, 0.5], [1.0, 0.0, 1e-2]], ids=str)
def test_the_rank_of_a_tall_matrix_is_counted_up_to_its_rounding(row, rows, seed):
    """Entries of the long column lead almost along the matrices of rank one; 3e-14 of the largest singular value, at
    130 rows, is rounding.
    """
    case = {"w": np.tile(row, (rows, 1)), "step": 1e-2, "seed": seed}
    assert measure("structure-claim", regularizer=NuclearNorm(1.0), **case).violation == 0


@dataclass(frozen=True)
class Ranked(NuclearNorm):
    """A nuclear norm whose structure counts the singular values above a share of the largest."""

    share: float = 0.0

    def structure(self, w):
        sigma = torch.linalg.svdvals(w.double())
        return (sigma > self.share * sigma.amax()).sum()


def beside(share):
    """The violation at a prox whose second singular value is this share of the first: 99999, turned by an angle."""
    (c, s), top = (0.6, 0.8), 99999.0
    left, right = np.array([[c, -s], [s, c]]), np.array([[s, c], [-c, s]])
    return {"w": left @ np.diag([top + 1, share * top + 1]) @ right, "step": 1.0}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.0, 5e-15, 1e-14, 2e-14, 4e-14, 1e-12, 1e-8])
def test_a_point_beside_a_kink_may_have_the_structure_of_its_neighbours(share, seed):
    """From a few roundings on the rank is two, though the slopes that are looked at still rise both ways."""
    case = beside(share) | {"seed": seed}
    assert measure("structure-claim", regularizer=NuclearNorm(1.0), **case).violation == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [1e-9, -1.0])
def test_a_rank_that_sees_too_little_or_counts_everything_is_wrong_at_a_kink(share, seed):
    case = beside(0.0) | {"seed": seed}
    assert measure("structure-claim", regularizer=Ranked(1.0, share=share), **case).violation == np.inf
