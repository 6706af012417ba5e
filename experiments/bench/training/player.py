"""Play a training run: at chosen steps our step and AdamW's are timed from the state that the run is in."""

import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor

from experiments.bench.plan import Plan
from experiments.bench.timing import Contestant, take_turns
from experiments.bench.training.points import steps_represented, timed_steps
from experiments.bench.training.snapshot import Snapshot
from experiments.bench.training.workloads import METHODS, Workload
from experiments.bench.workload import parameters_of
from ramda_verify.engine.threads import threads
from ramda_verify.problems.trainings import Run, begin

#: Evenly spread timed steps of a run.
SPREAD, QUICK_SPREAD = 24, 4

Samples = dict[str, list[float]]


@dataclass
class Played:
    """Samples of a run: ``samples[threads][i]`` belongs to step ``timed[i]``, which stands for ``weights[i]`` steps.

    ``zero_shares[i]`` is the share of the regularized parameters that lie in zero groups of Ŵ in that step.
    """

    steps: int
    timed: list[int]
    weights: list[int]
    samples: dict[int, list[Samples]] = field(default_factory=dict)
    zero_shares: list[float] = field(default_factory=list)


def play(workload: Workload, method: str, plan: Plan) -> Played:
    """Train by ``method`` from the first step to the last and time the steps of ``timed_steps`` on the way.

    The run is its own: steps for the clock start from a copy of its state, which is put back afterwards. AdamW has
    parameters and a state of its own and is given the gradients of the run at every step. An inner solver that keeps
    its last prox has to compute it anew after a state was put back: its steps seem dearer by that prox than they are.
    """
    steps = workload.quick_steps if plan.quick else workload.steps
    milestones = workload.milestones(steps)
    timed = timed_steps(steps, milestones, QUICK_SPREAD if plan.quick else SPREAD)
    played = Played(steps, timed, steps_represented(timed, steps), {number: [] for number in plan.threads})
    run = started(workload, method, milestones, plan.seed)
    rival = Rival(run)
    with warnings.catch_warnings():
        # A run is played whatever its steps say: the suite judges them, the benchmark times them.
        warnings.simplefilter("ignore", RuntimeWarning)
        for step in range(1, steps + 1):
            run.compute_gradients()
            rival.take_gradients()
            if step in timed:
                plan.say(f"training-{workload.name}: {method}, step {step} of {steps}")
                for number, samples in timings(run, rival, plan):
                    played.samples[number].append(samples)
                played.zero_shares.append(_step_watched(run))
            else:
                run.step()
            rival.optimizer.step()
    return played


def started(workload: Workload, method: str, milestones: list[int], seed: int) -> Run:
    """The run of a workload before its first step."""
    regularizer_of = workload.regularizer_of(workload.reg_weights[method])
    settings = workload.settings[method]
    return begin(workload.training, METHODS[method], regularizer_of, milestones=milestones, seed=seed, **settings)


class Rival:
    """torch's AdamW (foreach) beside a run: the same shapes, the same start and the same gradients."""

    def __init__(self, run: Run) -> None:
        self.theirs = parameters_of(run.optimizer)
        self.mine = [torch.nn.Parameter(param.detach().clone()) for param in self.theirs]
        self.optimizer = torch.optim.AdamW(self.mine, lr=1e-3, foreach=True)

    def take_gradients(self) -> None:
        for param, source in zip(self.mine, self.theirs, strict=True):
            param.grad = source.grad


def timings(run: Run, rival: Rival, plan: Plan) -> list[tuple[int, Samples]]:
    """(number of threads, samples of "ours" and "theirs") of the step that both are about to take; it is not taken."""
    ours, theirs = Snapshot(run.optimizer), Snapshot(rival.optimizer)
    contestants = {
        "ours": Contestant(run.optimizer.step, ours.restore),
        "theirs": Contestant(rival.optimizer.step, theirs.restore),
    }
    found = []
    with warnings.catch_warnings():
        # A step is timed whatever it says: the suite judges it.
        warnings.simplefilter("ignore", RuntimeWarning)
        for number in plan.threads:
            with threads(number):
                samples = take_turns(contestants, device=plan.device, effort=plan.point_effort)
            found.append((number, samples))
    ours.restore()
    theirs.restore()
    return found


def _step_watched(run: Run) -> float:
    """Take the step; returns the share of regularized parameters in zero groups of its Ŵ."""
    regularizers = {p: g["regularizer"] for g in run.optimizer.param_groups for p in g["params"]}
    counts: list[tuple[int, int]] = []

    def see(param: Tensor, w_hat: Tensor) -> None:
        if hasattr(regularizers[param], "sparsity"):
            counts.append(regularizers[param].sparsity(w_hat))

    run.optimizer.observers.append(see)
    run.step()
    run.optimizer.observers.remove(see)
    return sum(zeros for zeros, _ in counts) / max(1, sum(total for _, total in counts))
