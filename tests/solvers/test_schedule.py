"""eps_t: what the schedule promises, and that the optimizers use exactly it."""

import math

import pytest
import torch

from solvers import RAMDA, NuclearNorm, PowerSchedule, ProxGen

BAD = [
    pytest.param({"tolerance": 0.0}, ValueError, "tolerance must be finite and > 0, got 0.0", id="zero"),
    pytest.param({"tolerance": -1.0}, ValueError, "tolerance must be finite and > 0", id="negative"),
    pytest.param({"tolerance": math.nan}, ValueError, "tolerance must be finite and > 0", id="nan"),
    pytest.param({"tolerance": "1"}, TypeError, "tolerance must be a number", id="text"),
    pytest.param({"power": 0.5}, ValueError, r"power must be in \(0.5, inf\], got 0.5", id="not-summable"),
    pytest.param({"power": 0.0}, ValueError, "power must be in", id="constant"),
    pytest.param({"power": math.nan}, ValueError, "power must be in", id="power-nan"),
    pytest.param({"power": None}, TypeError, "power must be a number", id="power-none"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_schedule(options, error, message):
    with pytest.raises(error, match=message):
        PowerSchedule(**options)


@pytest.mark.parametrize("power", [0.51, 0.75, 1.0, 3.0])
def test_squares_are_summable_and_bounded(power):
    schedule = PowerSchedule(1e-2, power)
    total = math.fsum((schedule(t, 2.0) / 2.0) ** 2 for t in range(1, 20_001))
    assert total <= schedule.sum_of_squares
    # The first term alone is tolerance^2, so the bound is within its own factor of the sum.
    assert schedule.sum_of_squares <= total * (1 + 1 / (2 * power - 1))


def test_values():
    schedule = PowerSchedule(1e-3, 1.0)
    assert [schedule(t, 5.0) for t in (1, 2, 10)] == pytest.approx([5e-3, 2.5e-3, 5e-4], rel=1e-15)


@pytest.mark.parametrize(("optimizer", "unit"), [(RAMDA, 0.05), (ProxGen, 0.05)])
def test_optimizers_use_it(optimizer, unit):
    schedule = PowerSchedule(1e-2, 0.75)
    params = [torch.nn.Parameter(torch.randn(4, 3)) for _ in range(3)]
    groups = [{"params": params[:2], "regularizer": NuclearNorm(0.1)}, {"params": params[2:]}]
    made = optimizer(groups, lr=0.05, schedule=schedule)
    with made.diagnostics.recorded() as reports:
        for _ in range(4):
            for param in params:
                param.grad = torch.randn_like(param)
            made.step()
    for t, report in enumerate(reports, 1):
        assert report.step == t
        # Two regularized tensors share eps_t in squares.
        expected = 1e-2 * unit * t**-0.75
        shared = [block.tolerance for block in report.blocks[:2]]
        assert shared == pytest.approx([expected / math.sqrt(2)] * 2, rel=1e-12)
        assert math.hypot(*shared) == pytest.approx(expected, rel=1e-12)
        assert math.hypot(*(block.residual for block in report.blocks)) == pytest.approx(report.residual)
