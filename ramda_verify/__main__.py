"""``python -m ramda_verify`` is the command ``ramda-verify``."""

import sys

if not sys.flags.safe_path:
    # Python puts the working directory first, where a folder of the user's may be called as a package of ours.
    sys.path.append(sys.path.pop(0))

from ramda_verify.cli import main

main()
