"""What psi is as a sum of atoms: which classes are known, its values, and the shapes that other judges ask for."""

import dataclasses
import math
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from ramda_verify.oracles import psi
from ramda_verify.oracles.answer import failure
from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.atoms.functions import ABS, COUNT, SQUARE, quadratic
from ramda_verify.oracles.challenger import challenge_prox
from ramda_verify.oracles.enclosure import enclose
from ramda_verify.oracles.index_sets import every
from ramda_verify.oracles.lazily import lazily
from ramda_verify.oracles.logistic_problem import LogisticProblem
from solvers import L1
from tests.oracles.stand_ins import named, sparse_group_lasso

PAIRS = [Norm(2.0, np.array([0, 2])), Norm(3.0, np.array([3, 1]))]
OVER_ALL, OVER_SOME = Scalar(0.5, np.arange(4), ABS), Scalar(0.5, np.array([1, 3]), ABS)
SINGLE = [(0.5, [0]), (0.5, [1]), (0.5, [2]), (0.5, [3])]
TWO = [(2.0, [0, 2]), (3.0, [3, 1])]


@pytest.mark.parametrize(
    ("atoms", "norms", "entry_price"),
    [
        (PAIRS, TWO, 0.0),
        ([OVER_ALL, *PAIRS], TWO, 0.5),
        ([*PAIRS, OVER_ALL, OVER_ALL], TWO, 1.0),
        ([OVER_ALL], SINGLE, 0.0),
        ([OVER_SOME, PAIRS[0]], [(0.5, [1]), (0.5, [3]), (2.0, [0, 2])], 0.0),
        ([], [], 0.0),
    ],
    ids=["norms", "norms and entries", "twice the entries", "entries", "other entries", "nothing"],
)
def test_norms_with_one_price_of_all_entries(atoms, norms, entry_price):
    found = psi.priced_entries(atoms, 4)
    assert [(price, indices.tolist()) for price, indices in found.norms] == norms
    assert found.entry_price == entry_price


@pytest.mark.parametrize(
    "atoms",
    [
        [OVER_SOME, *PAIRS],
        [OVER_ALL, OVER_ALL],
        [PAIRS[0], PAIRS[0]],
        [OVER_ALL, PAIRS[0], PAIRS[0]],
        [Scalar(0.5, np.arange(4), SQUARE), *PAIRS],
        [Scalar(0.5, np.array([0, 1, 1, 3]), ABS), *PAIRS],
        [Spectral(1.0, np.arange(4), (2, 2), ABS)],
        [Simplex(np.array([1, 3]), 1.0), PAIRS[0]],
        [Scalar(0.5, np.arange(4), COUNT)],
    ],
)
def test_no_such_sum(atoms):
    assert psi.priced_entries(atoms, 4) is None


def test_one_atom_of_singular_values_and_nothing_else():
    spectral = Spectral(1.0, np.arange(4), (2, 2), ABS)
    assert psi.spectral_atom([spectral]) is spectral
    assert psi.spectral_atom([]) is None
    assert psi.spectral_atom([PAIRS[0]]) is None
    assert psi.spectral_atom([spectral, spectral]) is None
    assert psi.spectral_atom([spectral, PAIRS[0]]) is None


def test_a_penalty_without_weight_is_no_atom():
    """So that it is convex, as nothing is."""
    assert psi.atoms_of(named("MCP", reg_weight=0.0, gamma=2.0), (3,)) == ()
    (atom,) = psi.atoms_of(named("MCP", reg_weight=0.5, gamma=2.0), (3,))
    assert not atom.convex
    assert psi.atoms_of(named("Zero"), (3,)) == ()


