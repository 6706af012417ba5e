"""What a solve may say where its numbers leave the range of their dtype, and what no regularizer may be given."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import out_of_range
from ramda_verify.checks.subproblem.out_of_range import Guarded, RegularizerError, _claim, measure_range
from solvers import L1, MCP, NuclearNorm, Simplex
from solvers.subproblem import Status
from tests.judges.cases import TWO_BY_TWO
from tests.judges.solutions import batch_of, half_as_good
from tests.plug_ins.right.convex_entries import SoftThreshold

DTYPES = {torch.float32: 2.0**120, torch.float64: 2.0**1016}
#: The solution for L1 and lam = 1 is (2, 0).
B, D = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 0.5])


def claim(point, dtype=torch.float64, regularizer=None, b=B, d=D, goal=1e-3, **fields):
    """The claim about a point of the problem of ordinary size, with lam = 1, multiplied by the largest power of two."""
    top = DTYPES[dtype]
    found = half_as_good(torch.tensor(point, dtype=dtype) * top, **{"tolerance": goal * top, **fields})
    regularizer = L1(1.0) if regularizer is None else regularizer
    return _claim(regularizer, b.to(dtype), d.to(dtype), 1.0, found, top, goal)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("off", [2.0**-20, 2.0**-10, 2.0**-7])
def test_the_recomputed_residual_may_exceed_the_goal_by_rounding_alone(dtype, off):
    """A point that is off by this much has this residual, since D is 1 there."""
    rounding = 16 * torch.finfo(dtype).eps * (math.sqrt(10) + 2 + off)
    excess, words = claim([2 + off, 0.0], dtype)
    assert excess == pytest.approx((off - 1e-3 - rounding) / 1e-3, rel=1e-6)
    assert f"residual {0.0005:.6g} accepted, recomputed {off:.6g} (divided by {DTYPES[dtype]:g})" in words


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_point_that_is_not_finite_is_a_finding_whatever_is_said_of_it(bad):
    violation, words = claim([2.0, bad], residual=math.inf, status=Status.NON_FINITE)
    assert violation == math.inf
    assert str(bad) in words


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"residual": math.nan, "status": Status.ITERATION_LIMIT}, math.inf),
        ({"residual": math.nan, "status": Status.CONVERGED}, math.inf),
        ({"residual": math.inf, "status": Status.CONVERGED}, math.inf),
        ({"residual": math.inf, "status": Status.NON_FINITE}, 0.0),
        ({"residual": 2.0**1015, "status": Status.ITERATION_LIMIT}, 0.0),
    ],
)
def test_converged_means_accepted_and_nothing_is_claimed_of_what_is_not(fields, violation):
    assert claim([100.0, 0.0], **fields)[0] == violation


def test_what_is_accepted_is_judged_whatever_the_status():
    assert claim([100.0, 0.0], status=Status.PRECISION_LIMIT)[0] > 1e4
    assert claim([2.0, 0.0], status=Status.PRECISION_LIMIT)[0] < -0.9


def test_of_a_psi_that_is_not_homogeneous_the_ordinary_problem_is_another_one():
    assert claim([100.0, 0.0], regularizer=MCP(1.0))[0] == 0.0
    assert claim([100.0, 0.0], regularizer=SoftThreshold())[0] == 0.0


def test_a_residual_that_cannot_be_recomputed_is_a_finding():
    assert claim([2.0, 0.0], b=torch.tensor([math.nan, 1.0]))[0] == math.inf


@pytest.mark.parametrize(("value", "zero"), [(2.5, True), (3.5, False)])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_singular_value_within_rounding_of_the_longer_side_counts_as_zero(value, zero, shape, dtype):
    """3 epsilons of the largest. Where it is none, its singular vectors have the full subgradient, of length 1."""
    point, slope = np.zeros(shape), np.zeros(shape)
    point[0, 0], point[1, 1] = 1.0, value * torch.finfo(dtype).eps
    slope[0, 0], slope[1, 1] = -1.0, -0.25
    b = torch.tensor(point - slope)
    excess, _ = claim(point.tolist(), dtype, NuclearNorm(1.0), b=b, d=torch.ones(shape))
    assert (excess < 0) == zero
    assert zero or excess == pytest.approx(749, rel=1e-2)


MATRIX, METRIC, START = (TWO_BY_TWO[name] for name in ("B", "D", "start"))
CASE = {
    **TWO_BY_TWO,
    "lam": 0.5,
    "shortfall": 0.0,
    "light": False,
    "narrow": False,
    "referred": True,
}


class Solvers:
    """In the place of both solvers: they keep what they are asked, and give up, but where a fault is planted."""

    def __init__(self, monkeypatch, fault=lambda *_: False):
        self.one, self.many, self.fault = [], [], fault
        monkeypatch.setattr(out_of_range, "solve", self.solve)
        monkeypatch.setattr(out_of_range, "solve_batch", self.solve_batch)

    def answer(self, who, method, guarded, B, tolerance):
        fields = {"status": Status.ITERATION_LIMIT, "residual": math.inf, "tolerance": float(tolerance)}
        if self.fault(who, method, guarded):
            fields["status"] = Status.CONVERGED
        return half_as_good(torch.zeros_like(B), **fields)

    def solve(self, problem, reference, *, tolerance, method, max_iterations):
        self.one.append((problem.B, problem.D, problem.lam, tolerance, reference, method, problem.regularizer))
        return self.answer("solve", method, isinstance(problem.regularizer, Guarded), problem.B, tolerance)

    def solve_batch(self, B, D, lam, regularizer, reference, *, tolerance, method, max_iterations):
        self.many.append((B, D, lam, tolerance, reference, method, regularizer))
        guarded = isinstance(regularizer, Guarded)
        rows = enumerate(zip(B, tolerance, strict=True))
        return batch_of([self.answer(f"row {row}", method, guarded, b, goal) for row, (b, goal) in rows])


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("referred", [False, True])
@pytest.mark.parametrize("shortfall", [0.0, 2.0])
@pytest.mark.parametrize(("light", "lam", "weight"), [(True, 2.0, 2.0**-20), (False, 2.0, 0.5), (False, 20.0, 4.0)])
def test_both_solvers_are_asked_for_a_problem_just_below_the_largest_number(
    narrow, referred, shortfall, light, lam, weight, monkeypatch
):
    """By every method, with a regularizer that is guarded and with the plain one; the batch has an ordinary problem
    between two such, and each is asked for a thousandth of ||B||."""
    asked = Solvers(monkeypatch)
    case = {"narrow": narrow, "referred": referred, "shortfall": shortfall, "light": light, "lam": lam}
    assert measure_range(**{**CASE, **case}).violation == 0.0
    dtype = torch.float32 if narrow else torch.float64
    top, b, d = DTYPES[dtype], torch.tensor(MATRIX / 4, dtype=dtype), torch.tensor(METRIC / 8, dtype=dtype)
    d = d * 10.0**-shortfall
    goal = 1e-3 * math.sqrt(0.25 + 1 + 1 / 16)
    W = torch.tensor(START / 2, dtype=dtype)
    guarded, plain = ([call[5] for call in asked.one if isinstance(call[6], Guarded) is kind] for kind in (True, False))
    assert guarded == plain
    assert set(plain) >= {"auto", "accelerated", "proximal_gradient", "splitting"}
    for found in asked.one:
        assert torch.equal(found[0], b * top)
        assert torch.equal(found[1], d)
        assert found[2] == weight * top
        assert found[3] == pytest.approx(goal * top, rel=1e-14)
        assert torch.equal(found[4], W) if referred else found[4] is None
    for B, D, weights, goals, W_, _, _ in asked.many:
        assert torch.equal(B, torch.stack([b * top, b, b * top]))
        assert torch.equal(D, torch.stack([d, d, d]))
        assert weights.tolist() == [weight * top, weight, weight * top]
        assert goals.tolist() == pytest.approx([goal * top, goal, goal * top], rel=1e-14)
        assert torch.equal(W_, torch.stack([W, W, W])) if referred else W_ is None


@pytest.mark.parametrize("who", ["solve", "row 0", "row 2"])
@pytest.mark.parametrize("method", ["auto", "splitting"])
@pytest.mark.parametrize("guarded", [True, False])
def test_each_of_the_solutions_is_judged_and_named(who, method, guarded, monkeypatch):
    Solvers(monkeypatch, lambda *given: given == (who, method, guarded))
    found = measure_range(**CASE)
    assert found.violation == math.inf
    name = "solve" if who == "solve" else "solve_batch"
    assert found.note.startswith(f"{name}, {method}, torch.float64: CONVERGED, residual inf")


def test_a_start_outside_a_set_is_replaced_by_its_projection(monkeypatch):
    asked = Solvers(monkeypatch)
    measure_range(**{**CASE, "regularizer": Simplex(1.0)})
    # (-0.25, 0.125, 0, 1) less 1/16 in its positive entries.
    assert asked.one[0][4].tolist() == [[0.0, 0.0625], [0.0, 0.9375]]


class Raising(SoftThreshold):
    def prox(self, w, step):
        raise IndexError("too large")


class RaisingL1(L1):
    def prox(self, w, step):
        raise IndexError("too large")


def test_what_a_users_class_raises_is_told_and_what_ours_raises_is_raised():
    found = measure_range(**{**CASE, "regularizer": Raising()})
    assert found.violation == 0.0
    assert "prox raises IndexError('too large')" in found.note
    with pytest.raises(IndexError):
        measure_range(**{**CASE, "regularizer": RaisingL1(1.0)})
    with pytest.raises(RegularizerError, match="prox raises IndexError"):
        Guarded(Raising()).prox(B, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_guard_lets_finite_numbers_through_and_nothing_else(bad):
    guarded = Guarded(L1(0.5))
    assert guarded.convex is True
    assert guarded.reg_weight == 0.5
    assert guarded.prox(B, 2).tolist() == [2.0, 0.0]
    assert guarded.prox(B, torch.tensor(2.0)).tolist() == [2.0, 0.0]
    for arguments in ((torch.tensor([1.0, bad]), 1.0), (B, bad), (B, torch.tensor(bad)), (torch.full((2,), bad), 1.0)):
        with pytest.raises(ArithmeticError, match=r"prox was given .*(nan|inf)"):
            guarded.prox(*arguments)


def test_a_guard_reads_no_number_under_vmap():
    with pytest.raises(TypeError, match="vmap"):
        torch.vmap(Guarded(L1(0.5)).value)(torch.ones(2, 3))


@pytest.mark.parametrize("regularizer", [L1(1.0), SoftThreshold(), Simplex(1.0)])
@pytest.mark.parametrize("shortfall", [0.0, 30.0])
def test_right_solvers_pass(regularizer, shortfall):
    assert measure_range(**{**CASE, "regularizer": regularizer, "shortfall": shortfall}).violation <= 0.01
