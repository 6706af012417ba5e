"""Newton steps of the splitting: the linear solver, how fast they are, and what one solve leaves to the next."""

import math
from types import SimpleNamespace

import pytest
import torch

from ramda_verify.oracles import certificate
from solvers import L1, RAMDA, GroupLasso, NuclearNorm, Status, Subproblem, solve
from solvers.regularizers.base import offers
from solvers.subproblem.criterion import rounding_floor
from solvers.subproblem.krylov import Krylov
from solvers.subproblem.memory import FIRST_GUESS, Memory
from solvers.subproblem.newton import Newton
from solvers.subproblem.splitting import _remembered, splitting


class WithoutDerivative:
    """The nuclear norm as a user writes it: Anderson's method serves."""

    convex = True

    def __init__(self, reg_weight):
        self._norm = NuclearNorm(reg_weight)

    def value(self, w):
        return self._norm.value(w)

    def prox(self, w, step):
        return self._norm.prox(w, step)

    def subgradient_residual(self, point, gradient, lam):
        return self._norm.subgradient_residual(point, gradient, lam)


class DifferentiatedL1:
    """A regularizer of a user's that differentiates its prox: what the splitting asks for is not a matrix's."""

    convex = True

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return L1(1.0).prox(w, step)

    def prox_with_derivative(self, w, step):
        return Kept(self.prox(w, step))


class Kept:
    def __init__(self, point):
        self.point, self._kept = point, point != 0
        self.gain = float(self._kept.double().mean())

    def derivative(self, direction):
        return torch.where(self._kept, direction, 0.0)


def problem(shape=(20, 30), spread=100.0, dtype=torch.float64, seed=0, regularizer=None, lam=1.0):
    generator = torch.Generator().manual_seed(seed)
    B = torch.randn(shape, generator=generator, dtype=torch.float64)
    D = spread ** -torch.rand(shape, generator=generator, dtype=torch.float64)
    return Subproblem(B.to(dtype), D.to(dtype), lam, regularizer or NuclearNorm(3.0))


def test_krylov_solves_what_is_symmetric_up_to_a_scaling():
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    A = torch.eye(12, dtype=torch.float64) * 12 + half @ half.T
    right = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    right /= right.norm()
    for tolerance in (0.3, 1e-3, 1e-9):
        found, rest = Krylov(right, 30).solve(lambda v: (A @ v.flatten()).view(3, 4), right, tolerance)
        assert rest <= tolerance
        residual = float(((A @ found.flatten()).view(3, 4) - right).norm())
        assert residual <= 3 * tolerance
    found, _ = Krylov(right, 1).solve(lambda v: 2 * v, right, 0.0)
    torch.testing.assert_close(found, right / 2)


@pytest.mark.parametrize("broken", [math.nan, math.inf, 0.0])
def test_krylov_with_an_operator_out_of_range(broken):
    right = torch.full((2, 2), 0.5, dtype=torch.float64)
    found, _ = Krylov(right, 5).solve(lambda v: v * broken, right, 1e-3)
    assert not bool(torch.isfinite(found).all())


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (3, 3), (1, 8), (6, 2, 3, 3)], ids=str)
@pytest.mark.parametrize("spread", [1.0, 1e2, 1e6])
def test_the_same_solution_in_fewer_proxes(shape, spread):
    fast, slow = (problem(shape, spread, regularizer=r) for r in (NuclearNorm(1.0), WithoutDerivative(1.0)))
    options = {"tolerance": 1e-9, "method": "splitting", "max_iterations": 5000}
    by_newton, by_anderson = solve(fast, **options), solve(slow, **options)
    assert by_newton.status in (Status.CONVERGED, Status.PRECISION_LIMIT)
    assert by_newton.iterations <= by_anderson.iterations
    apart = float((by_newton.point - by_anderson.point).norm())
    reach = by_newton.residual + by_anderson.residual + rounding_floor(fast, by_newton.point)
    assert apart <= reach / float(fast.D.min())
    arrays = (by_newton.point.numpy(), fast.B.numpy(), fast.D.numpy())
    assert certificate.stationarity(*arrays, 1.0, NuclearNorm(1.0)) <= by_newton.residual * 1.01 + 1e-11


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_of_the_last_problem(dtype):
    first, memory = problem(dtype=dtype), Memory()
    goal = 1e-4 if dtype == torch.float32 else 1e-9
    start = solve(first, tolerance=goal, memory=memory)
    assert memory.x is not None
    assert 0 < memory.missed <= 1
    again = solve(first, start.point, tolerance=goal, memory=memory)
    assert (again.status, again.iterations) == (Status.CONVERGED, 1)
    for lam, fewer in ((1.01, True), (1.9, False), (40.0, False)):
        next_one = Subproblem(first.B * lam, first.D, lam, first.regularizer)
        cold = solve(next_one, start.point, tolerance=goal)
        kept = Memory(memory.x, memory.step, memory.missed, memory.prox)
        warm = solve(next_one, start.point, tolerance=goal, warm_starts=(start.point,), memory=kept)
        assert warm.accepted or (warm.status is Status.PRECISION_LIMIT and dtype == torch.float32)
        assert not fewer or warm.iterations <= cold.iterations
        # Without the prox, as after loading, the same numbers come out.
        loaded = Memory(memory.x, memory.step, memory.missed)
        same = solve(next_one, start.point, tolerance=goal, warm_starts=(start.point,), memory=loaded)
        assert torch.equal(same.point, warm.point)
        assert (same.iterations, same.residual) == (warm.iterations, warm.residual)


