"""Where the output of code under test goes: to standard error, since standard output is for the verdict."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

OUTPUT, ERROR = 1, 2


@contextmanager
def printed_to_stderr() -> Iterator[None]:
    """Within the context ``print`` writes to standard error, and so does what writes to the descriptor itself."""
    sys.stdout.flush()
    kept = os.dup(OUTPUT)
    try:
        os.dup2(ERROR, OUTPUT)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, OUTPUT)
        os.close(kept)
