"""What the oracles refuse, each reason by itself, and how a cone program is tried again where it fails."""

import math
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from ramda_verify.oracles import certificate, cvxpy_models, exact
from ramda_verify.oracles.answer import OracleAnswer, failure
from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.index_sets import every, group_index_sets, matrix_shape

SHAPE = (2, 3)
ONES = np.ones(SHAPE)
L1 = [Scalar(0.5, every(SHAPE), ABS)]


def with_entry(value):
    changed = ONES.copy()
    changed[1, 2] = value
    return changed


BAD = {
    "B of another shape": {"B": np.ones((3, 2))},
    "B is nan": {"B": with_entry(math.nan)},
    "B is inf": {"B": with_entry(math.inf)},
    "D is nan": {"D": with_entry(math.nan)},
    "D is inf": {"D": with_entry(math.inf)},
    "D is zero": {"D": with_entry(0.0)},
    "D is negative": {"D": with_entry(-1.0)},
    "lam is nan": {"lam": math.nan},
    "lam is negative": {"lam": -1.0},
}


@pytest.mark.parametrize("oracle", [exact.subproblem, cvxpy_models.solve_subproblem], ids=["exact", "cvxpy"])
@pytest.mark.parametrize("name", BAD)
def test_numbers_that_are_no_subproblem_are_a_failure(name, oracle):
    found = oracle(**{"B": ONES, "D": ONES, "lam": 1.0, "regularizer": L1, **BAD[name]})
    assert not found.solved
    assert "must be finite" in found.detail


def test_an_infinite_price_is_none():
    assert not exact.subproblem(ONES, ONES, math.inf, L1).solved
    assert exact.subproblem(ONES, ONES, 0.0, L1).solved
    assert cvxpy_models.solve_subproblem(ONES, ONES, 0.0, L1).solved


def test_an_answer_that_is_not_accurate_is_no_solution(monkeypatch):
    """However well the solver says that it ended."""
    monkeypatch.setattr(cvxpy_models, "WORST_ACCURACY", 0.0)
    found = cvxpy_models.solve_subproblem(3 * ONES, ONES, 1.0, L1)
    assert (found.solved, found.accuracy < 1e-7) == (False, True)
    assert "optimal" in found.detail


@pytest.mark.parametrize("lam", [math.nan, math.inf, -math.inf])
def test_a_certificate_needs_numbers(lam):
    assert math.isnan(certificate.stationarity(ONES, ONES, ONES, lam, L1))
    for bad in (math.nan, math.inf):
        for place in range(3):
            given = [ONES, ONES, ONES]
            given[place] = with_entry(bad)
            assert math.isnan(certificate.stationarity(given[0], given[1], given[2], 1.0, L1))
    assert certificate.stationarity(ONES.astype(int), 1.5 * ONES, ONES, 1.0, L1) == 0.0


@pytest.mark.parametrize("whole", [True, False])
def test_a_decomposition_that_fails_gives_a_certificate_of_no_number(whole, monkeypatch):
    """Of the residual, or of the cut that only a rounded point needs."""
    point, right = np.arange(6.0).reshape(SHAPE), np.linalg.svd
    nuclear = [Spectral(1.0, every(SHAPE), SHAPE, ABS)]

    def fails(values, full_matrices=True, **options):
        if full_matrices == whole and np.array_equal(values, point):
            raise np.linalg.LinAlgError("no convergence")
        return right(values, full_matrices=full_matrices, **options)

    assert certificate.stationarity_of_rounded(point, ONES, ONES, 1.0, nuclear) > 0
    monkeypatch.setattr(np.linalg, "svd", fails)
    assert math.isnan(certificate.stationarity_of_rounded(point, ONES, ONES, 1.0, nuclear))
    assert math.isnan(certificate.stationarity(point, ONES, ONES, 1.0, nuclear)) == whole


def test_a_gap_needs_an_answer_with_all_its_digits():
    right = exact.subproblem(3 * ONES, ONES, 1.0, L1)
    assert exact.objective_gap(right.point, 3 * ONES, ONES, 1.0, L1, right) == 0.0
    for changes in ({"solved": False}, {"exact_objective": None}):
        assert math.isnan(exact.objective_gap(right.point, 3 * ONES, ONES, 1.0, L1, replace(right, **changes)))


def test_the_scale_of_an_answer_is_its_objective_or_one():
    right = exact.subproblem(3 * ONES, ONES, 1.0, L1)
    assert (right.objective, right.scale) == (-18.75, 18.75)
    assert exact.subproblem(0.25 * ONES, ONES, 1.0, L1).scale == 1.0


@pytest.fixture
def passes(monkeypatch):
    """The answers that single passes give, one after the other, and with which scaling they were made."""

    def given(*answers):
        made = []
        left = list(answers)

        def one_pass(B, D, lam, regularizer, scaling, tolerance):
            made.append(scaling.copy())
            answer = left.pop(0) if left else failure("nothing is left")
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(cvxpy_models, "_one_pass", one_pass)
        return made

    return given


def answer(accuracy, solved=True, objective=1.0):
    return OracleAnswer(ONES, objective, accuracy, solved, f"accuracy {accuracy}")


