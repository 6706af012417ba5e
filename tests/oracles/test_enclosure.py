"""Enclosures hold on subproblems whose exact solution is known, at every scale, and are as tight as the distance is."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ramda_verify import enclose as enclose_solution
from ramda_verify.oracles import certificate, float_subproblem
from ramda_verify.oracles.atoms import Norm, Scalar, Spectral
from ramda_verify.oracles.atoms.functions import ABS, SQUARE, capped
from ramda_verify.oracles.enclosure import Interval, applies, enclose, why_not
from ramda_verify.oracles.enclosure.balls import flint
from ramda_verify.oracles.enclosure.matrices import matrix, spectral_norm_at_most
from ramda_verify.oracles.enclosure.spectral import SpectralPart
from ramda_verify.oracles.index_sets import every
from solvers import L1, MCP, GroupLasso, NuclearNorm, Simplex, SparseGroupLasso, Subproblem, Zero, solve
from tests.oracles.exact_problems import PROBLEMS, contradictions, points, soft
from tests.seed import TEST_SEED

SEEDS = [*range(6), TEST_SEED]
CONVEX = (L1(0.3), GroupLasso(0.3), SparseGroupLasso(0.2, 0.1, "output"), Simplex(1.5), NuclearNorm(0.4), Zero())


def random_problem(seed, shape=(4, 3), condition=1e8):
    random = np.random.default_rng(seed)
    D = 10 ** -random.uniform(0, math.log10(condition), shape)
    return random.standard_normal(shape) * (D if seed % 2 else 1), D


def scaled(B, D, by):
    """B and D such that the solution is ``by`` times as large."""
    return B, D / by


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", PROBLEMS)
def test_nothing_that_is_stated_is_wrong(make, seed):
    random = np.random.default_rng(seed)
    problem = make(random)
    for Z in points(problem, random):
        assert contradictions(problem, Z) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", PROBLEMS)
def test_the_bound_is_the_distance(make, seed):
    """Near the solution, and where no singular vectors turn, there is next to nothing between the two."""
    random = np.random.default_rng(seed)
    problem = make(random)
    for Z in points(problem, random)[:5]:
        exact = math.sqrt(sum((Fraction(z) - x) ** 2 for z, x in zip(Z.ravel(), problem.solution, strict=True)))
        found = enclose(Z, problem.B, problem.D, problem.lam, problem.psi).distance
        if make.__name__ == "nuclear":
            assert found <= 1e5 * exact + 1e-13
        else:
            assert found <= 1.001 * exact


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 5]))
def test_residuals_hold_the_exact_one(seed, size):
    random = np.random.default_rng(seed)
    problem = soft(random, size)
    Z = np.where(random.random(size) < 0.3, 0.0, random.standard_normal(size))
    assert contradictions(problem, Z) == []


@pytest.mark.parametrize("regularizer", CONVEX, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_every_scale(regularizer, scale):
    """B, D and lam times a number: the same distances, and nothing overflows but float64's own range."""
    B, D = random_problem(2, condition=10.0)
    Z = float_subproblem.solve(B, D, 1.0, regularizer)
    plain = enclose(Z, B, D, 1.0, regularizer)
    # Rounded once more, B and D are another problem: the residual is of another one, too.
    factor = 2.0 ** round(math.log2(scale))
    found = enclose(Z, B * factor, D * factor, factor, regularizer)
    assert found.distance == pytest.approx(plain.distance, rel=1e-9)
    assert found.relative_distance == pytest.approx(plain.relative_distance, rel=1e-9)
    assert found.residual.high == pytest.approx(plain.residual.high * factor, rel=1e-9, abs=1e-320)


