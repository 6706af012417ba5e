"""A regularizer's code as graphs of aten operations, one for every way through its branches.

``make_fx`` records what a function does with tensors that hold no data, so a branch of the code on a tensor
(``if step > gamma``) cannot be taken from them. Each such condition becomes an output of the graph, and the function is
run again with the other answer, until all ways through it are known.
"""

import logging
import math
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

#: Ways through a function, and branches on one of them, that are followed.
MAX_PATHS, MAX_BRANCHES = 64, 24

#: Functions of tensors that make plain Python data of them, which no graph can follow.
LEAVING = (
    "__float__",
    "__int__",
    "__index__",
    "__complex__",
    "__array__",
    "numpy",
    "tolist",
    "__contains__",
    "data_ptr",
)

#: Functions of tensors that give one truth value, as tensors of one.
COMPARING: dict[str, Callable[..., Tensor]] = {
    "equal": lambda a, b: (a == b).all() if a.shape == b.shape else torch.tensor(False),
    "is_nonzero": lambda a: a != 0,
    "allclose": lambda a, b, rtol=1e-5, atol=1e-8: (
        (a == b) | ((a - b).isfinite() & ((a - b).abs() <= atol + rtol * b.abs()))
    ).all(),
}

_aten = torch.ops.aten
#: Operations that torch itself writes as simpler ones.
DECOMPOSED: dict[Any, Callable[..., Any]] = get_decompositions(
    [
        *(_aten.softshrink, _aten.hardshrink, _aten.leaky_relu, _aten.hardtanh, _aten.threshold, _aten.relu6),
        *(_aten.huber_loss, _aten.smooth_l1_loss, _aten.mse_loss, _aten.addcmul, _aten.addcdiv, _aten.lerp),
    ]
)


class NotTraceable(Exception):
    """The code does something that no graph can follow; the message says what and where."""


@dataclass(frozen=True)
class Path:
    """One way through a function: the answers to its branches, and a graph that returns (result, conditions).

    ``error`` is what the function raised on this way, and then the graph's result is a zero.
    """

    answers: tuple[bool, ...]
    graph: GraphModule
    error: str | None


class _Branches(TorchFunctionMode):
    """Answers the conditions of branches on tensors, and collects them."""

    def __init__(self, answers: Sequence[bool]) -> None:
        super().__init__()
        self.answers, self.conditions = list(answers), []  # type: list[bool], list[Tensor]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "__bool__":
            return self._answer(args[0])
        if name == "item":
            tensor = args[0].reshape(())
            return self._answer(tensor) if tensor.dtype is torch.bool else tensor
        if name in COMPARING:
            return self._answer(COMPARING[name](*args, **(kwargs or {})))
        if name in LEAVING:
            raise NotTraceable(f"it turns a tensor into a Python number ({name.strip('_')}){_line()}")
        if name == "requires_grad_":
            return args[0]
        substitute = _SUBSTITUTES.get(func)
        return (substitute or func)(*args, **(kwargs or {}))

    def _answer(self, condition: Tensor) -> bool:
        if len(self.conditions) == MAX_BRANCHES:
            raise NotTraceable(f"it takes more than {MAX_BRANCHES} branches on tensors{_line()}")
        if len(self.conditions) == len(self.answers):
            self.answers.append(True)
        self.conditions.append(
            condition.reshape(()) != 0 if condition.dtype is not torch.bool else condition.reshape(())
        )
        return self.answers[len(self.conditions) - 1]


def trace(function: Callable[..., Any], examples: Sequence[Tensor]) -> list[Path]:
    """Every way through ``function``, a function of tensors like the examples, which returns one tensor.

    Raises NotTraceable where the code leaves what a graph can follow.
    """
    paths: list[Path] = []
    pending: list[tuple[bool, ...]] = [()]
    while pending:
        if len(paths) == MAX_PATHS:
            raise NotTraceable(f"there are more than {MAX_PATHS} ways through its branches")
        prefix = pending.pop()
        path = _follow(function, examples, prefix)
        paths.append(path)
        pending += [(*path.answers[:place], False) for place in range(len(prefix), len(path.answers))]
    return paths


