"""A method: its record, and its formulas on one parameter. Everything else about an optimizer derives from these.

The formulas are the meaning of a step. Where a kernel knows the method's recurrence, it takes the step in their place,
and the verification suite holds the kernel to them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from solvers.kernels import Recurrence
from solvers.regularizers.members import Scalar

#: The hyperparameters of a parameter group as plain numbers, see ``Settings``.
Group = Mapping[str, Any]
#: The state of one parameter: tensors of its shape, and counters (0-d tensors).
State = dict[str, Tensor]
#: The counters of a parameter as Python numbers, or of many as one tensor each where they stay on a device.
Counters = Mapping[str, Scalar]


class NormalForm(NamedTuple):
    """The coefficients of the subproblem ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``."""

    B: Tensor
    D: Tensor
    lam: float


@dataclass(frozen=True)
class MethodRecord:
    """The facts about a method from which kernel tables, checks, saved states and the command line derive.

    Attributes:
        name: the method's name on the command line and in the checks.
        reference: where the method comes from.
        hyperparameters: for each setting of a parameter group the function ``check(name, value)`` that raises
            ValueError or TypeError unless the value is allowed.
        state: names of the state tensors that have the parameter's shape.
        counters: names of the 0-d tensors in the state, ``step`` among them.
        optional_state: names of state tensors that exist under some settings only.
        recurrence: the elementwise part under the name by which kernels know it; None where no kernel does.
        averages: whether the parameter is an average of structured iterates. ProxSGD and ProxGen replace the parameter
            by the structured iterate instead.
    """

    name: str
    reference: str
    hyperparameters: Mapping[str, Callable[[str, object], None]]
    state: tuple[str, ...]
    counters: tuple[str, ...] = ("step",)
    optional_state: tuple[str, ...] = ()
    recurrence: Recurrence | None = None
    averages: bool = False


class Method(ABC):
    """The formulas of a method. ``group`` holds the hyperparameters as plain numbers, lr times the stage's factor."""

    record: ClassVar[MethodRecord]
    #: The record's recurrence, or None for a subclass that overrides a formula: the kernel computes the parent's.
    recurrence: ClassVar[Recurrence | None] = None

    FORMULAS: ClassVar = ("new_state", "counted", "accumulate", "decayed", "normal_form", "mix")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = vars(cls)
        if "record" in own:
            cls.recurrence = cls.record.recurrence
        elif "recurrence" not in own and any(name in own for name in cls.FORMULAS):
            cls.recurrence = None

    @abstractmethod
    def new_state(self, point: Tensor, group: Group) -> State:
        """The state tensors of a parameter before its first step. Counters are added by the stepper, all zero.

        Arguments:
            point: a copy of the parameter, in the dtype of the sums, which the state may keep.
            group: the hyperparameters of the parameter's group.

        Returns:
            Name to tensor, each of the shape and dtype of ``point``.
        """

    def counted(self, counters: Counters, group: Group) -> Counters:
        """The counters after one more step; a step of weight zero may leave them as they are.

        Arguments:
            counters: the counters of the parameter, those of many as one tensor each where they stay on a device.
            group: the hyperparameters of the parameter's group.

        Returns:
            The new counters.
        """
        return {**counters, "step": counters["step"] + 1}

    @abstractmethod
    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        """Put the gradient into the state, in place; the counters have counted the step already.

        Arguments:
            gradient: that of the loss, of the shape and dtype of the state.
            state: the tensors of the parameter and its counters.
            group: the hyperparameters of the parameter's group.
        """

    @abstractmethod
    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        """The subproblem of the step that ``accumulate`` has just prepared.

        Arguments:
            point: the parameter, in the dtype of the sums.
            state: the tensors of the parameter and its counters.
            group: the hyperparameters of the parameter's group.

        Returns:
            B and D, of the shape and dtype of ``point``, and the number lam.
        """

    def decayed(self, point: Tensor, group: Group) -> Tensor:
        """The parameter after a decoupled weight decay, where the method applies one to it.

        Arguments:
            point: the parameter, in the dtype of the sums.
            group: the hyperparameters of the parameter's group.

        Returns:
            ``point``, which may have been changed in place.
        """
        return point

    def step_weight(self, step: Scalar, group: Group) -> Scalar:
        """s_t, the weight of a step's gradient in the sums.

        Arguments:
            step: the number t of the step, or a tensor of numbers.
            group: the hyperparameters of the parameter's group.

        Returns:
            A number, or a tensor of them.
        """
        rate: Scalar = group["lr"]
        return rate

    def psi_weight(self, counters: Counters, group: Group) -> Scalar:
        """lam of the step: the weight of psi in the subproblem, before ``reg_warmup``.

        Arguments:
            counters: the counters of the parameter, those of many as one tensor each where they stay on a device.
            group: the hyperparameters of the parameter's group.

        Returns:
            A number >= 0, or a tensor of them.
        """
        rate: Scalar = group["lr"]
        return rate

    def unit(self, counters: Counters, group: Group) -> float:
        """The scale of eps_t: the weight of psi in a first subproblem at the largest lr so far.

        Arguments:
            counters: the counters of the parameter, those of many as one tensor each where they stay on a device.
            group: the hyperparameters of the parameter's group.

        Returns:
            A number >= 0, in the units of lr.
        """
        return float(group["lr"])

    def averaging(self, group: Group) -> Scalar:
        """The share of Ŵ in the new parameter.

        Arguments:
            group: the hyperparameters of the parameter's group.

        Returns:
            A number in (0, 1].
        """
        return 1.0

    def mix(self, point: Tensor, structured: Tensor, group: Group) -> Tensor:
        """The new parameter from the old one and Ŵ.

        Arguments:
            point: the parameter, in the dtype of the sums.
            structured: Ŵ, of the kind of ``point``.
            group: the hyperparameters of the parameter's group.

        Returns:
            The new parameter; ``point`` may have been changed in place.
        """
        return structured

    def recurrence_of(self, group: Group) -> Recurrence | None:
        """The recurrence by which kernels step the parameters of a group.

        Arguments:
            group: the hyperparameters of the parameter's group.

        Returns:
            The recurrence, or None where no kernel has one.
        """
        return self.recurrence

    def coefficients(self, counters: Counters, group: Group) -> tuple[Scalar, ...]:
        """The numbers k0, k1, ... of the recurrence after ``counted``.

        Arguments:
            counters: the counters of the parameter, those of many as one tensor each where they stay on a device.
            group: the hyperparameters of the parameter's group.

        Returns:
            As many numbers as the recurrence has coefficients, or tensors where the counters are.
        """
        return ()


def warmed_up(weight: Scalar, step: Scalar, group: Group) -> Scalar:
    """``weight * min(1, step / reg_warmup)``: the weight of psi while it is phased in over the first steps."""
    steps = group["reg_warmup"]
    if steps == 0:
        return weight
    share = step / steps
    return weight * (share.clamp_max(1.0) if isinstance(share, Tensor) else min(1.0, share))
