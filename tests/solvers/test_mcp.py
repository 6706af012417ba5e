"""The minimax concave penalty on both sides of step = gamma and of its thresholds."""

import math

import pytest
import torch

from solvers import MCP, Subproblem, solve


def objective(psi, z, w, step):
    return step * float(psi.value(z)) + 0.5 * float((z - w).square().sum())


def test_pieces_by_hand():
    """reg_weight 1, gamma 3: zero up to the step, slope 1/(1 - step/3) up to 3, the entry itself beyond."""
    psi = MCP(1.0, 3.0)
    w = torch.tensor([0.5, -1.5, 1.5, 2.0, 3.0, -3.5, 40.0], dtype=torch.float64)
    assert psi.prox(w, 1.5).tolist() == [0.0, 0.0, 0.0, 1.0, 3.0, -3.5, 40.0]
    assert float(psi.value(torch.tensor([1.0, -3.0, 40.0]))) == pytest.approx(1 - 1 / 6 + 1.5 + 1.5)


@pytest.mark.parametrize("step", [3.0, 3.0000001, 12.0, 1e6])
def test_the_jump_past_gamma(step):
    """The entry or zero, whichever has the lower objective, at w^2 = gamma*reg_weight^2*step."""
    psi, jump = MCP(0.5, 3.0), 0.5 * math.sqrt(3.0 * step)
    for size, kept in ((jump * (1 - 1e-12), False), (jump * (1 + 1e-12), True)):
        w = torch.tensor([size, -size], dtype=torch.float64)
        assert torch.equal(psi.prox(w, step), w if kept else torch.zeros_like(w))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_steps_close_to_gamma_do_not_blow_up(dtype):
    """The quotient of the firm threshold is 0/0 there: every answer lies on the piece, and rivals are no better."""
    psi = MCP(0.7, 3.0)
    for relative in (1e-2, 1e-6, 1e-9, 1e-14, 0.0):
        for step in (3.0 * (1 - relative), 3.0 * (1 + relative)):
            w = torch.linspace(-2.5, 2.5, 1001, dtype=torch.float64).to(dtype)
            z = psi.prox(w, step)
            assert bool((z.double().abs() <= torch.maximum(w.double().abs(), torch.tensor(2.1))).all())
            assert bool((z * w >= 0).all())
            eps = torch.finfo(dtype).eps
            for rival in (torch.zeros_like(w), w, z * (1 + 1e-2), z * (1 - 1e-2)):
                excess = [objective(psi, a.double(), b.double(), step) for a, b in ((z, w), (rival, w))]
                assert excess[0] <= excess[1] + 1e3 * eps * excess[1] + 1e3 * eps


def test_a_step_per_entry_and_a_metric(random):
    psi = MCP(0.8, 1.5)
    B, D = torch.tensor(random.standard_normal((6, 7))), torch.tensor(10.0 ** random.uniform(-2, 2, (6, 7)))
    together = psi.metric_prox(B, D, 0.7)
    for index in range(B.numel()):
        b, d = B.view(-1)[index], D.view(-1)[index]
        alone = psi.prox((b / d).reshape(1), float(0.7 / d))
        torch.testing.assert_close(together.view(-1)[index : index + 1], alone, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(psi.prox(B / D, 0.7 / D), together, rtol=1e-9, atol=1e-12)
    assert solve(Subproblem(B, D, 0.7, psi), tolerance=1e-12).accepted


def test_no_weight_is_no_penalty():
    w = torch.tensor([0.0, -1e-300, 5.0], dtype=torch.float64)
    for step in (1.0, 100.0):
        assert torch.equal(MCP(0.0).prox(w, step), w)
    assert float(MCP(0.0).value(w)) == 0.0


@pytest.mark.parametrize("top", [2.0**1020, 2.0**1000, 2.0**-1000])
@pytest.mark.parametrize("gamma", [40.0, 0.01])
def test_a_problem_near_the_ends_of_the_range(gamma, top, random):
    """The solution is the same whatever B, D and lam are multiplied by; gamma*lam and gamma*D need not exist."""
    B, D = torch.tensor(random.uniform(-12, 12, (200,))), torch.tensor(10.0 ** random.uniform(-2, 0, (200,)))
    for weight in (0.0, 0.2):
        psi = MCP(weight, gamma)
        expected = psi.metric_prox(B, D, 10.0)
        assert bool((expected != 0).any())
        torch.testing.assert_close(psi.metric_prox(B * top, D * top, 10.0 * top), expected, rtol=1e-12, atol=0)
    w = 2.0**1020 * torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
    assert torch.equal(MCP(0.0, gamma).prox(w, 2.0**1023), w)
