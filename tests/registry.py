"""One row an optimizer and one row a regularizer: settings with which every test of the battery runs it, and settings
that it must refuse.

The rows are modelled on torch.testing._internal.common_optimizers, by which torch tests its own optimizers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from solvers import L1, MCP, RAMDA, RMDA, GroupLasso, NuclearNorm, ProxGen, ProxSGD, Simplex, SparseGroupLasso
from solvers.optimizers import StructuredOptimizer
from solvers.regularizers.base import offers

#: Settings that all methods take.
COMMON: dict[str, dict[str, Any]] = {
    "default": {},
    "rate": {"lr": 1e-2},
    "rate of NumPy": {"lr": np.float32(1e-2)},
    "rate as a tensor": {"lr": torch.tensor(1e-2)},
    "rate as a tensor of one entry": {"lr": torch.tensor([1e-2], dtype=torch.float64)},
    "maximize": {"lr": 1e-2, "maximize": True},
    "weight decay": {"lr": 1e-2, "weight_decay": 0.1},
    "weight decay, maximize": {"lr": 1e-2, "weight_decay": 0.1, "maximize": True},
    "group LASSO": {"lr": 1e-2, "regularizer": GroupLasso(1e-3)},
    "group LASSO, weight decay": {"lr": 1e-2, "regularizer": GroupLasso(1e-3), "weight_decay": 0.1},
    "nuclear norm": {"lr": 1e-2, "regularizer": NuclearNorm(1e-3)},
    "sparse group LASSO": {"lr": 1e-2, "regularizer": SparseGroupLasso(1e-3, 1e-3)},
    "sparse group LASSO, plain torch": {
        "lr": 1e-2,
        "regularizer": SparseGroupLasso(1e-3, 1e-3, "output"),
        "backend": "plain",
    },
    "MCP": {"lr": 1e-2, "regularizer": MCP(1e-3)},
    "psi phased in": {"lr": 1e-2, "regularizer": GroupLasso(1e-3), "reg_warmup": 5},
    "plain torch": {"lr": 1e-2, "regularizer": GroupLasso(1e-3), "backend": "plain"},
}
MOMENTUM = {
    "momentum": {"lr": 1e-2, "momentum": 0.5},
    "all of the new point": {"lr": 1e-2, "momentum": 1},
    "momentum of NumPy": {"lr": 1e-2, "momentum": np.float64(0.5)},
}

#: (settings, error, words of the message) that all methods refuse.
BAD_COMMON = [
    ({"lr": -0.1}, ValueError, "lr .*-0.1"),
    ({"lr": math.nan}, ValueError, "lr .*nan"),
    ({"lr": torch.tensor(-0.1)}, ValueError, "lr .*-0.1"),
    ({"lr": torch.tensor([1.0, 2.0])}, ValueError, r"lr .*one entry.*\(2,\)"),
    ({"lr": math.inf}, ValueError, "lr .*inf"),
    ({"lr": True}, TypeError, "lr .*True"),
    ({"lr": "1"}, TypeError, "lr .*'1'"),
    ({"lr": None}, TypeError, "lr .*None"),
    ({"lr": 1j}, TypeError, "lr .*1j"),
    ({"maximize": 1}, TypeError, "maximize .*1"),
    ({"weight_decay": -1}, ValueError, "weight_decay .*-1"),
    ({"weight_decay": -0.1}, ValueError, "weight_decay .*-0.1"),
    ({"weight_decay": "0"}, TypeError, "weight_decay .*'0'"),
    ({"reg_warmup": -1}, ValueError, "reg_warmup .*-1"),
    ({"reg_warmup": 1.5}, TypeError, "reg_warmup .*1.5"),
    ({"solve_every": 0}, ValueError, "solve_every .*0"),
]
BAD_MOMENTUM = [
    ({"momentum": 0}, ValueError, "momentum .*0"),
    ({"momentum": 1.1}, ValueError, "momentum .*1.1"),
    ({"momentum": math.nan}, ValueError, "momentum .*nan"),
    ({"momentum": None}, TypeError, "momentum .*None"),
]

BAD_EPS = [({"eps": 0.0}, ValueError, "eps .*0.0"), ({"eps": -1}, ValueError, "eps .*-1")]
#: What all constructors refuse, of what a parameter group does not hold or holds for good.
BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"method": "newton"}, ValueError, "method .*'newton'"),
    ({"max_inner_iterations": 0}, ValueError, "max_inner_iterations .*0"),
    ({"max_inner_iterations": 1.5}, TypeError, "max_inner_iterations .*1.5"),
    ({"schedule": "1e-3"}, TypeError, "schedule .*'1e-3'"),
    ({"regularizer": L1}, TypeError, "regularizer .*L1"),
    ({"regularizer": 0.1}, TypeError, "regularizer .*0.1"),
]


@dataclass(frozen=True)
class OptimizerRow:
    """An optimizer, the name of the state tensor that holds its gradients, good settings by name, and bad ones."""

    cls: type[StructuredOptimizer]
    sums: str
    good: dict[str, dict[str, Any]] = field(default_factory=dict)
    bad: list[tuple[dict[str, Any], type[Exception], str]] = field(default_factory=list)


OPTIMIZERS = (
    OptimizerRow(
        RAMDA,
        "grad_sum",
        {**COMMON, **MOMENTUM, "eps": {"lr": 1e-2, "eps": 1e-3}, "every third": {"lr": 1e-2, "solve_every": 3}},
        [*BAD_COMMON, *BAD_MOMENTUM, *BAD_EPS],
    ),
    OptimizerRow(RMDA, "grad_sum", {**COMMON, **MOMENTUM}, [*BAD_COMMON, *BAD_MOMENTUM]),
    OptimizerRow(
        ProxSGD,
        "momentum_buffer",
        {**COMMON, **MOMENTUM},
        [*BAD_COMMON, *BAD_MOMENTUM, ({"solve_every": 2}, ValueError, "solve_every .*2")],
    ),
    OptimizerRow(
        ProxGen,
        "exp_avg",
        {
            **COMMON,
            "amsgrad": {"lr": 1e-2, "amsgrad": True},
            "betas": {"lr": 1e-2, "betas": [0.8, np.float32(0.9)]},
            "eps": {"lr": 1e-2, "eps": 1e-3},
        },
        [
            *BAD_COMMON,
            *BAD_EPS,
            ({"betas": (1.0, 0.9)}, ValueError, r"betas\[0\] .*1.0"),
            ({"betas": (0.9, -0.1)}, ValueError, r"betas\[1\] .*-0.1"),
            ({"betas": 0.9}, ValueError, r"betas .*0.9"),
            ({"betas": (0.9,)}, ValueError, r"betas .*0.9"),
            ({"betas": (0.9, "0.9")}, TypeError, r"betas\[1\] .*'0.9'"),
            ({"amsgrad": 1}, TypeError, "amsgrad .*1"),
            ({"solve_every": 2}, ValueError, "solve_every .*2"),
        ],
    ),
)


@dataclass(frozen=True)
class RegularizerRow:
    """A regularizer, good arguments by name, bad ones, and shapes of tensors on which it is not defined."""

    cls: type
    good: dict[str, dict[str, Any]]
    bad: list[tuple[dict[str, Any], type[Exception], str]] = field(default_factory=list)
    bad_shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def plain(self) -> Any:
        """The regularizer of the first good arguments."""
        return self.cls(**next(iter(self.good.values())))


def bad_numbers(name: str, *, zero: bool) -> list[tuple[dict[str, Any], type[Exception], str]]:
    """What no finite number >= 0 is; or > 0, where zero is refused, too."""
    refused = [-1.0, -0.5e-300, math.nan, math.inf, *([0.0] if zero else [])]
    numbers = [({name: value}, ValueError, f"{name} .*{value}") for value in refused]
    others = ["1", None, True, torch.tensor(1.0)]
    return [*numbers, *(({name: value}, TypeError, f"{name} ") for value in others)]


WEIGHT = bad_numbers("reg_weight", zero=False)
GROUPINGS: list[tuple[dict[str, Any], type[Exception], str]] = [
    *(({"grouping": value}, ValueError, f"grouping .*{value!r}") for value in ("columns", None, 1)),
    ({"layout": "in"}, ValueError, "layout .*'in'"),
    ({"conv_groups": 0}, ValueError, "conv_groups .*0"),
    ({"conv_groups": 2.0}, TypeError, "conv_groups .*2.0"),
]
NO_MATRICES = ((3,), (3, 0), (2,) * 6)

REGULARIZERS = (
    RegularizerRow(L1, {"weight": {"reg_weight": 0.5}, "zero": {"reg_weight": 0}}, WEIGHT, ((0,),)),
    RegularizerRow(
        GroupLasso,
        {"weight": {"reg_weight": 0.5}, "rows": {"reg_weight": 0.5, "grouping": "output", "layout": "in_out"}},
        [*WEIGHT, *GROUPINGS],
        NO_MATRICES,
    ),
    RegularizerRow(NuclearNorm, {"weight": {"reg_weight": 0.5}}, WEIGHT, ((3,), (3, 0))),
    RegularizerRow(
        SparseGroupLasso,
        {
            "weights": {"reg_weight": 0.5, "entry_weight": 0.25},
            "entries alone": {"reg_weight": 0.0, "entry_weight": 0.25},
            "groups alone": {"reg_weight": 0.5, "entry_weight": 0.0, "grouping": "output"},
        },
        [*WEIGHT, *bad_numbers("entry_weight", zero=False), *GROUPINGS],
        NO_MATRICES,
    ),
    RegularizerRow(
        MCP,
        {"weight": {"reg_weight": 0.5}, "concave": {"reg_weight": 0.5, "gamma": 0.1}, "zero": {"reg_weight": 0.0}},
        [*WEIGHT, *bad_numbers("gamma", zero=True)],
        ((0,),),
    ),
    RegularizerRow(Simplex, {"unit": {}, "radius": {"radius": 3}}, bad_numbers("radius", zero=True), ((0, 2),)),
)


def weighted(weight: float, *members: str) -> list[Any]:
    """A regularizer of every row that has weights, all of them ``weight``, and that offers all of the members."""
    made = [at_weight(row.plain, weight) for row in REGULARIZERS if _weights(row.plain)]
    return [psi for psi in made if all(offers(psi, member) for member in members)]


def at_weight(regularizer: Any, weight: float) -> Any:
    """The regularizer with all of its weights ``weight``."""
    return replace(regularizer, **dict.fromkeys(_weights(regularizer), weight))


def _weights(regularizer: Any) -> list[str]:
    return [each.name for each in fields(regularizer) if each.name.endswith("weight")]


def optimizers(*, averages: bool | None = None, takes: str | None = None) -> list[Any]:
    """The classes of all rows; those whose iterate is an average or is not; those that take a setting."""
    return [
        row.cls
        for row in OPTIMIZERS
        if averages in (None, row.cls.record.averages) and (takes is None or takes in row.cls.record.hyperparameters)
    ]


def good_regularizers() -> Iterator[Any]:
    """Regularizers of all good arguments, as parameters of a test."""
    for row in REGULARIZERS:
        for name, arguments in row.good.items():
            yield pytest.param(row.cls(**arguments), id=f"{row.cls.__name__}-{name}")


def bad_arguments() -> Iterator[Any]:
    """(class, arguments, error, message) of every row, as parameters of a test."""
    for row in REGULARIZERS:
        for arguments, error, message in row.bad:
            wrong = {**next(iter(row.good.values())), **arguments}
            yield pytest.param(row.cls, wrong, error, message, id=f"{row.cls.__name__}-{arguments}")


def good_settings() -> Iterator[Any]:
    """(class, settings) of every row, as parameters of a test."""
    for row in OPTIMIZERS:
        for name, settings in row.good.items():
            yield pytest.param(row.cls, settings, id=f"{row.cls.__name__}-{name}")


def bad_settings(*, options: bool = False) -> Iterator[Any]:
    """(class, settings, error, message) of every row, as parameters of a test; with BAD_OPTIONS on request."""
    for row in OPTIMIZERS:
        for settings, error, message in [*row.bad, *(BAD_OPTIONS if options else [])]:
            yield pytest.param(row.cls, settings, error, message, id=f"{row.cls.__name__}-{settings}")


def built(
    cls: type[StructuredOptimizer], settings: dict[str, Any], dtype: torch.dtype = torch.float64
) -> tuple[list[torch.nn.Parameter], StructuredOptimizer]:
    """Two parameters, the same at every call, and an optimizer of them."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(6, 5, dtype=dtype)), torch.nn.Parameter(torch.randn(4, 3, dtype=dtype))]
    return params, cls([("weight", params[0]), ("other", params[1])], **settings)


def advance(params: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer, steps: int = 3, seed: int = 1) -> None:
    """Steps with gradients that the seed decides."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64).to(param.dtype)
        optimizer.step()
