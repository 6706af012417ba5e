"""The torch optimizer that all methods share: groups, checks, closures, saving, the structured iterate."""

import contextlib
import weakref
from abc import ABC
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Self, TypeVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from solvers import validate
from solvers.callers import warn_caller
from solvers.evaluation import batch_norm_advice, batch_norm_recomputed
from solvers.optimizers.acceptance_log import AcceptanceLog
from solvers.optimizers.diagnostics import DiagnosticsHooks, StepReport
from solvers.optimizers.method import Method
from solvers.optimizers.parameter_group import INITIAL_MOMENTUM, STAGE_FACTOR, ParameterGroup, stage_factor_of
from solvers.optimizers.refusals import check_collection, check_gradients, check_parameter
from solvers.optimizers.saving import checked, described, restored
from solvers.optimizers.settings import COMMON_DEFAULTS, Settings, check_keys, check_shapes
from solvers.optimizers.slot import ParameterSlot
from solvers.optimizers.stepper import Options, Stepper
from solvers.subproblem.criterion import PowerSchedule, Schedule

Value = TypeVar("Value")
Loss = TypeVar("Loss")


class _OfStepper(Generic[Value]):
    """An attribute of the optimizer that its stepper holds, there or among the options."""

    def __init__(self, *, option: bool = False) -> None:
        self._option = option

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def _holder(self, optimizer: "StructuredOptimizer") -> Options | Stepper:
        return optimizer.stepper.options if self._option else optimizer.stepper

    @overload
    def __get__(self, optimizer: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, optimizer: "StructuredOptimizer", owner: type | None = None) -> Value: ...
    def __get__(self, optimizer: "StructuredOptimizer | None", owner: type | None = None) -> Self | Value:
        if optimizer is None:
            return self
        value: Value = getattr(self._holder(optimizer), self._name)
        return value

    def __set__(self, optimizer: "StructuredOptimizer", value: Value) -> None:
        setattr(self._holder(optimizer), self._name, value)


