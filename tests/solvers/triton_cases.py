"""What the tests of the Triton backend share: where it runs here, tasks by hand, and programs that run side by side."""

import inspect
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed")

from solvers.kernels.contract import Recurrence, StepTask
from solvers.kernels.gpu import Triton
from solvers.kernels.gpu import plan as plans
from solvers.kernels.gpu.spec import Tile
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.members import GroupNorms

#: Without a GPU, by tests/conftest.py.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")

RAMDA = Recurrence("ramda", ("initial_point", "grad_sum", "grad_sq_sum"), 3)
EPS = 1e-3
#: How often a program of the interpreter looks whether others have come.
MOST_WAITS = 10_000


@dataclass
class Trial:
    """A task by hand with all that a step of it takes."""

    point: Tensor
    state: tuple[Tensor, ...]
    norms: GroupNorms
    structured: Tensor
    gradient: Tensor | None = None
    scalars: tuple[float, ...] = (1.0, 1.0, 0.1, EPS, 0.0)
    averages: bool = True

    @property
    def task(self) -> StepTask:
        flush = torch.finfo(self.point.dtype).tiny
        return StepTask(RAMDA, self.point, self.state, self.norms, flush, self.averages)


def ramda_trial(W0: Tensor, V: Tensor, D: Tensor, norms: GroupNorms, point: Tensor | None = None) -> Trial:
    """B is ``D*W0 - V``: no gradient, Ŵ asked for, mix 1."""
    point = torch.zeros_like(W0) if point is None else point
    assert accumulation_dtype(point) == W0.dtype
    return Trial(point, (W0, V, (D - EPS) ** 3), norms, torch.full_like(W0, torch.nan))


def run(*trials: Trial) -> list[int]:
    """Groups kept of every trial, by a backend that remembers nothing."""
    scalars = torch.tensor([trial.scalars for trial in trials], dtype=torch.float64)
    prepared = Triton().prepare([trial.task for trial in trials])
    return prepared.run(scalars, [t.gradient for t in trials], [t.structured for t in trials]).kept.tolist()


def residual(trial: Trial) -> Tensor:
    """``||minimum-norm subgradient of Q at Ŵ|| / ||B||`` of every group, in float64."""
    weight, outer, groups, inner, blocks, entry_weight = trial.norms
    assert entry_weight == 0
    W0, V, U = (tensor.double().reshape(blocks, outer, groups, inner) for tensor in trial.state)
    Z = trial.structured.double().reshape(blocks, outer, groups, inner)
    D = U ** (1 / 3) + trial.scalars[3]
    B, t = D * W0 - V, trial.scalars[0] * weight
    norm = Z.square().sum((1, 3), keepdim=True).sqrt()
    slope = D * Z - B + t * Z / torch.where(norm > 0, norm, 1.0)
    size, length = (tensor.square().sum((1, 3)).sqrt().flatten() for tensor in (slope, B))
    return torch.where(norm.flatten() > 0, size, (length - t).clamp_min(0)) / length


def make_tiles_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of a few entries: short groups are long then."""
    runs = tuple(replace(tile, rows=4, columns=4 * tile.columns // 64) for tile in plans.RUNS[:2])
    monkeypatch.setattr(plans, "ENTRIES", replace(plans.ENTRIES, columns=16))
    monkeypatch.setattr(plans, "RUNS", runs)
    monkeypatch.setattr(plans, "LONG_RUN", runs[1])
    monkeypatch.setattr(plans, "COLUMNS", (Tile(4, 8, axis=0), Tile(8, 4, axis=0)))
    monkeypatch.setattr(plans, "CHANNELS", Tile(8, 8, axis=0, segmented=True))


@contextmanager
def side_by_side() -> Iterator[None]:
    """Programs of the interpreter run as threads, so that they can wait for each other; those of a GPU do anyway."""
    if not INTERPRETED:
        yield
        return
    from triton.runtime import interpreter

    builder, executor = interpreter.interpreter_builder, interpreter.GridExecutor
    mine, run_in_turn, atomic = threading.local(), executor.__call__, type(builder).create_atomic_rmw

    def launch(self: Any, *args: Any, **kwargs: Any) -> None:
        known = {name: value for name, value in kwargs.items() if name in inspect.getfullargspec(self.fn).args}
        scope = interpreter._patch_lang(self.fn)
        failures: list[BaseException] = []
        try:
            values = inspect.getcallargs(self.fn, *args, **known)
            values = {
                name: value if name in self.constexprs else interpreter._implicit_cvt(value)
                for name, value in values.items()
            }
            programs = self.grid[0]
            builder.set_grid_dim(programs, 1, 1)

            def program(index: int) -> None:
                mine.waited = 0
                try:
                    builder.set_grid_idx(index, 0, 0)
                    self.fn(**values)
                except BaseException as failure:
                    failures.append(failure)

            # The last one first: no program may count on its number.
            threads = [threading.Thread(target=program, args=(index,), daemon=True) for index in range(programs)][::-1]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads), "programs wait for each other for ever"
            assert not failures, failures
        finally:
            scope.restore()

    def rmw(self: Any, operation: Any, pointer: Any, value: Any, mask: Any, semantics: Any, scope: Any) -> Any:
        found = atomic(self, operation, pointer, value, mask, semantics, scope)
        # It adds zero to a counter until others have counted: let them.
        mine.waited = 0 if value.data.any() else mine.waited + 1
        assert mine.waited < MOST_WAITS, "programs wait for each other for ever"
        if mine.waited:
            time.sleep(0)
        return found

    type(builder).create_atomic_rmw = rmw
    type(builder).grid_idx = property(lambda self: mine.index, lambda self, index: setattr(mine, "index", index))
    executor.__call__ = launch
    try:
        yield
    finally:
        executor.__call__ = run_in_turn
        type(builder).create_atomic_rmw = atomic
        del type(builder).grid_idx
