"""What a training run was made with, and the device on which it runs."""

import torch

from ramda_verify.output import machine


def describe(device: torch.device) -> dict[str, str | int | None]:
    """Processor, how many of them, threads of torch, and the accelerator that trains (None on the CPU)."""
    return {
        "processor": machine.processor(),
        "cores": machine.processors(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def resolve_device(name: str) -> torch.device:
    """``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``; ValueError on anything else or absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name!r} is not there: {torch.cuda.device_count()} CUDA devices are visible")
    return device
