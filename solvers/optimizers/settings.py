"""The hyperparameters of a parameter group as plain numbers, judged whenever one of them has changed.

Users, schedulers and frameworks write into ``param_groups`` between steps: a None for the regularizer, a 0-d tensor or
a NumPy number for lr. A step reads these settings instead, so that a bad value is refused before any state is touched.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from solvers import validate
from solvers.callers import warn_caller
from solvers.optimizers.method import Group
from solvers.optimizers.options import StepOptions
from solvers.optimizers.parameter_group import INITIAL_MOMENTUM, STAGE_FACTOR, rate_of, stage_factor_of
from solvers.regularizers.base import offers, require_regularizer
from solvers.regularizers.members import Regularizer
from solvers.regularizers.zero import Zero

#: Hyperparameters that every method has, with what a saved state from before they existed means.
COMMON_DEFAULTS: Mapping[str, Any] = {"maximize": False, "weight_decay": 0.0, "reg_warmup": 0, STAGE_FACTOR: 1.0}
COMMON: Mapping[str, Callable[[str, object], None]] = {
    "maximize": validate.boolean,
    "weight_decay": validate.nonnegative,
    "reg_warmup": validate.nonnegative_integer,
    STAGE_FACTOR: validate.positive,
}
#: What a group of ours has not or not every one has, but other objects have: hyperparameters of torch's optimizers,
#: options of the whole optimizer, attributes of a regularizer. In a group they are no tag of the user's.
OF_OTHERS = (
    *("betas", "momentum", "eps", "amsgrad", "dampening", "nesterov", "rho", "alpha", "weight_decay"),
    *StepOptions.__annotations__,
    *("reg_weight", "grouping"),
)
#: Keys that torch and its schedulers, or Stages, write into a group.
OF_TORCH = (
    *("params", "param_names", "initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum"),
    *(INITIAL_MOMENTUM, STAGE_FACTOR),
)
#: Other words for a hyperparameter that are not spelt like it.
SYNONYMS = {"learning_rate": "lr", "regularization": "regularizer", "regularisation": "regularizer"}
_PLAIN = (int, float, bool, str, type(None))


@dataclass
class _Known:
    group: dict[str, Any]
    keys: int
    values: list[object]
    settings: dict[str, Any]


class Settings:
    """Reads and judges the groups of one optimizer."""

    def __init__(self, checks: Mapping[str, Callable[[str, object], None]], *, on_device: bool) -> None:
        """``checks`` are those of the method's record. ``on_device`` leaves a tensor lr on a GPU where it is."""
        self._checks = {**checks, **COMMON}
        self._names = tuple(self._checks)
        self._on_device = on_device
        self._known: dict[int, _Known] = {}

    def of(self, group: dict[str, Any], owner: str, known_keys: Collection[str]) -> Group:
        """The settings of ``group``.

        Raises ValueError or TypeError, naming the setting, where one is not allowed, or where the group has gained a
        key that is nearly one of ``known_keys``, the hyperparameters of ``owner``.
        """
        values = [dict.get(group, name) for name in self._names]
        values.append(group["regularizer"])
        known = self._known.get(id(group))
        same = known is not None and known.group is group and known.keys == len(group)
        if known is not None and same and all(map(_unchanged, values, known.values)):
            return known.settings
        if not same:
            refuse_misspelt(owner, group, known_keys)
        settings = self.judged(group)
        if known is None or known.group is not group or known.settings["regularizer"] is not settings["regularizer"]:
            check_shapes(group["params"], group.get("param_names"), settings["regularizer"])
        self._known[id(group)] = _Known(group, len(group), values, settings)
        return settings

    def judged(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a group, or of keys that are about to become one; shapes are not looked at."""
        settings: dict[str, Any] = {}
        for name, check in self._checks.items():
            if name not in group:
                raise ValueError(f"a parameter group needs the key {name!r}, got {sorted(map(str, group))}")
            value = plain(rate_of(group) if name == "lr" and isinstance(group, dict) else group[name])
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ValueError(f"{name} must be a number or a tensor with one entry, got shape {tuple(value.shape)}")
            if isinstance(value, Tensor) and not self._on_device:
                value = value.item()
            if not isinstance(value, Tensor):
                check(name, value)
            settings[name] = value
        settings["lr"] = settings["lr"] * stage_factor_of(dict(group))
        settings["regularizer"] = regularizer_of(group["regularizer"])
        return settings


def plain(value: object) -> object:
    """A number of NumPy's or a tensor of one entry on the CPU as a Python number, a list as a tuple; all else as it
    is. NumPy's float32 would keep its precision through all that is computed from it.
    """
    if isinstance(value, Tensor) and value.numel() == 1 and value.dtype != torch.bool:
        return value.item() if value.is_cpu else value
    if isinstance(value, Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, Integral) else float(value)
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def regularizer_of(value: Regularizer | None) -> Regularizer:
    """The regularizer that a user named, None meaning none. Raises TypeError unless it is one."""
    if value is None:
        return Zero()
    require_regularizer("regularizer", value)
    return value


def check_shapes(params: Sequence[Tensor], names: Sequence[str] | None, regularizer: Regularizer) -> None:
    """Raise ValueError, naming the parameter, where ``regularizer`` is not defined on its shape. An empty tensor has no
    subproblem.
    """
    if not offers(regularizer, "check_shape"):
        return
    for index, param in enumerate(params):
        if param.numel() == 0:
            continue
        try:
            regularizer.check_shape(param.shape)
        except ValueError as error:
            name = names[index] if names else f"params[{index}]"
            raise ValueError(f"parameter {name} cannot have the regularizer {regularizer!r}: {error}") from None


def check_keys(owner: str, group: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a misspelt hyperparameter, warn of one that the method's groups do not have; other keys are tags of the
    user's.

    Raises ValueError for a key that is nearly one of ``known``.
    """
    refuse_misspelt(owner, group, known)
    for key in group:
        if key in OF_OTHERS and key not in known:
            warn_caller(
                f"a parameter group of {owner} has no hyperparameter {key!r}: the value {group[key]!r} has no effect"
            )


def refuse_misspelt(owner: str, group: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise ValueError, naming both, for a key of ``group`` that is nearly one of ``known``."""
    for key in group:
        if key in known or key in OF_TORCH or key in OF_OTHERS:
            continue
        close = difflib.get_close_matches(str(key).lower(), list(known), n=1, cutoff=0.8)
        meant = SYNONYMS.get(key, close[0] if close else None)
        if meant is not None:
            raise ValueError(f"{owner} has no hyperparameter {key!r}, given in a parameter group; is it {meant!r}?")


def _unchanged(now: object, before: object) -> bool:
    if type(now) is not type(before):
        return False
    if isinstance(now, tuple):
        # Tensors among its entries may have been written to.
        return now == before and not any(isinstance(entry, Tensor) for entry in now)
    return now == before if isinstance(now, _PLAIN) else now is before and not isinstance(now, Tensor | list)
