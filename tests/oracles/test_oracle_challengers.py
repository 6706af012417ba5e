"""The challenger beats wrong proxes, also of nonconvex psi, and leaves right ones alone; subgradients likewise."""

import numpy as np
import pytest

from ramda_verify.oracles.challenger import _polish, _structured, challenge_prox, challenge_subproblem
from ramda_verify.oracles.exact import subproblem
from ramda_verify.oracles.index_sets import as_matrix
from ramda_verify.oracles.naive_prox import line_minimum, naive_prox
from ramda_verify.oracles.psi import atoms_of, disjoint, psi_value
from solvers import GroupLasso
from tests.registry import weighted

RANDOM = np.random.default_rng(4)
SMALL, LARGE = RANDOM.standard_normal((2, 3)), RANDOM.standard_normal((8, 9))
#: The naive prox minimises atom by atom, so that no entry may belong to two.
MODELS = [
    model for model in [*weighted(0.5, "convex"), GroupLasso(0.3, "output")] if disjoint(atoms_of(model, SMALL.shape))
]


def hard(w, level):
    """The prox of ``1/2 level^2 * (number of nonzeros)``."""
    return np.where(np.abs(w) > level, w, 0.0)


@pytest.mark.parametrize("w", [SMALL, LARGE], ids=["polished", "not polished"])
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_right_prox_stands_and_wrong_ones_fall(w, model):
    right = naive_prox(w, 0.7, model).point

    def value(x):
        return psi_value(x, model)

    assert challenge_prox(value, w, 0.7, right).improvement <= 1e-11
    for wrong in (w, 0.98 * right, naive_prox(w, 0.7**2, model).point, np.zeros_like(w)):
        assert challenge_prox(value, w, 0.7, wrong).improvement > 1e-5


@pytest.mark.parametrize("w", [SMALL, LARGE], ids=["polished", "not polished"])
def test_nonconvex_count(w):
    def value(x):
        return 0.5 * float(np.count_nonzero(x))

    right = hard(w, 0.6)  # step 0.36
    assert challenge_prox(value, w, 0.36, right).improvement <= 1e-12
    for wrong in (hard(w, 0.8), hard(w, 0.1), np.sign(w) * np.maximum(np.abs(w) - 0.6, 0)):
        rival = challenge_prox(value, w, 0.36, wrong)
        assert rival.improvement > 1e-4
        assert rival.source != "candidate"


def test_indicator_of_a_lattice():
    def value(x):
        return 0.0 if np.array_equal(x, np.round(x)) else np.inf

    w = np.array([[0.4, 1.7], [-2.2, 0.9]])
    assert challenge_prox(value, w, 1.0, np.round(w)).improvement == 0
    assert challenge_prox(value, w, 1.0, np.floor(w)).improvement > 0.1
    outside = challenge_prox(value, w, 1.0, w)
    assert not outside.solved


def test_rank():
    def value(x):
        return float(np.linalg.matrix_rank(as_matrix(x), tol=1e-10))

    left, sigma, right = np.linalg.svd(LARGE, full_matrices=False)
    step = 0.5 * sigma[3] * sigma[4]
    best = (left[:, :4] * sigma[:4]) @ right[:4]
    assert challenge_prox(value, LARGE, step, best).improvement <= 1e-10
    assert challenge_prox(value, LARGE, step, LARGE).improvement > 0.01


def test_metric_version():
    B, D = LARGE, 10 ** RANDOM.uniform(-2, 0, LARGE.shape)
    model = MODELS[1]
    right = subproblem(B, D, 1.0, model).point

    def value(x):
        return psi_value(x, model)

    assert challenge_subproblem(value, B, D, 1.0, right).improvement <= 1e-11
    ignoring_the_metric = subproblem(B, np.full_like(D, D.mean()), 1.0, model).point
    assert challenge_subproblem(value, B, D, 1.0, ignoring_the_metric).improvement > 1e-2


def test_challenger_is_repeatable():
    results = [challenge_prox(lambda x: float(np.abs(x).sum()), LARGE, 0.3, LARGE, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(results[0].point, results[1].point)


def test_line_minimum_finds_ends_and_inside():
    assert line_minimum(lambda x: x, 0.0, 1.0) == 0.0
    assert line_minimum(lambda x: -x, 0.0, 1.0) == 1.0
    assert line_minimum(lambda x: (x - 0.3) ** 2, 0.0, 1.0) == pytest.approx(0.3, abs=1e-8)


def test_polishing_takes_as_many_steps_as_there_are_entries_to_move():
    """Eight entries at different scales; two hundred steps get nowhere near."""
    scales = np.arange(1.0, 9.0).reshape(2, 4)
    least, source, point = _polish(lambda z: float((scales * (z - 1) ** 2).sum()), np.full((2, 4), 0.5), "polished")
    assert source == "polished"
    assert least <= 1e-8
    assert np.abs(point - 1).max() <= 1e-4


def test_rivals_of_less_structure():
    """Of a matrix every entry, row and column, the largest entries, and all lower ranks; of a vector no rank."""
    centre, candidate = np.diag([3.0, 2.0, 1.0]), np.diag([2.5, 1.5, 0.5])
    found: dict[str, list[np.ndarray]] = {}
    for name, rival in _structured(centre, candidate):
        found.setdefault(name, []).append(rival)
    assert [int(np.count_nonzero(rival)) for rival in found["largest entries of the centre"]][:3] == [1, 2, 3]
    for whose, diagonal in (("candidate", [2.5, 1.5, 0.5]), ("centre", [3.0, 2.0, 1.0])):
        for rank in (1, 2):
            (rival,) = found[f"{whose} at rank {rank}"]
            np.testing.assert_allclose(rival, np.diag([*diagonal[:rank], *[0.0] * (3 - rank)]), atol=1e-15)
    for axis in (0, 1):
        for place, rival in enumerate(found[f"slice of axis {axis} zeroed"]):
            expected = candidate.copy()
            expected[place, place] = 0.0
            assert np.array_equal(rival, expected)
        assert len(found[f"slice of axis {axis} from the centre"]) == 3
    assert len(found["entry zeroed"]) == len(found["entry from the centre"]) == 9
    assert {"candidate at rank 3", "centre at rank 3"}.isdisjoint(found)
    of_a_vector = [name for name, _ in _structured(np.arange(3.0), np.ones(3))]
    assert not any("rank" in name for name in of_a_vector)
    assert of_a_vector.count("largest entries of the centre") == 2
