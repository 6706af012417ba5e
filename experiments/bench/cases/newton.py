"""The inner solver alone: ProxSSI's Newton against ours, on the subproblems of a step."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from experiments.bench import goals
from experiments.bench.peers import ProxSSI
from experiments.bench.plan import Plan
from experiments.bench.race import race
from experiments.bench.residual import relative_residual
from experiments.bench.rows import Row, Skipped
from experiments.bench.timing import Contestant
from experiments.bench.workload import Grouped, group_axis, grouped
from solvers import RAMDA


class Problem(NamedTuple):
    """``min 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` of one tensor, psi a sum of group norms."""

    B: Tensor
    D: Tensor
    lam: float
    psi: Grouped

    @property
    def axis(self) -> int:
        return group_axis(self.psi)

    def residual(self, Z: Tensor) -> float:
        price = self.lam * self.psi.reg_weight * (self.B.numel() / self.B.shape[self.axis]) ** 0.5
        return relative_residual(Z, self.B, self.D, price, self.axis)


def newton_rows(case: str, ours: RAMDA, plan: Plan) -> Iterator[Row | Skipped]:
    """The ratio for every number of threads."""
    measure = goals.NEWTON_OVER_OURS
    if plan.proxssi is None:
        yield Skipped(case, measure.name, "no --proxssi given")
        return
    problems = subproblems(ours)
    theirs = Newton(plan.proxssi, problems)
    for count in plan.slow_threads:
        plan.say(f"{case}: ProxSSI's Newton, {count} CPU threads")
        points = [p.psi.metric_prox(p.B, p.D, p.lam).point for p in problems]
        yield race(
            case,
            measure,
            Contestant(lambda: [p.psi.metric_prox(p.B, p.D, p.lam) for p in problems]),
            Contestant(theirs.solve, theirs.prepare),
            plan=plan,
            threads_used=count,
            effort=plan.effort,
            detail={
                "residual": max(p.residual(point) for p, point in zip(problems, points, strict=True)),
                "proxssi_residual": theirs.residual(),
            },
        )


def subproblems(optimizer: RAMDA) -> list[Problem]:
    """The subproblems that the state of the optimizer stands for, of all tensors with groups."""
    found = []
    for group in optimizer.param_groups:
        if grouped(group["regularizer"]):
            for param in group["params"]:
                form = optimizer.normal_form(param.detach(), optimizer.state[param], group)
                found.append(Problem(form.B, form.D, float(form.lam), group["regularizer"]))
    return found


class Newton:
    """ProxSSI's operator on copies of the centres B/D of matrices, which it overwrites; its groups are the last axis of
    three.
    """

    def __init__(self, proxssi: ProxSSI, problems: list[Problem]) -> None:
        self.proxssi, self.problems = proxssi, problems
        self.centres = [problem.B / problem.D for problem in problems]
        self.points = [centre.clone() for centre in self.centres]
        self.views = [self._view(problem, point) for problem, point in zip(problems, self.points, strict=True)]
        self.weights = [self._view(problem, problem.D) for problem in problems]

    @staticmethod
    def _view(problem: Problem, matrix: Tensor) -> Tensor:
        return matrix.movedim(problem.axis, -1).unsqueeze(0)

    def prepare(self) -> None:
        for point, centre in zip(self.points, self.centres, strict=True):
            point.copy_(centre)

    def solve(self) -> None:
        first = self.problems[0]
        self.proxssi.prox(self.views, self.weights, first.lam, first.psi.reg_weight)

    def residual(self) -> float:
        """The worst relative residual of what it last found."""
        self.prepare()
        self.solve()
        return max(problem.residual(point) for problem, point in zip(self.problems, self.points, strict=True))
