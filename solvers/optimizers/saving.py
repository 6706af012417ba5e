"""Saving and loading: regularizers become texts, and sums keep their dtype.

Objects inside ``param_groups`` would make a state_dict unreadable under ``torch.load(weights_only=True)``, and torch's
loader casts floating-point state to the parameter's dtype, which would ruin float32 sums of 16-bit parameters and the
float64 weight_sum.
"""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

#: Entries of the state that are one number: those that change from step to step, and all.
COUNTERS = ("step", "weight_sum")
SCALARS = (*COUNTERS, "unit")


def describe_regularizers(state_dict: dict[str, Any]) -> dict[str, Any]:
    """A shallow copy with ``repr`` in place of every group's regularizer."""
    groups = [{**group, "regularizer": repr(group["regularizer"])} for group in state_dict["param_groups"]]
    return {**state_dict, "param_groups": groups}


def restore_regularizers(state_dict: dict[str, Any], live_groups: list[dict[str, Any]]) -> dict[str, Any]:
    """A shallow copy with the live regularizer objects; ValueError where a text does not name the live one."""
    saved_groups = state_dict["param_groups"]
    groups = []
    for index, saved in enumerate(saved_groups):
        # A wrong number of groups is torch's to refuse.
        live = live_groups[index]["regularizer"] if index < len(live_groups) else None
        if live is not None and saved["regularizer"] != repr(live):
            raise ValueError(
                f"param_groups[{index}] was saved with the regularizer {saved['regularizer']}, this optimizer has "
                f"{live!r}; build the optimizer with the saved one and change it after loading if that is what you want"
            )
        groups.append({**saved, "regularizer": live})
    return {**state_dict, "param_groups": groups}


def restore_state(optimizer: Optimizer, state_dict: dict[str, Any], *, capturable: bool) -> None:
    """Copy every saved state tensor again in its own dtype, after torch's loader has cast it.

    Counters go to the CPU, where reading them waits for nothing; with ``capturable`` to the device, in float64.
    """
    saved_order = [index for group in state_dict["param_groups"] for index in group["params"]]
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for index, param in zip(saved_order, params, strict=True):
        for key, value in state_dict["state"].get(index, {}).items():
            if isinstance(value, Tensor):
                on_device = capturable or key not in SCALARS
                kept = value.to(param.device if on_device else "cpu", copy=True)
                optimizer.state[param][key] = kept.double() if capturable and key in SCALARS else kept
