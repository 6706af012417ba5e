"""Where plug-ins and their neighbours are looked for: behind all that is installed, so that none of ours is hidden."""

import sys
from pathlib import Path

#: Where our own packages lie. An editable installation finds them by a hook that is asked after the whole path.
OURS = Path(__file__).parents[2]


def look_in(folder: Path) -> None:
    """Put a folder last on the path of imports, behind ours, in this process and in the workers that it starts."""
    for entry in (str(OURS), str(folder.resolve())):
        if entry not in sys.path:
            sys.path.append(entry)


def stranger() -> Path | None:
    """The folder of a package ``solvers`` that is not the one we came with, as PYTHONPATH may put before it."""
    import solvers  # with torch, which the command line starts without

    found, ours = Path(str(solvers.__file__)).parent, OURS / "solvers"
    return None if found.resolve() == ours.resolve() else found
