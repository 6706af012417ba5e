"""Aids of a training run: psi phased in, a word when a tensor dies, subproblems solved in every k-th step only."""

import copy
import warnings

import pytest
import torch

from solvers import RAMDA, GroupLasso, NuclearNorm
from solvers.regularizers.base import offers
from tests.registry import optimizers, weighted

ALL = optimizers()
DUAL = optimizers(averages=True)


def built(cls, regularizer, shape=(5, 4), **settings):
    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(shape, dtype=torch.float64))
    return param, cls([("weight", param)], lr=0.1, regularizer=regularizer, **settings)


def advance(param, optimizer, steps=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        optimizer.step()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("backend", ["auto", "plain"])
def test_psi_is_phased_in_over_as_many_steps(cls, backend):
    """Step t of n has the weight t/n of psi: it equals a step with a regularizer of that share."""
    steps, weight = 4, 0.05
    param, optimizer = built(cls, GroupLasso(weight), reg_warmup=steps, backend=backend)
    for t in range(1, 7):
        twin, other = copy.deepcopy((param, optimizer))
        other.param_groups[0].update(regularizer=GroupLasso(weight * min(1.0, t / steps)), reg_warmup=0)
        advance(param, optimizer, 1, seed=t)
        advance(twin, other, 1, seed=t)
        torch.testing.assert_close(param.detach(), twin.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("backend", ["auto", "plain"])
@pytest.mark.parametrize("regularizer", weighted(1e3, "convex"), ids=repr)
def test_a_tensor_that_dies_is_named_once(cls, regularizer, backend):
    param, optimizer = built(cls, regularizer, backend=backend)
    with pytest.warns(RuntimeWarning, match=r"parameter weight became zero as a whole at step 1.*reg_weight") as said:
        advance(param, optimizer, 5)
    assert len(said) == 1


@pytest.mark.parametrize("regularizer", [GroupLasso(1e3), None], ids=["zero-from-the-start", "free"])
def test_nothing_is_said_of_tensors_that_did_not_die(regularizer):
    param, optimizer = built(RAMDA, regularizer)
    param.data.zero_()
    with warnings.catch_warnings(action="error"):
        param.grad = torch.zeros_like(param)
        optimizer.step()


@pytest.mark.parametrize("cls", DUAL)
def test_between_solves_w_moves_towards_the_last_structured_iterate(cls):
    every = 3
    param, optimizer = built(cls, NuclearNorm(0.05), momentum=0.25, solve_every=every)
    seen = []
    optimizer.observers.append(lambda _, w_hat: seen.append(w_hat.clone()))
    with optimizer.diagnostics.recorded() as reports, warnings.catch_warnings(action="ignore"):
        for t in range(9):
            before = param.detach().clone()
            advance(param, optimizer, 1, seed=t)
            torch.testing.assert_close(param.detach(), 0.75 * before + 0.25 * seen[t], rtol=1e-12, atol=1e-14)
            assert torch.equal(optimizer.structured_iterate()[param], seen[t])
    for t in range(9):
        assert torch.equal(seen[t], seen[t - t % every])
        if t % every == 0:
            assert reports[t].accepted
            assert t == 0 or not torch.equal(seen[t], seen[t - 1])
        else:  # the residual of the old point in the new subproblem, as it is
            assert not reports[t].accepted
            assert reports[t].residual > reports[t].tolerance
    assert optimizer.unaccepted_steps == 0


def test_solving_every_step_is_the_default_and_direct_methods_do_not_wait():
    for regularizer in (GroupLasso(0.05), NuclearNorm(0.05)):
        runs = []
        for options in ({}, {"solve_every": 1}, *([{"solve_every": 4}] if offers(regularizer, "metric_prox") else [])):
            param, optimizer = built(RAMDA, regularizer, **options)
            advance(param, optimizer, 6)
            runs.append(param.detach())
        assert all(torch.equal(runs[0], other) for other in runs[1:])


def test_a_restart_forgets_the_last_structured_iterate():
    param, optimizer = built(RAMDA, NuclearNorm(0.05), solve_every=5)
    advance(param, optimizer, 3)
    assert not torch.equal(optimizer.structured_iterate()[param], param)
    optimizer.restart(0.5)
    assert torch.equal(optimizer.structured_iterate()[param], param)
    with optimizer.diagnostics.recorded() as reports:
        advance(param, optimizer, 1)
    assert reports[0].accepted


def test_another_regularizer_is_solved_for_at_once():
    param, optimizer = built(RAMDA, NuclearNorm(0.05), solve_every=5)
    advance(param, optimizer, 2)
    optimizer.param_groups[0]["regularizer"] = NuclearNorm(0.5)
    before = {key: value.clone() for key, value in optimizer.state[param].items()}
    structured = optimizer.structured_iterate()[param]
    assert all(torch.equal(value, before[key]) for key, value in optimizer.state[param].items())
    with optimizer.diagnostics.recorded() as reports:
        advance(param, optimizer, 1)
    assert reports[0].accepted
    assert not torch.equal(structured, before["inner_structured"])


@pytest.mark.parametrize("cls", DUAL)
@pytest.mark.parametrize("regularizer", [None, GroupLasso(0.01)], ids=["none", "group"])
def test_decay_of_dual_averaging_is_that_of_a_proximal_step(cls, regularizer):
    """What minimises the subproblem with alpha/2 * weight_decay * ||Z||^2 added to it."""
    param, optimizer = built(cls, regularizer, weight_decay=0.3, momentum=1.0)
    advance(param, optimizer, 3)
    group, state = dict(optimizer.param_groups[0]), optimizer.state[param]
    bare = optimizer.normal_form(param.detach(), state, {**group, "weight_decay": 0.0})
    point = param.detach().clone().requires_grad_()
    alpha = float(state["weight_sum"])
    objective = 0.5 * (bare.D * point * point).sum() - (bare.B * point).sum() + 0.15 * alpha * point.square().sum()
    if regularizer is not None:
        objective = objective + alpha * regularizer.value(point)
    objective.backward()
    assert float(point.grad.abs().max()) < 1e-12 * float(bare.B.abs().max())


@pytest.mark.parametrize("cls", optimizers(averages=False))
def test_decay_of_proximal_methods_shrinks_w_first(cls):
    runs = []
    for decay in (0.3, 0.0):
        param, optimizer = built(cls, GroupLasso(0.01), weight_decay=decay)
        if not decay:
            param.data.mul_(1 - 0.1 * 0.3)
        advance(param, optimizer, 1)
        runs.append(param.detach())
    torch.testing.assert_close(*runs, rtol=1e-12, atol=1e-14)
