"""The problems of a case: in which order they are solved, what the solvers may answer, and which one is named."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import batches
from ramda_verify.checks.subproblem.batches import Problems, WorstProblem, arranged, feasible_rows, psi
from ramda_verify.engine.record import NothingClaimed
from solvers import L1
from solvers.subproblem import Status, Subproblem
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.ending import Iterate
from solvers.subproblem.methods import ITERATIVE
from tests.judges.solutions import solution
from tests.solvers.plug_ins import ConvexL1, PlainL1

B = np.array([[3.0, 4.0], [-6.0, 8.0], [0.5, 0.0]])
D = np.array([[0.5, 4.0], [2.0, 1.0], [1.0, 3.0]])
LAM = np.array([0.5, 1.0, 2.0])
THREE = Problems.of(ConvexL1(), B, D, LAM)
ALONE = Problems.alone(ConvexL1(), B[0], D[0], 0.5)


def test_the_first_problem_comes_last():
    assert arranged(np.array([1.0, 2.0, 3.0])).tolist() == [2.0, 3.0, 1.0]
    assert arranged(B).tolist() == [[-6.0, 8.0], [0.5, 0.0], [3.0, 4.0]]
    assert arranged(np.array([7.0])).tolist() == [7.0, 7.0]
    assert THREE.B.tolist() == arranged(B).tolist()
    assert THREE.D.tolist() == arranged(D).tolist()
    assert THREE.lam.tolist() == [1.0, 2.0, 0.5]
    assert (len(THREE), THREE.checked) == (3, 3)
    assert (THREE.single.B.tolist(), THREE.single.D.tolist(), THREE.single.lam) == ([3.0, 4.0], [0.5, 4.0], 0.5)


def test_of_a_case_of_one_problem_both_solvers_are_asked():
    two = Problems.of(PlainL1(), B[:1], D[:1], LAM[:1])
    assert (len(two), two.checked) == (2, 1)
    assert two.B.tolist() == [[3.0, 4.0]] * 2
    assert [two.name(row) for row in range(2)] == ["problem 0", "problem 0, by solve"]


def test_one_problem_alone():
    assert (len(ALONE), ALONE.checked) == (1, 1)
    assert (ALONE.B.tolist(), ALONE.D.tolist(), ALONE.lam.tolist()) == ([[3.0, 4.0]], [[0.5, 4.0]], [0.5])
    assert ALONE.name(0) == "problem 0, by solve"


def test_numbers_and_names_are_those_of_the_problems():
    assert THREE.smallest.tolist() == [1.0, 1.0, 0.5]
    assert THREE.largest.tolist() == [2.0, 3.0, 4.0]
    assert THREE.methods == ("accelerated", "proximal_gradient")
    assert [THREE.name(row) for row in range(3)] == ["problem 1", "problem 2", "problem 0, by solve"]
    assert THREE.batch.B is THREE.B
    assert THREE.rounding is THREE.rounding


def step(point, row, lam=None):
    """A step of proximal gradient of a problem, numbered as in the case."""
    low = D[row].max()
    w = point - (D[row] * point - B[row]) / low
    return np.sign(w) * np.maximum(np.abs(w) - LAM[row] / low, 0)


START = np.array([[1.0, -1.0], [0.0, 2.0], [1.0, 0.5]])


@pytest.mark.parametrize("factor", [1.0, 0.25, 8.0])
def test_each_is_solved_from_its_reference(factor):
    """At any scale; one step is that of proximal gradient, and its residual is of the undivided problem."""
    found = THREE.solve("proximal_gradient", 0.0, arranged(START), max_iterations=1, factor=factor, to_the_end=False)
    expected = np.stack([step(START[row], row) for row in (1, 2, 0)])
    assert found.point.numpy() == pytest.approx(expected, rel=1e-12)
    assert found.status == (Status.ITERATION_LIMIT,) * 3
    for place, row in enumerate((1, 2, 0)):
        z, low = expected[place], D[row].max()
        w = START[row] - (D[row] * START[row] - B[row]) / low
        member = D[row] * z - B[row] + low * (w - z)
        assert found.residual[place] == pytest.approx(np.linalg.norm(member), rel=1e-9)


def test_without_a_reference_it_begins_at_zero():
    found = THREE.solve("proximal_gradient", 0.0, max_iterations=1, to_the_end=False)
    expected = np.stack([step(np.zeros(2), row) for row in (1, 2, 0)])
    assert found.point.numpy() == pytest.approx(expected, rel=1e-12)


def test_each_is_solved_to_its_own_tolerance():
    """Of 100, for which a step will do, or to the end."""
    exact = THREE.solve("proximal_gradient", 1e-12).point.numpy()
    for loose in range(3):
        tolerance = np.where(np.arange(3) == loose, 100.0, 1e-12)
        found = THREE.solve("proximal_gradient", tolerance, arranged(START))
        assert found.status == (Status.CONVERGED,) * 3
        near = np.abs(found.point.numpy() - exact).max(axis=1) <= 1e-9
        assert near.tolist() == [row != loose for row in range(3)]


@pytest.fixture
def ended(monkeypatch):
    """What is made of an end of the problem in one row, the others having converged."""

    def made(row, *, status=Status.CONVERGED, residual=0.0, point=(1.0, 2.0), **options):
        right = batches.solve_batch
        one = solution(point, status=status, residual=residual)
        converged = solution([1.0, 2.0])

        def many(*tensors, **given):
            rows = [one if place == row else converged for place in range(2)]
            found = right(*tensors, **{**given, "max_iterations": 1, "tolerance": 1.0})
            fields = {
                "point": torch.stack([each.point for each in rows]),
                "residual": torch.tensor([each.residual for each in rows], dtype=torch.float64),
                "status": tuple(each.status for each in rows),
            }
            return batches.replace(found, **fields)

        monkeypatch.setattr(batches, "solve_batch", many)
        monkeypatch.setattr(batches, "solve", lambda *given, **told: one if row == 2 else converged)
        return THREE.solve("accelerated", 1e-3, **options)

    return made


NAMES = ["problem 1", "problem 2", "problem 0, by solve"]
RIGHT_ENDS = (Status.CONVERGED, Status.PRECISION_LIMIT)


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("status", Status)
def test_an_end_that_is_no_solution_is_a_finding(row, status, ended):
    if status in RIGHT_ENDS:
        assert ended(row, status=status, residual=0.5).status[row] is status
    else:
        with pytest.raises(ArithmeticError, match=f"{NAMES[row]}, accelerated: .*residual 0.5"):
            ended(row, status=status, residual=0.5)


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.NON_FINITE])
def test_where_it_need_not_come_to_the_end_any_finite_one_will_do(row, status, ended):
    found = ended(row, status=status, residual=0.5, to_the_end=False)
    assert found.status[row] is status
    assert found.residual.tolist() == [0.5 * (place == row) for place in range(3)]


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize(
    "wrong", [{"status": Status.NON_FINITE}, {"residual": math.nan}, {"point": (1.0, math.nan)}], ids=str
)
@pytest.mark.parametrize("to_the_end", [True, False])
def test_what_is_not_finite_is_always_a_finding(row, wrong, to_the_end, ended):
    with pytest.raises(ArithmeticError):
        ended(row, **wrong, to_the_end=to_the_end)


def test_iterates_are_those_of_the_method():
    found = list(THREE.iterates("proximal_gradient", arranged(START), 2))
    points = np.stack([START[row] for row in (1, 2, 0)])
    assert len(found) == 2
    for iterate in found:
        for place, row in enumerate((1, 2, 0)):
            z, low = step(points[place], row), D[row].max()
            w = points[place] - (D[row] * points[place] - B[row]) / low
            assert iterate.point[place].numpy() == pytest.approx(z, rel=1e-12)
            member = D[row] * z - B[row] + low * (w - z)
            assert iterate.member[place].numpy() == pytest.approx(member, rel=1e-9, abs=1e-12)
            points[place] = z


@pytest.mark.parametrize("of_many", [True, False])
def test_a_method_may_not_end_by_itself(of_many, monkeypatch):
    """Neither for many problems nor for one."""
    right = ITERATIVE["accelerated"]

    def short(problems, start, **options):
        steps = right(problems, start, **options)
        ends = isinstance(problems, SubproblemBatch) is of_many
        for _ in range(2 if ends else 9):
            yield next(steps)

    monkeypatch.setitem(ITERATIVE, "accelerated", short)
    assert len(list(THREE.iterates("accelerated", arranged(START), 2))) == 2
    with pytest.raises(ArithmeticError, match="accelerated ended by itself after 2 iterations"):
        list(THREE.iterates("accelerated", arranged(START), 3))


def test_options_of_iterates_reach_both_kinds(monkeypatch):
    def as_told(problems, start, *, add):
        while True:
            yield Iterate(start + add, start)

    monkeypatch.setitem(ITERATIVE, "accelerated", as_told)
    (found,) = THREE.iterates("accelerated", arranged(START), 1, add=2.0)
    assert found.point.tolist() == (arranged(START) + 2).tolist()
    assert found.member.tolist() == arranged(START).tolist()


def test_each_gives_the_first_result_of_each_problem():
    def scaled(problem: Subproblem, Z):
        return problem.lam * problem.D * Z, torch.zeros(())

    found = THREE.each(scaled, arranged(START))
    assert found.tolist() == [[0.0, 2.0], [2.0, 3.0], [0.25, -2.0]]


def test_psi_is_weighted_of_each_problem():
    """One point for each, or many along a further dimension."""
    assert THREE.psi(arranged(START)).tolist() == [2.0, 3.0, 1.0]
    many = torch.stack([arranged(START), 2 * arranged(START)])
    assert THREE.psi(many).tolist() == [[2.0, 3.0, 1.0], [4.0, 6.0, 2.0]]
    assert THREE.psi(torch.stack([many, many, many])).shape == (3, 2, 3)
    assert psi(PlainL1(), torch.tensor(START)).tolist() == [2.0, 2.0, 1.5]


def test_psi_is_read_in_float64():
    class Narrow(PlainL1):
        def value(self, w):
            return super().value(w).float()

    assert psi(Narrow(), torch.tensor(START)).dtype == torch.float64


def test_rows_are_what_oracles_take():
    found = list(THREE.rows(arranged(START)))
    assert len(found) == 3
    for place, row in enumerate((1, 2, 0)):
        Z, b, d, lam = found[place]
        assert (Z.tolist(), b.tolist(), d.tolist()) == (START[row].tolist(), B[row].tolist(), D[row].tolist())
        assert lam == LAM[row]
        assert type(lam) is float


class Nonnegative(PlainL1):
    """Of what is not negative; not a number at 7."""

    def value(self, w):
        found = torch.where((w >= 0).all(), super().value(w), torch.inf)
        return torch.where((w == 7).any(), torch.nan, found)

    def prox(self, w, step):
        return (super().prox(w, step)).clamp_min(0)


def test_what_is_outside_of_a_set_is_replaced_by_its_prox():
    """Of step 1; nothing else is."""
    points = torch.tensor([[3.0, 2.0], [3.0, -2.0], [0.0, 0.5]], dtype=torch.float64)
    assert feasible_rows(Nonnegative(), points).tolist() == [[3.0, 2.0], [2.0, 0.0], [0.0, 0.5]]
    inside = points.abs()
    assert feasible_rows(Nonnegative(), inside) is inside
    with pytest.raises(ArithmeticError, match="psi at the start"):
        feasible_rows(Nonnegative(), torch.tensor([[3.0, -2.0], [7.0, 0.5]], dtype=torch.float64))

    class OutOfRange(Nonnegative):
        def prox(self, w, step):
            return w / 0

    with pytest.raises(ArithmeticError, match="prox"):
        feasible_rows(OutOfRange(), points)


@pytest.mark.parametrize(
    ("violations", "row", "worst"),
    [([0.5, -1.0, 0.25], 0, 0.5), ([0.5, 0.75, 0.25], 1, 0.75), ([0.5, 1.0, math.nan], 2, math.inf)],
)
def test_the_worst_problem_is_named_with_its_numbers(violations, row, worst):
    seen = WorstProblem(THREE)
    columns = {"size": np.array([1.0, 2.0, 3.0]), "Z": torch.tensor(START)}
    seen.see(np.array(violations), "size {size} at {Z}", **columns)
    seen.see(np.array([-5.0, -6.0, -7.0]), "nothing")
    found = seen.measurement()
    assert found.violation == worst
    assert found.note == f"{NAMES[row]}: size {row + 1.0} at {START[row].tolist()}"
    assert found.problems == 3
    assert seen.measurement(0.125).violation == worst - 0.125


def test_of_nothing_there_is_no_worst():
    with pytest.raises(NothingClaimed):
        WorstProblem(THREE).measurement(1.0)


def test_right_solvers_solve_what_they_are_given():
    """To a part in 10^10 within the budget, at a condition number of 100."""
    hard = Problems.of(L1(1.0), np.array([[3.0, 4.0]]), np.array([[0.04, 4.0]]), np.array([0.5]))
    for method in hard.methods:
        assert hard.solve(method, 1e-10).point.numpy() == pytest.approx(np.array([[62.5, 0.875]] * 2), rel=1e-8)
