"""The shadow of a run: the method in float64 beside the optimizer, and how far the optimizer may be from it."""

import numpy as np
import pytest

from ramda_verify.checks.optimizer.shadow import Fault, Shadow
from solvers import Zero

EPS, TINY = 2.0**-23, 2.0**-126
HYPER = {"lr": 0.5, "momentum": 0.25}


def shadow(last_stage_after=100, optimizer="rmda", hyper=HYPER, start=(4.0, 8.0)):
    return Shadow(optimizer, np.array(start, dtype=np.float32), dict(hyper), Zero(), last_stage_after)


def test_a_step_mixes_the_given_structured_iterate():
    made = shadow()
    assert made.steps_of_the_method == 0
    made.step(np.array([2.0, 0.0]), np.array([0.0, 0.0]))
    assert made.method.W.tolist() == [3.0, 6.0]
    assert made.method.V.tolist() == [1.0, 0.0]
    made.step(np.zeros(2), np.array([7.0, 6.0]))
    assert made.method.W.tolist() == [4.0, 6.0]
    assert made.steps_of_the_method == 2


def test_a_restart_begins_the_sums_anew_at_a_smaller_rate():
    made = shadow()
    made.step(np.ones(2), np.zeros(2))
    made.restart(0.5)
    assert (made.method.lr, made.steps_of_the_method) == (0.25, 0)
    assert made.method.W0.tolist() == [3.0, 6.0]


def test_the_momentum_of_the_last_stage_rises_with_the_root_of_its_steps_up_to_one():
    made, found = shadow(last_stage_after=2), []
    for _ in range(20):
        made.step(np.zeros(2), np.zeros(2))
        found.append(made.method.c)
    assert found[:2] == [0.25, 0.25]
    np.testing.assert_allclose(found[2:18], 0.25 * np.sqrt(np.arange(1, 17)), rtol=1e-15)
    assert found[17:] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("optimizer", ["proxsgd", "proxgen"])
def test_a_method_that_does_not_average_has_no_ramp(optimizer):
    hyper = HYPER if optimizer == "proxsgd" else {"lr": 0.5, "betas": (0.5, 0.5), "eps": 1.0}
    made = shadow(last_stage_after=0, optimizer=optimizer, hyper=hyper)
    before = made.method.c
    for _ in range(3):
        made.step(np.zeros(2), np.zeros(2))
    assert made.method.c == before


def compared(made, state=None, counters=None, **group):
    made.compare(state or {}, counters or {}, {"lr": 0.5, "momentum": 0.25, **group})


@pytest.mark.parametrize("steps", [0, 3000])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_float32_may_differ_by_the_rounding_of_as_many_additions_as_there_were_steps(steps, sign):
    """A thousand more, at three epsilons each, of the larger of the two numbers."""
    for share, fails in ((0.97, False), (1.03, True)):
        made = shadow(last_stage_after=steps)
        for _ in range(steps):
            made.step(np.zeros(2), np.array([4.0, 8.0]))
        made.method.V = np.array([2.0, 0.0])
        mine = made.method.V * (1 + sign * share * 3 * EPS * (steps + 1000))
        if fails:
            with pytest.raises(Fault, match=f"grad_sum is {abs(mine[0] - 2):.3g} from"):
                compared(made, {"grad_sum": mine})
        else:
            compared(made, {"grad_sum": mine})


def test_rounding_is_relative_to_the_largest_value_an_entry_has_had():
    """Not to that of another entry, nor of another tensor."""
    made, allowed = shadow(), 3 * EPS * 1000 * 1e6
    made.method.V, made.method.W0 = np.array([1e6, 1.0]), np.ones(2)
    compared(made, {"grad_sum": made.method.V.copy(), "initial_point": np.ones(2)})
    made.method.V = np.ones(2)
    compared(made, {"grad_sum": np.ones(2)})
    compared(made, {"grad_sum": np.array([1 + 0.97 * allowed, 1.0])})
    for name, off in (
        ("grad_sum", [1 + 1.03 * allowed, 1.0]),
        ("grad_sum", [1.0, 1 + 0.5 * allowed]),
        ("initial_point", [1 + 0.5 * allowed, 1.0]),
    ):
        with pytest.raises(Fault, match=name):
            compared(made, {name: np.array(off)})


def test_a_value_of_the_optimizer_alone_counts_as_had():
    made = shadow()
    made.method.V = np.array([1e6, 1.0])
    with pytest.raises(Fault):
        compared(made, {"grad_sum": np.array([2e6, 1.0])})
    made.method.V = np.array([1.0, 1.0])
    compared(made, {"grad_sum": np.array([1.0 + 0.9 * 3 * EPS * 1000 * 2e6, 1.0])})


@pytest.mark.parametrize(("mine", "fails"), [(0.9 * TINY, False), (1.1 * TINY, True), (np.nan, True)])
def test_beside_zero_the_smallest_normal_number_is_allowed(mine, fails):
    made = shadow()
    made.method.V = np.array([0.0, 1.0])
    made._count = -1000  # no addition at all
    state = {"grad_sum": np.array([mine, 1.0])}
    if fails:
        with pytest.raises(Fault, match="grad_sum"):
            compared(made, state)
    else:
        compared(made, state)


@pytest.mark.parametrize("name", ["step", "weight_sum", "lr", "momentum"])
@pytest.mark.parametrize(("off", "fails"), [(0.5e-9, False), (2e-9, True), (np.nan, True)])
def test_counters_and_hyperparameters_are_those_of_the_shadow(name, off, fails):
    made = shadow()
    made.method.t, made.method.alpha = 4, 2.0
    counters, group = {"step": 4.0, "weight_sum": 2.0, "of_no_meaning": 3.0}, {"lr": 0.5, "momentum": 0.25}
    place = counters if name in counters else group
    compared(made, {}, counters, **group)
    place[name] *= 1 + off
    if fails:
        with pytest.raises(Fault, match=f" is {place[name]:.9g}, should be "):
            compared(made, {}, counters, **group)
    else:
        compared(made, {}, counters, **group)


def test_eps_is_compared_where_there_is_one_and_the_momentum_where_there_is_an_average():
    ramda = shadow(optimizer="ramda", hyper={**HYPER, "eps": 1e-3})
    compared(ramda, eps=1e-3)
    with pytest.raises(Fault, match=r"eps is 0.0011, should be 0.001"):
        compared(ramda, eps=1.1e-3)
    compared(shadow(optimizer="proxsgd"), momentum=0.9)
    with pytest.raises(Fault, match=r"c is 0.9, should be 0.25"):
        compared(shadow(), momentum=0.9)
