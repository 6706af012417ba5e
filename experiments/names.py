"""The names that ``train`` takes, read from the settings that there are; without torch, for the help."""

import tomllib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

ENDING = ".toml"


def settings_file(task: str) -> Traversable:
    """The file of a task's hyperparameters."""
    return _folder() / f"{task}{ENDING}"


@cache
def task_names() -> tuple[str, ...]:
    """The tasks that have settings."""
    return tuple(sorted(file.name.removesuffix(ENDING) for file in _folder().iterdir() if file.name.endswith(ENDING)))


@cache
def optimizer_names() -> tuple[str, ...]:
    """The optimizers for which some task has settings."""
    texts = (settings_file(task).read_text(encoding="utf-8") for task in task_names())
    return tuple(dict.fromkeys(name for text in texts for name in tomllib.loads(text)["optimizers"]))


def _folder() -> Traversable:
    return resources.files("experiments") / "configs"
