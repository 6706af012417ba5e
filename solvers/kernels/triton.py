"""Placeholder."""

from torch import Tensor

from solvers.kernels.task import StepTask


class Triton:
    name = "triton"
    device = "cuda"

    def missing(self) -> str | None:
        return "not written yet"

    def refusal(self, task: StepTask) -> str | None:
        return "not written yet"

    def run(self, tasks: list[StepTask], scalars: Tensor | None = None) -> Tensor:
        raise NotImplementedError
