"""What is installed here, which kernels run and why others do not: facts for ``ramda-verify doctor``."""

import os
import shutil
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

from ramda_verify.output import folders, machine
from ramda_verify.output.extras import EXTRAS, how_to_install, missing_modules

#: Packages of which the version is told, in this order.
PACKAGES = (*machine.PACKAGES, "triton", "matplotlib", "jinja2", "typer", "rich", "psutil", "py-cpuinfo")
#: Entry points that are tried: what other packages add to this one.
GROUPS = {"commands": "ramda_verify.commands", "regularizers": "ramda_verify.regularizers"}
#: Compilers that build the native kernel, in the order in which they are looked for; CXX comes first.
COMPILERS = ("c++", "g++", "clang++", "cl")
RUNS = "runs"
WIDTH = 79


def findings() -> dict[str, Any]:
    """All that is found, as JSON may hold it. Whatever is broken is said in words and breaks nothing else."""
    return {
        "versions": machine.versions(PACKAGES),
        "extras": {extra: list(missing_modules(extra)) for extra in EXTRAS},
        "machine": {**machine.facts(), "processor": machine.processor(), "usable": machine.usable_processors()},
        "threads": _threads(),
        "kernels": {"native": _native(), "triton": _triton()},
        "compiler": _compiler(),
        "folders": {"data": _folder(folders.data_folder), "cache": _folder(folders.cache_folder)},
        "entry_points": {kind: _loaded(group) for kind, group in GROUPS.items()},
    }


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _native() -> dict[str, Any]:
    """The instruction set of the processor, what becomes of each build, and the one that is used."""
    import torch

    from solvers.kernels.native import library

    mine = library.machine_builds()
    builds = {}
    for build in dict.fromkeys(build for builds in library.BUILDS.values() for build in builds):
        if build not in mine:
            builds[build] = "the processor, or torch's build, has not these instructions"
        elif library.path_of(build) is None:
            builds[build] = "not built"
        else:
            builds[build] = RUNS if library.load((build,)) is not None else "built from other sources than these"
    chosen = next((build for build in mine if builds[build] == RUNS), None)
    return {"instructions": torch.backends.cpu.get_cpu_capability(), "builds": builds, "used": chosen}


def _triton() -> str:
    """RUNS where the kernel runs on a GPU, else why it does not and what is done instead."""
    from solvers.kernels.gpu import Triton

    reason = Triton().unavailable_reason()
    if reason is None:
        return RUNS
    interpreted = machine.version_of("triton") != machine.ABSENT
    return f"{reason}; {'checked in the interpreter of triton' if interpreted else 'not checked here'}"


def _compiler() -> str | None:
    named = os.environ.get("CXX", "").split()
    return next((path for name in (*named[:1], *COMPILERS) if (path := shutil.which(name))), None)


def _folder(which: Any) -> str:
    try:
        return str(which())
    except ImportError as error:
        return f"unknown: {error}"


def _loaded(group: str) -> dict[str, str]:
    """For each entry point RUNS, or what loading it raises."""
    found = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            entry.load()
        except Exception as error:
            found[entry.name] = f"{type(error).__name__}: {error}"
        else:
            found[entry.name] = RUNS
    return found


def in_words(found: dict[str, Any]) -> str:
    """The findings in lines of at most WIDTH columns."""
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in _lines(found)
    )


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield "Installed"
    yield "  " + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    for extra, missing in found["extras"].items():
        rest = f"{', '.join(missing)} missing; {how_to_install(extra)}" if missing else "complete"
        yield f"  extra {extra}: {rest}"
    on = found["machine"]
    yield "Machine"
    yield f"  {on['system']}, {on['processor']}, {on['memory_gibibytes']} GiB"
    yield f"  {on['usable']} of {on['processors']} processors usable, {found['threads']} threads of torch"
    yield f"  CUDA device: {'none' if on['device'] == 'cpu' else on['device']}"
    native, triton = found["kernels"]["native"], found["kernels"]["triton"]
    yield "Kernels"
    yield f"  native, on the CPU ({native['instructions']}): {_choice(native, found['compiler'])}"
    for build, state in native["builds"].items():
        yield f"    {build}: {state}"
    yield f"  triton, on a GPU: {triton}"
    yield f"  C++ compiler: {found['compiler'] or 'none found'}"
    yield "Folders"
    yield f"  data ({folders.DATA}): {found['folders']['data']}"
    yield f"  certified optima ({folders.CACHE}): {found['folders']['cache']}"
    for kind, loaded in found["entry_points"].items():
        yield f"Entry points: {kind}"
        working = [name for name, state in loaded.items() if state == RUNS]
        yield f"  {', '.join(working) or 'none'}"
        yield from (f"  {name} cannot be loaded: {state}" for name, state in loaded.items() if state != RUNS)


def _choice(native: dict[str, Any], compiler: str | None) -> str:
    if native["used"] is not None:
        return f"{native['used']} is used"
    if compiler is None:
        return "none is used, plain torch steps: install a C++ compiler and then this package again"
    return "none is used, plain torch steps: install this package again, there is a compiler"