@pytest.mark.parametrize("factor", [0.4, 0.5, 0.6, 1.0, 1.9, 2.0, 2.1, 100.0])
def test_what_is_remembered_is_a_point_with_its_multiplier(factor):
    """With the rho of the memory up to a factor of 2 from the mean of D, with that mean further off."""
    given, mean = problem(), 5.0
    x = torch.randn(20, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    memory = Memory(x, step=given.lam / (factor * mean))
    penalty = SimpleNamespace(rho=torch.tensor(mean, dtype=torch.float64))
    found, prox = _remembered(given, penalty, memory)
    Z = given.regularizer.prox(x, memory.step)
    near = 0.5 <= factor <= 2
    assert (prox is not None) == near
    assert float(penalty.rho) == pytest.approx(mean * factor if near else mean)
    torch.testing.assert_close(penalty.rho * (found - Z), given.lam / memory.step * (x - Z))


def test_nothing_is_remembered_of_no_solve_nor_without_a_derivative():
    penalty = SimpleNamespace(rho=torch.tensor(1.0))
    assert _remembered(problem(), penalty, Memory()) == (None, None)
    without = problem(regularizer=GroupLasso(1.0))
    assert _remembered(without, penalty, Memory(without.B, 1.0)) == (None, None)


def test_first_iterate_of_a_memory_has_a_true_certificate():
    first, memory = problem(), Memory()
    solve(first, tolerance=1e-9, memory=memory)
    other = Subproblem(first.B.flip(0), first.D.flip(1), 1.5, first.regularizer)
    iterate = next(splitting(other, torch.zeros_like(first.B), memory=memory))
    exact = certificate.stationarity(iterate.point.numpy(), other.B.numpy(), other.D.numpy(), 1.5, NuclearNorm(3.0))
    assert exact <= float(iterate.member.norm()) * (1 + 1e-9)
    slope = (iterate.member - other.gradient(iterate.point)) / (1.5 * 3.0)
    assert float(torch.linalg.matrix_norm(slope, ord=2)) <= 1 + 1e-9
    assert float(torch.sum(slope * iterate.point)) == pytest.approx(
        float(torch.linalg.svdvals(iterate.point).sum()), rel=1e-9
    )


def test_a_regularizer_of_a_user_takes_newton_steps():
    mine = problem(regularizer=DifferentiatedL1(), spread=1e4)
    assert offers(mine.regularizer, "prox_with_derivative")
    found = solve(mine, tolerance=1e-10, method="splitting")
    exact = solve(Subproblem(mine.B, mine.D, 1.0, L1(1.0)), tolerance=1e-10)
    assert found.accepted
    torch.testing.assert_close(found.point, exact.point, rtol=0, atol=1e-10 / float(mine.D.min()))


def test_a_wrong_derivative_costs_iterations_and_nothing_else():
    class Wrong(DifferentiatedL1):
        def prox_with_derivative(self, w, step):
            right = super().prox_with_derivative(w, step)
            right.derivative = lambda direction: -3 * direction
            return right

    found = solve(problem(regularizer=Wrong()), tolerance=1e-9, method="splitting", max_iterations=2000)
    right = solve(problem(regularizer=DifferentiatedL1()), tolerance=1e-9, method="splitting")
    assert found.accepted
    torch.testing.assert_close(found.point, right.point, rtol=0, atol=1e-6)


def stepped(steps, then=lambda optimizer, param: None):
    """W after ``steps`` steps; ``then`` may touch the state after the third."""
    generator = torch.Generator().manual_seed(0)
    param = torch.nn.Parameter(torch.randn(12, 18, generator=generator))
    optimizer = RAMDA([param], lr=0.1, regularizer=NuclearNorm(0.05))
    for step in range(steps):
        param.grad = torch.randn(12, 18, generator=generator)
        optimizer.step()
        if step == 2:
            then(optimizer, param)
    return param.detach(), optimizer


def test_a_state_that_was_edited_in_place_is_believed_and_the_prox_beside_it_is_not():
    def put_back(optimizer, param):
        kept = optimizer.state[param]["inner_x"].clone()
        optimizer.state[param]["inner_x"].copy_(kept)

    def move(optimizer, param):
        optimizer.state[param]["inner_x"].mul_(1.5)

    untouched, _ = stepped(6)
    assert torch.equal(stepped(6, put_back)[0], untouched)
    moved, optimizer = stepped(6, move)
    assert optimizer.unaccepted_steps == 0
    torch.testing.assert_close(moved, untouched, rtol=0, atol=1e-3)


def test_a_memory_belongs_to_one_regularizer():
    def change(optimizer, param):
        optimizer.param_groups[0]["regularizer"] = NuclearNorm(0.5)

    _, optimizer = stepped(6, change)
    assert optimizer.unaccepted_steps == 0


@pytest.mark.parametrize("seed", [0, 5, 28])
def test_a_long_step_along_a_flat_metric_is_not_kept(seed):
    """ProxGen's first step on dead inputs: D is 1e-8 there, and points far too long have a small residual."""
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(32, 64, generator=generator) * 0.07
    G = torch.randn(32, 20, generator=generator) @ torch.randn(20, 64, generator=generator).clamp_min(0) * 0.05
    G[:, ::3] = 0
    D = 0.0316 * G.abs() + 1e-8
    found = solve(Subproblem(D * W - 1e-3 * 0.1 * G, D, 1e-3, NuclearNorm(1e-2)), W, tolerance=7e-7)
    assert found.status in (Status.CONVERGED, Status.PRECISION_LIMIT)
    assert found.descent
    assert float(found.point.norm()) <= 2 * float(W.norm())


@pytest.mark.parametrize(
    ("length", "predicted", "missed"),
    [
        (5.0, 1.0, (0.25 - 0.01) ** 0.5),
        # What the system itself was left with hides a smaller error of the model.
        (5.0, 5.0, 0.05),
        (5.0, 6.0, 0.06),
        (1e-3, 0.0, 1e-4),
        (1e-4, 0.0, 1e-4),
        (10.0, 1.0, 1.0),
        (20.0, 1.0, 1.0),
    ],
)
def test_what_a_linear_model_missed(length: float, predicted: float, missed: float):
    memory = Memory()
    newton = Newton(Subproblem(torch.ones(3), torch.ones(3), 1.0, L1(1.0)), 1e-9, memory)
    newton.forget()
    newton._learn(5.0)
    assert (memory.missed, newton._missed) == (FIRST_GUESS, FIRST_GUESS) == (0.1, 0.1)
    newton._before = (10.0, predicted)
    newton._learn(length)
    assert memory.missed == pytest.approx(missed, rel=1e-12)
    assert newton._missed == pytest.approx(missed**1.25, rel=1e-12)
    # The next solve starts with what the first model of this one missed.
    newton._before = (10.0, 10.0)
    newton._learn(10.0)
    assert (memory.missed, newton._missed) == (pytest.approx(missed, rel=1e-12), 1.0)
