"""Do the optimizers take the steps of their papers? Against transcriptions, parents, and themselves after a reload."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, size, tensor
from ramda_verify.oracles import float_subproblem, parents, transcriptions
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.targets import Target
from solvers import L1, RAMDA, RMDA, GroupLasso, NuclearNorm, PowerSchedule, ProxGen, ProxSGD, Stages, Zero
from solvers.optimizers import StructuredOptimizer

STEPS = 50
CLASSES: dict[str, Callable[..., StructuredOptimizer]] = {
    "ramda": RAMDA,
    "rmda": RMDA,
    "proxsgd": ProxSGD,
    "proxgen": ProxGen,
}
#: Solve iterative subproblems to rounding, so that a step can be compared with an exact one.
EXACT = PowerSchedule(tolerance=1e-14)


def settings_of(optimizer: str, lr: float, momentum: float, decay: float, amsgrad: bool) -> dict[str, Any]:
    """The hyperparameters that the optimizer has, from those of a case. eps is large enough to keep mu away from 0."""
    if optimizer == "proxgen":
        return {"lr": lr, "betas": (1 - momentum, 0.99), "eps": 1e-3, "weight_decay": decay, "amsgrad": amsgrad}
    return {"lr": lr, "momentum": momentum, **({"eps": 1e-3} if optimizer == "ramda" else {})}


def gradients(shape: tuple[int, ...], seed: int) -> Callable[[int, Array], Array]:
    """Noisy gradient of a quadratic: ``a*(W - target) + noise_t``, the same at every call."""
    rng = np.random.default_rng(seed)
    curvature, target = rng.uniform(0.2, 1.0, shape), rng.standard_normal(shape)
    noise = 0.3 * rng.standard_normal((STEPS, *shape))
    return lambda t, W: curvature * (W - target) + noise[t % STEPS]


def trajectory(
    optimizer: StructuredOptimizer, param: torch.Tensor, gradient: Callable[[int, Array], Array], stages: Stages | None
) -> tuple[Array, Array]:
    """W and What after each of STEPS steps."""
    iterates, structured = [], []
    optimizer.observers.append(lambda _, What: structured.append(What.numpy().copy()))
    for t in range(STEPS):
        param.grad = tensor(gradient(t, param.detach().numpy()))
        optimizer.step()
        if stages is not None:
            stages.step()
        iterates.append(param.detach().numpy().copy())
    return np.array(iterates), np.array(structured)


def transcription_of(optimizer: str, start: Array, settings: dict[str, Any], regularizer: Any) -> Any:
    classes = {
        "ramda": transcriptions.RamdaTranscription,
        "rmda": transcriptions.RmdaTranscription,
        "proxsgd": transcriptions.ProxSgdTranscription,
        "proxgen": transcriptions.ProxGenTranscription,
    }

    def subproblem(B: Array, D: Array, lam: float) -> Array:
        return float_subproblem.solve(B, D, lam, regularizer)

    return classes[optimizer](start, **settings, solve=subproblem)


def measure_transcription(
    optimizer: str, regularizer: Any, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """Largest deviation of W and What from the transcription over 50 steps with restarts, relative to their size."""
    settings = settings_of(optimizer, **hyper)
    start = np.random.default_rng(seed + 1).standard_normal(shape)
    param = torch.nn.Parameter(tensor(start))
    ours = CLASSES[optimizer]([param], **settings, regularizer=regularizer, schedule=EXACT)
    W, What = trajectory(ours, param, gradients(shape, seed), Stages(ours, milestones, gamma=0.5))

    count = iter(range(STEPS))
    literal = transcriptions.run(
        transcription_of(optimizer, start, settings, regularizer),
        lambda point: gradients(shape, seed)(next(count), point),
        STEPS,
        milestones,
        gamma=0.5,
        ramp=True,
    )
    deviation = np.maximum(np.abs(W - literal.W[1:]), np.abs(What - literal.structured[1:]))
    step = int(deviation.reshape(STEPS, -1).max(axis=1).argmax()) + 1
    return Measurement(
        float(deviation.max()) / size(literal.W), f"largest deviation {deviation.max():.3g} at step {step}"
    )


def measure_parent(
    optimizer: str, shape: tuple[int, ...], seed: int, lr: float, momentum: float, decay: float, amsgrad: bool
) -> Measurement:
    """Without a regularizer the method is its parent: MADGRAD, MDA, torch's SGD with dampening, torch's AdamW."""
    settings = settings_of(optimizer, lr, momentum, decay, amsgrad)
    start = np.random.default_rng(seed + 1).standard_normal(shape)
    gradient = gradients(shape, seed)
    param = torch.nn.Parameter(tensor(start))
    W, _ = trajectory(CLASSES[optimizer]([param], **settings), param, gradient, None)

    if optimizer in ("ramda", "rmda"):
        parent: Any = (
            parents.Madgrad.for_ramda(start, lr, momentum, settings["eps"])
            if optimizer == "ramda"
            else parents.Mda(start, lr, momentum)
        )
        point, expected = start, []
        for t in range(STEPS):
            point = parent.step(gradient(t, point))
            expected.append(point.copy())
    else:
        other = torch.nn.Parameter(tensor(start))
        if optimizer == "proxgen":
            torch_parent: torch.optim.Optimizer = torch.optim.AdamW([other], **settings)
        else:
            torch_parent = torch.optim.SGD([other], lr=lr, momentum=1 - momentum, dampening=1 - momentum)
            # torch starts its buffer at the first gradient undampened, ProxSGD at zero.
            torch_parent.state[other]["momentum_buffer"] = torch.zeros_like(other)
        expected = []
        for t in range(STEPS):
            other.grad = tensor(gradient(t, other.detach().numpy()))
            torch_parent.step()
            expected.append(other.detach().numpy().copy())
    deviation = np.abs(W - np.array(expected))
    step = int(deviation.reshape(STEPS, -1).max(axis=1).argmax()) + 1
    return Measurement(float(deviation.max()) / size(W), f"largest deviation {deviation.max():.3g} at step {step}")


def measure_reload(
    optimizer: str, regularizer: Any, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """Stop, save, ``torch.load(weights_only=True)``, continue: the same bits as going on."""
    settings = settings_of(optimizer, **hyper)
    gradient = gradients(shape, seed)

    def build(value: torch.Tensor) -> tuple[torch.nn.Parameter, StructuredOptimizer, Stages]:
        param = torch.nn.Parameter(value.clone())
        made = CLASSES[optimizer]([param], **settings, regularizer=regularizer)
        return param, made, Stages(made, milestones, gamma=0.5)

    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        param, made, stages = build(torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype))
        _advance(param, made, stages, gradient, range(STEPS // 2))
        file = io.BytesIO()
        torch.save({"optimizer": made.state_dict(), "stages": stages.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        other, reloaded, other_stages = build(param.detach())
        reloaded.load_state_dict(saved["optimizer"])
        other_stages.load_state_dict(saved["stages"])
        _advance(param, made, stages, gradient, range(STEPS // 2, STEPS))
        _advance(other, reloaded, other_stages, gradient, range(STEPS // 2, STEPS))
        if not torch.equal(param, other):
            deviation = float((param - other).abs().max())
            return Measurement(1.0, f"{dtype}: differs by {deviation:.3g} after the reload")
    return Measurement(0.0)


def _advance(
    param: torch.nn.Parameter,
    optimizer: StructuredOptimizer,
    stages: Stages,
    gradient: Callable[[int, Array], Array],
    steps: range,
) -> None:
    for t in steps:
        param.grad = tensor(gradient(t, param.detach().double().numpy())).to(param.dtype)
        optimizer.step()
        stages.step()


def measure_structured_iterate(
    optimizer: str, regularizer: Any, shape: tuple[int, ...], seed: int, milestones: list[int], **hyper: Any
) -> Measurement:
    """structured_iterate() is the What that the step has used; swapping it in and out leaves W bit for bit."""
    param = torch.nn.Parameter(tensor(np.random.default_rng(seed).standard_normal(shape)))
    made = CLASSES[optimizer]([param], **settings_of(optimizer, **hyper), regularizer=regularizer, schedule=EXACT)
    seen: list[torch.Tensor] = []
    made.observers.append(lambda _, What: seen.append(What.clone()))
    gradient = gradients(shape, seed)
    worst = 0.0
    for t in range(10):
        param.grad = tensor(gradient(t, param.detach().numpy()))
        made.step()
        before = param.detach().clone()
        with made.structured_iterate_swapped_in():
            inside = param.detach().clone()
        if not torch.equal(param, before):
            return Measurement(np.inf, f"W changed at step {t + 1}")
        worst = max(worst, float((inside - seen[t]).abs().max()) / size(inside, before))
    return Measurement(worst, "What recomputed is not the What of the step")


def _hyper() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "lr": st.sampled_from([0.1, 0.01, 0.5]),
        "momentum": st.sampled_from([0.1, 1.0, 0.5]),
        "decay": st.sampled_from([0.0, 0.1]),
        "amsgrad": st.booleans(),
        "seed": st.integers(0, 2**16),
    }


def direct_regularizers() -> st.SearchStrategy[tuple[Any, tuple[int, ...]]]:
    """Regularizers solved directly, with a shape each."""
    weights = st.sampled_from([0.05, 0.3, 0.0])
    matrices = st.sampled_from([(3, 4), (2, 3, 2)])
    return st.one_of(
        st.tuples(st.builds(GroupLasso, weights, st.sampled_from(["input", "filter"])), matrices),
        st.tuples(st.builds(L1, weights), st.sampled_from([(3,), (2, 3)])),
        st.tuples(st.just(Zero()), st.just((3,))),
    )


def low_rank_regularizers() -> st.SearchStrategy[tuple[Any, tuple[int, ...]]]:
    return st.tuples(st.builds(NuclearNorm, st.sampled_from([0.05, 0.3])), st.sampled_from([(3, 2), (2, 2, 2)]))


def _staged(which: st.SearchStrategy[tuple[Any, tuple[int, ...]]]) -> Callable[[Target], st.SearchStrategy[Case]]:
    def cases(target: Target) -> st.SearchStrategy[Case]:
        return st.builds(
            lambda chosen, **rest: {"optimizer": target.name, "regularizer": chosen[0], "shape": chosen[1], **rest},
            chosen=which,
            milestones=st.sampled_from([[], [20], [10, 30]]),
            **_hyper(),
        )

    return cases


def _plain(target: Target) -> st.SearchStrategy[Case]:
    shapes = st.sampled_from([(3,), (2, 3), ()])
    return st.builds(lambda **rest: {"optimizer": target.name, **rest}, shape=shapes, **_hyper())


CHECKS = (
    Check(
        id="step-transcription",
        claim="W and What equal a literal NumPy transcription over 50 steps, with restarts and the momentum ramp.",
        source="paper, Algorithms 1 and 3, appendix A.1; arXiv 2112.02612; Yang et al. 2020",
        kind="optimizer",
        tolerance=tolerances.TRANSCRIPTION,
        cases=_staged(direct_regularizers()),
        measure=measure_transcription,
        share=0.3,
        cost=3,
    ),
    Check(
        id="step-transcription-iterative",
        claim="The same where the subproblem needs iteration (nuclear norm), solved to rounding.",
        source="as step-transcription",
        kind="optimizer",
        tolerance=tolerances.TRANSCRIPTION_ITERATIVE,
        cases=_staged(low_rank_regularizers()),
        measure=measure_transcription,
        share=0.03,
        cost=10,
    ),
    Check(
        id="parent-method",
        claim="Without a regularizer the method is MADGRAD, MDA, torch's SGD or torch's AdamW.",
        source="design of each method; Defazio and Jelassi 2022; Jelassi and Defazio 2020",
        kind="optimizer",
        tolerance=tolerances.PARENT,
        cases=_plain,
        measure=measure_parent,
        share=0.3,
        cost=2,
    ),
    Check(
        id="save-and-continue",
        claim="Saved, loaded with weights_only and continued, a run gives the same bits as without a break.",
        source="the contract of an optimizer",
        kind="optimizer",
        tolerance=tolerances.EXACT,
        cases=_staged(direct_regularizers() | low_rank_regularizers()),
        measure=measure_reload,
        share=0.2,
        cost=2,
    ),
    Check(
        id="structured-iterate",
        claim="What recomputed from the state is the What of the step, and looking at it leaves W untouched.",
        source="paper, Algorithm 1",
        kind="optimizer",
        tolerance=tolerances.TRANSCRIPTION,
        cases=_staged(direct_regularizers()),
        measure=measure_structured_iterate,
        share=0.3,
    ),
)