def _follow(function: Callable[..., Any], examples: Sequence[Tensor], prefix: tuple[bool, ...]) -> Path:
    answers: tuple[bool, ...] = ()
    error: str | None = None

    def recorded(*tensors: Tensor) -> Any:
        nonlocal answers, error
        with _Branches(prefix) as branches:
            try:
                result = function(*tensors)
                if not isinstance(result, Tensor):
                    result = torch.as_tensor(result, dtype=torch.float64)
            except NotTraceable:
                raise
            except Exception as raised:
                if _is_of_the_tracer(raised):
                    raise NotTraceable(f"{_first_line(raised)}{_line(raised)}") from raised
                result, error = torch.zeros((), dtype=torch.float64), f"{_first_line(raised)}{_line(raised)}"
            conditions = list(branches.conditions)
        answers = tuple(branches.answers[: len(conditions)])
        return result, conditions

    with _quiet(), _mathematics_of_tensors():
        try:
            pure = torch.func.functionalize(recorded, remove="mutations_and_views")
            made = make_fx(pure, decomposition_table=DECOMPOSED, tracing_mode="fake", _allow_non_fake_inputs=True)
            graph = made(*examples)
        except NotTraceable:
            raise
        except Exception as raised:
            raise NotTraceable(f"{_first_line(raised)}{_line(raised)}") from raised
    return Path(answers, graph, error)


def _is_of_the_tracer(error: Exception) -> bool:
    """Whether torch's tracing raised it: a tensor without data was asked for its data."""
    return type(error).__module__.startswith("torch.") or "allocated" in str(error)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _line(error: Exception | None = None) -> str:
    """Where in the user's code: the innermost frame outside torch and this package."""
    frames = traceback.extract_stack() if error is None else traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = frame.filename.replace("\\", "/")
        if "/torch/" not in path and "ramda_verify/proof" not in path and not path.startswith("<"):
            return f", {path.rsplit('/', 1)[-1]} line {frame.lineno}"
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch, which logs a long trace of its own for every tensor that it cannot look into, and warns of a step
    that is made a tensor, because it is one here.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


#: Functions of Python's math module that take tensors while a trace is made.
_OF_TENSORS: dict[str, Callable[..., Any]] = {
    "sqrt": torch.sqrt,
    "fabs": torch.abs,
    "isfinite": torch.isfinite,
    "isinf": torch.isinf,
    "isnan": torch.isnan,
    "pow": torch.pow,
    # torch takes a number second only.
    "copysign": lambda size, sign: torch.copysign(torch.as_tensor(size, dtype=torch.float64), sign),
    "cbrt": lambda tensor: torch.sign(tensor) * tensor.abs() ** (1 / 3),
}


@contextmanager
def _mathematics_of_tensors() -> Iterator[None]:
    """``math.sqrt(step)`` and the like as operations on tensors, which Python would turn into a number first."""
    before = {name: getattr(math, name) for name in _OF_TENSORS if hasattr(math, name)}

    def either(original: Callable[..., Any], of_tensors: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (of_tensors if any(isinstance(arg, Tensor) for arg in args) else original)(*args)

    for name, original in before.items():
        setattr(math, name, either(original, _OF_TENSORS[name]))
    try:
        yield
    finally:
        for name, original in before.items():
            setattr(math, name, original)


def _soft_shrink(w: Tensor, lambd: Any = 0.5) -> Tensor:
    return torch.where(w > lambd, w - lambd, torch.where(w < -lambd, w + lambd, 0 * w))


def _hard_shrink(w: Tensor, lambd: Any = 0.5) -> Tensor:
    return torch.where((w >= -lambd) & (w <= lambd), torch.zeros_like(w), w)


#: Functions whose parameter torch wants as a number, in terms of operations that take a tensor.
_SUBSTITUTES: dict[Any, Callable[..., Tensor]] = {
    torch.nn.functional.softshrink: _soft_shrink,
    torch.nn.functional.hardshrink: _hard_shrink,
    torch.hardshrink: _hard_shrink,
    Tensor.hardshrink: _hard_shrink,
}
