"""What the strategies draw from: weights, shapes and thresholds of a regularizer, metrics, batches of problems."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import find, settings
from hypothesis import strategies as st

from ramda_verify.cases import strategies
from ramda_verify.cases.companions import AROUND_A_THRESHOLD, LARGEST_ENTRY, PLAIN
from ramda_verify.cases.exact_set import ExactSet
from ramda_verify.cases.recorded import all_recorded
from ramda_verify.cases.recorded.problems import RecordedProblem
from ramda_verify.engine.limits import DidNotReturn
from solvers import L1, SparseGroupLasso
from tests.judges.cases import drawn


@dataclass(frozen=True)
class TwoWeights:
    reg_weight: float
    power: float = 2.0
    other_weight: float = 5.0
    own_weight: float = field(default=7.0, init=False)

    def __post_init__(self):
        if self.reg_weight > 100:
            raise TypeError("no weight") if self.reg_weight > 1000 else ValueError("too much")


def test_every_weight_of_an_example_is_drawn_and_nothing_else():
    found = drawn(strategies.instances([TwoWeights(1.0)], st.sampled_from([3.0, 4.0])), 30)
    assert {(made.reg_weight, made.other_weight) for made in found} == {(a, b) for a in (3.0, 4.0) for b in (3.0, 4.0)}
    assert {(made.power, made.own_weight) for made in found} == {(2.0, 7.0)}
    usual = drawn(strategies.instances([TwoWeights(1.0)]), 100)
    weights = [made.other_weight for made in usual]
    assert min(weights) == 0
    assert 0 < min(weight for weight in weights if weight) < 1e-3
    assert 30 < max(weights) <= 1e3


def test_an_example_without_such_a_weight_stays_as_it_is():
    plain, refuses = object(), TwoWeights(1.0)
    for example in (plain, TwoWeights):
        assert drawn(strategies.instances([example], st.just(3.0)), 5) == [example]
    for refused in (101.0, 1001.0):
        assert drawn(strategies.instances([refuses], st.just(refused)), 5) == [refuses]


class Refuses:
    """Psi whose ``value`` raises what it is told to at tensors of certain shapes."""

    def __init__(self, error, refused=lambda shape: True):
        self.error, self.refused = error, refused

    def value(self, w):
        if self.refused(tuple(w.shape)):
            raise self.error
        return w.sum()


def test_a_shape_is_refused_by_a_ValueError_alone():
    error = ValueError("no")
    assert strategies.refusal(Refuses(error), (2, 3)) is error
    assert strategies.refusal(Refuses(error, lambda shape: shape != (2, 3)), (2, 3)) is None
    for other in (TypeError("no"), RuntimeError("no")):
        assert strategies.refusal(Refuses(other), (2, 3)) is None


def test_check_shape_decides_where_there_is_one():
    class Checked(Refuses):
        def check_shape(self, shape):
            if shape == (2, 3):
                raise ValueError("(2, 3)")

    assert strategies.refusal(Checked(ValueError("value")), (3, 2)) is None
    assert str(strategies.refusal(Checked(ValueError("value")), (2, 3))) == "(2, 3)"


@pytest.mark.parametrize(
    ("own", "large"),
    [
        (((4, 4), (2,)), {(4, 4)}),
        (((9,), (2,), (4, 1)), {(4, 1), (9,)}),
        (((3,),), {(3,)}),
        (((1,), (8,), (2,), (4,)), {(4,), (8,)}),
    ],
)
def test_large_shapes_are_the_larger_half_of_ones_own(own, large):
    class Own:
        shapes = own

    assert set(strategies.large_shapes(Own())) == large
    assert strategies.shapes(Own()) == own
    target = strategies.LargeTensors(st.just(Own()))
    assert {shape for _, shape in drawn(strategies.regularizers_and_shapes(target), 30)} == large
    assert {shape for _, shape in drawn(strategies.regularizers_and_shapes(st.just(Own())), 60)} == set(own)


def test_where_every_large_shape_is_refused_small_ones_are_tried():
    small = Refuses(ValueError("too many"), lambda shape: math.prod(shape) > 5)
    assert strategies.large_shapes(small) == strategies.shapes(small)
    assert all(math.prod(shape) <= 5 for shape in strategies.shapes(small))
    assert strategies.large_shapes(L1(1.0)) == strategies.LARGE_SHAPES
    assert strategies.shapes(L1(1.0)) == strategies.SHAPES


def test_large_shapes_go_beyond_blocks_of_64_and_sides_of_100():
    sizes = [math.prod(shape) for shape in strategies.LARGE_SHAPES]
    assert max(math.prod(shape) for shape in strategies.SHAPES) <= strategies.DRAWN_ENTRIES
    assert any(len(shape) == 1 and shape[0] > 64 for shape in strategies.LARGE_SHAPES)
    for axis in (0, 1):
        assert any(len(shape) == 2 and shape[axis] >= 100 for shape in strategies.LARGE_SHAPES)
    assert any(len(shape) == 2 and min(shape) > 16 for shape in strategies.LARGE_SHAPES)
    kernels = [shape[2:] for shape in strategies.LARGE_SHAPES if len(shape) > 3]
    assert len(kernels) == 3
    assert all(min(kernel) > 1 for kernel in kernels)
    assert all(size > 16 for size in sizes)


@pytest.mark.parametrize("shape", [(2, 3), (13, 8)])
def test_metrics_have_the_condition_number_and_the_range_asked_for(shape):
    """Small ones entry by entry, large ones out of a seed."""
    calm = drawn(strategies.metrics(shape, 1e4, extreme=False), 60)
    assert all(D.shape == shape for D in calm)
    assert all(D.max() <= 1 + 1e-12 and D.min() >= 1e-4 * (1 - 1e-12) for D in calm)
    assert max(D.max() / D.min() for D in calm) > 1e3
    assert min(D.max() / D.min() for D in calm) == 1
    assert max(len(np.unique(D)) for D in calm) == math.prod(shape)
    extreme = drawn(strategies.metrics(shape, 1e4), 80)
    assert min(D.min() for D in extreme) < 1e-9
    assert max(D.max() for D in extreme) > 1e5
    assert all(1e-12 * (1 - 1e-9) <= D.min() <= D.max() <= 1e12 * (1 + 1e-9) for D in extreme)
    assert max(D.max() / D.min() for D in extreme) <= 1e4 * (1 + 1e-9)
    assert max(D.max() / D.min() for D in drawn(strategies.metrics(shape), 40)) > 1e6


def test_large_tensors_are_drawn_from_seeds_and_those_with_rows_degenerate():
    large = drawn(strategies.tensors((65,)), 40)
    assert all(w.shape == (65,) for w in large)
    assert any(np.isin(w, PLAIN).all() for w in large)
    assert all(w.shape == (3,) for w in drawn(strategies.tensors((3,)), 20))
    rows = [w for w in drawn(strategies.tensors((3, 2)), 80) if w.any()]
    assert 0.1 < np.mean([bool((w == w[:1]).all()) for w in rows]) < 0.6


def test_no_entry_is_denormal():
    entries = drawn(strategies.entries(), 400)
    assert all(entry == 0 or abs(entry) >= np.finfo(np.float64).tiny for entry in entries)
    assert min(abs(entry) for entry in entries if entry) < 1e-5


def test_small_tensors_shrink_entry_by_entry():
    """Of all arrays with such an entry the plainest has nothing else."""
    options = settings(database=None, derandomize=True, max_examples=200)
    found = find(strategies.tensors((3,)), lambda w: abs(w[1]) > 1, settings=options)
    assert found[[0, 2]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("critical", "used"), [(0.5e12, True), (2e12, False), (2e-12, True), (0.5e-12, False)])
def test_lam_lies_around_a_critical_weight_within_reason(critical, used):
    found = drawn(strategies.weights_for(L1(1.0), np.array([critical])), 80)
    beside = {critical * factor for factor in AROUND_A_THRESHOLD}
    assert (beside & set(found) == beside) == used
    assert used or not beside & set(found)
    others = [lam for lam in found if lam not in beside]
    assert 1e-4 <= min(others) < 1e-2 < 1e2 < max(others) <= 1e4


class Threshold:
    """Entries up to ``step * weight`` become zero, the others stay."""

    def __init__(self, weight=1.0):
        self.weight, self.asked = weight, []

    def prox(self, w, step):
        self.asked.append(step)
        found = torch.where(w.abs() <= step * self.weight, 0.0, w)
        w.fill_(torch.nan)  # what it is given is its own
        return found


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_the_weights_that_zero_something_and_everything_are_found(scale):
    B = np.array([[3.0, 0.0], [-0.25, 7.0]])
    psi = Threshold()
    found = strategies.zeroing_weights(psi, B, scale)
    np.testing.assert_allclose(found, [0.25, 7.0], rtol=2e-6)
    for lam, threshold in zip(found, (0.25, 7.0), strict=True):
        assert threshold <= lam <= threshold * (1 + 2e-6)
    assert len(psi.asked) <= 2 + 2 * 25
    assert strategies.critical_weights(Threshold(), B, np.array([[scale, 0.5], [0.5, 0.5]])) == found
    assert strategies.critical_weights(Threshold(), B) == strategies.zeroing_weights(Threshold(), B, 1.0)


@pytest.mark.parametrize(("threshold", "is_found"), [(1e-9, False), (2e-8, True), (0.5e8, True), (2e8, False)])
def test_weights_are_looked_for_between_1e_minus_8_and_1e8(threshold, is_found):
    found = strategies.zeroing_weights(Threshold(), np.array([threshold, 0.0]), 1.0)
    np.testing.assert_allclose(found, [threshold] * 2 if is_found else [], rtol=1e-6)
    # The smaller of two may be out of reach alone.
    found = strategies.zeroing_weights(Threshold(), np.array([threshold, 3.0]), 1.0)
    expected = {1e-9: [3.0], 2e-8: [2e-8, 3.0], 0.5e8: [3.0, 0.5e8], 2e8: [3.0]}[threshold]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("error", [ValueError("no"), DidNotReturn("never")])
def test_where_a_prox_raises_there_are_none(error):
    class Raises:
        def prox(self, w, step):
            raise error

    assert strategies.zeroing_weights(Raises(), np.ones(2), 1.0) == []
    assert strategies.zeroing_weights(Raises(), np.zeros(2), 1.0) == []


def test_of_atoms_that_share_entries_none_decides_alone():
    """Entries cost 1, and the column of two sqrt(2) of its length: by the search, at (3, 4)."""
    found = strategies.critical_weights(SparseGroupLasso(1.0, 1.0), np.array([[3.0], [4.0]]))
    # ||(3 - lam, 4 - lam)|| = sqrt(2)*lam at lam = 25/14.
    np.testing.assert_allclose(found, [25 / 14] * 2, rtol=1e-5)
    assert strategies.critical_weights(L1(2.0), np.array([3.0, -4.0])) == [1.5, 2.0]


def test_a_recorded_problem_takes_the_place_of_what_is_drawn():
    step = next(iter(all_recorded().values()))
    problem = RecordedProblem.of(step, step.regularizer)
    assert drawn(strategies.regularizers(problem), 3) == [step.regularizer]
    assert drawn(strategies.regularizers(strategies.LargeTensors(st.just(3))), 3) == [3]
    assert drawn(strategies.regularizers(st.just(4)), 3) == [4]
    (case,) = drawn(strategies.prox_cases(problem), 3)
    assert np.array_equal(case["w"], step.prox_point)
    (case,) = drawn(strategies.subproblem_cases(problem), 3)
    assert np.array_equal(case["B"], step.B)
    (case,) = drawn(strategies.problem_batches(problem, point="start"), 3)
    assert np.array_equal(case["start"], step.W[None])


class AtMostOne:
    """A constraint of a user's."""

    shapes = ((3,),)

    def value(self, w):
        return torch.tensor(torch.inf if float(w.max()) > 1 else 0.0)

    def prox(self, w, step):
        return w.clamp(max=1.0)


