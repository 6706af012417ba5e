"""Steps from the states that training ends in, or starts from: dead groups, all zero, nothing yet, numbers near the
ends of the range. Every build must take the plain step from them, leave no group unsolved and count the zero groups.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from ramda_verify.checks.kernels.steps import device_of
from solvers import RAMDA, GroupLasso
from solvers.kernels import BACKENDS, Counts
from solvers.kernels.native import Native
from tests.registry import optimizers

# The interpreter's numpy warns of infinities, which the kernels deal with.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

NATIVE: Any = BACKENDS["native"]
BUILDS = [f"native:{build}" for build in NATIVE.builds]
SHAPES = {"input": (40, 24), "output": (24, 40), "channel": (10, 12, 3, 3), "filter": (12, 10, 3, 3)}
#: As in the suite, where the reason stands: units of rounding, twice what was ever seen.
TOLERANCE = 16.0


def state(name: str, shape: tuple[int, ...], axis: int) -> tuple[Tensor, Tensor, float]:
    """W, a gradient and the weight of psi. Groups lie along ``axis``."""
    W, G, weight = torch.randn(shape) * 0.03, torch.randn(shape) * 1e-3, 1e-3
    dead = shape[axis] * 7 // 10
    match name:
        case "one dead group":
            W.select(axis, 3).fill_(1e-12)
            G.select(axis, 3).zero_()
        case "seven in ten dead":
            W.narrow(axis, 0, dead).fill_(1e-12)
            G.narrow(axis, 0, dead).zero_()
        case "dead at every scale":
            scale = [-1 if i == axis else 1 for i in range(len(shape))]
            W.narrow(axis, 0, dead).mul_(10 ** (-40 * torch.rand(dead)).view(scale))
            G.narrow(axis, 0, dead).zero_()
        case "all zero":
            weight = 1e3
        case "one nonzero":
            G.select(axis, 3).fill_(10.0)
            weight = 0.05
        case "nothing yet":
            W.zero_()
        case "nothing at all":
            W.zero_()
            G.zero_()
        case "W denormal":
            W.mul_(1e-38)
        case "U denormal":
            G.mul_(1e-17)
        case "G denormal":
            G.mul_(1e-37)
        case "only eps in D":
            G.zero_()
            weight = 1e-9
        case "half untouched":
            G[: shape[0] // 2] = 0
        case "almost no weight":
            weight = 1e-30
        case "large":
            W.mul_(1e25)
            weight = 1e10
        case "small":
            W.mul_(1e-25)
            G.mul_(1e-15)
            weight = 1e-25
    return W, G, weight


STATES = (
    *("one dead group", "seven in ten dead", "dead at every scale", "all zero", "one nonzero", "nothing yet"),
    *("nothing at all", "W denormal", "U denormal", "G denormal", "only eps in D", "half untouched"),
    *("almost no weight", "large", "small", "after 1e5 steps"),
)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[Counts]:
    """What the compiled steps counted."""
    from solvers.kernels.native.binding import NativeSteps

    seen: list[Counts] = []
    right = NativeSteps.run

    def run(*arguments):
        seen.append(right(*arguments))
        return seen[-1]

    monkeypatch.setattr(NativeSteps, "run", run)
    return seen


def in_float64(made: Any, param: Tensor, cls: Any, settings: dict[str, Any], G: Tensor) -> tuple[Any, Tensor]:
    """The same optimizer and its parameter with numbers of float64, on the CPU."""
    wide = torch.nn.Parameter(param.detach().cpu().double())
    wide.grad = G.double()
    exact = cls([wide], **settings, backend="plain")
    exact.state[wide].update(
        {key: value.cpu().double() if value.ndim else value.clone() for key, value in made.state[param].items()}
    )
    return exact, wide


#: Triton's interpreter takes the two states that take it longest in one grouping.
CASES = [
    (backend, name, grouping)
    for backend in (*BUILDS, "triton")
    for name in STATES
    for grouping in SHAPES
    if backend != "triton" or grouping == "input" or name not in ("dead at every scale", "large")
]


@pytest.mark.parametrize("cls", optimizers(takes="eps"))
@pytest.mark.parametrize(("backend", "name", "grouping"), CASES)
def test_the_plain_step(backend, cls, name, grouping, counts, monkeypatch):
    backend, _, build = backend.partition(":")
    if BACKENDS[backend].unavailable_reason() is not None:
        pytest.skip(f"the {backend} step is optional: {BACKENDS[backend].unavailable_reason()}")
    if build:
        monkeypatch.setitem(BACKENDS, "native", Native((build,)))
    shape, axis = SHAPES[grouping], {"input": 1, "channel": 1, "output": 0, "filter": 0}[grouping]
    W, G, weight = state(name, shape, axis)
    param = torch.nn.Parameter(W.to(device_of(backend)))
    settings = {"lr": 1e-2, "regularizer": GroupLasso(weight, grouping)}
    made = cls([param], **settings, backend="plain")
    param.grad = G.to(param.device)
    for _ in range(3):
        made.step()
    if name == "after 1e5 steps":
        its = made.state[param]
        its["step"].fill_(100_000)
        if cls is RAMDA:
            its["weight_sum"].fill_(2 / 3 * 1e-2 * 1e5**1.5)
            its["grad_sq_sum"].mul_(1e7)
            its["grad_sum"].mul_(3e3)
    exact, wide = in_float64(made, param, cls, settings, G)
    # Without psi: B/D, whose rounding stays in a group that psi shortens to nearly nothing.
    free, _ = in_float64(made, param, cls, {**settings, "regularizer": None}, G)
    found: list[Tensor] = []
    for optimizer in (made, exact, free):
        optimizer.observers.append(lambda _, w_hat: found.append(w_hat.cpu().double()))
    made.backend = backend
    for optimizer in (made, exact, free):
        optimizer.step()
    assert made.unaccepted_steps == 0
    w_hat, right, unshortened = found
    scale = max(float(x.detach().abs().max()) for x in (right, wide, W, unshortened))
    eps, tiny = torch.finfo(torch.float32).eps, torch.finfo(torch.float32).tiny
    assert (w_hat - right).abs().max() <= TOLERANCE * eps * (scale + tiny)
    # Entries of W up to the smallest normal number become zero; in float64 that number is another one.
    assert (param.detach().cpu().double() - wide.detach()).abs().max() <= TOLERANCE * eps * scale + 2 * tiny
    zero = (right == 0).transpose(0, axis).reshape(shape[axis], -1).all(1)
    assert torch.equal((w_hat == 0).transpose(0, axis).reshape(shape[axis], -1).all(1), zero)
    if build:
        assert [(list(c.kept), list(c.zero)) for c in counts] == [([0], [int(zero.sum())])]
