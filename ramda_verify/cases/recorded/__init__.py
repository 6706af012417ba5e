"""Steps of real trainings, recorded: what optimizers meet in practice, beside what the suite draws.

``recorded(name)`` is one of them; ``all_recorded()`` are all that come with the package.
"""

from functools import cache
from pathlib import Path

from ramda_verify.cases.recorded.store import RecordedStep as RecordedStep
from ramda_verify.cases.recorded.store import read

PATH = Path(__file__).with_name("steps.npz")


@cache
def all_recorded() -> dict[str, RecordedStep]:
    """The recorded steps that come with the package, by name."""
    return {step.name: step for step in read(PATH).steps}


def recorded(name: str) -> RecordedStep:
    """The recorded step of this name. Raises KeyError, naming some that there are, where there is none."""
    known = all_recorded()
    if name not in known:
        raise KeyError(f"no step is recorded under {name!r}; there are {len(known)}, such as {next(iter(known))!r}")
    return known[name]
