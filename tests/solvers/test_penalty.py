"""The penalty rho of the splitting: curvatures by hand, and when a new one is taken."""

import math

import pytest
import torch

from solvers import L1, Subproblem
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.penalty import ALIKE, CRAWL, FIRST, GROWTH, Penalty, hybrid, mean_of_metric

ONE = Subproblem(torch.ones(2).double(), torch.ones(2).double(), 1.0, L1(1.0))


def turned(degrees: float, length: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([length * math.cos(angle), length * math.sin(angle)], dtype=torch.float64)


@pytest.mark.parametrize("degrees", [0, 30, 44.9, 45.1, 60, 89])
@pytest.mark.parametrize(("length", "size"), [(2.0, 3.0), (0.5, 40.0), (1e-200, 1e-150), (1e150, 1e200)])
def test_the_hybrid_curvature_of_a_move_and_a_force(degrees, length, size):
    """Steepest descent gives |f|/(|m| cos), minimum gradient |f| cos/|m|; up to 45 degrees the latter is taken."""
    cosine = math.cos(math.radians(degrees))
    steepest, minimal = size / length / cosine, size / length * cosine
    expected = minimal if degrees < 45 else steepest - minimal / 2
    assert float(hybrid(ONE, turned(0, length), turned(degrees, size))) == pytest.approx(expected, rel=1e-12)


#: What does not point along the first axis at all.
ACROSS = torch.tensor([0.0, 1.0], dtype=torch.float64)
#: Entries in the range of float64 with a norm above it.
LONG = torch.tensor([1.7e308, 1.7e308], dtype=torch.float64)


@pytest.mark.parametrize(
    "force", [ACROSS, turned(90.1, 1.0), turned(180, 1.0), turned(0, 0.0), turned(0, math.inf), LONG], ids=str
)
def test_no_curvature_where_the_two_point_apart_or_nothing_moves(force):
    assert math.isnan(hybrid(ONE, turned(0, 1.0), force))
    assert math.isnan(hybrid(ONE, force, turned(0, 1.0)))


def test_the_curvatures_of_a_batch_are_those_of_its_problems():
    moves = torch.stack([turned(0, 2.0), turned(10, 1.0), turned(0, 0.0)])
    forces = torch.stack([turned(30, 3.0), turned(70, 5.0), turned(0, 1.0)])
    batch = SubproblemBatch(torch.ones_like(moves), torch.ones_like(moves), torch.ones(3), L1(1.0))
    alone = [hybrid(ONE, move, force) for move, force in zip(moves, forces, strict=True)]
    torch.testing.assert_close(hybrid(batch, moves, forces), torch.tensor(alone).double(), equal_nan=True)


@pytest.mark.parametrize("scale", [1.0, 1e-308, 1e308])
def test_the_mean_of_a_metric_is_in_range(scale):
    mean = mean_of_metric(torch.tensor([0.25, 1.0, 1.0, 0.75], dtype=torch.float64) * scale)
    assert float(mean) == pytest.approx(0.75 * scale)


def revisions(shrunk: float, other: float, along: int = 0):
    """The iterations up to the first look at which a new rho is taken, and the last rho, on a metric of (1, 100).

    The points move along one axis, so that the quadratic part shows the curvature of that axis and psi ``other``; the
    last move of the splitting is ``shrunk`` times as long as the first.
    """
    D = torch.tensor([1.0, 100.0], dtype=torch.float64)
    penalty = Penalty(Subproblem(torch.ones(2).double(), D, 1.0, L1(1.0)), relaxation=1.5)
    axis, found = torch.eye(2, dtype=torch.float64)[along], []
    for step in range(1, FIRST + 1):
        Z, member = step * axis, other * step * axis
        x, move = Z + member / penalty.rho, 1.5 * step * axis
        if bool(penalty.revised(x, Z, move, shrunk ** ((step - 1) / (FIRST - 1)))):
            found.append(step)
    return found, float(penalty.rho)


def test_rho_is_the_root_of_the_product_of_both_curvatures():
    assert revisions(1.0, 4.0) == ([FIRST], pytest.approx(math.sqrt(1.0 * 4.0)))
    assert revisions(1.0, 9.0) == ([FIRST], pytest.approx(math.sqrt(1.0 * 9.0)))


@pytest.mark.parametrize(("other", "along", "rho"), [(1e-6, 0, 1.0), (1e6, 1, 100.0), (-1.0, 0, 1.0)])
def test_rho_is_a_curvature_of_the_metric(other, along, rho):
    """No less than the smallest and no more than the largest; a psi that shows none has that of the metric."""
    wanted = revisions(1.0, other, along)[1]
    assert wanted == (pytest.approx(rho) if rho < 50 else pytest.approx(50.5))  # 100 is within a factor of 2 of 50.5


@pytest.mark.parametrize(("share", "revised"), [(0.99, []), (1.01, [FIRST])])
def test_rho_is_left_alone_where_the_moves_shrink(share, revised):
    assert revisions(share * CRAWL**FIRST, 4.0)[0] == revised


def test_a_move_that_shrinks_by_just_the_factor_that_is_asked_for_does_not_crawl():
    assert revisions(CRAWL**FIRST, 4.0) == ([], pytest.approx(50.5))


@pytest.mark.parametrize("rho", [2.0, 8.0])
@pytest.mark.parametrize(("beyond", "revised"), [(1.0, False), (1 + 1e-6, True)])
def test_a_new_rho_is_alike_up_to_a_factor_of_two(rho, beyond, revised):
    """The mean of the metric is 4, and so is the curvature along the axis; psi has one that makes the root rho."""
    D = torch.tensor([1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 16.0], dtype=torch.float64)
    penalty = Penalty(Subproblem(torch.ones_like(D), D, 1.0, L1(1.0)), relaxation=1.0)
    axis, other = torch.eye(8, dtype=torch.float64)[4], (rho * beyond ** (1 if rho > 4 else -1)) ** 2 / 4
    for step in range(1, FIRST + 1):
        found = penalty.revised(step * axis * (1 + other / 4), step * axis, step * axis, 1.0)
    assert found == revised


@pytest.mark.parametrize(("factor", "revised"), [(ALIKE * 0.99, []), (ALIKE * 1.01, [FIRST])])
def test_rho_is_left_alone_where_the_new_one_is_alike(factor, revised):
    mean = 50.5
    assert revisions(1.0, (mean / factor) ** 2)[0] == revised


def test_rho_is_looked_at_ever_less_often():
    penalty = Penalty(ONE, relaxation=1.0)
    due = []
    for step in range(1, 100):
        before = penalty._seen
        penalty.revised(turned(0, 1.0), turned(0, 1.0), turned(0, 1.0), 1.0)
        if penalty._seen is None and (before is not None or step == 1):
            due.append(step)
    gaps = [FIRST]
    while sum(gaps) < 99:
        gaps.append(int(gaps[-1] * GROWTH))
    assert due == [sum(gaps[: place + 1]) for place in range(len(gaps) - 1)]
