"""Checkouts are loaded from a path, leave nothing behind, and are refused where they are not what they should be."""

import sys
from types import ModuleType

import pytest
import torch

from experiments.bench.cases.newton import newton_rows
from experiments.bench.cases.nuclear import nuclear_case
from experiments.bench.cases.reference_step import continued, reference_rows
from experiments.bench.goals import NUCLEAR_OVER_OURS, REFERENCE_OVER_OURS
from experiments.bench.peers import PeerError, load_proxssi, load_reference
from experiments.bench.plan import Plan
from experiments.bench.rows import Skipped
from experiments.bench.shapes import Entry, ParameterList
from experiments.bench.workload import make_workload, parameters_of, warmed_up
from tests.bench.peer_samples import write_proxssi, write_reference

MATRICES = ParameterList("two", (Entry("columns", (6, 9), "input"), Entry("rows", (9, 6), "output")))
LAYERS = ParameterList("net", (Entry("conv", (4, 5, 3, 3), "channel"), Entry("fc", (3, 4), "input"), Entry("b", (3,))))
CPU = torch.device("cpu")


@pytest.fixture
def reference(tmp_path):
    return load_reference(write_reference(tmp_path / "reference"))


def plan(**peers):
    return Plan(quick=True, **peers)


def test_nothing_of_a_checkout_stays(tmp_path, monkeypatch):
    other = ModuleType("Core")
    monkeypatch.setitem(sys.modules, "Core", other)
    paths, modules, folder = list(sys.path), set(sys.modules), write_reference(tmp_path / "reference")
    loaded = load_reference(folder)
    assert loaded.ramda.__module__ == "Core.optimizer"
    assert sys.modules["Core"] is other
    assert sys.path == paths
    assert {name for name in set(sys.modules) - modules if name.startswith("Core")} == set()
    assert list(folder.rglob("*.pyc")) == []
    assert loaded.commit == "unknown"


def test_two_checkouts_do_not_meet(tmp_path):
    first = load_reference(write_reference(tmp_path / "first"))
    second = load_reference(write_reference(tmp_path / "second"))
    assert first.ramda is not second.ramda


@pytest.mark.parametrize(
    ("load", "words"),
    [(load_reference, ("--reference", "Core/solvers.py")), (load_proxssi, ("--proxssi", "proxssi/l1_l2.py"))],
)
def test_a_wrong_path_says_what_is_expected(tmp_path, load, words):
    with pytest.raises(PeerError) as caught:
        load(tmp_path / "nowhere")
    assert all(word in str(caught.value) for word in (*words, "nowhere"))


def test_a_checkout_that_cannot_be_imported(tmp_path):
    folder = write_proxssi(tmp_path)
    (folder / "proxssi" / "l1_l2.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(PeerError, match="cannot be imported: ModuleNotFoundError"):
        load_proxssi(folder)


def test_reference_continues_from_our_state(reference):
    workload = make_workload(LAYERS, CPU)
    ours = warmed_up(workload)
    theirs = continued(reference, workload, ours)
    kept = {tuple(param.shape): param for param in parameters_of(ours)}
    for param in parameters_of(theirs):
        assert torch.equal(param, kept[tuple(param.shape)])
        assert torch.equal(
            theirs.state[param]["grad_sum"].reshape(param.shape), ours.state[kept[tuple(param.shape)]]["grad_sum"]
        )
        assert param.grad is kept[tuple(param.shape)].grad


def test_reference_rows(reference):
    workload = make_workload(LAYERS, CPU)
    (row,) = reference_rows("four-layers", workload, warmed_up(workload), plan(reference=reference))
    assert (row.measure, row.goal) == (REFERENCE_OVER_OURS.name, "at least 30")
    # The miniature forgets its regularizer, and the judge sees it.
    assert row.detail["reference_residual"] > 1e-2


def test_newton_rows(tmp_path):
    peer = load_proxssi(write_proxssi(tmp_path))
    (row,) = newton_rows("groups-3", warmed_up(make_workload(MATRICES, CPU)), plan(proxssi=peer))
    assert row.low <= row.ratio <= row.high
    assert row.detail["residual"] < 1e-5 < row.detail["proxssi_residual"] < 1


def test_nuclear_rows(reference):
    (row,) = nuclear_case("nuclear", (12, 8, 5), plan(reference=reference))
    assert (row.measure, row.goal) == (NUCLEAR_OVER_OURS.name, "at least 5")
    assert row.detail["ours_residual"] <= 1.05e-4
    assert all(isinstance(count, int) for count in row.detail["reference_iterations"])


def test_nuclear_ratio_without_the_residual_does_not_hold(reference, monkeypatch):
    monkeypatch.setattr("experiments.bench.cases.nuclear.RESIDUAL_MARGIN", 1e-9)
    (row,) = nuclear_case("nuclear", (12, 8, 5), plan(reference=reference))
    assert row.holds is False


def test_without_a_checkout_that_is_said():
    workload = make_workload(LAYERS, CPU)
    ours = warmed_up(workload, steps=1)
    found = [
        *reference_rows("a", workload, ours, plan()),
        *newton_rows("a", ours, plan()),
        *nuclear_case("a", (4, 3), plan()),
    ]
    assert [entry.reason for entry in found if isinstance(entry, Skipped)] == [
        "no --reference given",
        "no --proxssi given",
        "no --reference given",
    ]
