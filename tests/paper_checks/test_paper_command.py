"""ramda-verify paper: listing, choosing, exit codes, paper.json."""

import json
import math
from typing import Any

import pytest
import typer
from matplotlib.figure import Figure
from typer.testing import CliRunner

from paper_checks import registry
from paper_checks.claim import Claim, Evidence, Kind, Settings
from paper_checks.commands import paper
from paper_checks.outcome import check_claims
from ramda_verify.engine.record import Verdict


def invoke(*arguments):
    app = typer.Typer()
    app.command()(paper)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def claim(name, check):
    return Claim(name, name, "nowhere", "nothing [said]", Kind.UPPER, check)


def use(monkeypatch, **checks):
    claims = tuple(claim(name, check) for name, check in checks.items())
    monkeypatch.setattr(registry, "CLAIMS", claims)
    monkeypatch.setattr(registry, "BY_ID", {one.id: one for one in claims})


def verdict(which, **more):
    return lambda settings: Evidence(which, **more)


def test_the_registry_is_listed():
    result = invoke("--list")
    assert result.exit_code == 0
    assert all(name in result.output for name in registry.BY_ID)
    assert len(registry.BY_ID) == len(registry.CLAIMS)


def test_an_unknown_claim_names_the_known_ones():
    result = invoke("theorem1-rate", "theorem9")
    assert result.exit_code == 2
    words = "".join(result.output.replace("│", " ").split())
    assert "theorem9" in words
    assert all(name in words for name in registry.BY_ID)


def test_a_real_claim_and_its_report(tmp_path):
    result = invoke("erratum-equation10-square", "--report", tmp_path / "new", "--seed", 3)
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "new" / "paper.json").read_text(encoding="utf-8"))
    (row,) = document["claims"]
    assert (document["schema"], document["seed"], row["id"], row["verdict"]) == (
        1,
        3,
        "erratum-equation10-square",
        "pass",
    )
    assert row["numbers"]["L1"]["printed_fails"] > 0
    assert (tmp_path / "new" / row["picture"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("which", "code"), [(Verdict.PASS, 0), (Verdict.SKIP, 0), (Verdict.FAIL, 1), (Verdict.INCONCLUSIVE, 1)]
)
def test_exit_codes_and_reasons(monkeypatch, which, code):
    use(monkeypatch, good=verdict(Verdict.PASS), other=verdict(which, detail="for [a] reason"))
    result = invoke()
    assert result.exit_code == code
    assert "for [a] reason" in result.output


def test_only_what_is_named_is_checked(monkeypatch):
    use(monkeypatch, bad=verdict(Verdict.FAIL), good=verdict(Verdict.PASS))
    assert invoke("good").exit_code == 0
    assert invoke("bad", "good").exit_code == 1


def test_a_check_that_raises_is_inconclusive_and_the_others_go_on():
    def broken(settings):
        raise KeyError("no such thing")

    said: list[str] = []
    outcomes = list(
        check_claims([claim("broken", broken), claim("good", verdict(Verdict.PASS))], Settings(progress=said.append))
    )
    assert [one.evidence.verdict for one in outcomes] == [Verdict.INCONCLUSIVE, Verdict.PASS]
    assert "KeyError" in outcomes[0].evidence.detail
    assert said == ["broken", "good"]


def test_numbers_that_json_has_not(monkeypatch, tmp_path):
    use(monkeypatch, odd=verdict(Verdict.FAIL, numbers={"a": math.inf, 2: (math.nan, 1)}, picture=Figure()))
    assert invoke("--report", tmp_path).exit_code == 1
    (row,) = json.loads((tmp_path / "paper.json").read_text(encoding="utf-8"))["claims"]
    assert row["numbers"] == {"a": "inf", "2": ["nan", 1]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.png", "paper.json"]


def test_a_report_folder_that_is_a_file(monkeypatch, tmp_path):
    called: list[Any] = []
    use(monkeypatch, one=called.append)
    (tmp_path / "file").touch()
    result = invoke("--report", tmp_path / "file")
    assert result.exit_code == 2
    assert "--report" in result.output
    assert not called
