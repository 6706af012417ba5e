"""The certified optimum against CVXPY, degenerate data, and wrong points that its certificate must refuse."""

import cvxpy as cp
import joblib
import numpy as np
import pytest

from ramda_verify.oracles import logistic_cache
from ramda_verify.oracles.logistic_certificate import certify
from ramda_verify.oracles.logistic_optimum import OptimumStatus, certified_optimum
from ramda_verify.oracles.logistic_problem import LogisticProblem
from ramda_verify.oracles.logistic_steps import accelerated

CLASSES, REG_WEIGHT = 3, 0.03


def small_problem(seed: int = 0, n: int = 60, p: int = 8):
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((n, p))
    logits = features[:, :3] @ generator.standard_normal((3, CLASSES))
    labels = (logits + generator.gumbel(size=(n, CLASSES))).argmax(axis=1)
    return features, labels


def solve(features, labels, *, reg_weight=REG_WEIGHT, cache=False):
    return certified_optimum(features, labels, classes=CLASSES, reg_weight=reg_weight, cache=cache)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_cvxpy(seed):
    features, labels = small_problem(seed)
    found = solve(features, labels)
    weight, bias = cp.Variable((CLASSES, features.shape[1])), cp.Variable((1, CLASSES))
    logits = features @ weight.T + np.ones((len(labels), 1)) @ bias
    chosen = cp.sum(cp.multiply(np.eye(CLASSES)[labels], logits))
    penalty = REG_WEIGHT * np.sqrt(CLASSES) * cp.sum(cp.norm(weight, 2, axis=0))
    problem = cp.Problem(cp.Minimize((cp.sum(cp.log_sum_exp(logits, axis=1)) - chosen) / len(labels) + penalty))
    problem.solve(solver=cp.CLARABEL)
    assert found.status is OptimumStatus.CERTIFIED
    assert found.objective <= problem.value + 1e-9
    assert abs(found.objective - problem.value) <= 1e-6
    norms = np.linalg.norm(weight.value, axis=0)
    assert found.support.tolist() == np.flatnonzero(norms > 1e-4).tolist()


def test_three_steps_of_the_accelerated_method_by_hand():
    features, labels = small_problem()
    problem = LogisticProblem(features, labels, CLASSES, REG_WEIGHT)
    start, lipschitz = (np.zeros((CLASSES, 8)), np.zeros(CLASSES)), 10.0
    # At zero all classes are equally likely.
    error = (1 / CLASSES - np.eye(CLASSES)[labels]) / len(labels)
    moved = -(error.T @ features) / lipschitz
    norm = np.linalg.norm(moved, axis=0)
    kept = np.maximum(1 - REG_WEIGHT * np.sqrt(CLASSES) / lipschitz / norm, 0)
    one = accelerated(problem, *start, lipschitz, 1)
    np.testing.assert_allclose(one[0], moved * kept, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one[1], -error.sum(axis=0) / lipschitz, rtol=1e-12, atol=1e-15)
    # The second has no momentum yet.
    two, again = accelerated(problem, *start, lipschitz, 2), accelerated(problem, *one, lipschitz, 1)
    assert [ours.tolist() for ours in two] == [ours.tolist() for ours in again]
    # The third carries (t - 1)/t' of the last move, t = (1 + sqrt 5)/2 and t' = (1 + sqrt(1 + 4 t^2))/2.
    inertia = (1 + np.sqrt(5)) / 2
    carried = (inertia - 1) / ((1 + np.sqrt(1 + 4 * inertia**2)) / 2)
    weight, bias = (last + carried * (last - before) for last, before in zip(two, one, strict=True))
    for ours, expected in zip(
        accelerated(problem, *start, lipschitz, 3), accelerated(problem, weight, bias, lipschitz, 1), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_residual_is_at_rounding_and_margins_are_signed():
    found = solve(*small_problem())
    assert found.residual <= 1e-12
    assert 0 < len(found.support) < 8, "the case must have groups of both kinds"
    assert found.zero_margin > 0
    assert found.nonzero_margin > 0
    assert np.all(found.weight[:, np.delete(np.arange(8), found.support)] == 0)
    assert abs(found.bias.sum()) <= 1e-12


def test_no_group_survives_just_above_the_largest_weight():
    features, labels = small_problem()
    frequencies = np.bincount(labels, minlength=CLASSES) / len(labels)
    gradient = (frequencies - np.eye(CLASSES)[labels]).T @ features / len(labels)
    largest = np.linalg.norm(gradient, axis=0).max() / np.sqrt(CLASSES)
    assert len(solve(features, labels, reg_weight=1.001 * largest).support) == 0
    assert len(solve(features, labels, reg_weight=0.999 * largest).support) == 1


def test_constant_and_duplicate_columns():
    features, labels = small_problem()
    wide = np.column_stack([features, np.full(len(labels), 0.7), np.zeros(len(labels)), features[:, 0]])
    found = solve(wide, labels)
    assert found.residual <= 1e-9
    assert not {8, 9} & set(found.support.tolist())
    assert found.objective == pytest.approx(solve(features, labels).objective, abs=1e-9)


def test_degenerate_is_said():
    # With the weight at which the first group enters, its gradient has exactly the length of the threshold.
    features, labels = small_problem()
    frequencies = np.bincount(labels, minlength=CLASSES) / len(labels)
    gradient = (frequencies - np.eye(CLASSES)[labels]).T @ features / len(labels)
    largest = np.linalg.norm(gradient, axis=0).max() / np.sqrt(CLASSES)
    certificate = certify(features, labels, reg_weight=largest, weight=np.zeros((CLASSES, 8)), bias=np.log(frequencies))
    assert certificate.residual <= 1e-12
    assert certificate.margins.min() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(lambda w, b: (w * (1 + 1e-6), b), id="scaled"),
        pytest.param(lambda w, b: (w, b + 1e-6 * np.eye(CLASSES)[0]), id="bias moved"),
        pytest.param(lambda w, b: (np.where(w != 0, w, 1e-7), b), id="zero groups made nonzero"),
        pytest.param(lambda w, b: (np.zeros_like(w), b), id="no support"),
        pytest.param(lambda w, b: (np.full_like(w, np.nan), b), id="NaN"),
    ],
)
def test_certificate_refuses_a_moved_point(mutate):
    features, labels = small_problem()
    found = solve(features, labels)
    weight, bias = mutate(found.weight, found.bias)
    certificate = certify(features, labels, reg_weight=REG_WEIGHT, weight=weight, bias=bias)
    assert not certificate.residual <= 1e-9


