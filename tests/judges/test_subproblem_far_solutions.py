"""When the verdict of the solvers on a direct solution is told to forget the rounding of D*Z."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import far_solutions
from ramda_verify.checks.subproblem.far_solutions import Tilted, measure_far_solution
from solvers import L1, MetricProx
from solvers.regularizers.simplex import Simplex
from solvers.subproblem import Status
from tests.judges.solutions import solution
from tests.plug_ins.right.sets import NonnegativeSum
from tests.solvers.plug_ins import SimplexInAMetric

B, D, LAM = np.array([3.0, 4.0]), np.array([0.25, 4.0]), 2.0


def column(*entries):
    return torch.tensor(entries, dtype=torch.float64)


def test_a_tilted_psi_has_a_slope_more():
    """Its solutions are those of a B that is less by lam times the slope."""
    found = Tilted(L1(0.5), column(1.0, -2.0))
    assert found.convex
    assert float(found.value(column(3.0, -4.0))) == 0.5 * 7 + 3 + 8
    assert found.prox(column(3.0, 4.0), 0.5).tolist() == [3 - 0.5 - 0.25, 4 + 1 - 0.25]
    assert found.metric_prox(column(3.0, 4.0), column(0.25, 4.0), 2.0).tolist() == [0.0, (4 + 4 - 1) / 4]

    class Plain:
        value, prox = L1(0.5).value, L1(0.5).prox

        def metric_prox(self, B, D, lam):
            return MetricProx(B / D, 3)

    plain = Tilted(Plain(), column(1.0, -2.0))
    assert not plain.convex
    assert plain.metric_prox(column(3.0, 4.0), column(0.25, 4.0), 0.5).tolist() == [10.0, 1.25]


@pytest.fixture
def solved(monkeypatch):
    """The measurement of these solutions, and the problem that was given."""

    def measured(alone=None, batch=None, *, regularizer=None, direction=(1.0, -2.0), distance=1e3):
        given = {}
        right = solution([1.0, 2.0], residual=1.0, status=Status.PRECISION_LIMIT)

        def solve(problem, **options):
            assert options == {"tolerance": pytest.approx(5e-13, rel=1e-9), "method": "metric_prox"}
            given["problem"] = problem
            return right if alone is None else alone

        def solve_batch(b, d, lam, psi, **options):
            assert options == {"tolerance": pytest.approx(5e-13, rel=1e-9), "method": "metric_prox"}
            given.update(b=b.tolist(), d=d.tolist(), lam=lam, psi=psi)
            return [right if batch is None else batch, right]

        monkeypatch.setattr(far_solutions, "solve", solve)
        monkeypatch.setattr(far_solutions, "solve_batch", solve_batch)
        psi = L1(0.5) if regularizer is None else regularizer
        return measure_far_solution(psi, B, D, LAM, np.array(direction), distance), given

    return measured


@pytest.mark.parametrize("distance", [1e3, 1234.567, 1e9])
@pytest.mark.parametrize(
    ("direction", "unit"), [((1.0, -2.0), (0.5, -1.0)), ((0.0, 0.0), (1.0, 1.0)), ((0.0, 0.25), (0.0, 1.0))]
)
def test_a_norm_is_tilted_far_above_B_and_above_itself(direction, unit, distance, solved):
    """Along the direction, its largest entry 1, by the distance times max|B| + lam*psi of it, over lam."""
    found, given = solved(direction=direction, distance=distance)
    assert found.violation == 0
    size = 4.0 + LAM * 0.5 * sum(map(abs, unit))
    slope = [entry * distance * size / LAM for entry in unit]
    problem = given["problem"]
    for entry in range(2):
        along = np.eye(2)[entry]
        value = float(problem.regularizer.value(torch.tensor(along)))
        assert value == pytest.approx(0.5 + slope[entry], rel=1e-12)
    assert problem.D.tolist() == D.tolist()
    assert given["psi"] is problem.regularizer
    assert problem.B.tolist() == B.tolist()
    assert (given["b"], given["d"], given["lam"], problem.lam) == ([B.tolist()] * 2, [D.tolist()] * 2, LAM, LAM)


@pytest.mark.parametrize("psi", [SimplexInAMetric(), NonnegativeSum()])
def test_a_constraint_meets_a_large_D(psi, solved):
    """Also one that is homogeneous, of which no price can be told along a direction that leaves its cone."""
    found, given = solved(regularizer=psi)
    assert found.violation == 0
    assert given["problem"].D.tolist() == [250.0, 4000.0]
    assert given["d"] == [[250.0, 4000.0]] * 2
    assert given["psi"] is given["problem"].regularizer is psi


WRONG = [
    *[{"status": status} for status in Status if status not in (Status.CONVERGED, Status.PRECISION_LIMIT)],
    {"residual": math.inf},
    {"residual": math.nan},
    {"point": [1.0, math.nan]},
    {"point": [math.inf, 1.0]},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("who", ["solve", "solve_batch"])
def test_what_is_not_called_stationary_is_found(wrong, who, solved):
    claimed = solution(**{"point": [1.0, 2.0], "residual": 1.0, "status": Status.CONVERGED, **wrong})
    found, _ = solved(alone=claimed) if who == "solve" else solved(batch=claimed)
    assert found.violation == math.inf
    assert found.note.startswith(f"{who}: {claimed.status.value}, residual {claimed.residual:.6g}")


@pytest.mark.parametrize("status", [Status.CONVERGED, Status.PRECISION_LIMIT])
def test_what_is_called_stationary_passes(status, solved):
    claimed = solution([1.0, 2.0], residual=1.0, status=status)
    assert solved(claimed, claimed)[0].violation == 0


@pytest.mark.parametrize("psi", [L1(0.5), Simplex(1.0)], ids=str)
def test_right_solvers_pass(psi):
    if hasattr(psi, "metric_prox"):
        assert measure_far_solution(psi, B, D, LAM, np.array([1.0, -2.0]), 1e9).violation == 0
