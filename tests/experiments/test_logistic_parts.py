"""The parts of the certified optimum by themselves: what is a point, which steps are taken, what a certificate says."""

import math

import numpy as np
import pytest

from ramda_verify.oracles import logistic_cache, logistic_optimum
from ramda_verify.oracles.logistic_certificate import Certificate, certify
from ramda_verify.oracles.logistic_optimum import OptimumStatus, certified_optimum
from ramda_verify.oracles.logistic_problem import LogisticProblem
from ramda_verify.oracles.logistic_steps import _solve, accelerated, newton
from tests.experiments.test_certified_optimum import small_problem

CLASSES, REG_WEIGHT = 3, 0.03
WEIGHT, BIAS = np.ones((3, 8)), np.zeros(3)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ((WEIGHT, BIAS), True),
        ([WEIGHT, BIAS], False),
        ((WEIGHT, BIAS, BIAS), False),
        ((WEIGHT,), False),
        ((WEIGHT, BIAS.tolist()), False),
        ((WEIGHT.tolist(), BIAS), False),
        ((WEIGHT.T, BIAS), False),
        ((WEIGHT, np.zeros(8)), False),
        ((WEIGHT, np.zeros((3, 1))), False),
        ((WEIGHT.astype(np.float32), BIAS), False),
        ((WEIGHT, BIAS.astype(np.float32)), False),
        (None, False),
    ],
)
def test_what_is_a_weight_and_its_bias(value, is_one):
    assert logistic_optimum._is_point(value, (3, 8)) == is_one


@pytest.mark.parametrize(
    ("residual", "margins", "status"),
    [
        (1e-9, [0.5, 1.0], OptimumStatus.CERTIFIED),
        (1.0001e-9, [0.5, 1.0], OptimumStatus.NOT_CONVERGED),
        (math.nan, [0.5, 1.0], OptimumStatus.NOT_CONVERGED),
        (1e-12, [0.0, 1.0], OptimumStatus.DEGENERATE),
        (1e-12, [-1e-9, 1.0], OptimumStatus.DEGENERATE),
        (1e-12, [math.nan, 1.0], OptimumStatus.DEGENERATE),
        (1e-12, [1e-9, 0.0], OptimumStatus.CERTIFIED),
        (1.0, [0.0, 1.0], OptimumStatus.NOT_CONVERGED),
    ],
)
def test_what_a_certificate_makes_of_a_point(residual, margins, status):
    """The second of two groups is the support."""
    certificate = Certificate(0.5, residual, np.array([1]), np.array(margins))
    found = logistic_optimum._describe(certificate, WEIGHT, BIAS, True)
    assert found.status is status
    assert found.from_cache
    assert (found.objective, found.support.tolist()) == (0.5, [1])
    assert found.nonzero_margin == margins[1]
    assert found.zero_margin == margins[0] or math.isnan(margins[0])


def test_margins_of_no_group_are_infinite():
    for support, zero, nonzero in (([], 0.25, math.inf), ([0, 1], math.inf, 0.25)):
        certificate = Certificate(0.5, 0.0, np.array(support, dtype=np.int64), np.array([0.25, 2.0]))
        found = logistic_optimum._describe(certificate, WEIGHT, BIAS, False)
        assert (found.zero_margin, found.nonzero_margin) == (zero, nonzero)
        assert found.status is OptimumStatus.CERTIFIED
        assert not found.from_cache
        name = "status"
        with pytest.raises(AttributeError):
            setattr(found, name, OptimumStatus.DEGENERATE)


NO_FEATURES = (
    np.zeros(60),
    np.zeros((60, 8, 1)),
    np.zeros((60, 0)),
    np.zeros((60, 8), dtype=np.float16),
    np.full((60, 8), np.nan),
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reg_weight": math.inf}, "reg_weight .*inf"),
        ({"reg_weight": -1.0}, "reg_weight .*-1"),
        ({"labels": np.arange(60) % 4}, "labels must be"),
        ({"labels": np.arange(60) % 4 - 1}, "labels must be"),
        ({"labels": np.arange(61) % 3}, "labels must be"),
        ({"labels": (np.arange(60) % 3)[:, None]}, "labels must be"),
        ({"labels": np.arange(60) % 3.0}, "labels must be"),
        ({"labels": np.arange(60) % 2}, "every class"),
        *(({"features": features}, "features must be") for features in NO_FEATURES),
    ],
)
def test_each_reason_to_refuse(change, message):
    features, labels = small_problem()
    arguments = {"features": features, "labels": labels, "classes": CLASSES, "reg_weight": REG_WEIGHT, **change}
    with pytest.raises(ValueError, match=message):
        certified_optimum(arguments.pop("features"), arguments.pop("labels"), **arguments, cache=False)