@pytest.mark.parametrize("regularizer", CONVEX[:3], ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
def test_solutions_of_every_size(regularizer, size):
    """A huge or tiny Z in a metric that goes with it: relative bounds stay, absolute ones may be infinite."""
    B, D = random_problem(3, condition=1e3)
    factor = 2.0 ** round(math.log2(size))
    Z = float_subproblem.solve(B, D, 1.0, regularizer) * factor
    found, plain = enclose(Z, B, D / factor, 1.0, regularizer), enclose(Z / factor, B, D, 1.0, regularizer)
    assert found.relative_distance == pytest.approx(plain.relative_distance, rel=1e-9)
    assert found.residual.high == pytest.approx(plain.residual.high, rel=1e-9)
    assert not math.isnan(found.objective_gap)


@pytest.mark.parametrize("regularizer", CONVEX[:4], ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_direct_solution_is_within_roundings_at_condition_1e16(regularizer, seed):
    """In the metric, where a direct solution is perfectly conditioned."""
    B, D = random_problem(seed, condition=1e16)
    Z = solve(Subproblem(torch.tensor(B), torch.tensor(D), 0.7, regularizer), tolerance=0.0).point.numpy()
    found = enclose(Z, B, D, 0.7, regularizer)
    scale = math.hypot(*(B / np.sqrt(D)).ravel()) + math.hypot(*(np.sqrt(D) * Z).ravel())
    assert found.metric_distance <= 4 * np.finfo(float).eps * scale


#: Of a distance between points of norm 14, at a condition number of 10.
SLACK = 1e-10


@pytest.mark.parametrize("regularizer", CONVEX, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_solutions_of_every_dtype(regularizer, dtype):
    B, D = (torch.tensor(values).to(dtype) for values in random_problem(4, condition=10.0))
    problem = Subproblem(B, D, 1.0, regularizer)
    solution = solve(problem, tolerance=0.0)
    found = enclose_solution(solution, problem)
    exact = solve(Subproblem(B.double(), D.double(), 1.0, regularizer), tolerance=1e-13).point
    apart = float((solution.point.double() - exact).norm())
    # A bound, and hardly more than what is to be bounded; what we compare with is itself right to some roundings.
    assert apart - SLACK <= found.distance <= 1.1 * apart + SLACK


def test_a_divided_problem_is_enclosed_in_its_own_units():
    B, D = (torch.tensor(values) for values in random_problem(5, condition=10.0))
    whole, part = Subproblem(B, D, 1.0, GroupLasso(0.2)), Subproblem(B, D, 1.0, GroupLasso(0.2)).divided_by(4.0)
    Z = solve(whole, tolerance=0.0).point * 1.001
    one, other = enclose_solution(Z, whole), enclose_solution(Z, part)
    assert one.distance == other.distance
    for name in ("metric_distance", "objective_gap"):
        assert getattr(one, name) <= getattr(other, name) <= getattr(one, name) * (1 + 1e-14)
    assert other.residual.low <= one.residual.low <= one.residual.high <= other.residual.high


@pytest.mark.parametrize("regularizer", CONVEX[:3], ids=lambda r: type(r).__name__)
def test_zero_problems(regularizer):
    """B = 0: zero is the solution, exactly; lam = 0: B/D is, up to its rounding."""
    B, D = random_problem(6)
    at_zero = enclose(np.zeros_like(B), 0 * B, D, 1.0, regularizer)
    assert at_zero.distance == at_zero.residual.high == at_zero.objective_gap == 0
    assert at_zero.within(0.0)
    free = enclose(B / D, B, D, 0.0, regularizer)
    assert free.within(np.finfo(float).eps)


def test_there_is_no_constraint_at_lam_zero():
    B, D = random_problem(7)
    assert enclose(B / D, B, D, 0.0, Simplex(1.0)).within(np.finfo(float).eps)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3, 2, 2)])
@pytest.mark.parametrize("regularizer", CONVEX, ids=lambda r: type(r).__name__)
def test_degenerate_shapes(regularizer, shape):
    B, D = random_problem(8, shape, 10.0)
    point = solve(Subproblem(torch.tensor(B), torch.tensor(D), 1.0, regularizer), tolerance=0.0).point.numpy()
    found = enclose(point, B, D, 1.0, regularizer)
    assert found.within(1e-11) or found.distance == 0


