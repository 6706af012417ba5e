"""The steps of a run that are timed, and how many steps each of them stands for."""

from collections.abc import Sequence

import numpy as np


def timed_steps(steps: int, milestones: Sequence[int], count: int) -> list[int]:
    """Step numbers (from 1) to time: the first two, the last before each restart and the first after it, the last, and
    ``count`` spread evenly over the run.
    """
    around = [step for milestone in milestones for step in (milestone, milestone + 1)]
    spread = np.linspace(1, steps, count).round().astype(int).tolist()
    return sorted({step for step in [1, 2, *around, *spread, steps] if 1 <= step <= steps})


def steps_represented(timed: Sequence[int], steps: int) -> list[int]:
    """How many of the steps 1 to ``steps`` lie nearest to each of the timed ones; the earlier one takes a tie."""
    distance = np.abs(np.subtract.outer(np.arange(1, steps + 1), np.asarray(timed)))
    return np.bincount(distance.argmin(axis=1), minlength=len(timed)).tolist()
