"""Wheel and source archive, built and installed in an environment that has nothing else of this project."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from solvers.kernels.native.library import machine_builds

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGES, FILES = (
    ("solvers", "ramda_verify", "experiments", "paper_checks"),
    ("pyproject.toml", "setup.py", "README.md", "LICENSE"),
)
#: What is no source.
LEFT_OUT = shutil.ignore_patterns("*.so", "__pycache__")


def done(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed; no variable points it to this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive alone, which is built from the sources."""
    folder = tmp_path_factory.mktemp("build")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "sources" / package, ignore=LEFT_OUT)
    for file in FILES:
        shutil.copy(ROOT / file, folder / "sources")
    program = f"from setuptools import build_meta; print(build_meta.build_sdist({str(folder)!r}))"
    name = done(sys.executable, "-c", program, cwd=folder / "sources").splitlines()[-1]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation")
    done(*pip, "--wheel-dir", folder, folder / name, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel; its other packages are those of the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", programs / "python")
    done(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = folder.rglob("site-packages")
    # Behind the wheel on the path. Files .pth there, as of an editable install, are not read.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "solvers/py.typed",
        "ramda_verify/py.typed",
        "ramda_verify/output/page.html.j2",
        "ramda_verify/cases/recorded/steps.npz",
    ):
        assert wanted in names
    assert any(name.startswith("experiments/configs/") and name.endswith(".toml") for name in names)
    assert any(name.startswith("solvers/kernels/native/cpp/builds/") for name in names)
    assert not any(name.startswith("tests") for name in names)


def test_the_library_is_imported_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    place = done(installed / "python", "-c", "import solvers; print(solvers.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(installed.parent)


@pytest.mark.parametrize("program", [("ramda-verify",), ("python", "-m", "ramda_verify")])
def test_commands(program: tuple[str, ...], installed: Path, tmp_path: Path) -> None:
    command = (installed / program[0], *program[1:])
    shown = done(*command, "--help", cwd=tmp_path)
    assert all(name in shown for name in ("run", "check", "prove", "doctor", "train", "paper"))
    shown = " ".join(done(*command, "doctor", cwd=tmp_path).split())
    if shutil.which("c++") is not None:
        assert all(f"{build}: runs" in shown for build in machine_builds())
    assert "cannot be loaded" not in shown


def test_a_check_of_a_regularizer_of_ones_own(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Ridge:\n"
        "    def value(self, w):\n        return 0.5 * w.square().sum()\n\n"
        "    def prox(self, w, step):\n        return w / (1 + step)\n"
    )
    shown = done(
        *(installed / "ramda-verify", "check", "mine.py:Ridge", "--quick", "--only", "prox-minimises"), cwd=tmp_path
    )
    assert "no fault found" in shown
