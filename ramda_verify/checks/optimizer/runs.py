"""Short runs of one optimizer on one tensor, and the cases of the checks that make them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify.checks.helpers import Array, tensor
from ramda_verify.engine.record import Case
from ramda_verify.engine.targets import Target
from solvers import L1, GroupLasso, NuclearNorm, PowerSchedule, Stages, Zero
from solvers.optimizers import METHODS, StructuredOptimizer

STEPS = 50
#: The methods by the names of their records; tests put wrong ones in their place.
CLASSES: dict[str, Callable[..., StructuredOptimizer]] = dict(METHODS)
#: Solve iterative subproblems to rounding, so that a step can be compared with an exact one.
EXACT = PowerSchedule(tolerance=1e-14)


def settings_of(optimizer: str, lr: float, momentum: float, decay: float, amsgrad: bool) -> dict[str, Any]:
    """The hyperparameters that the optimizer has, from those of a case. eps is large enough to keep mu away from 0."""
    all_of_them = {"lr": lr, "momentum": momentum, "betas": (1 - momentum, 0.99), "eps": 1e-3, "amsgrad": amsgrad}
    own = METHODS[optimizer].record.hyperparameters
    return {"weight_decay": decay, **{name: value for name, value in all_of_them.items() if name in own}}


def has_preconditioner(optimizer: str) -> bool:
    """Whether the metric of the method's subproblem differs from entry to entry: eps keeps such a one away from 0."""
    return "eps" in METHODS[optimizer].record.hyperparameters


def gradients(shape: tuple[int, ...], seed: int) -> Callable[[int, Array], Array]:
    """Noisy gradient of a quadratic: ``a*(W - target) + noise_t``, the same at every call."""
    rng = np.random.default_rng(seed)
    curvature, target = rng.uniform(0.2, 1.0, shape), rng.standard_normal(shape)
    noise = 0.3 * rng.standard_normal((STEPS, *shape))
    return lambda t, W: curvature * (W - target) + noise[t % STEPS]


def trajectory(
    optimizer: StructuredOptimizer, param: torch.Tensor, gradient: Callable[[int, Array], Array], stages: Stages | None
) -> tuple[Array, Array]:
    """W and Ŵ after each of STEPS steps."""
    iterates, structured = [], []
    optimizer.observers.append(lambda _, w_hat: structured.append(w_hat.numpy().copy()))
    for t in range(STEPS):
        param.grad = tensor(gradient(t, param.detach().numpy()))
        optimizer.step()
        if stages is not None:
            stages.step()
        iterates.append(param.detach().numpy().copy())
    return np.array(iterates), np.array(structured)


def advance(
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


def staged(which: st.SearchStrategy[tuple[Any, tuple[int, ...]]]) -> Callable[[Target], st.SearchStrategy[Case]]:
    def cases(target: Target) -> st.SearchStrategy[Case]:
        return st.builds(
            lambda chosen, **rest: {"optimizer": target.name, "regularizer": chosen[0], "shape": chosen[1], **rest},
            chosen=which,
            milestones=st.sampled_from([[], [20], [10, 30]]),
            **_hyper(),
        )

    return cases


def plain(target: Target) -> st.SearchStrategy[Case]:
    shapes = st.sampled_from([(3,), (2, 3), ()])
    return st.builds(lambda **rest: {"optimizer": target.name, **rest}, shape=shapes, **_hyper())