class StructuredOptimizer(torch.optim.Optimizer, Method, ABC):
    """Base of RAMDA, RMDA, ProxSGD and ProxGen.

    Every parameter group may name a ``regularizer``; without one (None) psi is zero and the step takes the closed form.
    Sums are kept in float32 for 16-bit parameters, else in the parameter's dtype. A step at lr = 0 leaves the
    parameters as they are, bit for bit.

    Arguments:
        params: tensors, named tensors or parameter groups, as of torch's optimizers.
        defaults: the hyperparameters of the method, lr and regularizer among them.
        maximize: ascend: every gradient counts with the other sign.
        weight_decay: >= 0, decoupled. ProxSGD and ProxGen shrink W by ``1 - lr*weight_decay`` before the step. RAMDA
            and RMDA, whose W would forget that, add ``alpha/2 * weight_decay * ||Z||^2`` to the subproblem instead.
        reg_warmup: number of steps over which the weight of psi rises linearly to its value; 0 means at once.
        schedule: eps_t of criterion (7a) for subproblems that are solved iteratively, see ``PowerSchedule``. The
            tensors of a step share it equally: each gets eps_t / sqrt(number of regularized tensors).
        method: "auto" or the inner solver to use, see ``available_methods``.
        max_inner_iterations: cap of an iterative inner solver. A step that ends there is taken, counted in
            ``unaccepted_steps`` and warned about once.
        solve_every: solve an iterative subproblem in every k-th step only (RAMDA and RMDA); in between W moves towards
            the last Ŵ, whose residual in the current subproblem diagnostics report as it is.
        check_finite: refuse NaN and infinite gradients before anything is touched (one device synchronisation a step).
        backend: "auto" steps by a compiled kernel wherever one knows the method, the regularizer and the tensors
            ("native" on the CPU, "triton" on CUDA devices) and by plain torch elsewhere; or one of these two alone; or
            "plain". A parameter that the kernel cannot take although its device has one is logged once.
        capturable: keep the counters on the device, so that a step of CUDA parameters can be captured in a graph; lr,
            momentum and the other hyperparameters are captured as they are. Needs ``check_finite=False``, and every
            parameter must be one that the kernel takes.

    These hold for all methods; ``maximize``, ``weight_decay`` and ``reg_warmup`` may differ from group to group.

    Raises:
        ValueError or TypeError: an argument, or a setting of a group, is not allowed.

    Attributes:
        observers: functions called as observe(param, Ŵ) after each subproblem, with Ŵ in the dtype of the sums; they
            must not change either.
        diagnostics: hooks that get a report of every step, see ``DiagnosticsHooks``.
    """

    schedule = _OfStepper[Schedule](option=True)
    method = _OfStepper[str](option=True)
    max_inner_iterations = _OfStepper[int](option=True)
    solve_every = _OfStepper[int](option=True)
    check_finite = _OfStepper[bool](option=True)
    backend = _OfStepper[str](option=True)
    capturable = _OfStepper[bool](option=True)
    observers = _OfStepper[list[Callable[[Tensor, Tensor], None]]]()
    diagnostics = _OfStepper[DiagnosticsHooks]()

    def __init__(
        self,
        params: ParamsT,
        defaults: dict[str, Any],
        *,
        maximize: bool = False,
        weight_decay: float = 0.0,
        reg_warmup: int = 0,
        schedule: Schedule | None = None,
        method: str = "auto",
        max_inner_iterations: int = 1000,
        solve_every: int = 1,
        check_finite: bool = True,
        backend: str = "auto",
        capturable: bool = False,
    ) -> None:
        schedule = PowerSchedule() if schedule is None else schedule
        options = Options(schedule, method, max_inner_iterations, solve_every, check_finite, backend, capturable)
        self._check_options(options)
        self._build(options, AcceptanceLog(type(self).__name__))
        # The network whose parameters these are, where ``parameter_groups`` made the groups; it may go before us.
        network = getattr(params, "module", None)
        self._module: Callable[[], torch.nn.Module | None] = (lambda: None) if network is None else weakref.ref(network)
        self._advised = False
        check_collection(params)
        common = {"maximize": maximize, "weight_decay": weight_decay, "reg_warmup": reg_warmup}
        super().__init__(params, {**defaults, **common})

    def _check_options(self, options: Options) -> None:
        options.check()
        if options.solve_every > 1 and not self.record.averages:
            raise ValueError(
                f"solve_every must be 1 for {type(self).__name__}, which replaces W by Ŵ, got {options.solve_every}"
            )

    def _build(self, options: Options, log: AcceptanceLog) -> None:
        self.stepper = Stepper(self, options, log)
        self._settings = Settings(self.record.hyperparameters, on_device=options.capturable)

    # The torch interface -----------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose lr and eps hold as they are given: a stage that has been entered does not multiply them.

        Arguments:
            param_group: "params", and any of the hyperparameters.

        Raises:
            ValueError or TypeError: a hyperparameter is not allowed, or the regularizer is not defined on a parameter.
        """
        # torch.distributed.checkpoint restores the keys that a group has, so they are there from the beginning.
        kept = {STAGE_FACTOR: 1.0, **({INITIAL_MOMENTUM: None} if self.record.averages else {})}
        group = {**self.defaults, **kept, **param_group}
        check_keys(type(self).__name__, param_group, self.defaults)
        regularizer = self._settings.judged(group)["regularizer"]
        check_collection(group["params"])
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        named = [entry if isinstance(entry, tuple) else (f"params[{i}]", entry) for i, entry in enumerate(params)]
        for name, param in named:
            check_parameter(name, param)
        check_shapes([param for _, param in named], [name for name, _ in named], regularizer)
        super().add_param_group(ParameterGroup({**group, "params": params, "regularizer": regularizer}))

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], Loss] | None = None) -> Loss | None:
        """Take one step.

        Arguments:
            closure: computes the loss and its gradients; it runs with gradients enabled.

        Returns:
            The closure's loss, or None without a closure.

        Raises:
            ValueError or TypeError: a gradient is sparse, NaN or infinite, or a hyperparameter is not allowed. The
                message names the parameter or the hyperparameter; parameters and state are as they were.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._check_options(self.stepper.options)
        slots = [slot for slot in self.slots() if slot.param.grad is not None]
        check_gradients(slots, finite=self.stepper.options.check_finite)
        slots = [self._ready(slot) for slot in slots]
        reports = self.stepper.step(slots)
        self.stepper.log.warn()
        if self.stepper.diagnostics.wanted:
            self.stepper.diagnostics.emit(StepReport.of(reports))
        return loss

    def slots(self) -> Iterator[ParameterSlot]:
        """All parameters with their groups, settings and states; the state of one that has made no step is empty."""
        name, keys = type(self).__name__, self.defaults
        settings = [self._settings.of(group, name, keys) for group in self.param_groups]
        for group, plain in zip(self.param_groups, settings, strict=True):
            for position, param in enumerate(group["params"]):
                yield ParameterSlot(position, param, group, plain, self.state.get(param, {}))

    @property
    def unaccepted_steps(self) -> int:
        """Subproblems whose solution did not meet criterion (7) since construction. Waits for the device, if any."""
        return self.stepper.log.count

    def _ready(self, slot: ParameterSlot) -> ParameterSlot:
        if slot.state:
            self.stepper.follow(slot)
            return slot
        slot = slot._replace(state=self.state[slot.param])
        self.stepper.begin(slot)
        return slot

    # The structured iterate --------------------------------------------------------------------------------------

    @torch.no_grad()
    def structured_iterate(self) -> dict[Tensor, Tensor]:
        """Ŵ^t of every parameter: the point that carries the structure.

        Keys are the parameters, values new tensors of their dtype. W^t is an average of these and inherits the
        structure only once the momentum reaches 1. A parameter without a step since its last restart has Ŵ = W, so
        read it before a restart. Where a direct method solves the subproblem, Ŵ is recomputed from the state; else the
        state holds it.
        """
        return self.stepper.structured_iterate(list(self.slots()))

    @contextmanager
    def structured_iterate_swapped_in(
        self, recompute_batch_norm: Iterable[object] | None = None, *, model: torch.nn.Module | None = None
    ) -> Iterator[None]:
        """Within the context every parameter holds Ŵ^t; afterwards its W^t, bit for bit. Do not step inside.

        Arguments:
            recompute_batch_norm: batches of training data, such as a DataLoader. The running statistics of BatchNorm
                layers belong to W; within the context they are recomputed at Ŵ over these batches, and restored
                afterwards. A network with such layers evaluates badly at Ŵ without them.
            model: the network, for ``recompute_batch_norm``; not needed where ``parameter_groups`` made the groups.

        Returns:
            A context manager.

        Raises:
            ValueError: batches are given and the network is not known.
        """
        network = model if model is not None else self._module()
        if recompute_batch_norm is not None and network is None:
            raise ValueError("recompute_batch_norm needs the network: pass model=, or build groups by parameter_groups")
        if recompute_batch_norm is None and network is not None and not self._advised:
            self._advised = True
            if (advice := batch_norm_advice(network)) is not None:
                warn_caller(f"structured_iterate_swapped_in: {advice} (recompute_batch_norm=)")
        kept = []
        for param, structured in self.structured_iterate().items():
            kept.append((param, param.detach().clone()))
            with torch.no_grad():
                param.copy_(structured)
        try:
            if recompute_batch_norm is None or network is None:
                yield
            else:
                with batch_norm_recomputed(network, recompute_batch_norm):
                    yield
        finally:
            with torch.no_grad():
                for param, value in kept:
                    param.copy_(value)

    # Stages ------------------------------------------------------------------------------------------------------

    def restart(self, gamma: float = 1.0) -> None:
        """Enter the next stage: multiply lr by ``gamma``. The dual averaging methods also begin their sums anew.

        Arguments:
            gamma: a finite number > 0.

        Raises:
            ValueError or TypeError: ``gamma`` is none.
        """
        validate.positive("gamma", gamma)
        for group in self.param_groups:
            group[STAGE_FACTOR] = stage_factor_of(group) * float(gamma)

    def ramp_momentum(self, stage_step: int) -> None:
        """Set the momentum of a step of the last stage. Methods without averaging have no ramp.

        Arguments:
            stage_step: the number of the step within the stage, from 1.
        """

    # Copying, saving and loading ---------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """For copying and pickling: torch's part, the options and the log; observers and hooks stay behind."""
        return {**super().__getstate__(), "_options": self.stepper.options, "_log": self.stepper.log}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Called by torch for copies and pickles, and by ``load_state_dict``, where hooks and observers stay."""
        copied = "_options" in state
        options, log = state.pop("_options", None), state.pop("_log", None)
        live = [] if copied else [group["regularizer"] for group in self.param_groups]
        super().__setstate__(state)
        if copied:
            self._build(options, log)
            self._module, self._advised = lambda: None, False
        self.param_groups = [ParameterGroup({**COMMON_DEFAULTS, **group}) for group in self.param_groups]
        for group, regularizer in zip(self.param_groups, live, strict=copied is False):
            group["regularizer"] = regularizer

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with an identity (class and plain attributes) in place of every regularizer, so that
        ``torch.load(weights_only=True)`` reads it.
        """
        return described(super().state_dict(), self.record.name)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's; keeps this optimizer's regularizers and the dtype of every saved tensor.

        An attribute of a regularizer that cannot be compared is warned about.

        Arguments:
            state_dict: what ``state_dict`` of an optimizer of this method returned.

        Raises:
            ValueError: the state was saved by another method, for tensors of other shapes, or with another regularizer.
                Nothing has been touched.
        """
        given: list[dict[str, Any]] = []

        def prepare(_: torch.optim.Optimizer, found: dict[str, Any]) -> dict[str, Any]:
            given.append(checked(found, self.param_groups, self, {**COMMON_DEFAULTS, **self.defaults}))
            return given[0]

        def restore(_: torch.optim.Optimizer) -> None:
            for param, key, value in restored(given[0], self, capturable=self.stepper.options.capturable):
                self.state[param][key] = value

        # Ours come after the user's own pre-hooks, which may rearrange the state, and before the user's post-hooks.
        before = self.register_load_state_dict_pre_hook(prepare)
        after = self.register_load_state_dict_post_hook(restore, prepend=True)
        with contextlib.ExitStack() as stack:
            stack.callback(before.remove)
            stack.callback(after.remove)
            super().load_state_dict(state_dict)