def test_two_classes_are_enough_and_a_cache_is_used(tmp_path, monkeypatch):
    """By themselves the odds of one against the other, which have half the weight each."""
    monkeypatch.setenv("RAMDA_CACHE", str(tmp_path))
    features, labels = small_problem()
    for known in (False, True):
        found = certified_optimum(features, labels % 2, classes=2, reg_weight=REG_WEIGHT)
        assert found.status is OptimumStatus.CERTIFIED
        assert found.weight[0] == pytest.approx(-found.weight[1], abs=1e-9)
        assert found.from_cache == known
    assert not certified_optimum(features, labels % 2, classes=2, reg_weight=REG_WEIGHT, cache=False).from_cache


def test_what_does_not_converge_is_said_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMDA_CACHE", str(tmp_path))
    monkeypatch.setattr(logistic_optimum, "TOLERANCE", 0.0)
    features, labels = small_problem()
    for _ in range(2):
        found = certified_optimum(features, labels, classes=CLASSES, reg_weight=REG_WEIGHT)
        assert found.status is OptimumStatus.NOT_CONVERGED
        assert not found.from_cache
    assert not list(tmp_path.rglob("output.pkl"))


def doubled(x):
    return 2 * x


def unkept(x):
    """A function cannot be pickled within another one."""
    return lambda: 2 * x