@pytest.mark.parametrize("first", [failure("no point"), cp.error.SolverError("numerical")], ids=["failure", "error"])
def test_where_a_pass_fails_another_scaling_is_tried(first, passes):
    made = passes(first, answer(1e-12))
    metric = np.array([[1.0, 4.0, 1.0], [1.0, 1.0, 16.0]])
    found = cvxpy_models.solve_subproblem(ONES, metric, 1.0, L1)
    assert (found.solved, found.accuracy, len(made)) == (True, 1e-12, 2)
    shapes = [scaling / scaling[0, 0] for scaling in made]
    assert shapes[0] == pytest.approx(metric**-0.5)
    assert shapes[1] == pytest.approx(metric**-0.5)


def test_a_mistake_in_a_model_ends_the_search(passes):
    made = passes(RuntimeError("own mistake"), answer(1e-12))
    found = cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1)
    assert (found.solved, len(made)) == (False, 1)
    assert "own mistake" in found.detail


def test_the_best_of_all_passes_is_the_answer(passes):
    """One that is good enough ends the passes, and one of medium quality the scalings."""
    made = passes(answer(1e-6), answer(1e-9), answer(1e-7), answer(1e-12))
    assert cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1).accuracy == 1e-9
    assert len(made) == 3
    made = passes(answer(1e-9), answer(1e-12), answer(1e-13))
    assert cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1).accuracy == 1e-12
    assert len(made) == 2
    made = passes(*[answer(1e-6 / (1 + n)) for n in range(12)])
    assert cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1).accuracy == 1e-6 / 12
    assert len(made) == 12
    for good, count in ((1e-11, 1), (1.001e-11, 2)):
        made = passes(answer(good), answer(1e-12))
        cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1)
        assert len(made) == count
    for enough, count in ((1e-8, 3), (1.001e-8, 4)):
        made = passes(*[answer(enough)] * 3, answer(1e-12))
        cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1)
        assert len(made) == count
    made = passes(*[answer(1e-6)] * 4)
    cvxpy_models.solve_subproblem(ONES, ONES, 1.0, L1, max_passes=1)
    assert len(made) == 4


def test_the_first_scaling_takes_the_largest_of_B_to_that_of_D(passes):
    made = passes(answer(1e-12))
    cvxpy_models.solve_subproblem(np.array([2.0, -6.0]), np.array([4.0, 16.0]), 1.0, [])
    # D^-1/2 = (1/2, 1/4), B times it (1, -1.5), and D times its square is 1.
    assert made[0] == pytest.approx(np.array([0.75, 0.375]))
    made = passes(answer(1e-12))
    cvxpy_models.solve_subproblem(np.zeros(2), np.array([4.0, 16.0]), 1.0, [])
    assert made[0] == pytest.approx(np.array([0.5, 0.25]))


def test_the_next_scaling_is_the_size_of_the_last_point(passes):
    """And a thousandth of ``|B|/D``, up to the largest entry, so that none is zero."""
    first = OracleAnswer(np.array([4.0, 0.0, 0.0]), 1.0, 1e-6, True, "")
    made = passes(first, answer(1e-12))
    cvxpy_models.solve_subproblem(np.array([2.0, -6.0, 16.0]), np.array([2.0, 2.0, 2.0]), 1.0, [])
    assert made[1] == pytest.approx(np.array([4.001, 0.003, 0.004]), rel=1e-12)


class Infeasible:
    def as_cvxpy(self, x):
        return cp.transforms.indicator([x >= 1, x <= 0])


class Absolute:
    def as_cvxpy(self, x):
        return cp.norm1(x)


def test_a_program_without_a_point_is_a_failure():
    found = cvxpy_models.solve_subproblem(ONES, ONES, 1.0, Infeasible())
    assert not found.solved
    assert "infeasible and no point" in found.detail


def test_zero_is_the_answer_where_it_is_proved_to_be_and_the_solver_fails(monkeypatch):
    monkeypatch.setitem(cvxpy_models.SOLVER_OPTIONS, "max_iter", 1)
    B = np.arange(6.0).reshape(SHAPE)
    proved = cvxpy_models.solve_subproblem(B, ONES, 20.0, L1)
    assert (proved.solved, proved.objective) == (True, 0.0)
    assert proved.point.tolist() == np.zeros(SHAPE).tolist()
    assert "zero is optimal" in proved.detail
    for psi in ([Simplex(every(SHAPE), 1.0)], Absolute(), L1):
        assert not cvxpy_models.solve_subproblem(B, ONES, 1.0, psi).solved


def test_models_that_are_known_brought_or_neither():
    for psi, there in ((L1, True), (Absolute(), True), ([Norm(1.0, every(SHAPE))], True), (object(), False)):
        assert cvxpy_models.has_cone_model(psi, SHAPE) == there


@pytest.mark.parametrize(
    ("shape", "grouping", "layout", "conv_groups"),
    [
        ((2, 3), "columns", "out_in", 1),
        ((2, 3), "input", "sideways", 1),
        ((6,), "input", "out_in", 1),
        ((3, 2), "input", "out_in", 2),
    ],
)
def test_groups_that_are_not_defined(shape, grouping, layout, conv_groups):
    with pytest.raises(ValueError, match="not defined"):
        group_index_sets(shape, grouping, layout, conv_groups)


def test_a_matrix_needs_an_axis():
    assert matrix_shape((5,)) == (5, 1)
    assert matrix_shape((5, 2, 3)) == (5, 6)
    with pytest.raises(ValueError, match="axis"):
        matrix_shape(())
