"""``python -m tests.mutation``: small changes of our own sources, one at a time; a test must notice each of them.

A seeded sample of the changes that cosmic-ray makes is drawn from the core and from the parts of the verifier that
judge. Each is applied to a copy of the sources in a temporary folder, and the tests that run the changed line are run
on it, those that belong to the file first. Survivors are listed with what differs: a test is missing, or nothing that
can be observed has changed; then the change goes into ``equivalent.toml`` with the reason, and out of the percentage.

The first run records which test runs which line, which takes as long as all tests; later runs record the test files
that have changed. Needs ``cosmic-ray`` and ``coverage``. Exit status 1 where fewer than 95 % die.
"""

from pathlib import Path

from tests.mutation.command import run
from tests.mutation.project import Project

JUDGES = ("engine", "checks", "oracles", "cases", "proof")
OURS = Project(
    root=Path(__file__).resolve().parents[2],
    parts={"solvers": ("solvers",), **{part: (f"ramda_verify/{part}",) for part in JUDGES}},
    tests=("tests/**/test_*.py",),
)

if __name__ == "__main__":
    run(OURS)