def test_a_constraint_of_a_users_is_solved_for_as_its_set_is():
    own, known = st.just(AtMostOne()), st.just(L1(1.0))
    for cases in (strategies.subproblem_cases, strategies.problem_batches):
        assert all(isinstance(case["regularizer"], ExactSet) for case in drawn(cases(own), 5))
        assert all(case["regularizer"] == L1(1.0) for case in drawn(cases(known), 5))
    assert all(isinstance(case["regularizer"], AtMostOne) for case in drawn(strategies.prox_cases(own), 5))


class Small(L1):
    """On a few small shapes, which take no time to draw."""

    shapes = ((2,), (1, 2), (3,))


SMALL = st.just(Small(1.0))


def test_inputs_of_a_prox_have_all_sizes_within_reach():
    cases = drawn(strategies.prox_cases(SMALL), 100)
    sizes = np.array([np.abs(case["w"]).max() for case in cases])
    assert 1e8 < sizes.max() <= LARGEST_ENTRY
    assert 0 < sizes[sizes > 0].min() < 1e-2
    assert np.mean((sizes > 0.1) & (sizes < 1e4)) > 0.4
    assert {case["w"].shape for case in cases} == set(Small.shapes)
    assert all(case["step"] > 0 for case in cases)


def is_plain(B):
    return all(min(abs(entry - plain) for plain in PLAIN) <= 1e-9 for entry in B.ravel())