@pytest.mark.parametrize("side", [1 - 2.0**-50, 1.0, 1 + 2.0**-50])
def test_both_sides_of_a_threshold(side):
    """||B|| at the price of the group, a part in 10^15 below and above: zero is exact up to it, and not beyond."""
    B, D = np.array([[3.0], [4.0]]) * side, np.array([[1.0], [0.125]])
    psi = [Norm(5.0, np.array([0, 1]))]
    found = enclose(np.zeros((2, 1)), B, D, 1.0, psi)
    assert (found.residual.high == 0) == (side <= 1)
    assert found.residual.high == pytest.approx(max(0.0, 5 * (side - 1)), rel=1e-9)


def test_the_price_of_a_group_is_not_rounded():
    """sqrt(3) has no float64: at ||B|| between it and its rounding only the exact price decides."""
    psi = GroupLasso(1.0, "input")
    rounded = math.sqrt(3.0)
    exact_is_more = Fraction(rounded) ** 2 < 3
    B = np.array([[rounded], [0.0], [0.0]])
    found = enclose(np.zeros((3, 1)), B, np.ones((3, 1)), 1.0, psi)
    assert (found.residual.high == 0) == exact_is_more


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("regularizer", CONVEX[:3], ids=lambda r: type(r).__name__)
def test_the_float_residual_lies_within(regularizer, seed):
    B, D = random_problem(seed)
    Z = np.random.default_rng(seed).standard_normal(B.shape)
    Z[:, 0] = 0.0
    found = enclose(Z, B, D, 1.0, regularizer).residual
    assert found.high - found.low <= 1e-5 * found.high
    assert found.holds(certificate.stationarity(Z, B, D, 1.0, regularizer), rounding=1e-14 * (found.high + 10))


def test_an_interval_holds_what_lies_in_it():
    interval = Interval(1.0, 2.0)
    assert all(interval.holds(x) for x in (1.0, 1.5, 2.0))
    assert not any(interval.holds(x) for x in (0.999, 2.001, math.nan))
    assert interval.holds(2.001, rounding=0.01)


def test_overlapping_groups_at_zero():
    """Where no entry decides alone: zero is optimal as long as B can be split among the groups."""
    psi = [Norm(1.0, np.array([0, 1])), Norm(1.0, np.array([1, 2]))]
    D = np.ones(3)
    inside = enclose(np.zeros(3), np.array([0.8, 0.6 + 0.8, 0.6]), D, 1.0, psi)
    assert inside.residual.high <= 1e-15
    outside = enclose(np.zeros(3), np.array([1.0, 1.5, 1.0]), D, 1.0, psi)
    assert 0.1 < outside.residual.low <= outside.residual.high < outside.residual.low * (1 + 1e-3)


@pytest.mark.parametrize(
    ("psi", "words"),
    [
        (MCP(0.3), "not convex"),
        ([Scalar(1.0, every((4, 3)), capped(1.0))], "not convex"),
        ([Spectral(1.0, every((4, 3)), (4, 3), SQUARE)], "singular values"),
        ([Spectral(1.0, every((4, 3)), (4, 3), ABS), Scalar(1.0, every((4, 3)), ABS)], "together"),
        ([Scalar(1.0, every((4, 3)), ABS), type("Other", (Norm,), {})(1.0, every((4, 3)))], "a term of psi"),
        (object(), "not known"),
    ],
)
def test_refused_regularizers(psi, words):
    B, D = random_problem(0)
    assert words in (why_not(psi, B.shape) or "")
    assert not applies(psi, B.shape)
    with pytest.raises(TypeError, match=words):
        enclose(B, B, D, 1.0, psi)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"point": np.full((4, 3), np.nan)}, "point .*nan"),
        ({"B": np.full((4, 3), np.inf)}, "B .*inf"),
        ({"D": np.zeros((4, 3))}, "D .*0"),
        *(({name: np.ones((3, 4))}, r"shape.*\(3, 4\)") for name in ("point", "B", "D")),
        ({"lam": -1.0}, "lam .*-1"),
        ({"lam": math.nan}, "lam .*nan"),
        ({"lam": math.inf}, "lam .*inf"),
        *(({"B": np.full((4, 3), number)}, "B .*int64") for number in (2**53 + 1, 2**63 - 1)),
    ],
)
def test_refused_numbers(changes, match):
    B, D = random_problem(0)
    arguments = {"point": B, "B": B, "D": D, "lam": 1.0, "regularizer": L1(1.0), **changes}
    with pytest.raises(ValueError, match=match):
        enclose(**arguments)


