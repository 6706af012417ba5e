"""How a step is taken: in plain torch, which is its meaning, or by a kernel that is held to it.

The stepper owns what a step needs beside the parameters: the settings of the inner solver, the kernels in use, the
counters, the log of steps that were not accepted, diagnostics and observers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from solvers import validate
from solvers.kernels import BACKENDS
from solvers.kernels.contract import Scalars, StepTask
from solvers.optimizers.acceptance_log import AcceptanceLog
from solvers.optimizers.assignment import Assignments, KernelRun, like_sums, scalars, scalars_on_device
from solvers.optimizers.counters import CounterCache, new_counters
from solvers.optimizers.diagnostics import BlockReport, DiagnosticsHooks, block_report, certified
from solvers.optimizers.method import Counters, Method, NormalForm, warmed_up
from solvers.optimizers.slot import ParameterSlot
from solvers.optimizers.warm_start import WarmStarts
from solvers.regularizers.base import accumulation_dtype, offers
from solvers.regularizers.zero import Zero
from solvers.subproblem.criterion import Schedule
from solvers.subproblem.memory import Memory
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.solve import METHODS, direct_point, solve


@dataclass
class Options:
    """The settings of a step that hold for all groups, see ``StructuredOptimizer``."""

    schedule: Schedule
    method: str
    max_inner_iterations: int
    solve_every: int
    check_finite: bool
    backend: str
    capturable: bool

    def check(self) -> None:
        """Raise ValueError or TypeError unless every option is allowed, and with the others."""
        validate.one_of("method", self.method, METHODS)
        validate.positive_integer("max_inner_iterations", self.max_inner_iterations)
        validate.positive_integer("solve_every", self.solve_every)
        validate.one_of("backend", self.backend, ("auto", "plain", *BACKENDS))
        if self.capturable and (self.check_finite or self.backend in ("plain", "native")):
            raise ValueError(
                "capturable=True needs check_finite=False, which waits for the device, and backend 'auto' or 'triton', "
                f"got check_finite={self.check_finite!r}, backend={self.backend!r}"
            )
        if not callable(self.schedule):
            raise TypeError(f"schedule must be a function of (step, unit), got {self.schedule!r}")


class Stepper:
    """Steps the parameters of one optimizer by its method's formulas."""

    def __init__(self, method: Method, options: Options, log: AcceptanceLog) -> None:
        self.method, self.options, self.log = method, options, log
        self.diagnostics = DiagnosticsHooks()
        self.observers: list[Callable[[Tensor, Tensor], None]] = []
        self._assignments = Assignments()
        self._counters = CounterCache(method.record.counters)
        self._warm_starts = WarmStarts()

    # The state ---------------------------------------------------------------------------------------------------

    def begin(self, slot: ParameterSlot) -> None:
        """Give a parameter its state before its first step."""
        if not (self.options.capturable or isinstance(slot.settings["regularizer"], Zero)):
            self.log.record_start(slot)
        point = slot.param.detach().to(accumulation_dtype(slot.param), copy=True)
        counters = new_counters(self.method.record.counters)
        if self.options.capturable:
            counters = {name: value.to(slot.param.device, torch.float64) for name, value in counters.items()}
        slot.state.update({**counters, **self.method.new_state(point, slot.settings)})
        self._warm_starts.begin(slot, self.options.method)

    def follow(self, slot: ParameterSlot) -> None:
        """Take the state to the dtype and device of its parameter, which ``Module.to`` may have changed."""
        param, wanted = slot.param, accumulation_dtype(slot.param)
        first = slot.state[self.method.record.state[0]]
        if first.dtype is wanted and first.device == param.device:
            return
        for name, value in slot.state.items():
            if name not in self.method.record.counters:
                slot.state[name] = value.to(param.device, wanted)

    # A step ------------------------------------------------------------------------------------------------------

    def step(self, slots: Sequence[ParameterSlot]) -> list[BlockReport]:
        """Step every parameter; returns the reports, where diagnostics are wanted."""
        still = [slot for slot in slots if _is_still(slot)]
        moving = [slot for slot in slots if not _is_still(slot)] if still else list(slots)
        runs, rest = self._assign(moving)
        if self.options.capturable and rest:
            raise RuntimeError(f"parameter {rest[0].name} has no kernel, and a plain step cannot be captured")
        reports = [self._keep_still(slot) for slot in still]
        share = max(1, sum(not isinstance(slot.settings["regularizer"], Zero) for slot in moving)) ** -0.5
        reports += [report for run in runs for report in self._step_by_kernel(run, share)]
        reports += [report for slot in rest for report in self._step_plainly(slot, share)]
        return reports

    def tolerance(self, slot: ParameterSlot, share: float) -> float:
        """A tensor's ``share`` of eps_t."""
        counters = self._counters.read(slot)
        return share * self.options.schedule(int(counters["step"]), self.method.unit(counters, slot.settings))

    def _assign(self, slots: Sequence[ParameterSlot]) -> tuple[list[KernelRun], list[ParameterSlot]]:
        options = self.options
        return self._assignments.assign(
            self.method, slots, options.method, options.backend, one_group=options.capturable
        )

    def _count(self, slots: Sequence[ParameterSlot]) -> list[Counters]:
        """Count the step in the counters of the parameters; returns them as numbers."""
        old = [self._counters.read(slot) for slot in slots]
        made: dict[tuple[object, ...], Counters] = {}
        new = []
        for slot, numbers in zip(slots, old, strict=True):
            key = (id(slot.settings), *numbers.values())
            if key not in made:
                made[key] = self.method.counted(numbers, slot.settings)
            new.append(made[key])
        self._counters.write(slots, old, new)
        return new

    def _count_on_device(self, slots: Sequence[ParameterSlot]) -> Counters:
        """The same where the counters stay on a GPU, which is not waited for: one vector each."""
        old = {name: torch.stack([slot.state[name] for slot in slots]) for name in self.method.record.counters}
        new = self.method.counted(old, slots[0].settings)
        for name, vector in new.items():
            torch._foreach_copy_([slot.state[name] for slot in slots], list(torch.as_tensor(vector).unbind()))
        return new

    def _accumulate(self, slot: ParameterSlot) -> None:
        """Count a step and take its gradient in."""
        self._count([slot])
        param, settings = slot.param, slot.settings
        assert param.grad is not None
        gradient = param.grad.to(accumulation_dtype(param))
        self.method.accumulate(-gradient if settings["maximize"] else gradient, slot.state, settings)

    def _keep_still(self, slot: ParameterSlot) -> BlockReport:
        """A step that moves nothing: the method's averages take the gradient in, W stays as it is bit for bit."""
        self._accumulate(slot)
        return BlockReport(slot.name, int(slot.state["step"]), Status.CONVERGED, 0.0, 0.0, True, 0, 0.0, None, "none")

    def _step_by_kernel(self, run: KernelRun, share: float) -> list[BlockReport]:
        """Step by a kernel. Looking does not change what it does: Ŵ comes beside the parameter, and is certified."""
        slots, watched = run.slots, self.diagnostics.wanted
        before = [slot.param.detach().to(accumulation_dtype(slot.param), copy=True) for slot in slots if watched]
        numbers: Scalars
        if self.options.capturable:
            numbers = scalars_on_device(self.method, slots[0].settings, self._count_on_device(slots))
        else:
            numbers = scalars(self.method, slots, self._count(slots))
        keep = watched or bool(self.observers)
        found = [like_sums(task.point) if keep else None for task in run.tasks]
        counts = run.prepared.run(numbers, _ascent_turned(slots), found)
        self.log.record_unsolved(slots, counts.kept)
        if not self.options.capturable:
            parts = [task.norms.parts for task in run.tasks]
            self.log.record_zeros(slots, counts.zero, parts, int(self._counters.read(slots[0])["step"]))
        reports = []
        for index, (slot, structured) in enumerate(zip(slots, found, strict=True)):
            if structured is None:
                continue
            self._show(slot, structured)
            if watched:
                point = self.method.decayed(before[index], slot.settings)
                subproblem, tolerance = self._subproblem(slot, point), self.tolerance(slot, share)
                solution = certified(subproblem, structured, tolerance)
                reports.append(block_report(slot, subproblem, point, structured, solution, run.backend.name))
        return reports

    def _step_plainly(self, slot: ParameterSlot, share: float) -> list[BlockReport]:
        self._accumulate(slot)
        param, settings = slot.param, slot.settings
        point = self.method.decayed(param.detach().to(accumulation_dtype(param), copy=True), settings)
        subproblem, tolerance = self._subproblem(slot, point), self.tolerance(slot, share)
        structured, solution = self._direct(slot, subproblem, point), None
        if structured is None:
            structured, solution = self._iterated(slot, subproblem, point, tolerance)
        reports = []
        if self.diagnostics.wanted:
            solution = certified(subproblem, structured, tolerance) if solution is None else solution
            reports.append(block_report(slot, subproblem, point, structured, solution, "plain"))
        if not isinstance(settings["regularizer"], Zero):
            self.log.record_zeros([slot], (structured == 0).sum().reshape(1), [param.numel()], int(slot.state["step"]))
        self._show(slot, structured)
        # hardshrink at the smallest normal number: an entry of W whose Ŵ is zero decays by (1 - c) a step into
        # denormals and never reaches zero, and denormals make a CPU 10 to 25 times slower. The paper has no such rule.
        mixed = self.method.mix(point, structured, settings)
        param.copy_(torch.hardshrink(mixed, torch.finfo(param.dtype).tiny))
        return reports

    def _direct(self, slot: ParameterSlot, subproblem: Subproblem, point: Tensor) -> Tensor | None:
        """Ŵ by a direct method, ``point`` where the parameter cannot hold that; None where there is no such method."""
        direct = direct_point(subproblem, self.options.method)
        if direct is None:
            return None
        solved = _solved(subproblem, direct[0], slot.param.dtype)
        self.log.record_unsolved([slot], (~solved).sum().reshape(1))
        return torch.where(solved, direct[0], point)

    def _iterated(
        self, slot: ParameterSlot, subproblem: Subproblem, point: Tensor, tolerance: float
    ) -> tuple[Tensor, Solution | None]:
        """Ŵ by an iterative method and the record of the solve, or Ŵ of an earlier step where this one is left out."""
        last, memory = self._warm_starts.last(slot), self._warm_starts.memory(slot)
        if last is not None and (int(slot.state["step"]) - 1) % self.options.solve_every:
            return last, None
        solution = self._solve(slot, subproblem, point, last, tolerance, memory)
        # At the rounding level of the dtype there is nothing left to solve; diagnostics show it, no alarm is due.
        if not solution.accepted and solution.status is not Status.PRECISION_LIMIT:
            missed = f"residual {solution.residual:.2e} against eps_t {tolerance:.2e}: {solution.status.value}"
            self.log.record_unaccepted(slot, missed)
        # A copy, since the reference itself may be the solution, and ``mix`` works in place; and in the memory order in
        # which a distributed checkpoint restores it, since that of sums decides their last bit.
        structured = like_sums(slot.param).copy_(solution.point)
        self._warm_starts.keep(slot, structured, memory)
        return structured, solution

    def _solve(
        self,
        slot: ParameterSlot,
        subproblem: Subproblem,
        point: Tensor,
        last: Tensor | None,
        tolerance: float,
        memory: Memory | None = None,
    ) -> Solution:
        """A solve whose point the parameter holds: ``point``, and NON_FINITE, where it cannot hold the solution."""
        solution = solve(
            subproblem,
            point,
            tolerance=tolerance,
            max_iterations=self.options.max_inner_iterations,
            method=self.options.method,
            warm_starts=() if last is None else (last,),
            check_values=False,
            report=False,
            memory=memory,
        )
        narrow = slot.param.dtype != point.dtype
        if narrow and not bool((solution.point.abs() <= torch.finfo(slot.param.dtype).max).all()):
            return replace(solution, point=point, status=Status.NON_FINITE, residual=math.inf)
        return solution

    def _subproblem(self, slot: ParameterSlot, point: Tensor) -> Subproblem:
        settings = slot.settings
        B, D, lam = NormalForm(*self.method.normal_form(point, slot.state, settings))
        return Subproblem(B, D, warmed_up(lam, int(slot.state["step"]), settings), settings["regularizer"])

    def _show(self, slot: ParameterSlot, structured: Tensor) -> None:
        for observe in self.observers:
            observe(slot.param, structured)

    # The structured iterate --------------------------------------------------------------------------------------

    def structured_iterate(self, slots: Sequence[ParameterSlot]) -> dict[Tensor, Tensor]:
        """Ŵ of every parameter, in its dtype, from the state as it is; the parameter where it has made no step."""
        found, stepped = {}, []
        for slot in slots:
            found[slot.param] = slot.param.detach()
            if self.method.record.averages and slot.state and slot.param.numel() and int(slot.state["step"]) > 0:
                stepped.append(slot)
        runs, rest = self._assign(stepped)
        for run in runs:
            found.update(zip((slot.param for slot in run.slots), self._find(run), strict=True))
        for slot in rest:
            found[slot.param] = self._find_plainly(slot)
        return {param: value.to(param.dtype, copy=True) for param, value in found.items()}

    def _find_plainly(self, slot: ParameterSlot) -> Tensor:
        """Ŵ of the last solve, else by the subproblem that the state stands for; nothing is touched."""
        point = slot.param.detach().to(accumulation_dtype(slot.param))
        subproblem, last = self._subproblem(slot, point), self._warm_starts.last(slot)
        direct = direct_point(subproblem, self.options.method)
        if direct is not None:
            return torch.where(_solved(subproblem, direct[0], slot.param.dtype), direct[0], point)
        return last if last is not None else self._solve(slot, subproblem, point, None, self.tolerance(slot, 1.0)).point

    def _find(self, run: KernelRun) -> list[Tensor]:
        """Ŵ of the parameters of a run, recomputed from the state; nothing else is touched."""
        tasks = [
            StepTask(task.recurrence, task.point, task.state, task.norms, 0.0, averages=False) for task in run.tasks
        ]
        found = [like_sums(task.point) for task in tasks]
        numbers: Scalars
        if self.options.capturable:
            counters = {
                name: torch.stack([slot.state[name] for slot in run.slots]) for name in self.method.record.counters
            }
            numbers = scalars_on_device(self.method, run.slots[0].settings, counters)
        else:
            numbers = scalars(self.method, run.slots, [self._counters.read(slot) for slot in run.slots])
        run.backend.prepare(tasks).run(numbers, [None] * len(tasks), found)
        return found