@pytest.fixture(scope="module")
def batches():
    return drawn(strategies.problem_batches(SMALL, mild=10.0, extreme=False, point="start"), 60)


@pytest.fixture(scope="module")
def wild():
    """The same with all that is usual."""
    return drawn(strategies.problem_batches(SMALL), 60)


def test_the_right_hand_side_carries_the_scale_of_D_at_times(batches):
    """Of problems that tell: B is not zero, and D is not one everywhere."""
    alone = [(case["B"], case["D"]) for case in drawn(strategies.subproblem_cases(SMALL), 60)]
    for found in (alone, [(case["B"][0], case["D"][0]) for case in batches]):
        telling = [(B, D) for B, D in found if B.any() and D.min() < 0.9]
        assert any(is_plain(B) for B, D in telling)
        assert any(is_plain(B / D) and not is_plain(B) for B, D in telling)
        assert all(np.abs(B / D).max() <= LARGEST_ENTRY * (1 + 1e-12) for B, D in found)


def test_a_batch_stacks_problems_of_one_shape(batches, wild):
    counts = [len(case["lam"]) for case in batches]
    assert min(counts) == 1
    assert 10 < max(counts) <= 31
    for case, count in zip(batches, counts, strict=True):
        assert set(case) == {"regularizer", "B", "D", "lam", "start"}
        assert case["B"].shape == case["D"].shape == case["start"].shape
        assert case["B"].shape[0] == count
        assert case["B"].shape[1:] in Small.shapes
    assert any(not np.array_equal(case["start"][0], case["B"][0]) for case in batches)
    assert all(set(case) == {"regularizer", "B", "D", "lam"} for case in wild)
    few = drawn(strategies.problem_batches(SMALL, most=10), 20)
    assert 6 < max(len(case["lam"]) for case in few) <= 11


