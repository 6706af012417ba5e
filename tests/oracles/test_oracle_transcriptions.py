"""The transcriptions become their parents, restart, ramp, and use the solver they are given."""

import numpy as np
import pytest

from ramda_verify.oracles.exact import subproblem
from ramda_verify.oracles.parents import Madgrad, Mda
from ramda_verify.oracles.transcriptions import (
    TRANSCRIPTIONS,
    ProxGenTranscription,
    ProxSgdTranscription,
    RamdaTranscription,
    RmdaTranscription,
    run,
)
from solvers import GroupLasso

RANDOM = np.random.default_rng(8)
INITIAL = RANDOM.standard_normal((3, 4))
TARGET = RANDOM.standard_normal((3, 4))
CURVATURE = RANDOM.uniform(0.1, 2, (3, 4))


def gradient(W):
    return CURVATURE * (W - TARGET)


def parent_iterates(parent, steps):
    x, found = INITIAL, [INITIAL]
    for _ in range(steps):
        x = parent.step(gradient(x))
        found.append(x)
    return np.array(found)


def test_ramda_is_madgrad_with_the_mapping_and_not_without():
    ours = run(RamdaTranscription(INITIAL, 0.1, 0.3, 1e-3), gradient, 50).W
    np.testing.assert_allclose(ours, parent_iterates(Madgrad.for_ramda(INITIAL, 0.1, 0.3, 1e-3), 50), rtol=1e-11)
    for wrong in (Madgrad(INITIAL, 0.1, 0.7, 1e-3), Madgrad(INITIAL, 0.1 - 1e-3, 0.3, 1e-3)):
        assert np.abs(ours - parent_iterates(wrong, 50)).max() > 1e-4


def test_rmda_is_mda():
    ours = run(RmdaTranscription(INITIAL, 0.1, 0.3), gradient, 50).W
    np.testing.assert_allclose(ours, parent_iterates(Mda(INITIAL, 0.1, 0.3), 50), rtol=1e-11)
    assert np.abs(ours - parent_iterates(Mda(INITIAL, 0.1, 0.7), 50)).max() > 1e-4


def torch_iterates(make, steps, first_factor=1.0):
    torch = pytest.importorskip("torch")
    param = torch.tensor(INITIAL, requires_grad=True)
    optimizer, found = make(torch, param), [INITIAL]
    for k in range(steps):
        param.grad = torch.tensor(gradient(param.detach().numpy()) * (first_factor if k == 0 else 1.0))
        optimizer.step()
        found.append(param.detach().numpy().copy())
    return np.array(found)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_proxgen_is_adamw(amsgrad):
    theirs = torch_iterates(
        lambda torch, p: torch.optim.AdamW([p], 0.02, (0.8, 0.95), 1e-6, weight_decay=0.1, amsgrad=amsgrad), 50
    )
    method = ProxGenTranscription(INITIAL, 0.02, (0.8, 0.95), 1e-6, 0.1, amsgrad)
    np.testing.assert_allclose(run(method, gradient, 50).W, theirs, rtol=1e-10)
    other = ProxGenTranscription(INITIAL, 0.02, (0.8, 0.95), 1e-6, 0.1, not amsgrad)
    assert np.abs(run(other, gradient, 50).W - theirs).max() > 1e-6


def test_proxsgd_is_dampened_sgd_from_a_scaled_first_gradient():
    def make(torch, p):
        return torch.optim.SGD([p], 0.2, momentum=0.7, dampening=0.7)

    ours = run(ProxSgdTranscription(INITIAL, 0.2, 0.3), gradient, 50).W
    np.testing.assert_allclose(ours, torch_iterates(make, 50, first_factor=0.3), rtol=1e-11)
    assert np.abs(ours - torch_iterates(make, 50)).max() > 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda solve: RamdaTranscription(INITIAL, 0.1, 1.0, 1e-6, solve=solve),
        lambda solve: RmdaTranscription(INITIAL, 0.1, 1.0, solve=solve),
        lambda solve: ProxSgdTranscription(INITIAL, 0.2, 0.5, solve=solve),
        lambda solve: ProxGenTranscription(INITIAL, 0.05, solve=solve),
    ],
    ids=["ramda", "rmda", "proxsgd", "proxgen"],
)
def test_a_strong_regularizer_gives_zero_groups(make):
    weak, strong = GroupLasso(1e-9, "input"), GroupLasso(10.0, "input")
    for model, all_zero in ((weak, False), (strong, True)):
        method = make(lambda B, D, lam, model=model: subproblem(B, D, lam, model).point)
        found = run(method, gradient, 10)
        assert bool((found.structured[-1] == 0).all()) == all_zero
        assert found.W.shape == (11, 3, 4)


@pytest.mark.parametrize("name", TRANSCRIPTIONS)
def test_a_subproblem_that_is_divided_by_the_rate_has_the_same_price_at_every_rate(name):
    """And a method that does not average takes the subproblem's solution for its iterate, whatever its momentum is."""
    prices, shares = [], []
    for rate in (0.1, 0.2):

        def solve(B, D, lam):
            prices.append(lam)
            return 0 * B + 1.0

        more = {"ramda": (0.25, 1e-6), "rmda": (0.25,), "proxsgd": (0.25,), "proxgen": ()}[name]
        method = TRANSCRIPTIONS[name](INITIAL, rate, *more, solve=solve)
        method.step(gradient(INITIAL))
        shares.append(np.array_equal(method.W, method.structured))
    assert method.divided_by_rate == (prices[0] == prices[1])
    assert [not method.averages] * 2 == shares


def test_restart_is_a_new_run_from_the_current_point():
    whole = run(RamdaTranscription(INITIAL, 0.1, 0.3, 1e-2), gradient, 20, milestones=(12,), gamma=0.5).W
    first = run(RamdaTranscription(INITIAL, 0.1, 0.3, 1e-2), gradient, 12).W
    second = run(RamdaTranscription(first[-1], 0.05, 0.3, 5e-3), gradient, 8).W
    np.testing.assert_array_equal(whole, np.concatenate([first, second[1:]]))
    without = run(RamdaTranscription(INITIAL, 0.1, 0.3, 1e-2), gradient, 20).W
    assert np.abs(whole[13:] - without[13:]).max() > 1e-3


def test_ramp_begins_with_the_last_stage_and_ends_at_one():
    seen = []

    class Watched(RmdaTranscription):
        def step(self, gradient):
            seen.append(self.c)
            return super().step(gradient)

    found = run(Watched(INITIAL, 0.1, 0.5), gradient, 10, milestones=(3, 5), ramp=True)
    np.testing.assert_allclose(seen, [0.5] * 5 + [0.5, 0.5 * 2**0.5, 0.5 * 3**0.5, 1.0, 1.0])
    np.testing.assert_array_equal(found.W[-1], found.structured[-1])


def test_ramp_without_milestones_and_methods_without_averaging():
    seen = run(RmdaTranscription(INITIAL, 0.1, 1.0), gradient, 5, ramp=True).W
    np.testing.assert_array_equal(seen, run(RmdaTranscription(INITIAL, 0.1, 1.0), gradient, 5).W)
    ramped = run(ProxSgdTranscription(INITIAL, 0.1, 0.3), gradient, 5, ramp=True).W
    np.testing.assert_array_equal(ramped, run(ProxSgdTranscription(INITIAL, 0.1, 0.3), gradient, 5).W)
