"""The promises of Theorem 1: what counts as an excess over (9), (10) and (11), and what is drawn in the report."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem.batches import Problems
from ramda_verify.checks.subproblem.rate import _excesses, _unless_rounded, measure_rate, trace_rate
from solvers import L1, MCP, GroupLasso
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.ending import Iterate
from solvers.subproblem.methods import ITERATIVE
from tests.plug_ins.right.convex_entries import ElasticNet, SoftThreshold

RIGHT = ITERATIVE["proximal_gradient"]
RNG = np.random.default_rng(5)
#: Two problems of 2 x 3 entries, of sizes 1 and 100.
SIZES = np.array([1.0, 100.0]).reshape(2, 1, 1)
B = SIZES * RNG.standard_normal((2, 2, 3))
D = RNG.uniform(0.5, 3.0, (2, 2, 3))
LAM = np.array([0.5, 30.0])
START = SIZES * RNG.standard_normal((2, 2, 3))


class ByHand:
    """Proximal gradient in name: the points and certificates given, whatever the problem."""

    def __init__(self, points, members):
        self.points, self.members = torch.tensor(points), torch.tensor(members)

    def __call__(self, problems, start, *, step_rule):
        rows = slice(None, -1) if isinstance(problems, SubproblemBatch) else -1
        for point, member in zip(self.points, self.members, strict=True):
            yield Iterate(point[rows], member[rows])


class Rounding:
    """What rounding does, in numbers that are easily told apart: one for each problem."""

    unit = np.array([1e-12, 1.0])

    def terms(self, points):
        return points.abs().numpy().max(axis=(-1, -2))

    def prox_error(self, points):
        return 1e-3 * points.abs().numpy().sum(axis=(-1, -2))

    def of_Q(self, points, *origins):
        return 1e-2 * (points.abs().numpy().sum(axis=(-1, -2)) + sum(float(origin[0, 0, 0]) for origin in origins))


class WithoutClaims:
    """0.7 times the L1 norm, which does not say that it separates: its solution takes many iterations."""

    convex = True
    reg_weight = 0.7

    def value(self, w):
        return 0.7 * w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - 0.7 * step).clamp_min(0)


def norm(array):
    return math.sqrt(float((array * array).sum()))


def excesses_by_hand(row, regularizer, L, theta, points, members, best):
    """Of one problem, in a loop over its iterations: (9), (10) and (11), each over its scale."""
    b, d, lam, start = B[row], D[row], LAM[row], START[row]

    def psi(Z):
        return lam * float(regularizer.value(torch.tensor(Z)))

    def Q(Z):
        return float((0.5 * Z * d * Z - b * Z).sum()) + psi(Z)

    def error(Z):
        return 1e-3 * np.abs(Z).sum()

    def rounding_of(Z, *origins):
        return 1e-2 * (np.abs(Z).sum() + sum(START[0, 0, 0] for _ in origins))

    scale = float((d * start**2 + np.abs(b * start) + b * b / d).sum()) + abs(psi(start))
    scale += max(np.abs(Z).max() for Z in (start, *points))
    highest, mu = d.max(), d.min()
    nine, ten, eleven, Z = [], [], [], start
    for j, (after, member) in enumerate(zip(points, members, strict=True), 1):
        move = after - Z
        over = norm(member) - norm((L + 1 / theta) * move) - error(after)
        nine.append((over - 1e-13 * (norm(L * Z) + norm(b))) / math.sqrt(scale * highest))
        rounding = rounding_of(after, 0) + rounding_of(Z, 0) + error(after) * norm(move)
        ten.append((0.5 * float((L * move * move).sum()) - (Q(Z) - Q(after)) - rounding) / scale - 1e-13)
        bound = highest / 2 * (1 - mu / highest) ** j * norm(start - best) ** 2
        # The rounding of the last two iterations and of the solution.
        eleven.append((Q(after) - Q(best) - bound - rounding - rounding_of(best)) / scale - 1e-12)
        Z = after
    return nine, ten, eleven


def by_row(array):
    return np.broadcast_to(array.max(axis=-1, keepdims=True), array.shape)


@pytest.mark.parametrize(
    ("regularizer", "rule", "largest"),
    [
        (L1(0.7), "global", lambda d: np.full_like(d, d.max())),
        (L1(0.7), "block", lambda d: d),
        (WithoutClaims(), "global", lambda d: np.full_like(d, d.max())),
        (GroupLasso(0.7, "output"), "block", by_row),
        (MCP(0.7), "global", lambda d: np.full_like(d, d.max())),
        (MCP(0.7), "block", lambda d: d),
    ],
)
def test_excesses_are_those_of_the_theorem(regularizer, rule, largest, monkeypatch):
    """Of points and certificates that have nothing to do with the problem, all of which are wrong."""
    rng = np.random.default_rng(1)
    points = SIZES * rng.standard_normal((40, 2, 2, 3))
    members = 30 * SIZES * rng.standard_normal((40, 2, 2, 3))
    monkeypatch.setitem(ITERATIVE, "proximal_gradient", ByHand(points, members))
    problems = Problems(torch.tensor(B), torch.tensor(D), torch.tensor(LAM), regularizer, 2)
    vars(problems)["rounding"] = Rounding()
    found = {which: violations for violations, which in _excesses(problems, torch.tensor(START), rule)}
    convex = not isinstance(regularizer, MCP)
    claimed = ["L >= D", "(9)", "(10)"] + (["(11)"] if convex and rule == "global" else [])
    assert list(found) == claimed
    assert found["L >= D"].tolist() == [[0.0, 0.0]]
    for row in range(2):
        L = largest(D[row])
        best = np.sign(B[row]) * np.maximum(np.abs(B[row]) - LAM[row] * regularizer.reg_weight, 0) / D[row]
        theta = 1 / L if convex else 0.5 / L
        by_hand = excesses_by_hand(row, regularizer, L, theta, points[:, row], members[:, row], best)
        for which, expected in zip(("(9)", "(10)", "(11)"), by_hand, strict=True):
            if which in found:
                assert found[which].shape == (40, 2)
                np.testing.assert_allclose(found[which][:, row], expected, rtol=1e-8, atol=1e-12)


class NoRounding(Rounding):
    def prox_error(self, points):
        return np.zeros(2)

    def of_Q(self, points, *origins):
        return np.zeros(2)


def excesses(regularizer, points, members, start, monkeypatch):
    """All but that of L, with one step size for all entries."""
    monkeypatch.setitem(ITERATIVE, "proximal_gradient", ByHand(points, members))
    problems = Problems(torch.tensor(B), torch.tensor(D), torch.tensor(LAM), regularizer, 2)
    vars(problems)["rounding"] = NoRounding()
    return [violations for violations, _ in _excesses(problems, torch.tensor(start), "global")][1:]


def test_of_a_certificate_as_long_as_it_may_be_13_digits_are_asked(monkeypatch):
    """Beside L*Z, where the step begins, and B."""
    rng = np.random.default_rng(2)
    points = SIZES * rng.standard_normal((40, 2, 2, 3)) * 1000.0 ** rng.uniform(-1, 1, (40, 1, 1, 1))
    L, before = D.max(axis=(1, 2), keepdims=True), np.concatenate([START[None], points[:-1]])
    nine, *_ = excesses(L1(0.7), points, 2 * L * (points - before), START, monkeypatch)
    for row in range(2):
        scale = float((D[row] * START[row] ** 2 + np.abs(B[row] * START[row]) + B[row] ** 2 / D[row]).sum())
        scale += LAM[row] * 0.7 * np.abs(START[row]).sum()
        scale += max(np.abs(START[row]).max(), np.abs(points[:, row]).max())
        for found, Z in zip(nine[:, row], before[:, row], strict=True):
            expected = -1e-13 * (L[row].item() * norm(Z) + norm(B[row])) / math.sqrt(scale * L[row].item())
            assert found == pytest.approx(expected, rel=0.2)


def test_of_an_objective_that_stands_still_12_and_13_digits_are_asked(monkeypatch):
    """At the solution."""
    best = np.sign(B) * np.maximum(np.abs(B) - 0.7 * LAM[:, None, None], 0) / D
    still = np.broadcast_to(best, (40, 2, 2, 3)).copy()
    _, ten, eleven = excesses(L1(0.7), still, np.zeros_like(still), best, monkeypatch)
    np.testing.assert_allclose(ten, -1e-13, rtol=1e-9)
    np.testing.assert_allclose(eleven, -1e-12, rtol=1e-2)


def test_what_is_within_the_tolerance_is_not_excused_by_rounding():
    def never():
        raise AssertionError("there is nothing to excuse")

    scale = np.array([1.0, 100.0])
    assert _unless_rounded(np.array([[1e-9, -1.0], [-2.0, 1e-7]]), scale, never).tolist() == [
        [1e-9, -0.01],
        [-2.0, pytest.approx(1e-9)],
    ]


def test_one_that_is_beyond_it_is_lessened_by_what_rounding_may_have_done():
    excess, scale = np.array([[1.1e-9, -1.0], [0.5, 2.0]]), np.array([1.0, 100.0])
    found = _unless_rounded(excess, scale, lambda: np.array([[1e-9, 0.0], [0.25, 1.0]]))
    np.testing.assert_allclose(found, [[1e-10, -0.01], [0.25, 0.01]], rtol=1e-6)
    assert _unless_rounded(np.array([math.nan]), np.ones(1), lambda: np.zeros(1)).tolist() == [math.inf]


CASE = {"regularizer": L1(0.7), "B": B, "D": D, "lam": LAM, "start": START}


def planted(monkeypatch, change):
    """Proximal gradient, its iterates changed by ``change(iterate, number, problems, start, step_rule)``."""

    def wrong(problems, start, *, step_rule):
        for number, iterate in enumerate(RIGHT(problems, start, step_rule=step_rule), 1):
            yield change(iterate, number, problems, start, step_rule)

    monkeypatch.setitem(ITERATIVE, "proximal_gradient", wrong)


def one_problem(problems):
    return not isinstance(problems, SubproblemBatch)


@pytest.mark.parametrize("rule", ["global", "block"])
@pytest.mark.parametrize("number", [1, 7, 40])
@pytest.mark.parametrize("one", [True, False])
def test_a_certificate_that_is_no_number_is_found_at_its_iteration(rule, number, one, monkeypatch):
    def change(iterate, count, problems, start, step_rule):
        wrong = (step_rule, count, one_problem(problems)) == (rule, number, one)
        return iterate._replace(member=iterate.member * (math.nan if wrong else 1.0))

    planted(monkeypatch, change)
    found = measure_rate(**CASE)
    assert found.violation == math.inf
    assert found.problems == 2
    name = "problem 0, by solve" if one else "problem 1"
    assert found.note == f"{name}: (9) fails at iteration {number}, {rule} step"


def test_the_iterations_begin_at_the_start_and_far_beyond_the_centre_where_D_is_largest(monkeypatch):
    """The first of the problems is for the solver of one."""
    begun = []

    def change(iterate, count, problems, start, step_rule):
        if count == 1 and one_problem(problems):
            begun.append((start.numpy(), step_rule))
        return iterate

    planted(monkeypatch, change)
    measure_rate(**CASE)
    far = np.where(D[0] == D[0].max(), 1000.0, 1.0) * B[0] / D[0]
    assert [rule for _, rule in begun] == ["global", "block", "global", "block"]
    for (start, _), expected in zip(begun, (START[0], START[0], far, far), strict=True):
        np.testing.assert_allclose(start, expected, rtol=1e-15)


@pytest.mark.parametrize("far", [False, True])
def test_a_step_that_is_wrong_from_one_of_the_starts_alone_is_found(far, monkeypatch):
    def change(iterate, count, problems, start, step_rule):
        wrong = bool(start.abs().max() > 100) == far
        return iterate._replace(point=iterate.point + (30.0 * count if wrong and one_problem(problems) else 0.0))

    planted(monkeypatch, change)
    found = measure_rate(**CASE)
    assert found.violation > 1e-4
    assert found.note.startswith("problem 0, by solve")


@pytest.mark.parametrize("regularizer", [L1(0.7), SoftThreshold(), GroupLasso(0.7), ElasticNet(), MCP(0.7)])
def test_right_iterations_pass(regularizer):
    assert measure_rate(**{**CASE, "regularizer": regularizer}).violation <= 1e-9


class HalfOfTheLargest(GroupLasso):
    def blockwise_max(self, values):
        return super().blockwise_max(values) / 2


def test_a_step_size_for_half_of_D_is_found():
    found = measure_rate(**{**CASE, "regularizer": HalfOfTheLargest(0.7)})
    assert found.violation == math.inf
    assert found.note.endswith("L >= D fails at iteration 1, block step")


def trace(regularizer):
    return trace_rate(SimpleNamespace(example=regularizer))


def test_a_report_draws_the_run_its_bounds_and_the_accelerated_one():
    """Of 0.3 * L1 and lam = 0.1, from a random start: the gap against (11), the residual against what follows."""
    found = trace(SoftThreshold())
    rng = np.random.default_rng(0)
    b, d = rng.standard_normal((12, 8)), 10.0 ** rng.uniform(-0.5, 0.5, (12, 8))
    start = Z = rng.standard_normal((12, 8))
    best, L, mu = np.sign(b) * np.maximum(np.abs(b) - 0.03, 0) / d, d.max(), d.min()

    def Q(Z):
        return float((0.5 * d * Z * Z - b * Z).sum()) + 0.03 * np.abs(Z).sum()

    bound, gap, residual = [L / 2 * norm(start - best) ** 2], [], []
    for _ in range(120):
        w = Z - (d * Z - b) / L
        after = np.sign(w) * np.maximum(np.abs(w) - 0.03 / L, 0)
        residual.append(norm((d - L) * (after - Z)))
        Z = after
        gap.append(Q(Z) - Q(best))
        bound.append(bound[-1] * (1 - mu / L))
    assert found["kind"] == "rate"
    assert found["condition"] == pytest.approx(L / mu)
    np.testing.assert_allclose(found["gap"], gap, atol=1e-12)
    np.testing.assert_allclose(found["residual"], residual, rtol=1e-9)
    np.testing.assert_allclose(found["bound"], bound[1:], rtol=1e-9)
    np.testing.assert_allclose(found["residual_bound"], 2 * np.sqrt(2 * L * np.array(bound[:-1])), rtol=1e-9)
    assert len(found["accelerated"]) == 120
    assert found["accelerated"][0] == pytest.approx(residual[0])
    assert found["accelerated"][-1] < 1e-3 * residual[-1]


def test_a_report_has_no_zeros_on_its_logarithmic_axis():
    found = trace(L1(1e3))
    assert found["gap"][-1] == 1e-16
    assert min(found["residual"]) >= 1e-16
    assert min(found["accelerated"]) >= 1e-16


def test_there_is_no_bound_of_a_psi_that_is_not_convex():
    assert trace(MCP(1.0)) is None


class OnSomeShapes(L1):
    shapes = ((3,), (5,), (2,))
    allowed: tuple[tuple[int, ...], ...] = shapes

    def check_shape(self, shape):
        if tuple(shape) not in self.allowed:
            raise ValueError("not of this shape")


class OnLargeMatrices(OnSomeShapes):
    allowed = ((12, 8), *OnSomeShapes.shapes)


@pytest.mark.parametrize(("regularizer", "shape"), [(OnSomeShapes(1.0), (5,)), (OnLargeMatrices(1.0), (12, 8))])
def test_a_report_is_of_12_by_8_or_of_the_largest_shape_where_that_is_refused(regularizer, shape):
    rng = np.random.default_rng(0)
    rng.standard_normal(shape)
    d = 10.0 ** rng.uniform(-0.5, 0.5, shape)
    assert trace(regularizer)["condition"] == pytest.approx(d.max() / d.min())
