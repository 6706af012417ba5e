"""``python -m ramda_verify`` is the command ``ramda-verify``."""

import sys
from pathlib import Path

from ramda_verify.engine.plug_in_path import look_in

if not sys.flags.safe_path:
    # Python puts the working directory first, where a folder of the user's may be called as a package of ours.
    sys.path.pop(0)
    look_in(Path.cwd())

from ramda_verify.cli import main

main()
