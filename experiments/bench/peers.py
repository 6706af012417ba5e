"""Peers that are not installed: checkouts of their authors, loaded from a path into this process.

Nothing stays on the import path, no byte code is written, and the names of their modules are given back, so that a
package of the same name is not disturbed.
"""

import importlib
import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class PeerError(ValueError):
    """A path does not hold the peer that it should."""


class Reference(NamedTuple):
    """The released code of the paper: its RAMDA and the two inner solvers."""

    ramda: Any
    nuclear_norm_solver: Callable[..., Any]
    commit: str


class ProxSSI(NamedTuple):
    """The released code of ProxSSI: its proximal operator of weighted groups, by Newton's method."""

    prox: Callable[..., Any]
    commit: str


def load_reference(path: Path) -> Reference:
    """Raises PeerError unless ``path`` is a checkout of ismoptgroup/RAMDA that can be imported."""
    _expect("--reference", path, "ismoptgroup/RAMDA", ("Core/optimizer.py", "Core/solvers.py"))
    with _loading("--reference", path), _isolated("Core", path):
        optimizers, solvers = importlib.import_module("Core.optimizer"), importlib.import_module("Core.solvers")
        return Reference(optimizers.RAMDA, solvers.pgd_solver_nuclear_norm, _commit(path))


def load_proxssi(path: Path) -> ProxSSI:
    """Raises PeerError unless ``path`` is a checkout of tristandeleu/pytorch-structured-sparsity that can be
    imported.
    """
    _expect("--proxssi", path, "tristandeleu/pytorch-structured-sparsity", ("proxssi/l1_l2.py",))
    with _loading("--proxssi", path), _isolated("proxssi", path):
        return ProxSSI(importlib.import_module("proxssi.l1_l2").prox_l1_l2_weighted, _commit(path))


def _expect(option: str, path: Path, repository: str, files: tuple[str, ...]) -> None:
    if not all((path / name).is_file() for name in files):
        raise PeerError(f"{option} must be a checkout of {repository} ({', '.join(files)} in it), got {str(path)!r}")


@contextmanager
def _loading(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise PeerError(f"{option} {str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error


@contextmanager
def _isolated(package: str, path: Path) -> Iterator[None]:
    """``package`` is imported from ``path`` inside the context and forgotten afterwards."""

    def taken() -> list[str]:
        return [name for name in sys.modules if name == package or name.startswith(f"{package}.")]

    kept = {name: sys.modules.pop(name) for name in taken()}
    wrote = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(path.resolve()))
    importlib.invalidate_caches()
    try:
        with warnings.catch_warnings():
            # Invalid escapes in docstrings, deprecated features of torch: theirs, not the user's.
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.path.remove(str(path.resolve()))
        sys.dont_write_bytecode = wrote
        for name in taken():
            del sys.modules[name]
        sys.modules.update(kept)


def _commit(path: Path) -> str:
    """The commit of a checkout; "unknown" where ``path`` is not the root of a repository."""
    if not (path / ".git").exists():
        return "unknown"
    try:
        done = subprocess.run(
            ["git", "-C", str(path), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"
