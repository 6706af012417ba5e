"""The table of starting weights: its two ends are those that reg_weight_max promises."""

from dataclasses import replace

import pytest

from experiments import starting_weights


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
def test_table(tmp_path, monkeypatch):
    case = replace(starting_weights.CASES[0], epochs=20)
    monkeypatch.setattr(starting_weights, "CASES", [case])
    monkeypatch.setattr(starting_weights, "SHARES", [0.01, 1.0])
    monkeypatch.setattr(starting_weights, "RESULT", tmp_path / "result.md")
    starting_weights.main()
    row = (tmp_path / "result.md").read_text(encoding="utf-8").splitlines()[-1]
    good, dead = ([float(number) for number in cell.split("/")] for cell in row.strip("| ").split("|")[-2:])
    assert good[0] > 90
    assert good[1] < 60
    assert dead[0] < 20
    assert dead[1] == 100
