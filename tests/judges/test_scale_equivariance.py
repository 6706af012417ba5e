"""What may differ between a solve and the same one at another scale."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import scales
from ramda_verify.checks.subproblem.scales import Scale, _difference, measure_equivariance
from ramda_verify.checks.subproblem.units import ValueAndProx
from ramda_verify.engine.record import NothingClaimed
from solvers import L1, Simplex, Subproblem
from solvers.subproblem import Status
from tests.judges.cases import TWO_BY_TWO
from tests.judges.solutions import batch_of, half_as_good

EPS = float(np.finfo(np.float64).eps)
EPS32 = float(np.finfo(np.float32).eps)
B, D = [3.0, 4.0], [0.25, 1.0]
POINT = [1.5, -2.0]
LARGE = Scale.of("all", 512)


def problem(dtype=torch.float64):
    return Subproblem(torch.tensor(B, dtype=dtype), torch.tensor(D, dtype=dtype), 1.0, L1(1.0))


def never():
    raise AssertionError("nobody needs the iterations of nearby problems")


def difference(unit=None, other=None, scale=LARGE, W=None, nearby=never, off=(0.0, 0.0), dtype=torch.float64):
    """Of two solutions that are the same but for ``off`` and for the fields given, the residuals those at s = 1."""
    unit, other = dict(unit or {}), dict(other or {})
    point = torch.tensor(unit.pop("point", POINT), dtype=torch.float64)
    there = (point + torch.tensor(off, dtype=torch.float64)) * scale.point
    other["residual"] = other.get("residual", 0.5) * scale.slope
    other["tolerance"] = other.get("tolerance", 1.0) * scale.slope
    W = None if W is None else torch.tensor(W, dtype=dtype)
    found = half_as_good(there.to(dtype), **other)
    return _difference(problem(dtype), half_as_good(point.to(dtype), **unit), found, scale, W, nearby)


def test_the_three_scales_of_a_problem():
    """Solutions are s times larger where B and lam are, and s times smaller where D is larger."""
    assert Scale.of("all", 3) == (3, 8.0, 8.0, 1.0)
    assert Scale.of("B and lam", 3) == (3, 8.0, 1.0, 8.0)
    assert Scale.of("D", 3) == (3, 1.0, 8.0, 0.125)


@pytest.mark.parametrize("kind", ["all", "B and lam", "D"])
@pytest.mark.parametrize("exponent", [-996, 512, 996])
@pytest.mark.parametrize("W", [None, [6.0, -8.0]])
def test_points_may_be_apart_by_what_their_residuals_and_rounding_allow(kind, exponent, W):
    """A residual of 1/2 of each, over min D."""
    rounding = 16 * EPS * (5.0 + math.hypot(0.375, 2.0))
    rounding += 0.0 if W is None else 16 * EPS * (5.0 + math.hypot(1.5, 8.0))
    for apart in (3.0, 6.0):
        violation, why = difference(scale=Scale.of(kind, exponent), off=(0.6 * apart, 0.8 * apart), W=W)
        assert violation == pytest.approx(apart * 0.25 / (1.0 + rounding) - 1, rel=1e-13)
        assert why == f"points / s {apart:.3g} apart, residual / s 0.5, 0.5 at s = 1"


@pytest.mark.parametrize("W", [None, [6.0, -8.0]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_both_residuals_are_zero_rounding_alone_is_allowed(W, dtype):
    eps = float(torch.finfo(dtype).eps)
    rounding = 16 * eps * (5.0 + math.hypot(0.375, 2.0))
    rounding += 0.0 if W is None else 16 * eps * (5.0 + math.hypot(1.5, 8.0))
    zero = {"residual": 0.0}
    off = 2.0 ** (-16 if dtype == torch.float32 else -45)
    violation, _ = difference(zero, zero, Scale.of("all", 64), off=(off, 0.0), W=W, dtype=dtype)
    assert violation == pytest.approx(off * 0.25 / rounding - 1, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "point", "judged"),
    [
        ("B and lam", [2.0**-26, 1.0], True),  # 2**-1022, the smallest normal number
        ("B and lam", [2.0**-26 * 0.99, 1.0], False),
        ("B and lam", [1.0, -(2.0**-27)], False),
        ("B and lam", [0.0, 1.0], True),
        ("all", [2.0**-100, 1.0], True),
    ],
)
def test_nothing_is_claimed_where_a_part_of_the_solution_is_denormal(kind, point, judged):
    other = {"status": Status.PRECISION_LIMIT}
    violation, _ = difference({"point": point}, other, scale=Scale.of(kind, -996))
    assert violation == (math.inf if judged else 0.0)


def test_what_is_denormal_depends_on_the_dtype():
    case = {"unit": {"point": [2.0**-40, 1.0]}, "other": {"status": Status.PRECISION_LIMIT}}
    assert difference(**case, scale=Scale.of("B and lam", -90), dtype=torch.float32)[0] == 0.0
    assert difference(**case, scale=Scale.of("B and lam", -90))[0] == math.inf


@pytest.mark.parametrize(
    ("unit", "other", "words"),
    [
        ({"status": Status.PRECISION_LIMIT}, {}, "status Status.CONVERGED, Status.PRECISION_LIMIT at s = 1"),
        ({"residual": 1.01}, {"residual": 0.99}, "accepted True, False at s = 1"),
        ({"residual": 0.99}, {"residual": 1.01}, "accepted False, True at s = 1"),
        ({"descent": True}, {"descent": False}, "descent False, True at s = 1"),
    ],
)
def test_status_acceptance_and_descent_are_the_same_at_every_scale(unit, other, words):
    assert difference(unit, other) == (math.inf, words)


def iterations(count, there, scale, nearby=never):
    return difference({"iterations": count}, {"iterations": there}, scale, nearby=nearby)


@pytest.mark.parametrize("kind", ["all", "B and lam", "D"])
@pytest.mark.parametrize("exponent", [-599, 599])
def test_iterations_differ_by_one_where_nothing_is_denormal(kind, exponent):
    scale = Scale.of(kind, exponent)
    for there in (19, 20, 21):
        assert iterations(20, there, scale)[0] < 0
    for there in (18, 22):
        assert iterations(20, there, scale) == (math.inf, f"{there} iterations, 20 at s = 1")


@pytest.mark.parametrize("kind", ["all", "B and lam", "D"])
@pytest.mark.parametrize("exponent", [-600, 600])
def test_iterations_differ_by_a_quarter_and_two_where_norms_are_rounded(kind, exponent):
    scale = Scale.of(kind, exponent)
    for there in (13, 27):
        assert iterations(20, there, scale)[0] < 0
    for there in (12, 28):
        assert iterations(20, there, scale, lambda: [20, 20]) == (math.inf, f"{there} iterations, 20 at s = 1")


@pytest.mark.parametrize(
    ("there", "allowed"), [(1, False), (2, False), (3, True), (10, True), (37, True), (38, False), (90, False)]
)
def test_or_by_as_much_from_those_of_nearby_problems(there, allowed):
    """Of which one takes 10 iterations and the other 30; 7 more or less are allowed."""
    for nearby in ([10, 30], [30, 10], [15, 30, 10]):
        violation, _ = iterations(20, there, Scale.of("all", 996), lambda nearby=nearby: nearby)
        assert (violation < 0) == allowed


@pytest.mark.parametrize(("residual", "same"), [(0.51, True), (1.49, True), (0.49, False), (1.51, False)])
def test_residuals_of_equally_many_iterations_differ_by_half(residual, same):
    unit, other = {"residual": 1.0, "tolerance": 2.0}, {"residual": residual, "tolerance": 2.0}
    violation, why = difference(unit, other)
    assert (violation == pytest.approx(-1.0)) == same
    assert same or violation == math.inf
    assert f"residual / s {residual:.6g}, 1 at s = 1" in why
    assert difference({**unit, "iterations": 2}, other)[0] == pytest.approx(-1.0)


def test_a_residual_within_rounding_of_zero_may_be_zero():
    rounding = 16 * EPS * (5.0 + math.hypot(0.375, 2.0))
    for residual, same in ((0.49 * rounding, True), (0.51 * rounding, False)):
        assert (difference({"residual": 0.0}, {"residual": residual})[0] < 0) == same


@pytest.mark.parametrize("wrong", [{"off": (math.nan, 0.0)}, {"off": (0.0, math.inf)}])
def test_a_point_that_is_no_number_is_never_close(wrong):
    assert difference(**wrong)[0] == math.inf


def test_residuals_that_are_no_numbers_are_never_the_same():
    for unit, other in product((0.5, math.nan), repeat=2):
        if math.isnan(unit + other):
            status = {"tolerance": 0.25, "status": Status.ITERATION_LIMIT}
            assert difference({"residual": unit, **status}, {"residual": other, **status})[0] == math.inf


MATRIX, METRIC, START = (TWO_BY_TWO[name] for name in ("B", "D", "start"))
CASE = {
    **TWO_BY_TWO,
    "lam": 2.0,
    "kind": "B and lam",
    "which": 0,
    "narrow": False,
    "referred": True,
}
#: Of the problem of unit size: B, D, lam and the point to start from.
b, d, WEIGHT, W = MATRIX / 4, METRIC / 8, 0.5, START / 2


class ExactSolvers:
    """In the place of both solvers: the solution for the L1 norm, by 7 iterations and with a quarter of the tolerance
    as residual; ``fault`` adds to the fields by (who, method, lam, size of B)."""

    def __init__(self, monkeypatch, fault=lambda *_: {}):
        self.one, self.many, self.fault = [], [], fault
        monkeypatch.setattr(scales, "solve", self.solve)
        monkeypatch.setattr(scales, "solve_batch", self.solve_batch)

    def answer(self, who, method, B, D, lam, tolerance):
        fields = {"iterations": 7, "tolerance": float(tolerance), "residual": 0.25 * float(tolerance)}
        point = B.sign() * (B.abs() - lam).clamp_min(0) / D
        return half_as_good(point, **{**fields, **self.fault(who, method, float(lam), float(B.abs().max()))})

    def solve(self, problem, reference, *, tolerance, method, max_iterations):
        self.one.append((problem.B, problem.D, problem.lam, tolerance, reference, method, problem.regularizer))
        return self.answer("solve", method, problem.B, problem.D, problem.lam, tolerance)

    def solve_batch(self, B, D, lam, regularizer, reference, *, tolerance, method, max_iterations):
        self.many.append((B, D, lam, tolerance, reference, method))
        rows = enumerate(zip(B, D, lam, tolerance, strict=True))
        return batch_of([self.answer(f"row {row}", method, *numbers) for row, numbers in rows])


EXPONENTS = {False: [-996, -565, 512, 565, 996], True: [-90, -64, 64, 110]}
SLOPE_METRIC_POINT = {"all": (1, 1, 0), "B and lam": (1, 0, 1), "D": (0, 1, -1)}


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("referred", [False, True])
@pytest.mark.parametrize("kind", ["all", "B and lam", "D"])
@pytest.mark.parametrize("which", range(5))
def test_both_solvers_are_asked_at_one_scale_and_the_batch_at_the_next_as_well(
    narrow, referred, kind, which, monkeypatch
):
    """Each for a billionth of ||B||, or a thousandth in float32; after the last scale comes the first."""
    asked = ExactSolvers(monkeypatch)
    found = measure_equivariance(**{**CASE, "narrow": narrow, "referred": referred, "kind": kind, "which": which})
    assert found.violation == -1.0
    assert found.problems == 3
    dtype, count = (torch.float32, 4) if narrow else (torch.float64, 5)
    exponents = [0, *(EXPONENTS[narrow][(which + more) % count] for more in (0, 1))]
    slopes, metrics, points = ([2.0 ** (e * n) for e in exponents] for n in SLOPE_METRIC_POINT[kind])
    goal = (1e-3 if narrow else 1e-9) * math.sqrt(0.25 + 1 + 1 / 16)

    def scaled(array, factors):
        return torch.stack([torch.tensor(array, dtype=dtype) * factor for factor in factors])

    for B, D, weights, goals, references, _ in asked.many:
        assert torch.equal(B, scaled(b, slopes))
        assert torch.equal(D, scaled(d, metrics))
        assert weights.tolist() == [WEIGHT * slope for slope in slopes]
        assert goals.tolist() == pytest.approx([goal * slope for slope in slopes], rel=1e-14)
        assert torch.equal(references, scaled(W, points)) if referred else references is None
    for row, (B, D, weight, tolerance, reference, _, _) in enumerate(asked.one):
        assert torch.equal(B, scaled(b, slopes)[row % 2])
        assert torch.equal(D, scaled(d, metrics)[row % 2])
        assert weight == WEIGHT * slopes[row % 2]
        assert tolerance == pytest.approx(goal * slopes[row % 2], rel=1e-14)
        assert torch.equal(reference, scaled(W, points)[row % 2]) if referred else reference is None
    methods = [call[5] for call in asked.many]
    assert set(methods) >= {"auto", "accelerated", "proximal_gradient", "splitting"}
    assert [call[5] for call in asked.one] == [method for method in methods for _ in range(2)]


@pytest.mark.parametrize(
    ("who", "exponent", "name"),
    [("solve", 565, "solve"), ("row 1", 565, "solve_batch"), ("row 2", 996, "solve_batch")],
)
@pytest.mark.parametrize("method", ["auto", "splitting"])
def test_each_of_the_solutions_is_compared_and_named(who, exponent, name, method, monkeypatch):
    size = 2.0**exponent

    def fault(*given):
        return {"status": Status.PRECISION_LIMIT} if given == (who, method, WEIGHT * size, size) else {}

    ExactSolvers(monkeypatch, fault)
    found = measure_equivariance(**{**CASE, "which": 3})
    assert found.violation == math.inf
    words = f"{name}, {method}, B and lam times 2**{exponent}, torch.float64: status Status.PRECISION_LIMIT"
    assert found.note.startswith(words)


@pytest.mark.parametrize("referred", [True, False])
def test_the_rounding_of_the_reference_is_allowed_where_there_is_one(referred, monkeypatch):
    """Residuals that differ by a share of that."""
    at_solution = 16 * EPS * (math.sqrt(21 / 16) + math.hypot(0.5, 0.0))
    at_reference = 16 * EPS * (math.sqrt(21 / 16) + float(np.linalg.norm(d * W)))
    both = at_solution + at_reference

    def fault(who, method, lam, size):
        return {"residual": 0.45 * both * size if size != 1 else 0.0}

    ExactSolvers(monkeypatch, fault)
    found = measure_equivariance(**{**CASE, "referred": referred})
    assert (found.violation < 0) == referred


@pytest.mark.parametrize(
    ("lam", "ulp"), [(2.0, 2 * EPS * 0.5), (2.0**-48, 2.0**-52 * 2.0**-26), (2.0**-90, 2.0**-52 * 2.0**-26)]
)
@pytest.mark.parametrize("side", [-1, 1])
def test_nearby_is_a_last_digit_of_lam_as_rounding_at_the_scale_leaves_it(lam, ulp, side, monkeypatch):
    """At 2**-996 the smallest normal number stands for 2**-26, and lam may be denormal."""
    weight = lam / 4
    near = max(weight + side * ulp, 0.0)

    def fault(who, method, lam, size):
        return {"iterations": 107 if size < 2.0**-900 or lam == near else 7}

    ExactSolvers(monkeypatch, fault)
    case = {**CASE, "lam": lam, "kind": "all", "which": 0}
    assert measure_equivariance(**case).violation <= -0.9
    near += 4 * ulp
    assert measure_equivariance(**case).violation == math.inf


def tried(monkeypatch, **case):
    """The exponents that the batch is asked for, of which ``which`` = 4 gives the last in range and the first."""
    asked = ExactSolvers(monkeypatch)
    measure_equivariance(**{**CASE, **case})
    largest = {"B and lam": 0, "all": 0, "D": 1}[case["kind"]]
    return [int(math.log2(float(rows.abs().max()))) for rows in asked.many[0][largest][1:]]


@pytest.mark.parametrize(
    ("smallest", "lam", "which", "exponents"),
    [
        (2.0**-26, 4.0, 4, [996, -996]),
        (2.0**-27, 4.0, 4, [-996, -565]),  # 1/D, twice: at 2**996 not below 2**1024
        (2.0**-26, 2.0, 4, [996, -996]),
        (2.0**-27, 2.0, 4, [-996, -565]),
        (2.0**-24, 16.0, 4, [996, -996]),
        (2.0**-24, 32.0, 4, [-996, -565]),
        (2.0**-27, 4.0, 3, [565, -996]),
    ],
)
def test_scales_at_which_an_argument_of_the_prox_is_out_of_range_are_left_out(
    smallest, lam, which, exponents, monkeypatch
):
    D = np.array([[1.0, smallest], [1.0, 1.0]])
    assert tried(monkeypatch, kind="B and lam", D=D, lam=lam, which=which) == exponents


def test_the_range_is_that_of_the_dtype(monkeypatch):
    for smallest, exponents in ((2.0**-16, [110, -90]), (2.0**-17, [-90, -64])):
        D = np.array([[1.0, smallest], [1.0, 1.0]])
        assert tried(monkeypatch, kind="B and lam", D=D, lam=4.0, which=3, narrow=True) == exponents


def test_nothing_is_claimed_where_no_scale_is_in_range():
    with pytest.raises(NothingClaimed, match="every scale"):
        measure_equivariance(**{**CASE, "kind": "all", "D": np.array([[1.0, 1e-310], [1.0, 1.0]])})


def test_of_any_other_psi_the_whole_problem_is_scaled_and_a_start_outside_is_projected(monkeypatch):
    asked = ExactSolvers(monkeypatch)
    measure_equivariance(**{**CASE, "regularizer": Simplex(1.0), "kind": "D"})
    B, D, _, _, reference, _, regularizer = asked.one[1]
    assert isinstance(regularizer, ValueAndProx)
    assert torch.equal(B, torch.tensor(b) * 2.0**-996)
    assert torch.equal(D, torch.tensor(d) * 2.0**-996)
    # (-0.25, 0.125, 0, 1) less 1/16 in its positive entries.
    assert reference.tolist() == [[0.0, 0.0625], [0.0, 0.9375]]


def test_a_start_at_zero_has_no_scale_and_stays(monkeypatch):
    asked = ExactSolvers(monkeypatch)
    assert measure_equivariance(**{**CASE, "start": np.zeros((2, 2))}).violation == -1.0
    assert not asked.one[0][4].any()


@pytest.mark.parametrize(("kind", "narrow"), [("all", False), ("B and lam", True), ("D", False)])
def test_right_solvers_pass(kind, narrow):
    assert measure_equivariance(**{**CASE, "kind": kind, "narrow": narrow}).violation <= 0
