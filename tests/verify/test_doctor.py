"""What ``ramda-verify doctor`` says of a machine, and of what is broken on it."""

import json
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from ramda_verify import cli
from ramda_verify.output import doctor, machine
from solvers.kernels.native import library

GROUPS = ("commands", "regularizers")


def words(*arguments: str) -> str:
    found = CliRunner().invoke(cli.app, ["doctor", *arguments])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_both_forms_say_the_same() -> None:
    found = json.loads(words("--format", "json"))
    text = words()
    for name in ("torch", "numpy", "typer"):
        assert f"{name} {found['versions'][name]}" in " ".join(text.split())
    for extra in found["extras"]:
        assert f"extra {extra}: " in text
    for build, state in found["kernels"]["native"]["builds"].items():
        assert f"{build}: {state}" in " ".join(text.split())
    assert all(len(line) <= doctor.WIDTH or "/" in line for line in text.splitlines())


def test_builds_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three builds one is not for this processor, one is not there and one runs."""
    monkeypatch.setattr(library, "machine_builds", lambda: ("avx2", "baseline"))
    monkeypatch.setattr(library, "path_of", lambda build: None if build == "avx2" else build)
    monkeypatch.setattr(library, "load", lambda builds: object())
    native = doctor.findings()["kernels"]["native"]
    assert native["used"] == "baseline"
    assert native["builds"]["baseline"] == doctor.RUNS
    assert native["builds"]["avx2"] == "not built"
    assert "instructions" in native["builds"]["avx512"]


@pytest.mark.parametrize("compiler", ["/somewhere/c++", None])
def test_without_any_build(compiler: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "path_of", lambda build: None)
    monkeypatch.setattr("shutil.which", lambda name: compiler)
    text = " ".join(words().split())
    assert "plain torch steps" in text
    assert f"C++ compiler: {compiler or 'none found'}" in text


def test_builds_of_other_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "path_of", lambda build: build)
    monkeypatch.setattr(library, "load", lambda builds: None)
    native = doctor.findings()["kernels"]["native"]
    assert native["used"] is None
    assert "other sources" in native["builds"]["baseline"]


def test_entry_points_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("mine", "no_such_module_of_anybody:Thing", "ramda_verify.regularizers")
    monkeypatch.setattr(doctor, "entry_points", lambda group: [broken])
    found = doctor.findings()["entry_points"]
    assert set(found) == set(GROUPS)
    assert "ModuleNotFoundError" in found["regularizers"]["mine"]
    assert "mine cannot be loaded: ModuleNotFoundError" in " ".join(words().split())


def test_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMDA_DATA", "my-data")
    monkeypatch.setenv("RAMDA_CACHE", "my-optima")
    text = words()
    assert "my-data" in text
    assert "my-optima" in text


def test_facts_of_the_machine() -> None:
    facts = machine.facts()
    assert facts["processors"] >= machine.usable_processors() >= 1
    assert 0 < machine.available_memory() <= machine.memory()
    assert machine.version_of("no-such-package-of-anybody") == machine.ABSENT
    assert machine.processor()
    assert machine.load() >= 0
