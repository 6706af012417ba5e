"""``python -m ramda_verify`` is the command ``ramda-verify``."""

from ramda_verify.cli import main

main()
