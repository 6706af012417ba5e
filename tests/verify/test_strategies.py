"""What is drawn is valid by construction and reaches the places where things go wrong."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

from ramda_verify.cases import companions, strategies
from ramda_verify.cases.companions import array as companions_array
from ramda_verify.checks.regularizer import layout_claim
from ramda_verify.engine.targets import known_regularizers, known_target
from solvers import L1, GroupLasso, NuclearNorm
from tests.mutants.mutant import regularizer_target_of

#: All registered regularizers that have a weight.
NAMES = [name for name in known_regularizers() if hasattr(known_target(name).example, "reg_weight")]


def drawn(strategy, count=400):
    found = []

    @hypothesis.seed(0)
    @settings(max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(case):
        found.append(case)

    collect()
    return found


def test_no_entry_is_next_to_zero():
    """Hypothesis likes 2.2e-308, which times D has fewer digits: a right solution was accused at one seed in many."""
    sizes = [abs(entry) for entry in drawn(strategies.entries(), 1000) if entry != 0]
    assert strategies.SMALLEST_ENTRY <= min(sizes) < 1e-5
    assert 1e5 < max(sizes) <= 1e6


@pytest.fixture(scope="module", params=NAMES)
def cases(request):
    return drawn(strategies.subproblem_cases(known_target(request.param).instances))


def test_subproblems_are_valid(cases):
    for case in cases:
        B, D = case["B"], case["D"]
        assert B.shape == D.shape
        assert B.size > 0
        assert B.dtype == D.dtype == np.float64
        assert np.isfinite(B).all()
        assert (D > 0).all()
        assert np.isfinite(D).all()
        assert 0 < case["lam"] < 1e14  # at most 100 times a critical weight below 1e12
        assert case["regularizer"].reg_weight >= 0
        case["regularizer"].check_shape(B.shape)


def test_condition_numbers_reach_both_ends(cases):
    conditions = [float(case["D"].max() / case["D"].min()) for case in cases]
    assert min(conditions) == 1.0
    assert 1e5 < max(conditions) <= 1e8 * (1 + 1e-9)


def test_metrics_reach_both_extremes(cases):
    assert min(float(case["D"].min()) for case in cases) < 1e-9
    assert max(float(case["D"].max()) for case in cases) > 1e9


def test_weights_lie_on_both_sides_of_a_threshold(cases):
    relative = []
    for case in cases:
        critical = [c for c in strategies.critical_weights(case["regularizer"], case["B"]) if c > 1e-200]
        relative += [case["lam"] / c for c in critical]
    found = np.array(relative)
    assert (np.abs(found - 1) < 1e-12).any()
    for near in (1 - 1e-9, 1 + 1e-9, 0.5, 2.0):
        assert (np.abs(found / near - 1) < 1e-12).any(), near


def test_degenerate_cases_are_among_them(cases):
    assert any(not case["B"].any() for case in cases)
    assert any(case["regularizer"].reg_weight == 0 for case in cases)
    assert any(case["B"].size == 1 for case in cases)
    assert len({case["B"].shape for case in cases}) >= 6


def test_every_grouping_and_dimension_is_drawn():
    found = drawn(strategies.prox_cases(known_target("group_lasso").instances))
    assert {case["regularizer"].grouping for case in found} == {"input", "output", "channel", "filter"}
    assert {case["w"].ndim for case in found} == {2, 3, 4, 5}
    assert {(case["regularizer"].layout, case["regularizer"].conv_groups) for case in found} == {
        (layout, blocks) for layout in ("out_in", "in_out") for blocks in (1, 2, 3)
    }
    # Groups that are pairs of a block with several outputs and an index.
    assert any(
        case["regularizer"].groups.blocks > 1 and case["w"].shape[0] > case["regularizer"].conv_groups for case in found
    )


def test_condition_can_be_bounded():
    found = drawn(strategies.subproblem_cases(known_target("l1").instances, max_condition=10.0, extreme=False))
    assert all(case["D"].max() <= 1.0 + 1e-12 for case in found)
    assert all(case["D"].max() / case["D"].min() <= 10 * (1 + 1e-9) for case in found)


@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (L1(2.0), [1.5, 0.0, 2.0, 0.0]),
        (GroupLasso(2.0, "input"), [5 / np.sqrt(2) / 2, 0.0]),
        (GroupLasso(2.0, "output"), [3 / np.sqrt(2) / 2, 4 / np.sqrt(2) / 2]),
        (GroupLasso(2.0, "input", "in_out"), [3 / np.sqrt(2) / 2, 4 / np.sqrt(2) / 2]),
        (GroupLasso(2.0, "channel", conv_groups=2), [1.5, 0.0, 2.0, 0.0]),
        (NuclearNorm(2.0), [2.5, 0.0]),
        (L1(0.0), []),
        (object(), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_critical_weights_by_hand(regularizer, expected):
    B = np.array([[3.0, 0.0], [4.0, 0.0]])
    np.testing.assert_allclose(strategies.critical_weights(regularizer, B), expected, atol=1e-15)


class Count:
    """The number of nonzeros, which is none of ours: its weights have to be searched for."""

    def prox(self, w, step):
        return torch.where(0.5 * w * w > step, w, 0.0)


class Raises:
    """A prox that takes no input at all."""

    def prox(self, w, step):
        raise ValueError("out of its domain")


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_critical_weights_of_another_are_searched_for(scale):
    B, D = np.array([[3.0, 0.0], [4.0, -1.0]]), np.full((2, 2), scale)
    found = strategies.critical_weights(Count(), B, D)
    np.testing.assert_allclose(found, [0.5 / scale, 8.0 / scale], rtol=1e-6)
    assert strategies.critical_weights(Count(), 0 * B, D) == []
    assert strategies.critical_weights(Raises(), B, D) == []


def test_some_slices_are_zero():
    found = drawn(strategies.tensors((3, 4)))
    zero = [w for w in found if w.any() and not (w.any(axis=0).all() and w.any(axis=1).all())]
    assert len(zero) > 0.2 * len(found)
    companions = [companions_array(np.random.default_rng(seed), (3, 4)) for seed in range(200)]
    zero = [w for w in companions if w.any() and not (w.any(axis=0).all() and w.any(axis=1).all())]
    assert len(zero) > 20


def test_shapes_of_the_users_own():
    class Own:
        shapes = ((4, 4), (2,))

    class Square:
        def value(self, w):
            if w.ndim < 2:
                raise ValueError("a matrix is needed")
            return w.sum()

    class Unfinished:
        def value(self, w):
            raise NotImplementedError

    class Nothing:
        def value(self, w):
            raise ValueError("never")

    assert strategies.shapes(Own()) == ((4, 4), (2,))
    assert all(len(shape) >= 2 for shape in strategies.shapes(Square()))
    assert strategies.shapes(Nothing()) == strategies.SHAPES
    # Nothing but a ValueError refuses a shape: the rest is a finding of the checks.
    assert strategies.shapes(Unfinished()) == strategies.SHAPES
    assert strategies.large_shapes(Own()) == ((4, 4),)
    assert all(len(shape) >= 2 for shape in strategies.large_shapes(Square()))


@pytest.mark.parametrize("plain", [True, False])
def test_a_weight_is_half_the_time_beside_a_critical_one(plain):
    rng, critical = np.random.default_rng(0), 7e5
    drawn_weights = [companions.weight(rng, [critical, np.inf, 0.0], plain) for _ in range(400)]
    near = {critical * factor for factor in companions.AROUND_A_THRESHOLD}
    beside = [lam in near for lam in drawn_weights]
    assert 0.4 < np.mean(beside) < 0.6
    assert {lam for lam, is_beside in zip(drawn_weights, beside, strict=True) if is_beside} == near
    others = [lam for lam, is_beside in zip(drawn_weights, beside, strict=True) if not is_beside]
    assert min(others) < 1
    assert max(others) > 1
    assert set(others) == {0.5, 1.0, 2.0} if plain else 1e-4 <= min(others) < max(others) <= 1e4


class OfAnyShape(L1):
    """A psi of vectors as well, that names a layout for each weight."""

    def for_layout(self, layout, shape):
        return self


def test_weights_of_linear_maps_have_two_axes():
    """A vector is no linear map, also where psi takes vectors."""
    cases = drawn(layout_claim._layouts(regularizer_target_of(OfAnyShape)), 100)
    assert {case["w"].ndim for case in cases} >= {2, 4}
    assert all(case["w"].ndim > 1 and case["w"].shape[0] % case["conv_groups"] == 0 for case in cases)