def test_a_value_that_cannot_be_kept_is_computed(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMDA_CACHE", str(tmp_path))
    for _ in range(2):
        found = logistic_cache.remembered(unkept, 3)
        assert (found.value(), found.from_cache) == (6, False)
        found.discard()


def test_what_is_kept_is_read_until_it_is_discarded(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMDA_CACHE", str(tmp_path))
    for known in (False, True, True):
        found = logistic_cache.remembered(doubled, 3)
        assert (found.value, found.from_cache) == (6, known)
    found.discard()
    again = logistic_cache.remembered(doubled, 3)
    assert not again.from_cache
    again.discard()
    assert not logistic_cache.remembered(doubled, 3).from_cache


def test_where_nothing_can_be_written_nothing_comes_from_the_cache(tmp_path, monkeypatch):
    blocker = tmp_path / "a-file"
    blocker.write_text("")
    monkeypatch.setenv("RAMDA_CACHE", str(blocker / "cache"))
    for _ in range(2):
        found = logistic_cache.remembered(doubled, 3)
        assert (found.value, found.from_cache) == (6, False)
        found.discard()


def test_a_certificate_without_a_penalty_is_the_gradient():
    features, labels = small_problem()
    weight, bias = np.zeros((CLASSES, 8)), np.zeros(CLASSES)
    weight[:, 1] = [3.0, 0.0, -4.0]
    logits = features @ weight.T
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = (odds - np.eye(CLASSES)[labels]) / len(labels)
    gradient = error.T @ features
    norms = np.linalg.norm(gradient, axis=0)
    found = certify(features, labels, reg_weight=0.0, weight=weight, bias=bias)
    assert found.support.tolist() == [1]
    assert found.margins[1] == 5.0
    assert np.delete(found.margins, 1) == pytest.approx(-np.delete(norms, 1))
    assert found.residual == pytest.approx(math.hypot(*norms, *error.sum(axis=0)))
    threshold = 0.5 * math.sqrt(CLASSES)
    priced = certify(features, labels, reg_weight=0.5, weight=weight, bias=bias)
    assert np.delete(priced.margins, 1) == pytest.approx(1 - np.delete(norms, 1) / threshold)
    assert priced.objective == pytest.approx(found.objective + threshold * 5.0)
    problem = LogisticProblem(features, labels, CLASSES, 0.5)
    assert problem.objective(weight, bias) == pytest.approx(priced.objective)
    assert problem.residual(weight, gradient, error.sum(axis=0)) == pytest.approx(priced.residual)


def test_the_gradient_grows_by_half_of_the_largest_second_moment():
    """The largest of the squared singular values of the features and a column of ones, over their number."""
    for shift in (0.0, 3.0, -3.0):
        features = np.random.default_rng(2).standard_normal((20, 4)) * [1.0, 2.0, 3.0, 0.5] + shift
        top = np.linalg.norm(np.column_stack([features, np.ones(20)]), 2) ** 2 / 20
        problem = LogisticProblem(features, np.zeros(20, dtype=np.int64), 2, 1.0)
        assert problem.lipschitz() == pytest.approx(0.5 * top)
    alone = LogisticProblem(np.array([[0.25], [-0.25]]), np.zeros(2, dtype=np.int64), 2, 1.0)
    assert alone.lipschitz() == pytest.approx(0.5)


def test_columns_lose_the_same_of_their_length_and_zero_stays():
    problem = LogisticProblem(np.ones((1, 3)), np.zeros(1, dtype=np.int64), 4, 0.5)
    weight = np.array([[3.0, 0.0, 0.3], [4.0, 0.0, 0.4], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = problem.shrink(weight, 2.0)
    assert found[:2].tolist() == [pytest.approx([3.0 * 0.6, 0.0, 0.0]), pytest.approx([4.0 * 0.6, 0.0, 0.0])]
    assert not found[2:].any()


@pytest.mark.parametrize(("lacks", "ridge"), [(-1.0, 1e-13), (1e-12, 1e-11), (1e-10, 1e-9), (1e-8, 1e-7)])
def test_a_singular_equation_gets_a_ridge_that_is_large_enough(lacks, ridge):
    """``[[1, 1], [1, 1 - lacks]]`` is positive definite with a ridge of more than ``lacks/2``; the mean of its
    diagonal is the unit.
    """
    hessian, right = np.array([[1.0, 1.0], [1.0, 1.0 - lacks]]), np.array([1.0, -1.0])
    scale = 1.0 - lacks / 2
    expected = np.linalg.solve(hessian + ridge * scale * np.eye(2), right)
    assert _solve(hessian.copy(), right) == pytest.approx(expected, rel=1e-3)


def test_an_equation_that_no_ridge_makes_positive_has_no_answer():
    assert _solve(np.diag([1.0, -1.0]), np.ones(2)) is None


def test_a_newton_step_from_afar_and_one_that_leads_nowhere(monkeypatch):
    """One that is not possible is no step; three of them lead to the solution on the support."""
    features, labels = small_problem()
    problem = LogisticProblem(features, labels, CLASSES, REG_WEIGHT)
    start = accelerated(problem, np.zeros((CLASSES, 8)), np.zeros(CLASSES), problem.lipschitz(), 15)
    weight, bias = start
    assert problem.residual(weight, *problem.gradient(problem.smooth(weight, bias)[1])) > 1e-4
    for _ in range(6):
        moved = newton(problem, weight, bias)
        assert moved is not None
        weight, bias = moved
    gradient = problem.gradient(problem.smooth(weight, bias)[1])
    on_support = np.flatnonzero(np.linalg.norm(weight, axis=0))
    direction = weight[:, on_support] / np.linalg.norm(weight[:, on_support], axis=0)
    assert np.abs(gradient[0][:, on_support] + problem.threshold * direction).max() <= 1e-13
    monkeypatch.setattr("ramda_verify.oracles.logistic_steps._solve", lambda hessian, right: None)
    assert newton(problem, *start) is None
    uphill = np.ones(CLASSES * (len(np.flatnonzero(np.linalg.norm(start[0], axis=0))) + 1))
    monkeypatch.setattr("ramda_verify.oracles.logistic_steps._solve", lambda hessian, right: -1e6 * right + uphill)
    assert newton(problem, *start) is None


def test_a_search_ends_where_the_step_is_short_enough():
    """Of one that is asked to, after fewer steps than were allowed."""
    features, labels = small_problem()
    problem, start = LogisticProblem(features, labels, CLASSES, REG_WEIGHT), (np.zeros((CLASSES, 8)), np.zeros(CLASSES))
    lipschitz = problem.lipschitz()
    rough = accelerated(problem, *start, lipschitz, 2000, tolerance=1e-2)
    fine = accelerated(problem, *start, lipschitz, 2000)
    again = accelerated(problem, *start, lipschitz, 5)
    residuals = [
        problem.residual(weight, *problem.gradient(problem.smooth(weight, bias)[1]))
        for weight, bias in (fine, rough, again)
    ]
    assert residuals[0] <= 1e-13
    assert 1e-6 < residuals[1] <= 2e-2
    assert residuals[1] < residuals[2]


def stretched(size=40.0):
    """A problem whose features have sizes so different that proximal steps alone take thousands of rounds."""
    features, labels = small_problem(1)
    return features * np.geomspace(1.0, size, 8), labels


def test_newton_steps_lead_where_proximal_steps_are_slow():
    features, labels = stretched()
    found = certified_optimum(features, labels, classes=CLASSES, reg_weight=REG_WEIGHT, cache=False)
    assert found.status is OptimumStatus.CERTIFIED
    assert found.residual <= 1e-12


def test_where_newton_fails_proximal_steps_go_on_alone(monkeypatch):
    features, labels = small_problem()
    right = certified_optimum(features, labels, classes=CLASSES, reg_weight=REG_WEIGHT, cache=False)
    monkeypatch.setattr(logistic_optimum, "newton", lambda *given: None)
    found = certified_optimum(features, labels, classes=CLASSES, reg_weight=REG_WEIGHT, cache=False)
    assert found.status is OptimumStatus.CERTIFIED
    assert found.weight == pytest.approx(right.weight, abs=1e-8)
