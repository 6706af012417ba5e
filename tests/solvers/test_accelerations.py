"""The accelerated methods against their textbooks, step by step, and what they forget."""

import math

import pytest
import torch

from solvers import L1, GroupLasso, Simplex, Subproblem, Zero, solve
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.anderson import MEMORY, Anderson
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.methods import direct_point, in_order


def numbers(*entries: float) -> torch.Tensor:
    return torch.tensor(entries, dtype=torch.float64)


@pytest.mark.parametrize(("rule", "steps"), [("global", [0.1] * 3), ("block", [1.0, 0.5, 0.1])])
def test_the_accelerated_method_is_fista_with_restarts(rule, steps):
    """On ``1/2<z, D*z> - <b, z> + |z|``, where the gradient restarts it more than once, written out entry by entry."""
    B, D = [3.0, -2.5, 4.0], [1.0, 2.0, 10.0]
    given = Subproblem(numbers(*B), numbers(*D), 1.0, L1(1.0))
    iterates = accelerated_proximal_gradient(given, numbers(5.0, 5.0, -5.0), step_rule=rule)
    Z, last, Y, t, restarts = [5.0, 5.0, -5.0], None, [5.0, 5.0, -5.0], 1.0, 0
    for _ in range(60):
        if last is not None:
            move = [z - before for z, before in zip(Z, last, strict=True)]
            if sum((y - z) / h * m for y, z, h, m in zip(Y, Z, steps, move, strict=True)) > 0:
                t, Y, restarts = 1.0, Z, restarts + 1
            else:
                longer = (1 + math.sqrt(1 + 4 * t * t)) / 2
                Y, t = [z + (t - 1) / longer * m for z, m in zip(Z, move, strict=True)], longer
        w = [y - h * (d * y - b) for y, h, d, b in zip(Y, steps, D, B, strict=True)]
        last, Z = Z, [math.copysign(max(abs(x) - h, 0.0), x) for x, h in zip(w, steps, strict=True)]
        found, member = next(iterates)
        assert found.tolist() == pytest.approx(Z, rel=1e-9, abs=1e-12)
        slopes = [d * z - b + (x - z) / h for d, z, b, x, h in zip(D, Z, B, w, steps, strict=True)]
        assert member.tolist() == pytest.approx(slopes, rel=1e-6, abs=1e-9)
    assert rule == "block" or restarts > 1


def moves(x: torch.Tensor, seed: int) -> torch.Tensor:
    """A linear map that contracts, less the point itself."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.rand(x.shape[-1], x.shape[-1], generator=generator, dtype=torch.float64) / x.shape[-1]
    return x @ (half @ half.mT) + 1 - x


@pytest.mark.parametrize("before", [1, 3, MEMORY + 3])
def test_what_is_forgotten_leaves_no_trace(before):
    """Of one problem, and in a batch of those problems alone that are told to forget."""
    x = torch.linspace(1, 2, 2 * 8, dtype=torch.float64).reshape(2, 8)
    ones = torch.ones_like(x)
    problem, batch = Subproblem(ones[0], ones[0], 1.0, Zero()), SubproblemBatch(ones, ones, ones[:, 0], Zero())
    fresh, used, kept, many = Anderson(problem, x[0]), *(Anderson(problem, x[0]) for _ in "12"), Anderson(batch, x)
    alone, stay, rows = x[0], x[1], x
    for _ in range(before):
        alone, _ = used.propose(alone, moves(alone, 0))
        stay, _ = kept.propose(stay, moves(stay, 0))
        rows, _ = many.propose(rows, moves(rows, 0))
    used.forget(True)
    many.forget(torch.tensor([True, False]))
    start, alone, rows = x[0] / 3, x[0] / 3, torch.stack([x[0] / 3, rows[1]])
    for count in range(2 * MEMORY):
        start, known = fresh.propose(start, moves(start, 1))
        alone, same = used.propose(alone, moves(alone, 1))
        stay, _ = kept.propose(stay, moves(stay, 0))
        rows, flags = many.propose(rows, torch.stack([moves(rows[0], 1), moves(rows[1], 0)]))
        assert (known, same, bool(flags[0])) == (known, known, known)
        torch.testing.assert_close(alone, start, rtol=1e-9, atol=1e-9)
        if count < 2:  # the first difference since: a row of before would take part in it
            torch.testing.assert_close(rows[0], start, rtol=1e-12, atol=0)
        if count < 4:  # a batch sums in another order, which extrapolation magnifies
            torch.testing.assert_close(rows, torch.stack([start, stay]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "convex", "turns"),
    [
        ("metric_prox", True, ("metric_prox",)),
        ("separable", False, ("separable",)),
        ("proximal_gradient", False, ("proximal_gradient",)),
        ("accelerated", True, ("accelerated", "splitting")),
        ("splitting", True, ("splitting", "accelerated")),
    ],
)
def test_two_methods_take_turns_where_both_iterate_on_a_convex_psi(first, convex, turns):
    assert in_order(first, convex) == turns


@pytest.mark.parametrize("kind", [float, lambda lam: torch.tensor(lam, dtype=torch.float64)], ids=["number", "tensor"])
def test_a_weight_of_zero_leaves_a_constraint_out_of_a_direct_solution(kind):
    B, D = numbers(3.0, -4.0), numbers(1.0, 2.0)
    assert direct_point(Subproblem(B, D, kind(0.0), Simplex()))[0].tolist() == [3.0, -2.0]
    assert direct_point(Subproblem(B, D, kind(1.0), Simplex()))[0].tolist() == [1.0, 0.0]


def test_a_direct_method_counts_one_iteration():
    B, D = numbers(3.0, 4.0).reshape(2, 1), numbers(1.0, 2.0).reshape(2, 1)
    for lam in (0.0, 1.0):
        assert direct_point(Subproblem(B, D, lam, L1(1.0)))[1] == 1
        assert direct_point(Subproblem(B, D, lam, L1(1.0)), "separable")[1] == 1
    assert direct_point(Subproblem(B, D, 0.0, GroupLasso(1.0)))[1] == 1
    assert solve(Subproblem(B, D, 1.0, L1(1.0)), tolerance=1e-9, method="separable").iterations == 1
    assert solve(Subproblem(B, D, 0.0, L1(1.0)), tolerance=1e-9).iterations == 0