def _is_still(slot: ParameterSlot) -> bool:
    """Whether the step has weight zero and moves nothing, or there is nothing to move."""
    rate = slot.settings["lr"]
    return slot.param.numel() == 0 or (not isinstance(rate, Tensor) and rate == 0)


def _solved(subproblem: Subproblem, point: Tensor, dtype: torch.dtype) -> Tensor:
    """Which entries of a direct solution are one that ``dtype`` holds, with all others that psi couples to them."""
    size, regularizer = point.abs(), subproblem.regularizer
    if offers(regularizer, "blockwise_max"):
        coupled = torch.as_tensor(subproblem.lam, device=size.device) > 0
        size = torch.where(coupled, regularizer.blockwise_max(size), size)
    # Where D has overflowed, B/D is 0, and finite for no good reason.
    return (size <= torch.finfo(dtype).max) & torch.isfinite(subproblem.B) & torch.isfinite(subproblem.D)


def _ascent_turned(slots: Sequence[ParameterSlot]) -> list[Tensor | None]:
    """The gradients, those of groups that maximize with the other sign."""
    gradients = [slot.param.grad for slot in slots]
    turned = [i for i, slot in enumerate(slots) if slot.settings["maximize"]]
    if turned:
        for i, gradient in zip(
            turned, torch._foreach_neg([g for i in turned if (g := gradients[i]) is not None]), strict=True
        ):
            gradients[i] = gradient
    return gradients
