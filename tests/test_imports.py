"""The floors of the house: who may import whom, read from the source."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("solvers", "ramda_verify", "experiments", "paper_checks", "tests")
FILES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))
HEAVY = ("cvxpy", "mpmath", "hypothesis", "sklearn", "matplotlib", "triton")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    yield from names_in(path.read_text(encoding="utf-8"), package)


def names_in(source: str, package: list[str]) -> Iterator[str]:
    """Full names of all modules that a source of ``package`` imports, anywhere in it; relative imports resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module or "") if part)
            # A submodule may hide in the list of names; that it may also be a function does no harm here.
            yield stem
            yield from (f"{stem}.{name.name}" for name in node.names)


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def of(package: str) -> list[Path]:
    return [path for path in FILES if inside(module_of(path), package)]


def offences(files: list[Path], *forbidden: str, except_for: str = "") -> list[str]:
    return [
        f"{module_of(path)} imports {name}"
        for path in files
        for name in imported(path)
        if any(inside(name, package) for package in forbidden) and not (except_for and inside(name, except_for))
    ]


def test_the_reader_sees_every_form_of_import():
    source = "import a.b\nfrom c import d\nfrom . import e\ndef f():\n    import g\n    from ..h import i as j\n"
    found = set(names_in(source, ["top", "inner"]))
    assert {"a.b", "c", "c.d", "top.inner.e", "g", "top.h", "top.h.i"} <= found


def test_there_is_something_to_read():
    assert len(FILES) > 80
    assert all(of(package) for package in OURS)


def test_solvers_need_torch_and_nothing_else():
    allowed = {"torch", "solvers", *sys.stdlib_module_names}
    strangers = [
        f"{module_of(path)} imports {name}"
        for path in of("solvers")
        for name in imported(path)
        if name.split(".")[0]
        not in (allowed | {"triton"} if inside(module_of(path), "solvers.kernels.gpu") else allowed)
    ]
    assert strangers == []


def test_oracles_import_nothing_that_they_judge():
    judged = ("solvers", "ramda_verify", "experiments", "paper_checks", "torch")
    found = offences(of("ramda_verify.oracles"), *judged, except_for="ramda_verify.oracles")
    plain = ("ramda_verify.output.folders", "ramda_verify.output.writing")
    assert [offence for offence in found if not offence.split()[-1].startswith(plain)] == []
    for name in plain:  # files and folders, which know nothing of the rest
        assert offences(of(name), *judged) == []


def test_upper_floors_are_not_imported_from_below():
    assert offences(of("ramda_verify"), "experiments", "paper_checks") == []
    assert offences(of("experiments"), "paper_checks") == []


def test_nothing_imports_tests():
    assert offences([path for path in FILES if not inside(module_of(path), "tests")], "tests", "conftest") == []


def test_files_are_short():
    lengths = {module_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


#: What is done in one place, and the only files that may do it. Writing into /proc asks the kernel, and keeps nothing.
IN_ONE_PLACE = {
    r"os\.replace\(|mkstemp\(|\.touch\(|TemporaryFile\(|\.write_(text|bytes)\(": (
        *("ramda_verify.output.writing", "experiments.bench.memory"),
    ),
    r"cpu_count\(|getloadavg\(|sched_getaffinity\(|sysconf\(|import (psutil|cpuinfo)|/proc/(cpuinfo|meminfo)": (
        "ramda_verify.output.machine",
    ),
}


@pytest.mark.parametrize("pattern", IN_ONE_PLACE)
def test_what_is_done_in_one_place(pattern):
    files = [path for path in FILES if not inside(module_of(path), "tests")]
    found = {module_of(path) for path in files if re.search(pattern, path.read_text(encoding="utf-8"))}
    assert found == set(IN_ONE_PLACE[pattern])


def test_importing_solvers_pulls_in_no_tool_of_the_verifier():
    code = f"import sys, solvers; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
