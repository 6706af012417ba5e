"""What a run was made with: versions, processor, memory, devices. Nothing that names the machine or its user."""

import os
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

#: Packages on whose versions numbers may depend.
PACKAGES = (
    *("ramda-verify", "torch", "numpy", "scipy", "cvxpy", "clarabel", "hypothesis", "mpmath", "scikit-learn"),
    *("z3-solver", "python-flint"),
)
ABSENT = "not installed"


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of these packages; ABSENT where one is not installed."""
    return {"python": platform.python_version(), **{package: version_of(package) for package in packages}}


def version_of(package: str) -> str:
    """The version of an installed package, or ABSENT."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


@cache
def processor() -> str:
    """The model of the processor, in words."""
    import cpuinfo  # takes a second to ask, so only where a report names it

    try:
        brand = cpuinfo.get_cpu_info().get("brand_raw", "")
    except Exception:  # it reads what differs from system to system, and raises whatever it meets there
        brand = ""
    return brand or platform.processor() or platform.machine()


def processors() -> int:
    """How many logical processors the machine has."""
    return psutil.cpu_count() or 1


def usable_processors() -> int:
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else processors()


def memory() -> int:
    """Bytes of memory that the machine has."""
    return int(psutil.virtual_memory().total)


def available_memory() -> int:
    """Bytes of memory that programs may still take."""
    return int(psutil.virtual_memory().available)


def load() -> float:
    """How many processors were busy, on average over the last minute."""
    return float(psutil.getloadavg()[0])


def device(name: str | None = None) -> str:
    """The name of a CUDA device, the first where none is given; "cpu" where there is none or another kind is given."""
    import torch

    if not torch.cuda.is_available() or (name is not None and torch.device(name).type != "cuda"):
        return "cpu"
    return str(torch.cuda.get_device_name(name))


def facts(device_name: str | None = None) -> dict[str, Any]:
    """The machine as every report has it: system, how many processors, gibibytes of memory, device."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": processors(),
        "memory_gibibytes": round(memory() / 2**30),
        "device": device(device_name),
    }
