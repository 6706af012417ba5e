"""The command on a made-up module of three lines that can be changed, each in one way."""

import re
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray and coverage come with the dev extra")
pytest.importorskip("coverage", reason="cosmic-ray and coverage come with the dev extra")

from tests.mutation import trial
from tests.mutation.command import main, outdated
from tests.mutation.mutations import mutations, sample
from tests.mutation.project import Project
from tests.mutation.record import RecordedTest, Records, in_turn

SOURCE = """
def both(left: bool | None, right: bool) -> bool | None:
    return left and right


def untested():
    return True


def passed_on(value):
    unused = False
    return value
"""
TESTS = """
from package.source import both, passed_on, untested


def test_both():
    assert not both(True, False)


def test_without_an_assertion():
    untested()
    passed_on(1)
"""
EQUIVALENT = """
["package/source.py"]
"no code reads the variable" = [["ReplaceFalseWithTrue", "unused = False", 0]]
"""


@pytest.fixture
def quick_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change is a process of pytest, which need not load the plug-ins that are installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def project(tmp_path: Path, quick_starts: None) -> Project:
    return project_of(tmp_path, SOURCE, TESTS)


def project_of(root: Path, source: str, tests: str) -> Project:
    """A project of one source and one test file."""
    for path, text in {"package/__init__.py": "", "package/source.py": source, "test_source.py": tests}.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return Project(root=root, parts={"package": ("package",)}, tests=("test_*.py",))


def equivalent(project: Project, text: str) -> None:
    project.equivalents.parent.mkdir(parents=True, exist_ok=True)
    project.equivalents.write_text(text, encoding="utf-8")


DRAWN = """
LEAST = 2
SHAPES = ((3, 4), *((1, n) for n in (5, 6)))
GROUPED_SHAPES: tuple[int, ...] = (7, 8)
cases = st.lists(st.integers(-3, 7), min_size=1).map(lambda found: found + [1] if x == 4 else [])


@check("name", share=0.5, tolerance=9)
def measured(case, count=3): ...


entry = -5 * rng.uniform(-2, 2)
"""


DECLARED = """
@dataclass(frozen=True, eq=False)
class Pair:
    one: int = 1

    def both(self, *, other):
        return [a + b == 2 for a, b in zip(self, other, strict=True)]

    @overload
    def third(self): ...


class Options(TypedDict, total=False):
    lr: float


class HasSize(Base, Protocol):
    @property
    def size(self, least=3): ...


if TYPE_CHECKING:
    import package
if Pair:
    third = 3
"""


def test_declarations_are_left_alone(tmp_path):
    project = project_of(tmp_path, DECLARED, TESTS)
    found = {(change.line, change.operator) for change in mutations(project.root, "package/source.py")}
    assert {line for line, operator in found if operator.startswith(("ReplaceTrue", "ReplaceFalse"))} == set()
    assert {(4, "NumberReplacer"), (7, "NumberReplacer"), (7, "ReplaceComparisonOperator_Eq_LtE")} <= found
    assert {line for line, operator in found if operator == "RemoveDecorator"} == {2}
    assert {line for line, operator in found if operator.startswith("ReplaceBinaryOperator_Mul")} == set()
    assert {line for line, operator in found if operator == "AddNot"} == {24}


def test_numbers_that_say_what_is_drawn_are_left_alone(tmp_path):
    """The numbers of the function that a strategy is mapped by are within its call, too."""
    project = project_of(tmp_path, DRAWN, TESTS)
    found = {(change.line, change.operator) for change in mutations(project.root, "package/source.py")}
    assert {line for line, operator in found if operator == "NumberReplacer"} == {2, 8, 9, 12}
    assert {line for line, operator in found if operator == "ReplaceUnaryOperator_USub_UAdd"} == {12}
    (sign,) = [change for change in mutations(project.root, "package/source.py") if "USub_UAdd" in change.operator]
    assert "+5 * rng.uniform(-2, 2)" in sign.applied(DRAWN)
    assert (5, "ReplaceComparisonOperator_Eq_LtE") in found
    (tolerance, *_) = [change for change in mutations(project.root, "package/source.py") if change.line == 8]
    assert "tolerance=9" not in tolerance.applied(DRAWN).splitlines()[7]


