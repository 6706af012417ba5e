"""Saving and loading: regularizers become plain descriptions, and sums keep their dtype.

Objects inside ``param_groups`` would make a state_dict unreadable under ``torch.load(weights_only=True)``, and torch's
loader casts floating-point state to the parameter's dtype, which would ruin float32 sums of 16-bit parameters and the
float64 weight_sum.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from solvers.callers import warn_caller
from solvers.optimizers.counters import DTYPES
from solvers.optimizers.method import Group, Method
from solvers.optimizers.settings import regularizer_of
from solvers.regularizers.identity import differences, identity_of, text_of

#: Under this key every saved group names the method that saved it.
METHOD = "method"
#: State of an inner solver between steps, see ``stepper``; it exists where a subproblem is solved by iteration.
INNER = "inner_"


def described(state_dict: dict[str, Any], method: str) -> dict[str, Any]:
    """A shallow copy with an identity in place of every group's regularizer, and the name of the method."""
    groups = [
        {**_plain(group), "regularizer": identity_of(regularizer_of(group["regularizer"])), METHOD: method}
        for group in state_dict["param_groups"]
    ]
    return {**state_dict, "param_groups": groups}


def checked(
    state_dict: dict[str, Any], live_groups: Sequence[Mapping[str, Any]], method: Method, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """A shallow copy of a saved state whose groups hold every key of ``defaults`` and no regularizer.

    Raises ValueError where the state was saved by another method, or with another regularizer than the live one.
    """
    record, groups = method.record, []
    for index, saved in enumerate(state_dict["param_groups"]):
        by = saved.get(METHOD)
        if by != record.name and (by is not None or "regularizer" not in saved):
            raise ValueError(
                f"param_groups[{index}] was saved by {by or 'another optimizer (it names no regularizer)'}, this is "
                f"{record.name}; its keys are {sorted(saved)}"
            )
        if index < len(live_groups):  # a wrong number of groups is torch's to refuse
            live = regularizer_of(live_groups[index]["regularizer"])
            _compare_regularizers(index, saved.get("regularizer"), live)
        group = {**defaults, **saved, "regularizer": None}
        group.pop(METHOD, None)
        groups.append(group)
        for key in saved["params"]:
            _check_state(key, state_dict["state"].get(key, {}), method, group)
    _check_shapes(state_dict, live_groups, record.counters)
    return {**state_dict, "param_groups": groups}


def restored(
    state_dict: dict[str, Any], optimizer: Optimizer, *, capturable: bool
) -> Iterator[tuple[Tensor, str, object]]:
    """(parameter, key, value) of every saved entry in its own dtype, which torch's loader has cast.

    Counters go to the CPU, where reading them waits for nothing; with ``capturable`` to the device, in float64.
    """
    saved_order = [index for group in state_dict["param_groups"] for index in group["params"]]
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for index, param in zip(saved_order, params, strict=True):
        for key, value in state_dict["state"].get(index, {}).items():
            counter = not (isinstance(value, Tensor) and value.ndim) and not key.startswith(INNER)
            if counter:
                dtype = torch.float64 if capturable else DTYPES.get(key, torch.float64)
                value = torch.as_tensor(value).to(param.device if capturable else "cpu", dtype, copy=True)
            elif isinstance(value, Tensor):
                value = value.to(param.device, copy=True)
            yield param, key, value


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which ``torch.load(weights_only=True)`` reads."""
    if isinstance(value, bool | str | Tensor):
        return value
    if isinstance(value, Integral | Real):
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def _compare_regularizers(index: int, saved: object, live: object) -> None:
    if not isinstance(saved, Mapping):
        if saved is not None:  # a text, from before identities were saved
            warn_caller(f"param_groups[{index}]: the saved regularizer {saved!r} cannot be compared with {live!r}")
        return
    found = differences(saved, live)
    if found.found:
        raise ValueError(
            f"param_groups[{index}] was saved with the regularizer {text_of(saved)}, this optimizer has {live!r} "
            f"({'; '.join(found.found)}); build the optimizer with the saved one and change it after loading if that "
            "is what you want"
        )
    if found.unknown:
        warn_caller(
            f"param_groups[{index}]: {', '.join(found.unknown)} of the saved regularizer {text_of(saved)} cannot be "
            "compared with the live one's"
        )


def _check_state(key: object, state: Mapping[str, Any], method: Method, group: Group) -> None:
    if not state:
        return
    wanted = {*method.new_state(torch.zeros(()), group), *method.record.counters}
    known = {*wanted, *method.record.optional_state}
    # A counter may be a number, as torch's older optimizers saved it; all else is a tensor.
    numbers = {name for name in method.record.counters if isinstance(state.get(name), Real)}
    lacks = sorted(name for name in wanted - numbers if not isinstance(state.get(name), Tensor))
    strange = sorted(name for name in state.keys() - known if not name.startswith(INNER))
    if lacks or strange:
        raise ValueError(
            f"the saved state of parameter {key!r} is not one of {method.record.name}: it lacks {lacks or 'nothing'} "
            f"and has {strange or 'nothing'} besides"
        )


def _check_shapes(
    state_dict: dict[str, Any], live_groups: Sequence[Mapping[str, Any]], counters: Collection[str]
) -> None:
    """Raise ValueError where a saved tensor has not the shape of the parameter that stands at its place."""
    for index, (saved, live) in enumerate(zip(state_dict["param_groups"], live_groups, strict=False)):
        for position, (key, param) in enumerate(zip(saved["params"], live["params"], strict=False)):
            for name, value in state_dict["state"].get(key, {}).items():
                if name.startswith(INNER) or not isinstance(value, Tensor) or (name in counters and value.ndim == 0):
                    continue
                if value.shape != param.shape:
                    raise ValueError(
                        f"the saved {name} of params[{position}] in param_groups[{index}] has shape "
                        f"{tuple(value.shape)}, the parameter {tuple(param.shape)}"
                    )
