"""Atoms at their thresholds and where nothing is left: numbers by hand, each branch of a term by itself."""

import math

import mpmath
import numpy as np
import pytest

from ramda_verify.oracles import certificate, direct, exact, naive_prox
from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral, scalar
from ramda_verify.oracles.atoms.atom import NoMinimiserError
from ramda_verify.oracles.atoms.functions import (
    ABS,
    COUNT,
    SQUARE,
    Piece,
    ScalarFunction,
    capped,
    even,
    huber,
    mcp,
    quadratic,
)
from ramda_verify.oracles.atoms.scalar_minimum import minimisers

EPS = 2.0**-52
TWO, THREE = np.arange(2), np.arange(3)
FUNCTIONS = [ABS, SQUARE, COUNT, huber(0.5), mcp(1.0, 2.0), capped(0.5)]


def square(price=1.0, function=ABS, shape=(2, 2)):
    return Spectral(price, np.arange(shape[0] * shape[1]), shape, function)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_what_a_function_says_of_itself(function):
    """Convex where no mean of two values is below the value at the mean; homogeneous where f(3x) = 3 f(x)."""
    x = np.linspace(-4, 4, 65)
    values = function.values(x)
    means = 0.5 * (values[:, None] + values[None, :]) - function.values(0.5 * (x[:, None] + x[None, :]))
    assert function.convex == bool((means >= -1e-12).all())
    assert function.homogeneous == np.allclose(function.values(3 * x), 3 * values)
    for atom in (Scalar(1.0, THREE, function), square(function=function)):
        assert (atom.convex, atom.homogeneous) == (function.convex, function.homogeneous)