def test_a_class_is_known_by_its_name_and_its_module():
    assert psi.name_of(named("L1")) == "L1"
    assert psi.name_of(named("L2")) is None
    elsewhere = type("L1", (), {"__module__": "solverstack.regularizers"})()
    assert psi.name_of(elsewhere) is None
    assert not psi.is_known(elsewhere)
    assert psi.is_known(named("L1"))
    for atoms, known in (([], True), ((OVER_ALL,), True), ([OVER_ALL, L1(1.0)], False), ({OVER_ALL}, False)):
        assert psi.is_known(atoms) == known
    assert psi.atoms_of([OVER_ALL, *PAIRS], (4,)) == (OVER_ALL, *PAIRS)
    groups: Any = psi.atoms_of(sparse_group_lasso(0.25, 0.5), (3, 2))
    assert [type(atom) for atom in groups] == [Scalar, Norm, Norm]
    assert groups[1].factors == (0.5, 3)
    scaled: Any = psi.scaled_atoms([OVER_ALL, *PAIRS], (4,), 3.0)
    assert [atom.price for atom in scaled] == [1.5, 6.0, 9.0]
    scaled = psi.scaled_atoms(named("GroupLasso", **vars(sparse_group_lasso(0, 0.5))), (3, 2), 2.0)
    assert scaled[0].factors is None


class Square:
    """Brings a model of its own."""

    def as_cvxpy(self, x):
        return cp.sum_squares(x)


class Nowhere:
    def as_cvxpy(self, x):
        return cp.sum(cp.Parameter(x.shape) + x)


def test_values_by_a_model_come_first():
    x = np.array([[1.0, -2.0], [0.5, 0.0]])
    assert psi.model_value(x, Square()) == pytest.approx(5.25)
    assert psi.model_value(x, L1(0.5)) == pytest.approx(1.75)
    assert math.isnan(psi.model_value(x, Nowhere()))
    assert [psi.has_model(r) for r in (Square(), L1(0.5), [], object())] == [True, True, True, False]
    with_both = L1(0.5)
    vars(with_both)["as_cvxpy"] = cp.sum_squares
    assert psi.model_value(x, with_both) == pytest.approx(5.25)


@pytest.mark.parametrize(("size", "outside"), [(0, False), (63, False), (66, True)])
def test_a_point_off_a_set_by_roundings_is_on_it(size, outside):
    """64 roundings of the sum of sizes, which is 1 here, and the distance is that of the second entry."""
    atoms = [Simplex(np.array([0]), 1.0)]
    z = np.array([1.0 + size * 2.0**-52])
    assert psi.is_outside(z, atoms) == outside
    assert psi.total(z, atoms) == (math.inf if outside else 0.0)
    assert not psi.is_outside(np.zeros(2), [])
    assert psi.is_outside(np.zeros(1), atoms)
    assert psi.violation(np.array([2.0]), atoms) == 1.0


def test_what_is_said_cannot_be_changed():
    """Answers, atoms and problems are shared by judges; two atoms are the same only if they are one."""
    ones = np.ones(2)
    found: list[Any] = [
        failure("no luck"),
        challenge_prox(lambda x: 0.0, ones, 1.0, ones, polish=False),
        *(OVER_ALL, PAIRS[0], Simplex(every((2,)), 1.0), Spectral(1.0, np.arange(4), (2, 2), ABS)),
        *(ABS, quadratic(0.0, 1.0, 1.0, 0.0, 0.0)),
        enclose(ones, ones, ones, 1.0, [Norm(1.0, np.arange(2))]),
        LogisticProblem(np.ones((1, 1)), np.zeros(1, dtype=np.int64), 2, 1.0),
    ]
    for one in found:
        name = dataclasses.fields(one)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, None)
    for atom in found[2:6]:
        copy = dataclasses.replace(atom)
        assert atom != copy
        assert len({atom, copy}) == 2


def test_a_module_is_imported_when_it_is_first_asked_for(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    later = lazily("colorsys")
    assert "colorsys" not in sys.modules
    assert later.rgb_to_hsv(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0)
    assert "colorsys" in sys.modules
    stand_in = type(sys)("colorsys")
    vars(stand_in)["answer"] = 42
    monkeypatch.setitem(sys.modules, "colorsys", stand_in)
    assert later.answer == 42
    with pytest.raises(AttributeError):
        _ = later.nothing
