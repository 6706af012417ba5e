"""What a batch of solves returns: what ``Solution`` says, for every problem."""

from dataclasses import dataclass

from torch import Tensor

from solvers.subproblem.result import Leg, Solution, Status


@dataclass(frozen=True)
class BatchSolution:
    """The results of a batch of solves. What a field means, it means in ``Solution``, problem by problem.

    Attributes:
        point: of shape (batch, *shape).
        status: a tuple.
        iterations: an int64 tensor of shape (batch,).
        residual, objective, tolerance: float64 tensors of shape (batch,).
        methods: a tuple of what ``Solution`` calls ``method``.
        descent: a boolean tensor of shape (batch,), None without references.
        looped: what torch.vmap could not do, with its reason, so that it was done one problem at a time: the answers
            are the same, the time is not.
        legs: a tuple of what ``Solution`` calls ``legs``.
    """

    point: Tensor
    status: tuple[Status, ...]
    iterations: Tensor
    residual: Tensor
    objective: Tensor
    tolerance: Tensor
    methods: tuple[str, ...]
    descent: Tensor | None
    looped: tuple[str, ...]
    legs: tuple[tuple[Leg, ...], ...]

    @property
    def accepted(self) -> Tensor:
        """Criterion (7) for each problem: the residual is at most the tolerance."""
        return self.residual <= self.tolerance

    def __len__(self) -> int:
        return len(self.status)

    def __getitem__(self, index: int) -> Solution:
        """The result of one problem, as ``solve`` would have returned it."""
        return Solution(
            point=self.point[index],
            status=self.status[index],
            iterations=int(self.iterations[index]),
            residual=float(self.residual[index]),
            objective=float(self.objective[index]),
            tolerance=float(self.tolerance[index]),
            method=self.methods[index],
            descent=None if self.descent is None else bool(self.descent[index]),
            legs=self.legs[index],
        )
