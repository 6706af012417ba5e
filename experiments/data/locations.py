"""Where data files are looked for."""

import os
from pathlib import Path

import platformdirs


def data_folder(data_dir: Path | None) -> Path:
    """``data_dir`` where given, else the environment variable RAMDA_DATA, else the user's cache folder."""
    if data_dir is not None:
        return data_dir
    named = os.environ.get("RAMDA_DATA")
    return Path(named) if named else Path(platformdirs.user_cache_dir("ramda-verify")) / "data"


def find_file(file_name: str, contents: str, data_dir: Path | None) -> Path:
    """The path of ``file_name`` in the data folder.

    Raises FileNotFoundError that says which file, with what in it, is missing where.
    """
    path = data_folder(data_dir) / file_name
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no data file {path}: put {file_name} there, a NumPy archive with {contents}, or name its folder "
            "by --data-dir or the environment variable RAMDA_DATA"
        )
    return path
