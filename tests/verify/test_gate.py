"""The gate's seed: from the commit, so that every landing tries new cases and the same commit the same ones."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"
#: A make that says what it was asked, and in which environment.
MAKE = '#!/bin/sh\necho "make $* RAMDA_TEST_SEED=${RAMDA_TEST_SEED:-unset}"\n'


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """The script in a folder of its own, with a make that only speaks."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci" / "run")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make").write_text(MAKE)
    (tmp_path / "bin" / "make").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("RAMDA_TEST_SEED", raising=False)
    return tmp_path


def run(gate, **environment):
    """The seed that the gate names, and the lines of make."""
    done = subprocess.run(
        [gate / ".ci" / "run"], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    first, *lines = done.stdout.splitlines()
    return int(re.match(r"seed (\d+) ", first)[1]), lines


def commit(gate, words):
    identity = ["-c", "user.name=a test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "--quiet"], [*identity, "commit", "--quiet", "--allow-empty", "-m", words]):
        subprocess.run(["git", *arguments], cwd=gate, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=gate, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git to make a commit with")
def test_seed_is_that_of_the_commit(gate):
    first = commit(gate, "one")
    seed, lines = run(gate)
    assert seed == int(first[:7], 16)
    assert lines == [
        "make lint RAMDA_TEST_SEED=unset",
        f"make verify ARGS=--quick --seed {seed} RAMDA_TEST_SEED=unset",
        f"make test RAMDA_TEST_SEED={seed}",
    ]
    assert run(gate)[0] == seed
    commit(gate, "two")
    assert run(gate)[0] != seed


def test_outside_git_it_is_drawn(gate):
    seed, lines = run(gate)
    assert lines[1:] == [
        f"make verify ARGS=--quick --seed {seed} RAMDA_TEST_SEED=unset",
        f"make test RAMDA_TEST_SEED={seed}",
    ]
    assert len({run(gate)[0] for _ in range(4)}) > 1


def test_given_seed_is_taken(gate):
    assert run(gate, RAMDA_TEST_SEED="17")[0] == 17
