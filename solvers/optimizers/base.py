"""The torch optimizer that all methods share: groups, state, checks, the structured iterate.

A method is four short functions on one parameter: ``advance`` (its counters), ``accumulate`` (gradient into state),
``normal_form`` (state into the subproblem's B, D, lam) and ``mix`` (the subproblem's solution into the parameter). They
are the meaning of a step. Where a kernel knows the same recurrence, it takes the step in their place.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from solvers import validate
from solvers.kernels import BACKENDS, Recurrence
from solvers.optimizers.acceptance_log import UnacceptedSteps
from solvers.optimizers.assignment import Assignments
from solvers.optimizers.diagnostics import DiagnosticsHooks, StepReport
from solvers.optimizers.refusals import check_gradients, check_parameter
from solvers.optimizers.saving import SCALARS, describe_regularizers, restore_regularizers, restore_state
from solvers.optimizers.slot import Item
from solvers.optimizers.stepper import step_all, structured_iterate
from solvers.regularizers.base import accumulation_dtype, offers, require_regularizer
from solvers.regularizers.zero import Zero
from solvers.subproblem.criterion import PowerSchedule, Schedule
from solvers.subproblem.solve import METHODS

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
        backend: "auto" steps by a compiled kernel wherever one knows the method, the regularizer and the tensors
            ("native" on the CPU, "triton" on CUDA devices) and by plain torch elsewhere; or one of these two alone; or
            "plain". A parameter that the kernel cannot take although its device has one is logged once.
        capturable: keep the counters on the device, so that a step of CUDA parameters can be captured in a graph; lr,
            momentum and the other hyperparameters are captured as they are. Needs ``check_finite=False``, and every
            parameter must be one that the kernel takes.
    """

    #: What an averaging method mixes into the parameter; ProxSGD and ProxGen replace it, so their Ŵ is W.
    averages: ClassVar[bool] = False
    #: The name under which the kernels know this method; None where they do not.
    recurrence: ClassVar[Recurrence | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        formulas = ("new_state", "advance", "accumulate", "decayed", "normal_form", "mix")
        # Who changes a formula leaves the kernel behind, which would not know of the change.
        if "recurrence" not in vars(cls) and any(name in vars(cls) for name in formulas):
            cls.recurrence = None

    def __init__(
        self,
        params: Any,
        defaults: Group,
        *,
        schedule: Schedule | None = None,
        method: str = "auto",
        max_inner_iterations: int = 1000,
        check_finite: bool = True,
        backend: str = "auto",
        capturable: bool = False,
    ) -> None:
        validate.one_of("method", method, METHODS)
        validate.positive_integer("max_inner_iterations", max_inner_iterations)
        validate.one_of("backend", backend, ("auto", "plain", *BACKENDS))
        if capturable and (check_finite or backend in ("plain", "native")):
            raise ValueError(
                "capturable=True needs check_finite=False, which waits for the device, and backend 'auto' or 'triton', "
                f"got check_finite={check_finite!r}, backend={backend!r}"
            )
        if schedule is not None and not callable(schedule):
            raise TypeError(f"schedule must be a function of (step, unit), got {schedule!r}")
        self.schedule: Schedule = PowerSchedule() if schedule is None else schedule
        self.method = method
        self.max_inner_iterations = max_inner_iterations
        self.check_finite = check_finite
        self.backend = backend
        self.capturable = capturable
        self.unaccepted = UnacceptedSteps(type(self).__name__)
        self.diagnostics = DiagnosticsHooks()
        self.assignments = Assignments()
        #: Called as observe(param, Ŵ) after each subproblem, in the dtype of the sums; must not change either.
        self.observers: list[Callable[[Tensor, Tensor], None]] = []
        super().__init__(params, defaults)

    # What a method provides --------------------------------------------------------------------------------------

    @abstractmethod
    def check_group(self, group: Group) -> None:
        """Raise ValueError or TypeError unless the hyperparameters of ``group`` are allowed."""

    @abstractmethod
    def new_state(self, point: Tensor, group: Group) -> State:
        """State of a parameter before its first step; ``point`` is the parameter in the dtype of the sums."""

    def advance(self, states: Sequence[State], group: Group) -> None:
        """Count the step in the counters of parameters of ``group``, before ``accumulate``. They may be on a GPU, which
        must not be waited for.
        """
        torch._foreach_add_([state["step"] for state in states], 1)

    @abstractmethod
    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        """Put the gradient into the state, in place."""

    @abstractmethod
    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        """B, D and lam of the subproblem of the step that ``accumulate`` has just prepared."""

    def decayed(self, point: Tensor, group: Group) -> Tensor:
        """The parameter after a decoupled weight decay, where the method has one; may work in place."""
        return point

    def psi_weight(self, state: State, group: Group) -> Any:
        """lam of the step, a number or a tensor as the state holds it."""
        return group["lr"]

    def step_weight(self, step: Any, group: Group) -> Any:
        """s_t, the weight of the gradient of step ``step`` (a number, or a tensor of numbers) in the sums."""
        return group["lr"]

    def unit(self, state: State, group: Group) -> float:
        """The weight of psi in the first subproblem, which scales eps_t."""
        return group["lr"]

    def averaging(self, group: Group) -> float:
        """The share of Ŵ in the new parameter."""
        return 1.0

    def recurrence_of(self, group: Group) -> Recurrence | None:
        """The recurrence by which kernels step the parameters of ``group``."""
        return self.recurrence

    def coefficients(self, step: Any, group: Group) -> tuple[Any, ...]:
        """The numbers k0, k1, ... of the recurrence at step ``step`` (a number, or a tensor of numbers); here it has
        none.
        """
        return ()

    def mix(self, point: Tensor, structured: Tensor, group: Group) -> Tensor:
        """The new parameter from the old one and Ŵ."""
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
        items = [item for item in self.items() if item.param.grad is not None]
        check_gradients(items, finite=self.check_finite)
        items = [item if item.state else self._begin(item) for item in items]
        share = max(1, sum(not isinstance(item.group["regularizer"], Zero) for item in items)) ** -0.5
        reports = step_all(self, items, share)
        # Two wrappers of torch's stand between this frame and the caller's.
        self.unaccepted.warn(stacklevel=4)
        if self.diagnostics.wanted:
            self.diagnostics.emit(StepReport.of(reports))
        return loss

    def items(self) -> Iterator[Item]:
        """All parameters with their groups and states; the state of one that has made no step is empty."""
        for group in self.param_groups:
            for position, param in enumerate(group["params"]):
                yield Item(position, param, group, self.state.get(param, {}))

    def tolerance(self, item: Item, share: float) -> float:
        """A tensor's ``share`` of eps_t."""
        return share * self.schedule(int(item.state["step"]), self.unit(item.state, item.group))

    @property
    def unaccepted_steps(self) -> int:
        """Subproblems whose solution did not meet criterion (7) since construction. Waits for the device, if any."""
        return self.unaccepted.count

    def _begin(self, item: Item) -> Item:
        param, state = item.param, self.state[item.param]
        state["step"] = torch.zeros((), dtype=torch.int64)
        state.update(self.new_state(param.detach().to(accumulation_dtype(param), copy=True), item.group))
        if self.capturable:
            numbers = {key: value for key, value in state.items() if key in SCALARS}
            state.update({key: value.to(param.device, torch.float64) for key, value in numbers.items()})
        return item._replace(state=state)

    # The structured iterate --------------------------------------------------------------------------------------

    @torch.no_grad()
    def structured_iterate(self) -> dict[Tensor, Tensor]:
        """Ŵ^t of every parameter, recomputed from the state: the point that carries the structure.

        Keys are the parameters, values new tensors of their dtype. W^t is an average of these and inherits the
        structure only once the momentum reaches 1. A parameter without a step since its last restart has Ŵ = W, so
        read it before a restart. An iterative subproblem is solved from W^t to eps_t again.
        """
        return structured_iterate(self)

    @contextmanager
    @torch.no_grad()
    def structured_iterate_swapped_in(self) -> Iterator[None]:
        """Within the context every parameter holds Ŵ^t; afterwards its W^t, bit for bit. Do not step inside."""
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
        own = ("schedule", "method", "max_inner_iterations", "check_finite", "backend", "capturable", "unaccepted")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # torch calls this from load_state_dict too, where hooks and observers stay.
        self.__dict__.setdefault("diagnostics", DiagnosticsHooks())
        self.__dict__.setdefault("assignments", Assignments())
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
        restore_state(self, state_dict, capturable=self.capturable)
