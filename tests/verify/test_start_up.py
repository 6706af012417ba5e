"""What is imported before there is anything to compute: named modules, in processes of their own, and no times."""

import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest

import ramda_verify
import ramda_verify.checks
import ramda_verify.commands.check
import ramda_verify.commands.prove
import ramda_verify.proof
from ramda_verify import api, enclosing
from ramda_verify.oracles.lazily import lazily

#: Modules that take their time.
HEAVY = (
    *("torch", "numpy", "scipy", "hypothesis", "cvxpy", "clarabel", "sklearn", "matplotlib", "jinja2", "mpmath"),
    *("sympy", "z3", "flint", "transformers", "triton", "platformdirs", "threadpoolctl", "cpuinfo", "solvers"),
    *("joblib", "msgspec"),
)
#: Those that a check imports in every process, and those that torch imports where it meets a tensor without numbers.
NEEDED = ("torch", "numpy", "hypothesis", "solvers", "msgspec")
BY_TORCH = ("sympy", "mpmath", "triton", "flint", "scipy")
#: What single checks of a user's regularizer import when they run: the prover.
BY_CHECKS = ("z3",)


def imported_by(program: str, folder: Path | None = None) -> set[str]:
    """The heavy modules that a process has imported when ``program`` has run."""
    report = f"def report(): print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    code = f"import atexit, sys\n{report}\natexit.register(report)\n{program}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    assert found.returncode == 0, found.stderr
    return set(found.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in ("run", "check", "prove", "bench", "train", "paper"))]
)
def test_help_computes_nothing(arguments: list[str]) -> None:
    program = f"import sys; sys.argv[1:] = {arguments!r}\nfrom ramda_verify.cli import main\nmain()"
    assert imported_by(program) == set()


def test_the_package_by_itself() -> None:
    assert imported_by("import ramda_verify; ramda_verify.__version__; dir(ramda_verify)") == set()


def test_a_check_imports_what_it_runs(folder: Path) -> None:
    program = (
        "from ramda_verify.commands.watched import watched\n"
        "from ramda_verify.engine.runner import Run, prepare_worker\n"
        "from ramda_verify.engine.suite import check_jobs\n"
        "prepare_worker()\n"
        "jobs = check_jobs('good.py:Ridge')\n"
    )
    assert imported_by(program, folder) == set(NEEDED)
    ran = imported_by(f"{program}[Run(job, 1, 2)() for job in jobs]", folder)
    assert ran <= {*NEEDED, *BY_TORCH, *BY_CHECKS}


def test_a_refusal_computes_nothing(folder: Path) -> None:
    program = (
        "import sys; sys.argv[1:] = ['check', 'good.py:Ridge', '--format', 'xml']\nfrom ramda_verify.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert ended.code == 2"
    )
    assert "torch" not in imported_by(program, folder)


def test_offered_names_are_functions_whatever_else_is_imported() -> None:
    assert ramda_verify.check is api.check
    assert ramda_verify.battery is api.battery
    assert ramda_verify.enclose is enclosing.enclose
    assert ramda_verify.prove is ramda_verify.proof.prove
    assert (
        {"battery", "check", "enclose", "prove", "__version__"} == set(ramda_verify.__all__) <= set(dir(ramda_verify))
    )
    # A module of one of these names would take the place of the function as soon as it is imported.
    modules = {path.stem for path in Path(ramda_verify.__file__).parent.iterdir()}
    assert not modules & set(ramda_verify.__all__)
    with pytest.raises(AttributeError, match="no attribute 'chek'"):
        attrgetter("chek")(ramda_verify)


def test_a_module_that_is_imported_later() -> None:
    later = lazily("fractions")
    assert str(later.Fraction(1, 2)) == "1/2"
    with pytest.raises(ModuleNotFoundError):
        lazily("no_such_module_of_anybody").anything  # noqa: B018