def test_companions_are_mild_and_the_problem_of_ones_own_is_not(batches, wild):
    conditions = [[float(D.max() / D.min()) for D in case["D"]] for case in batches]
    assert max(c for batch in conditions for c in batch[1:]) <= 10 * (1 + 1e-9)
    assert max(batch[0] for batch in conditions) > 1e4
    assert all(case["D"].max() <= 1 + 1e-12 for case in batches)
    easy = drawn(strategies.problem_batches(SMALL, max_condition=10.0, mild=1e8), 20)
    assert max(float(D.max() / D.min()) for case in easy for D in case["D"]) <= 10 * (1 + 1e-9)
    assert max(float(D.max() / D.min()) for case in wild for D in case["D"][1:]) > 1e5
    assert max(case["D"].max() for case in wild) > 1e5


def test_some_batches_hold_companions_alone(monkeypatch):
    """To which a failing one shrinks: the first problem, too, is one."""
    seen, original = set(), strategies.companion

    def noted(*arguments):
        found = original(*arguments)
        found["lam"] = float(np.nextafter(found["lam"], np.inf))
        seen.add(found["lam"])
        return found

    monkeypatch.setattr(strategies, "companion", noted)
    found = drawn(strategies.problem_batches(SMALL), 60)
    alone = [case["lam"][0] in seen for case in found]
    assert 0 < np.mean(alone) < 0.5
