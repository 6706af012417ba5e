"""Small real trainings: networks of every kind on data that comes with a dependency or is made from a seed.

The benchmark plays them, the recorder takes slices of their steps, and a check follows one to its end.
"""

from ramda_verify.problems.trainings.networks import CHARACTERS, CONVOLUTIONS, MLP, VOCABULARY, WIDE_MLP, Training
from ramda_verify.problems.trainings.run import Run, begin, group_lasso, same

TRAININGS: dict[str, Training] = {entry.name: entry for entry in (MLP, CONVOLUTIONS, CHARACTERS, VOCABULARY, WIDE_MLP)}

__all__ = [
    "CHARACTERS",
    "CONVOLUTIONS",
    "MLP",
    "TRAININGS",
    "VOCABULARY",
    "WIDE_MLP",
    "Run",
    "Training",
    "begin",
    "group_lasso",
    "same",
]
