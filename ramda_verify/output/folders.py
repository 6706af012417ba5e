"""The folders of the user in which data are looked for and results kept."""

import os
from pathlib import Path

#: Environment variables that name them.
DATA, CACHE = "RAMDA_DATA", "RAMDA_CACHE"


def data_folder() -> Path:
    """Where data files are looked for: RAMDA_DATA, else ``data`` in the user's cache folder."""
    return _named(DATA) or _of_the_user("data")


def cache_folder() -> Path:
    """Where certified optima are kept: RAMDA_CACHE, else ``optima`` in the user's cache folder."""
    return _named(CACHE) or _of_the_user("optima")


def _named(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _of_the_user(name: str) -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("ramda-verify")) / name
