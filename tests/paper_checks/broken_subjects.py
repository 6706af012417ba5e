"""Broken subjects: what the claims' checks must refuse."""

import torch


def step_too_long(subproblem, start, *, step_rule="block"):
    """Step 1.9/L: converges as well, but without the descent of (10)."""
    theta = 1.9 / subproblem.step_lipschitz(step_rule)
    return _iterate(subproblem, start, theta, theta)


def step_too_short(subproblem, start, *, step_rule="block"):
    """Step 0.1/L: everything descends, too slowly for the bound."""
    theta = 0.1 / subproblem.step_lipschitz(step_rule)
    return _iterate(subproblem, start, theta, theta)


def prox_without_theta(subproblem, start, *, step_rule="block"):
    """Algorithm 2 to the letter."""
    return _iterate(subproblem, start, 1 / subproblem.step_lipschitz(step_rule), torch.tensor(1.0))


def certificate_too_small(subproblem, start, *, step_rule="block"):
    """A tenth of the certificate: no member of dQ at this point, and met ten times too early."""
    theta = 1 / subproblem.step_lipschitz(step_rule)
    for point, member in _iterate(subproblem, start, theta, theta):
        yield Pair(point, 0.1 * member)


class Pair:
    def __init__(self, point, member):
        self.point, self.member = point, member

    def __iter__(self):
        return iter((self.point, self.member))


def _iterate(subproblem, start, theta, prox_step):
    Z = start
    while True:
        Z_next = subproblem.prox(Z - theta * subproblem.gradient(Z), prox_step)
        yield Pair(Z_next, (subproblem.D - 1 / theta) * (Z_next - Z))
        Z = Z_next


def constant_weights(self, step, group):
    """RAMDA's s_t with a forgotten sqrt(t)."""
    return group["lr"]


def unsquared_gradients(self, gradient, state, group):
    """RAMDA's U fed with s*|G|."""
    s = self.step_weight(int(state["step"]), group)
    state["grad_sum"].add_(gradient, alpha=s)
    state["grad_sq_sum"].add_(gradient.abs(), alpha=s)