def test_the_precision_of_others_is_left_alone():
    import flint

    before = flint.ctx.prec
    B, D = random_problem(1)
    enclose(B, B, D, 1.0, L1(1.0))
    assert flint.ctx.prec == before


@pytest.mark.parametrize("left", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("right", [0.95, 1.0, 1.2])
def test_a_spectral_value_holds_whatever_the_factors_are_off(left, right):
    """U and V are orthonormal up to the precision alone: here they are off by more, and the sum is known by hand."""
    atom = Spectral(2.0, every((3, 3)), (3, 3), ABS)
    part = SpectralPart(atom, flint.arb(0.5))
    part.left, part.right = (matrix(factor * np.eye(3)[:, :2]) for factor in (left, right))
    part.core = matrix(np.diag([3.0, 0.25]))
    exact = 0.5 * atom.price * left * right * (3.0 + 0.25)
    value = part.value([])
    assert float(value.lower()) <= exact <= float(value.upper())
    assert float(value.upper() - value.lower()) <= (20 * exact if left * right != 1.0 else 1e-12)


@pytest.mark.parametrize("off", [1e-6, 1e-3, 1e-2])
@pytest.mark.parametrize("seed", range(4))
def test_factors_are_found_from_afar(off, seed):
    """B is such that U S V' solves the problem: ``D*Z + price U V' = B`` there. A step from afar makes the gradient
    little smaller, so that the equation of the steps has to be set up again. (At other seeds 1e-2 is too far.)
    """
    random = np.random.default_rng(seed)
    U, V = (np.linalg.qr(random.standard_normal((length, 2)))[0] for length in (4, 3))
    D, price = 10 ** random.uniform(-1, 1, (4, 3)), 0.5
    Z = U * [3.0, 1.0] @ V.T
    B = D * Z + price * (U @ V.T)
    part = SpectralPart(Spectral(1.0, every((4, 3)), (4, 3), ABS), flint.arb(price), 2)
    start = [flint.arb(entry) for entry in (Z + off * random.standard_normal((4, 3))).ravel()]
    metric, pull = ([flint.arb(entry) for entry in values.ravel()] for values in (D, B))
    part.nearby(start)
    slope = [d * z - b for d, z, b in zip(metric, start, pull, strict=True)]
    found = part.refined(start, slope, metric)
    assert isinstance(found, SpectralPart)
    left, core, right = (np.array([float(x) for x in m.entries()]) for m in (found.left, found.core, found.right))
    left, core, right = left.reshape(4, 2), core.reshape(2, 2), right.reshape(3, 2)
    assert np.abs(D * (left @ core @ right.T) + price * (left @ right.T) - B).max() <= 1e-13


@pytest.mark.parametrize("largest", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3)])
def test_a_bound_on_the_spectral_norm(largest, shape):
    values = matrix(largest * np.eye(*shape) * [1.0, 0.5, 0.25][: shape[1]])
    assert spectral_norm_at_most(values, flint.arb(largest * (1 + 1e-12)))
    assert not spectral_norm_at_most(values, flint.arb(largest * (1 - 1e-12)))
