"""Train one task with one optimizer and measure the run against the certified optimum.

``prepare`` makes every check that a user's input needs, ``run`` does the work.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from experiments.data import Dataset
from experiments.machine import describe, resolve_device
from experiments.measure import Measure
from experiments.run_folder import RunFolder, RunResult
from experiments.settings import Settings, read_settings
from experiments.support import SupportTracker
from experiments.tasks import TASKS, LogisticTask
from ramda_verify.engine.threads import threads
from ramda_verify.oracles.logistic_optimum import OptimumStatus
from ramda_verify.output.machine import versions
from solvers import Stages, validate

Entry = dict[str, Any]


class RunFailedError(RuntimeError):
    """The run could not be brought to an end that means anything; says why."""


@dataclass(frozen=True)
class Plan:
    """A run whose input is checked and whose folder is claimed."""

    task: LogisticTask
    settings: Settings
    seed: int
    device: torch.device
    dataset: Dataset
    folder: RunFolder
    threads: int


def prepare(
    task: str,
    optimizer: str = "ramda",
    *,
    seed: int = 0,
    device: str = "auto",
    epochs: int | None = None,
    data_dir: Path | None = None,
    run_dir: Path | None = None,
    threads: int = 1,
    overwrite: bool = False,
) -> Plan:
    """Check everything, load the data and claim the run folder (default ``runs/<task>-<optimizer>-seed<seed>``).

    Raises ValueError, TypeError or OSError (FileNotFoundError, FileExistsError) with one clear line.
    """
    validate.one_of("task", task, tuple(TASKS))
    settings = read_settings(task, optimizer).with_epochs(epochs)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer in [0, 2^63), got {seed!r}")
    validate.positive_integer("threads", threads)
    resolved = resolve_device(device)
    dataset = TASKS[task].load(data_dir)
    folder = RunFolder(run_dir or Path("runs") / f"{task}-{optimizer}-seed{seed}", overwrite=overwrite)
    return Plan(TASKS[task], settings, seed, resolved, dataset, folder, threads)


def run(plan: Plan, on_epoch: Callable[[Entry], None] | None = None) -> Entry:
    """Train, log to ``log.jsonl``, write ``result.json`` and return its contents.

    ``on_epoch(entry)`` is called with the log entry of every epoch. Raises RunFailedError
    on a gradient or an objective that is not finite and where the optimum cannot be certified; there is no
    ``result.json`` then.
    """
    with threads(plan.threads), plan.folder as folder:
        began = time.perf_counter()
        optimum = plan.task.optimum(plan.dataset, plan.settings)
        if optimum.status is OptimumStatus.NOT_CONVERGED:
            raise RunFailedError(f"no optimum to compare with: {optimum.status.value} ({optimum.residual:.1e})")
        features = torch.from_numpy(plan.dataset.train_features).to(plan.device)
        labels = torch.from_numpy(plan.dataset.train_labels).to(plan.device)
        measure = Measure(plan.dataset, features, labels, plan.task.regularizer(plan.settings), optimum)
        certified_after, processor_time = time.perf_counter(), time.process_time()

        model = plan.task.model(plan.dataset, plan.device)
        tracker = SupportTracker(measure.regularizer, model.weight, measure.expected_support())
        last: Entry = {}
        for epoch, values in _train(plan, model, tracker, features, labels):
            full = epoch % plan.settings.evaluate_every == 0 or epoch == plan.settings.epochs
            point = measure.of_point(model, tracker, full=full)
            last = {"epoch": epoch, "step": tracker.steps, **values, **point}
            last["seconds"] = time.perf_counter() - certified_after
            if full and not math.isfinite(last["objective"]):
                raise RunFailedError(f"F is {last['objective']} after epoch {epoch}")
            folder.log(last)
            if on_epoch is not None:
                on_epoch(last)
        result = _result(plan, tracker, measure, last)
        result["processor_seconds"] = time.process_time() - processor_time
        result["certificate_seconds"] = certified_after - began
        folder.finish(result)
    return result


def _train(
    plan: Plan, model: torch.nn.Linear, tracker: SupportTracker, features: torch.Tensor, labels: torch.Tensor
) -> Iterator[tuple[int, Entry]]:
    """Yield (epoch, lr and momentum of its last step) after every epoch, before a restart changes the state.

    The data are one tensor on the device; each epoch draws its order on the CPU, so that a seed means the same order on
    every device. The last partial batch is kept.
    """
    settings = plan.settings
    optimizer = plan.task.optimizer(model, settings)
    optimizer.observers.append(tracker.observe)
    steps_per_epoch = -(-len(labels) // settings.batch_size)
    stages = Stages(optimizer, [epoch * steps_per_epoch for epoch in settings.milestones], settings.gamma)
    generator = torch.Generator().manual_seed(plan.seed)
    for epoch in range(1, settings.epochs + 1):
        used: Entry = {}
        for batch in torch.randperm(len(labels), generator=generator).to(plan.device).split(settings.batch_size):
            optimizer.zero_grad()
            # index_select takes half the time of features[batch], the largest single cost of a forward pass.
            x, y = features.index_select(0, batch), labels.index_select(0, batch)
            cross_entropy(model(x), y).backward()
            try:
                optimizer.step()
            except ValueError as error:
                raise RunFailedError(f"step {tracker.steps + 1}: {error}") from error
            group = optimizer.param_groups[0]
            used = {"lr": group["lr"], "momentum": group.get("momentum")}
            stages.step()
        yield epoch, used


def _result(plan: Plan, tracker: SupportTracker, measure: Measure, last: Entry) -> Entry:
    support = tracker.nonzero()
    return {
        "schema": RunResult.VERSION,
        "task": plan.task.name,
        "optimizer": plan.settings.optimizer,
        "settings": asdict(plan.settings),
        "seed": plan.seed,
        "device": str(plan.device),
        "steps": tracker.steps,
        **{name: last[name] for name in ("objective", "objective_gap", "stationarity", "test_accuracy")},
        "test_accuracy_of_average": last["test_accuracy_of_average"],
        "groups": measure.groups,
        "zero_groups": measure.groups - len(support),
        "support": support,
        "support_stable_from_step": tracker.stable_from,
        "identified_from_step": tracker.identified_from,
        "differing_groups": measure.differing_groups(tracker),
        "certified": measure.of_optimum(),
        "seconds": last["seconds"],
        "versions": versions(("torch", "numpy", "scipy", "scikit-learn", "ramda-verify")),
        "machine": describe(plan.device),
    }