@pytest.mark.parametrize(
    ("atom", "convex", "homogeneous", "separable", "any_metric"),
    [
        (Norm(1.0, TWO), True, True, False, True),
        (Scalar(1.0, TWO, ABS), True, True, True, True),
        (Simplex(TWO, 1.0), True, False, False, True),
        (square(), True, True, False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_atom_says_of_itself(atom, convex, homogeneous, separable, any_metric):
    said = (atom.convex, atom.homogeneous, atom.separable, atom.any_metric)
    assert said == (convex, homogeneous, separable, any_metric)


#: 0 up to zero and 1 beyond it, and the other way round.
STEP = ScalarFunction("step", (quadratic(-math.inf, 0, 0, 0, 0), quadratic(0, math.inf, 0, 0, 1)), False, points={0: 0})
DOWN = ScalarFunction("down", (quadratic(-math.inf, 0, 0, 0, 1), quadratic(0, math.inf, 0, 0, 0)), False, points={0: 0})
#: |x|^3, whose curvature is no constant.
CUBE = even("cube", (Piece(0.0, math.inf, lambda x: x**3, lambda x: 3 * x * x, lambda x: 6 * x, False),), True)

#: Left and right derivative at points that are kinks, joints, or neither.
SLOPES = [
    (ABS, 0.0, -1.0, 1.0),
    (ABS, 2.0, 1.0, 1.0),
    (ABS, -2.0, -1.0, -1.0),
    (SQUARE, -3.0, -6.0, -6.0),
    (COUNT, 0.0, -math.inf, math.inf),
    (COUNT, 1.0, 0.0, 0.0),
    (huber(0.5), 0.5, 0.5, 0.5),
    (huber(0.5), -0.5, -0.5, -0.5),
    (huber(0.5), 0.25, 0.25, 0.25),
    (mcp(1.0, 2.0), 0.0, -1.0, 1.0),
    (mcp(1.0, 2.0), 2.0, 0.0, 0.0),
    (mcp(1.0, 2.0), -1.0, -0.5, -0.5),
    (STEP, 0.0, 0.0, math.inf),
    (DOWN, 0.0, -math.inf, 0.0),
    (capped(0.5), 0.5, 1.0, 0.0),
    (capped(0.5), -0.5, 0.0, -1.0),
]


@pytest.mark.parametrize(("function", "at", "left", "right"), SLOPES, ids=lambda v: getattr(v, "name", None))
def test_slopes_on_either_side(function, at, left, right):
    found = function.slopes(np.array([at]))
    assert (found[0][0], found[1][0]) == (left, right)


def test_values_at_joints_and_far_out():
    for function, x, value in (
        (huber(0.5), 0.5, 0.125),
        (huber(0.5), -2.0, 1.0 - 0.125),
        (mcp(1.0, 2.0), 2.0, 1.0),
        (mcp(1.0, 2.0), -7.0, 1.0),
        (capped(0.5), -0.5, 0.5),
        (COUNT, 0.0, 0.0),
    ):
        assert function.values(np.array([x])) == pytest.approx([value])
    assert ABS.steepest == (-1.0, 1.0)
    assert huber(0.5).steepest == (-0.5, 0.5)


@pytest.mark.parametrize("size", [1e-100, 1.0, 1e100])
def test_a_stationary_point_has_a_formula_at_every_size(size):
    """Halving a bracket would not come near a small one."""
    b, d = np.array([size]), np.array([2.0])
    for terms, expected in (
        ([(1.0, SQUARE)], size / 4),
        ([(3.0, huber(2 * size))], size / 5),
        ([(2.0, huber(size / 8))], (size - size / 4) / 2),
        ([(1.0, mcp(size / 2, 4.0))], (size - size / 2) / (2 - 0.25)),
        ([(1.0, mcp(size / 8, 1.0))], size / 2),
        ([(size / 4, ABS)], 0.375 * size),
        ([], size / 2),
    ):
        assert minimisers(b, d, terms) == pytest.approx([expected], rel=1e-14, abs=0)
        assert minimisers(-b, d, terms) == pytest.approx([-expected], rel=1e-14, abs=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_curvature_that_grows_with_the_distance(sign):
    """``d*x + 3*x^2 = b``, at 1 for d = 1 and b = 4, at 2 for d = 4 and b = 20, and at 0."""
    found = minimisers(sign * np.array([4.0, 20.0, 0.0]), np.array([1.0, 4.0, 1.0]), [(1.0, CUBE)])
    assert found == pytest.approx(sign * np.array([1.0, 2.0, 0.0]), rel=1e-14, abs=1e-30)
    assert CUBE.pieces[0].curvature(-2.0) == CUBE.pieces[1].curvature(2.0) == 12.0
    assert CUBE.pieces[0].slope(-2.0) == -12.0
    # sup of ``12 z - z^3``, at z = 2, and of ``27 z - z^3``, at z = 3, where there is no quadratic part.
    assert Scalar(1.0, TWO, CUBE).conjugate(sign * np.array([12.0, 27.0])) == pytest.approx(16 + 54)


@pytest.mark.parametrize("function", [COUNT, mcp(1.0, 2.0)], ids=["count", "mcp"])
def test_what_costs_nothing_leaves_a_small_number_alone(function):
    """Though its square has no float: the sum is convex without it."""
    for b in (1e-200, -1e-200):
        assert minimisers(np.array([b]), np.ones(1), [(0.0, function)]).tolist() == [b]
        assert minimisers(np.array([b]), np.ones(1), [(0.5, SQUARE), (0.0, function)]).tolist() == [b / 2]


def test_of_several_minimisers_the_first_is_found():
    """With the price 2 for what is not zero, 0 and b are as good; from the left to the right on every piece."""
    assert minimisers(np.array([2.0, -2.0]), np.ones(2), [(2.0, COUNT)]).tolist() == [0.0, -2.0]


@pytest.mark.parametrize("factor", [1 - 1e-15, 1.0])
def test_a_group_up_to_its_price_is_zero(factor):
    b = factor * np.array([3.0, 4.0])
    assert Norm(5.0, TWO).minimiser(b, np.array([1.0, 9.0])).tolist() == [0.0, 0.0]


def test_a_group_of_no_price_and_one_of_no_entries():
    free, b, d = Norm(0.0, TWO), np.array([3.0, 0.0]), np.array([2.0, 4.0])
    assert free.minimiser(b, d).tolist() == [1.5, 0.0]
    assert free.minimiser(0 * b, d).tolist() == [0.0, 0.0]
    assert free.thresholds(b) == []
    assert Norm(1.5, TWO).thresholds(b) == [2.0]
    assert Scalar(0.0, TWO, ABS).thresholds(b) == []
    assert Scalar(1.5, TWO, ABS).thresholds(b) == [2.0, 0.0]
    assert Scalar(1.5, TWO, SQUARE).thresholds(b) is None
    assert square(1.5).thresholds(np.array([3.0, 0.0, 0.0, 6.0])) == pytest.approx([4.0, 2.0])


def test_nothing_is_left_of_nothing():
    """At zero, where the slope and the argument are zero, too."""
    zero = np.zeros(2)
    norm = Norm(1.0, TWO)
    assert norm.residual(zero, zero, 0.0).tolist() == [0.0, 0.0]
    assert norm.multiplier(zero, zero, np.ones(2)).tolist() == [0.0, 0.0]
    assert norm.shortened(zero, lambda length, cost: 1.0).tolist() == [0.0, 0.0]
    for psi in ([norm], [square()], [Scalar(1.0, TWO, SQUARE)]):
        size = 4 if psi[0] is not norm and isinstance(psi[0], Spectral) else 2
        found = exact.subproblem(np.zeros(size), np.ones(size), 1.0, psi)
        assert found.solved, found.detail
        assert found.point.tolist() == [0.0] * size
        assert naive_prox.naive_prox(np.zeros(size), 1.0, psi).point.tolist() == [0.0] * size


def test_entries_that_cost_nothing_have_the_slope_of_the_rest():
    """Though a jump without a price is infinite times zero."""
    slope = np.array([1.0, -2.0])
    assert Scalar(0.0, TWO, COUNT).residual(np.zeros(2), slope, 0.0).tolist() == [1.0, -2.0]
    flat = np.array([1.0, -2.0, 0.5, 3.0])
    assert square(0.0, COUNT).residual(np.zeros(4), flat, 0.0) == pytest.approx(flat)
    assert square(2.0, COUNT).residual(np.zeros(4), flat, 0.0) == pytest.approx(np.zeros(4))
    psi = [Scalar(0.0, TWO, COUNT), Scalar(0.5, TWO, ABS)]
    found = exact.subproblem(np.array([2.0, -0.25]), np.ones(2), 1.0, psi)
    assert found.solved, found.detail
    assert found.point.tolist() == [1.5, 0.0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("atom", "bound"),
    [(Norm(2.0, np.arange(1)), 2.0), (Scalar(2.0, np.arange(1), ABS), 2.0), (Scalar(2.0, THREE[:1], huber(0.5)), 1.0)],
    ids=["norm", "entries", "Huber"],
)
def test_a_conjugate_is_finite_up_to_eight_roundings_of_the_bound(atom, bound, sign):
    for roundings, finite in ((0, True), (8, True), (9, False), (20, False)):
        found = atom.conjugate(np.array([sign * bound * (1 + roundings * EPS)]))
        assert math.isfinite(found) == finite


def test_the_conjugate_of_singular_values_has_a_bound_up_to_their_rounding():
    atom = square(2.0)
    for share, finite in ((1.0, True), (1 + 5e-14, True), (1 + 2e-13, False)):
        assert math.isfinite(atom.conjugate(2.0 * share * np.array([1.0, 0.0, 0.0, 0.5]))) == finite


@pytest.mark.parametrize("sign", [1, -1])
def test_a_point_that_is_lower_on_one_side_only_is_no_minimiser(sign, monkeypatch):
    """MCP's two pieces meet at x = 2 without a kink; with b = 2d the slope is zero there, and for d < 1/2 the
    objective falls towards zero and rises outwards.
    """
    joint = np.array([sign * mpmath.mpf(2)], dtype=object)
    b, d = np.array([sign * mpmath.mpf(0.5)], dtype=object), np.array([mpmath.mpf(0.25)], dtype=object)
    monkeypatch.setattr(scalar, "minimisers", lambda *given: joint)
    with mpmath.workdps(70), pytest.raises(NoMinimiserError, match="neighbour"):
        scalar.checked_minimisers(b, d, [(1.0, mcp(1.0, 2.0))])


@pytest.mark.parametrize("reason", [RuntimeError, ZeroDivisionError])
def test_an_exact_decomposition_may_fail_in_two_ways(reason, monkeypatch):
    def fails(*given, **options):
        raise reason("no convergence")

    monkeypatch.setattr(mpmath, "svd_r", fails)
    answer = exact.subproblem(np.eye(2), np.ones((2, 2)), 1.0, [square()])
    assert not answer.solved
    assert "no convergence" in answer.detail


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2, 2)])
def test_singular_values_by_hand(shape):
    """3 and 0.5 in two planes, less one each."""
    z = np.zeros(shape)
    z[0, 1], z[1, 0] = 3.0, 0.5
    expected = np.zeros(shape)
    expected[0, 1] = 2.0
    atom, ones = square(1.0, shape=shape), np.ones(6)[: z.size]
    assert atom.minimiser(z.ravel(), ones).reshape(shape) == pytest.approx(expected, abs=1e-15)
    assert naive_prox.naive_prox(z, 1.0, [atom]).point == pytest.approx(expected, abs=1e-6)
    assert atom.value(z.ravel()) == pytest.approx(3.5)
    assert exact.subproblem(z, np.ones(shape), 1.0, [atom]).point == pytest.approx(expected, abs=1e-15)
    bounded = np.minimum(z, 1.0)  # in each of the two planes
    assert atom.multiplier(z.ravel(), 0 * ones, ones).reshape(shape) == pytest.approx(bounded, abs=1e-15)
    # max d is 4: the prox of z + v/4 has the multiplier v + 4*z up to the price.
    uneven = np.where(np.arange(z.size) == 0, 4.0, ones)
    assert atom.multiplier(0 * ones, z.ravel() / 4, uneven).reshape(shape) == pytest.approx(bounded, abs=1e-15)
    slope = expected - z  # of 1/2||Z||^2 - <z, Z> at the prox
    assert atom.residual(expected.ravel(), slope.ravel(), 1e-12) == pytest.approx(np.zeros(z.size), abs=1e-15)
    beyond = slope.copy()
    beyond[1, 0] = -1.75
    left = np.zeros(shape)
    left[1, 0] = -0.75
    assert atom.residual(expected.ravel(), beyond.ravel(), 1e-12).reshape(shape) == pytest.approx(left, abs=1e-15)


@pytest.mark.parametrize("seed", range(6))
def test_singular_values_in_a_metric_stand_still_at_the_level_of_rounding(seed):
    random = np.random.default_rng(seed)
    b, d = random.standard_normal(12), 10 ** random.uniform(-2, 0, 12)
    atom = square(0.3, shape=(4, 3))
    z = atom.minimiser(b, d)
    assert certificate.stationarity(z, b, d, 1.0, [atom], rank_tolerance=1e-10) <= 1e-12
    assert atom.minimiser(0 * b, d).tolist() == [0.0] * 12


@pytest.mark.parametrize(
    ("z", "slope", "left"),
    [
        ((1.0, 1.0, 0.0), (-3.0, -5.0, -1.0), (1.0, -1.0, 0.0)),
        ((1.0, 1.0, 0.0), (-3.0, -5.0, -7.0), (2.0, 0.0, -2.0)),
        ((1.0, 1.0, 0.0), (-3.0, -5.0, -4.0), (1.0, -1.0, 0.0)),
        ((2.0, 0.0, 0.0), (-3.0, -9.0, -5.0), (3.0, -3.0, 0.0)),
        ((0.0, 0.0, 0.0), (-3.0, -9.0, -5.0), (0.0, 0.0, 0.0)),
    ],
)
def test_what_normal_vectors_of_a_simplex_leave(z, slope, left):
    """The mean of 3, 5 and 7 is 5, that of 3 and 9 is 6; what lies above it is taken in, the largest first."""
    found = Simplex(THREE, 2.0).residual(np.array(z), np.array(slope), 0.0)
    assert found == pytest.approx(left)


def test_a_projection_on_a_simplex_in_a_metric():
    """``(b - 1)/d`` of (5, 3) in (2, 1) sums to 4; the other entry is exactly at the multiplier, or below it."""
    for last in (1.0, -9.0):
        found = Simplex(THREE, 4.0).minimiser(np.array([last, 5.0, 3.0]), np.array([4.0, 2.0, 1.0]))
        assert found.tolist() == [0.0, 2.0, 2.0]


def test_atoms_that_couple_the_same_entry_have_no_direct_solution():
    """Whichever of them comes first, and however many there are."""
    pair = [Norm(1.0, np.array([0, 1])), Norm(1.0, np.array([1, 2]))]
    for atoms in (pair, pair[::-1], [*pair, Norm(1.0, np.array([3]))], [Norm(1.0, np.array([3])), *pair]):
        assert "share" in (direct.why_not(atoms, 4) or "")
    for function, atom, fine in (
        (ABS, Norm(1.0, TWO), True),
        (SQUARE, Norm(1.0, TWO), False),
        (ABS, Simplex(TWO, 1.0), False),
    ):
        together = [Scalar(1.0, np.array([1, 2]), function), atom]
        assert (direct.why_not(together, 3) is None) == fine
        assert direct.why_not([Scalar(1.0, np.array([2]), function), atom], 3) is None
    assert direct.why_not([square()], 4) == "a metric that is not constant needs iteration"
    assert direct.why_not([square()], 4, constant_metric=True) is None
    assert "share" in direct.why_not(pair, 3, constant_metric=True)


def test_entries_are_in_blocks_with_what_couples_them_or_with_those_that_have_the_same_terms():
    """The first norm has entries that no other term touches, as the fifth entry; the seventh has two terms."""
    norms = [Norm(1.0, np.array([2, 0])), Norm(1.0, np.array([1, 3]))]
    one, other = Scalar(1.0, np.array([1, 3, 5, 6]), ABS), Scalar(2.0, np.array([6]), SQUARE)
    found = direct.blocks([one, *norms, other], 8)
    assert [block.indices.tolist() for block in found[:2]] == [[2, 0], [1, 3]]
    assert [block.coupling for block in found[:2]] == norms
    assert [block.scalars for block in found[:2]] == [(), (one,)]
    single = {tuple(block.indices.tolist()): block.scalars for block in found[2:]}
    assert single == {(4, 7): (), (5,): (one,), (6,): (one, other)}
    assert len(found) == 5
    alone = direct.blocks([norms[0], Scalar(1.0, np.array([1, 3]), ABS)], 4)
    assert [block.indices.tolist() for block in alone] == [[2, 0], [1, 3]]


@pytest.mark.parametrize("exactly", [False, True])
def test_prices_of_single_entries_come_off_before_the_norm(exactly):
    """b = (5, -6, 1, -1, 0.5) less (1, 2, 1, 1, 0) is (4, -4, 0, 0, 0.5) where the second entry is priced twice."""
    b, d = np.array([5.0, -6.0, 1.0, -1.0, 0.5]), np.ones(5)
    atoms = [Scalar(1.0, np.arange(4), ABS), Scalar(1.0, np.array([1]), ABS), Norm(1.0, np.arange(5))]
    left = np.array([4.0, -4.0, 0.0, 0.0, 0.5])
    expected = left * (1 - 1 / math.hypot(*left))
    if exactly:
        found = exact.subproblem(b, d, 1.0, atoms).point
    else:
        found = direct.solution(atoms, b, d, exact=False)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_group_whose_solution_has_unit_length():
    """A price of 1 takes (2, 0) to (1, 0): its multiplier is 1 without rounding."""
    b, d = (np.array([mpmath.mpf(x) for x in entries]) for entries in ((2, 0), (1, 1)))
    assert [float(entry) for entry in Norm(1.0, TWO).exact_minimiser(b, d)] == [1.0, 0.0]
