"""Files that are written whole or not at all, and whether a folder takes them."""

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

#: The permissions of a file that is written here: everybody may read it.
READABLE = 0o644


def write_whole(path: Path, content: str | bytes | Callable[[IO[bytes]], object]) -> Path:
    """Write a file beside its place and move it there, so that a reader never meets half of it; returns ``path``.

    Arguments:
        path: the file; its folder must exist.
        content: text (written as UTF-8), bytes, or a function that writes into an open file.

    Raises:
        OSError: it cannot be written; then nothing of it is left, and what ``path`` held before is as it was.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, READABLE)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return path


def why_unwritable(folder: Path, names: Sequence[str] = ()) -> str | None:
    """Why files of these names cannot be written into ``folder``, which is made where it is missing; None if they can.

    A file without a name is made and vanishes again; nothing else is touched.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return error.strerror or str(error)
    return next((f"{name} is a folder there" for name in names if (folder / name).is_dir()), None)
