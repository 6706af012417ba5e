"""What belongs to the whole process, and a regularizer has no business to change."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class World:
    """Random generators, torch's defaults and the number of its threads."""

    torch_generator: torch.Tensor
    numpy_generator: Any
    python_generator: Any
    default_dtype: torch.dtype
    gradients: bool
    threads: int
    deterministic: int

    @classmethod
    def now(cls) -> "World":
        """As it is."""
        return cls(
            torch.get_rng_state(),
            np.random.get_state(),  # noqa: NPY002 - the generator of the process, which others may have drawn from
            random.getstate(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.get_deterministic_debug_mode(),
        )

    def differences(self, later: "World") -> list[str]:
        """The names of what has changed since."""
        return [name for name in vars(self) if not _same(getattr(self, name), getattr(later, name))]

    def restore(self) -> None:
        """Bring it back."""
        torch.set_rng_state(self.torch_generator)
        np.random.set_state(self.numpy_generator)  # noqa: NPY002
        random.setstate(self.python_generator)
        torch.set_default_dtype(self.default_dtype)
        torch.set_grad_enabled(self.gradients)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        # use_deterministic_algorithms does the same and imports a compiler, which takes more than a second.
        torch.set_deterministic_debug_mode(self.deterministic)


@contextmanager
def left_alone() -> Iterator[World]:
    """Within the context the process may be changed; afterwards it is as it was."""
    before = World.now()
    try:
        yield before
    finally:
        before.restore()


#: Numbers of threads that hardly anyone sets, and that differ.
THREADS = (3, 5)


def made_telling(which: int) -> None:
    """Put the process in one of two states, 0 or 1, in which a call shows what it sets: where a thing is set that is so
    already nothing changes, and an earlier call may have set it. The generators are drawn from, since in the state that
    a seed gives, setting that seed once more would change nothing.
    """
    torch.rand(())
    np.random.random()  # noqa: NPY002
    random.random()
    torch.set_grad_enabled(which == 0)
    torch.set_default_dtype((torch.float32, torch.float64)[which])
    torch.set_num_threads(THREADS[which])
    torch.set_deterministic_debug_mode(which)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple) and any(isinstance(part, np.ndarray) for part in one):
        return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