def test_one_is_killed_one_survives_and_one_is_equivalent(project, capfd):
    equivalent(project, EQUIVALENT)
    assert main(project, ["--sample", "9"]) == 1
    out = capfd.readouterr().out
    for place, verdict in {"3": "killed", "7": "survived", "11": "equivalent"}.items():
        assert any(f" {verdict} " in line for line in out.splitlines() if f"source.py:{place} " in line)
    assert "by test_source.py::test_both" in out
    assert "-     return True\n+     return False\n" in out
    assert out.splitlines()[-1].split() == ["all", "3", "1", "1", "1", "50.0%"]
    assert (project.root / "package" / "source.py").read_text(encoding="utf-8") == SOURCE

    # The survivor alone: with a test that was written since, and with the entry that was printed for it.
    (project.root / "test_source.py").write_text(TESTS + "\n\ndef test_the_result():\n    assert untested()\n")
    assert main(project, ["--again"]) == 0
    assert "by test_source.py::test_the_result" in capfd.readouterr().out
    entry = out[out.index('["package/source.py"]') : out.index("\n]\n") + 3].replace('""', '"for this test"')
    equivalent(project, entry)
    assert project.reasons() == {("package/source.py", "ReplaceTrueWithFalse", "return True", 0): "for this test"}
    assert outdated(project) == []
    equivalent(project, entry.replace("return True", "return None"))
    assert [key[2] for key in outdated(project)] == ["return None"]


def test_every_test_file_is_recorded_by_one_of_two_jobs(project, capfd):
    for name in ("a", "b"):
        text = f"from package.source import untested\n\n\ndef test_{name}():\n    assert untested()\n"
        (project.root / f"test_{name}.py").write_text(text, encoding="utf-8")
    assert main(project, ["--sample", "9", "--jobs", "2"]) == 1
    assert Records(project.root, project.results / "records", project.test_files()).missing() == []
    assert re.search("by test_([ab]).py::test_\\1", capfd.readouterr().out)


@pytest.mark.usefixtures("quick_starts")
def test_a_change_that_does_not_return_is_ended(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(trial, "GRACE", 1.0)
    source = "def looped():\n    while False:\n        pass\n"
    project = project_of(tmp_path, source, "from package.source import looped\n\n\ndef test_looped():\n    looped()\n")
    assert main(project, ["--sample", "9", "--only", "package/source.py"]) == 0
    assert " timed out " in capfd.readouterr().out


def test_cases_of_one_function_wait_for_other_functions():
    seconds = {"t::a[1]": 0.1, "t::a[2]": 0.25, "t::b[1]": 0.6, "t::b[2]": 0.4, "t::c": 0.3}
    order = in_turn(RecordedTest(name, took) for name, took in seconds.items())
    assert [test.name for test in order] == ["t::a[1]", "t::c", "t::b[2]", "t::a[2]", "t::b[1]"]


def test_a_sample_follows_the_seed_and_is_spread_over_the_files(tmp_path):
    (tmp_path / "package").mkdir()
    files = [f"package/{name}.py" for name in "abcd"]
    for file in files:
        lines = [f"    total = total * {number} + start" for number in range(20)]
        text = "\n".join(["def result(start: int | None, total: float):", *lines, "    return total", ""])
        (tmp_path / file).write_text(text, encoding="utf-8")
    drawn = sample(tmp_path, files, 20, seed=3)
    assert drawn == sample(tmp_path, files, 20, seed=3)
    assert drawn != sample(tmp_path, files, 20, seed=4)
    assert [change.file for change in drawn] == [file for file in files for _ in range(5)]
    assert all(change.line > 1 for file in files for change in mutations(tmp_path, file))


def test_no_change_is_tried_where_the_tests_fail_anyway(project, monkeypatch):
    """What a test needs may be missing in the copy; every change would seem to die of that."""
    (project.root / "test_source.py").write_text("import os\n\nos.environ['NEEDED']\n" + TESTS, encoding="utf-8")
    monkeypatch.setenv("NEEDED", "here")
    assert main(project, ["--sample", "9"]) == 1  # recorded where it passes
    monkeypatch.delenv("NEEDED")
    with pytest.raises(ValueError, match=r"(?s)unchanged sources.*NEEDED"):
        main(project, ["--sample", "9"])


def test_packages_on_the_path_of_the_user_are_found(project, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "neighbour.py").write_text("", encoding="utf-8")
    (project.root / "test_source.py").write_text("import neighbour\n" + TESTS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    assert main(project, ["--sample", "9"]) == 1


def test_refusals(project):
    with pytest.raises(ValueError, match=r"only .* package.*elsewhere"):
        main(project, ["--only", "elsewhere"])
    with pytest.raises(ValueError, match=r"sample .* 0"):
        main(project, ["--sample", "0"])