@pytest.mark.parametrize("factor", [1 / np.sqrt(CLASSES), 1.001], ids=["without sqrt(classes)", "weight off by 0.1 %"])
def test_certificate_refuses_the_optimum_of_another_group_weight(factor):
    features, labels = small_problem()
    mutant = solve(features, labels, reg_weight=factor * REG_WEIGHT)
    assert mutant.residual <= 1e-9
    certificate = certify(features, labels, reg_weight=REG_WEIGHT, weight=mutant.weight, bias=mutant.bias)
    assert certificate.residual > 1e-6


def test_shift_of_all_biases_changes_nothing():
    features, labels = small_problem()
    found = solve(features, labels)
    moved = certify(features, labels, reg_weight=REG_WEIGHT, weight=found.weight, bias=found.bias + 5.0)
    assert moved.residual <= 1e-12


def cached_files():
    return sorted(logistic_cache.folder().rglob("output.pkl"))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMDA_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("empty_cache")
def test_cache_hit_gives_the_same_point():
    data = small_problem()
    first, second = solve(*data, cache=True), solve(*data, cache=True)
    assert not first.from_cache
    assert second.from_cache
    assert np.array_equal(first.weight, second.weight)
    assert len(cached_files()) == 1


@pytest.mark.usefixtures("empty_cache")
def test_cache_is_keyed_by_content():
    features, labels = small_problem()
    solve(features, labels, cache=True)
    touched = features.copy()
    touched[0, 0] += 1e-9
    assert not solve(touched, labels, cache=True).from_cache
    assert not solve(features, labels, reg_weight=2 * REG_WEIGHT, cache=True).from_cache
    assert not solve(features.astype(np.float32), labels, cache=True).from_cache
    assert len(cached_files()) == 4


def _truncate(path):
    path.write_bytes(path.read_bytes()[:100])


def _move_the_point(path):
    weight, bias = joblib.load(path)
    joblib.dump((weight * 1.01, bias), path)


def _change_the_shape(path):
    joblib.dump((np.zeros((2, 2)), np.zeros(2)), path)


def _change_the_kind(path):
    joblib.dump({"weight": None}, path)


def _narrow(path):
    joblib.dump(tuple(part.astype(np.float32) for part in joblib.load(path)), path)


def _empty(path):
    path.write_bytes(b"")


@pytest.mark.usefixtures("empty_cache")
def test_the_cache_says_nothing(capfd):
    data = small_problem()
    for known in (False, True):
        assert solve(*data, cache=True).from_cache == known
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("corrupt", [_truncate, _empty, _move_the_point, _change_the_shape, _change_the_kind, _narrow])
def test_corrupt_cache_is_discarded(corrupt):
    data = small_problem()
    first = solve(*data, cache=True)
    corrupt(cached_files()[0])
    again = solve(*data, cache=True)
    assert not again.from_cache
    assert np.array_equal(first.weight, again.weight)
    assert solve(*data, cache=True).from_cache, "the good solution must have replaced the bad one"


def test_unwritable_cache_costs_only_time(tmp_path, monkeypatch):
    blocker = tmp_path / "a-file"
    blocker.write_text("")
    monkeypatch.setenv("RAMDA_CACHE", str(blocker / "cache"))
    assert solve(*small_problem(), cache=True).status is OptimumStatus.CERTIFIED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros(60)}, "features"),
        ({"features": np.zeros((60, 8, 1))}, "features"),
        ({"features": np.zeros((60, 0))}, "features"),
        ({"features": np.zeros((0, 8))}, "features"),
        ({"features": np.zeros((60, 8), dtype=int)}, "features"),
        ({"features": np.full((60, 8), np.inf)}, "features"),
        ({"labels": np.zeros(60)}, "labels"),
        ({"labels": np.arange(60) % 3 - 1}, "labels"),
        ({"labels": np.zeros(3, dtype=int)}, "labels"),
        ({"labels": np.full(60, 7)}, "labels"),
        ({"labels": np.zeros(60, dtype=int)}, "every class"),
        ({"reg_weight": 0.0}, "reg_weight"),
        ({"reg_weight": float("nan")}, "reg_weight"),
        ({"classes": 1}, "classes"),
    ],
)
def test_bad_input(change, message):
    features, labels = small_problem()
    arguments = {"features": features, "labels": labels, "classes": CLASSES, "reg_weight": REG_WEIGHT, **change}
    with pytest.raises(ValueError, match=message):
        certified_optimum(arguments.pop("features"), arguments.pop("labels"), **arguments, cache=False)
