"""The torch optimizer that all methods share: groups, state, checks, the structured iterate.

A method is three short functions on one parameter: ``accumulate`` (gradient into state), ``normal_form`` (state into
the subproblem's B, D, lam) and ``mix`` (the subproblem's solution into the parameter).
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from solvers import validate
from solvers.optimizers.checks import check_gradients, check_parameter, parameter_name
from solvers.optimizers.diagnostics import BlockReport, DiagnosticsHooks, StepReport, block_report
from solvers.optimizers.state_dict import describe_regularizers, restore_regularizers, restore_state
from solvers.regularizers.base import accumulation_dtype, offers, require_regularizer
from solvers.regularizers.zero import Zero
from solvers.subproblem.criterion import PowerSchedule, Schedule
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.solve import METHODS, direct_point, solve

Group = dict[str, Any]
State = dict[str, Any]


class NormalForm(NamedTuple):
    """The coefficients of the subproblem ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``."""

    B: Tensor
    D: Tensor
    lam: float


class StructuredOptimizer(torch.optim.Optimizer, ABC):
    """Base of RAMDA, RMDA, ProxSGD and ProxGen.

    Every parameter group may name a ``regularizer``; without one (None) psi is zero and the step takes the closed form.
    Sums are kept in float32 for 16-bit parameters, else in the parameter's dtype.

    Arguments common to all methods:
        schedule: eps_t of criterion (7a) for subproblems that are solved iteratively, see ``PowerSchedule``. The
            tensors of a step share it equally: each gets eps_t / sqrt(number of regularized tensors).
        method: "auto" or the inner solver to use, see ``available_methods``.
        max_inner_iterations: cap of an iterative inner solver. A step that ends there is taken, counted in
            ``unaccepted_steps`` and warned about once.
        check_finite: refuse NaN and infinite gradients before anything is touched (one device synchronisation a step).
    """

    #: What an averaging method mixes into the parameter; ProxSGD and ProxGen replace it, so their What is W.
    averages: ClassVar[bool] = False

    def __init__(
        self,
        params: Any,
        defaults: Group,
        *,
        schedule: Schedule | None = None,
        method: str = "auto",
        max_inner_iterations: int = 1000,
        check_finite: bool = True,
    ) -> None:
        validate.one_of("method", method, METHODS)
        validate.positive_integer("max_inner_iterations", max_inner_iterations)
        if schedule is not None and not callable(schedule):
            raise TypeError(f"schedule must be a function of (step, unit), got {schedule!r}")
        self.schedule: Schedule = PowerSchedule() if schedule is None else schedule
        self.method = method
        self.max_inner_iterations = max_inner_iterations
        self.check_finite = check_finite
        #: Subproblems whose solution did not meet criterion (7), since construction.
        self.unaccepted_steps = 0
        self._alarm = ""
        self.diagnostics = DiagnosticsHooks()
        #: Called as observe(param, What) after each subproblem, in the dtype of the sums; must not change either.
        self.observers: list[Callable[[Tensor, Tensor], None]] = []
        super().__init__(params, defaults)

    # What a method provides --------------------------------------------------------------------------------------

    @abstractmethod
    def check_group(self, group: Group) -> None:
        """Raise ValueError or TypeError unless the hyperparameters of ``group`` are allowed."""

    @abstractmethod
    def new_state(self, point: Tensor, group: Group) -> State:
        """State of a parameter before its first step; ``point`` is the parameter in the dtype of the sums."""

    @abstractmethod
    def accumulate(self, point: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """Put the gradient into the state, in place; may change ``point`` (weight decay)."""

    @abstractmethod
    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        """B, D and lam of the subproblem of the step that ``accumulate`` has just prepared."""

    def unit(self, state: State, group: Group) -> float:
        """The weight of psi in the first subproblem, which scales eps_t."""
        return group["lr"]

    def mix(self, point: Tensor, structured: Tensor, group: Group) -> Tensor:
        """The new parameter from the old one and What."""
        return structured

    # The torch interface -----------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Group) -> None:
        """Add a group; refuses bad hyperparameters and parameters on which its regularizer is not defined."""
        group = {**self.defaults, **param_group}
        regularizer = Zero() if group["regularizer"] is None else group["regularizer"]
        require_regularizer("regularizer", regularizer)
        self.check_group(group)
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        for index, entry in enumerate(params):
            name, param = entry if isinstance(entry, tuple) else (f"params[{index}]", entry)
            check_parameter(name, param)
            if offers(regularizer, "check_shape"):
                try:
                    regularizer.check_shape(param.shape)
                except ValueError as error:
                    raise ValueError(f"parameter {name} cannot have the regularizer {regularizer!r}: {error}") from None
        super().add_param_group({**param_group, "params": params, "regularizer": regularizer})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns the closure's loss, or None without a closure.

        Raises ValueError, naming the parameter, on a sparse, NaN or infinite gradient; parameters and state are then
        as they were.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        work = [
            (parameter_name(group, position), param, group)
            for group in self.param_groups
            for position, param in enumerate(group["params"])
            if param.grad is not None
        ]
        check_gradients([(name, param.grad) for name, param, _ in work], finite=self.check_finite)
        share = max(1, sum(not isinstance(group["regularizer"], Zero) for *_, group in work)) ** -0.5
        blocks = [self._step_parameter(name, param, group, share) for name, param, group in work]
        if self._alarm:
            # Two wrappers of torch's stand between this frame and the caller's.
            warnings.warn(self._alarm, RuntimeWarning, stacklevel=4)
            self._alarm = ""
        if self.diagnostics.wanted:
            self.diagnostics.emit(StepReport.of([block for block in blocks if block is not None]))
        return loss

    def _step_parameter(self, name: str, param: Tensor, group: Group, share: float) -> BlockReport | None:
        state = self.state[param]
        work = accumulation_dtype(param)
        point = param.detach().to(work, copy=True)
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state.update(self.new_state(point, group))
        state["step"] += 1
        assert param.grad is not None
        self.accumulate(point, param.grad.to(work), state, group)
        subproblem = Subproblem(*self.normal_form(point, state, group), group["regularizer"])
        structured, solution, tolerance = self._solve(name, subproblem, point, state, group, share)
        for observe in self.observers:
            observe(param, structured)
        report = None
        if self.diagnostics.wanted:
            report = block_report(name, int(state["step"]), subproblem, point, structured, solution, tolerance)
        # hardshrink at the smallest normal number: an entry of W whose What is zero decays by (1 - c) a step into
        # denormals and never reaches zero, and denormals make a CPU 10 to 25 times slower. The paper has no such rule.
        mixed = torch.hardshrink(self.mix(point, structured, group), torch.finfo(param.dtype).tiny)
        param.copy_(mixed)
        return report

    def _solve(
        self, name: str, subproblem: Subproblem, point: Tensor, state: State, group: Group, share: float
    ) -> tuple[Tensor, Solution | None, float]:
        """What, the inner solver's record where it kept one, and this tensor's share of eps_t."""
        tolerance = share * self.schedule(int(state["step"]), self.unit(state, group))
        direct = direct_point(subproblem, self.method)
        if direct is not None and not self.diagnostics.wanted:
            return direct[0], None, tolerance
        solution = solve(
            subproblem,
            point,
            tolerance=tolerance,
            max_iterations=self.max_inner_iterations,
            method=self.method,
            check_values=False,
        )
        # At the rounding level of the dtype there is nothing left to solve; diagnostics show it, no alarm is due.
        if not solution.accepted and solution.status is not Status.PRECISION_LIMIT:
            self.unaccepted_steps += 1
            if self.unaccepted_steps == 1:
                self._alarm = (
                    f"{type(self).__name__}: step {int(state['step'])} of parameter {name} was not accepted, residual "
                    f"{solution.residual:.2e} against eps_t {tolerance:.2e}: {solution.status.value}. Further ones are "
                    "counted in unaccepted_steps."
                )
        return solution.point, solution, tolerance

    # The structured iterate --------------------------------------------------------------------------------------

    @torch.no_grad()
    def structured_iterate(self) -> dict[Tensor, Tensor]:
        """What^t of every parameter, recomputed from the state: the point that carries the structure.

        Keys are the parameters, values new tensors of their dtype. W^t is an average of these and inherits the
        structure only once the momentum reaches 1. A parameter without a step since its last restart has What = W, so
        read it before a restart. An iterative subproblem is solved from W^t to eps_t again.
        """
        found = {}
        for group in self.param_groups:
            for position, param in enumerate(group["params"]):
                state = self.state.get(param)
                if not self.averages or not state or int(state["step"]) == 0:
                    found[param] = param.detach().clone()
                    continue
                point = param.detach().to(accumulation_dtype(param))
                subproblem = Subproblem(*self.normal_form(point, state, group), group["regularizer"])
                name = parameter_name(group, position)
                found[param] = self._solve(name, subproblem, point, state, group, 1.0)[0].to(param.dtype)
        return found

    @contextmanager
    @torch.no_grad()
    def structured_iterate_swapped_in(self) -> Iterator[None]:
        """Within the context every parameter holds What^t; afterwards its W^t, bit for bit. Do not step inside."""
        kept = []
        for param, structured in self.structured_iterate().items():
            kept.append((param, param.detach().clone()))
            param.copy_(structured)
        try:
            yield
        finally:
            with torch.no_grad():
                for param, value in kept:
                    param.copy_(value)

    # Stages ------------------------------------------------------------------------------------------------------

    def restart(self, gamma: float = 1.0) -> None:
        """Enter the next stage: multiply lr by ``gamma``. The dual averaging methods also begin their sums anew."""
        validate.positive("gamma", gamma)
        for group in self.param_groups:
            group["lr"] *= gamma

    def ramp_momentum(self, initial: list[float], stage_step: int) -> None:
        """Set the momentum for step ``stage_step`` of the last stage. Methods without averaging have no ramp."""

    def __getstate__(self) -> dict[str, Any]:
        """For copying and pickling: torch's part and our options; observers and hooks stay with the original."""
        own = ("schedule", "method", "max_inner_iterations", "check_finite", "unaccepted_steps", "_alarm")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # torch calls this from load_state_dict too, where hooks and observers stay.
        self.__dict__.setdefault("diagnostics", DiagnosticsHooks())
        self.__dict__.setdefault("observers", [])

    # Saving ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with every regularizer as a text, so that ``torch.load(weights_only=True)`` reads it."""
        return describe_regularizers(super().state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's; keeps this optimizer's regularizers and the dtype of every saved tensor.

        Raises ValueError where a saved regularizer is not the one that this optimizer has.
        """
        restored = restore_regularizers(state_dict, self.param_groups)
        super().load_state_dict(restored)
        restore_state(self, state_dict)
