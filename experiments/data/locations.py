"""Where data files are looked for."""

from pathlib import Path

from ramda_verify.output.folders import data_folder


def find_file(file_name: str, contents: str, data_dir: Path | None) -> Path:
    """The path of ``file_name`` in ``data_dir``, or where that is None in the user's data folder.

    Raises FileNotFoundError that says which file, with what in it, is missing where.
    """
    path = (data_folder() if data_dir is None else data_dir) / file_name
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no data file {path}: put {file_name} there, a NumPy archive with {contents}, or name its folder "
            "by --data-dir or the environment variable RAMDA_DATA"
        )
    return path
