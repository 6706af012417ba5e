"""What every atom and every part of an enclosure has to bring, and what it is taken for where it says nothing."""

import numpy as np
import pytest

from ramda_verify.oracles.atoms import Atom
from ramda_verify.oracles.enclosure.part import Part

ATOM = (
    "scaled",
    "value",
    "exact_value",
    "joint_expression",
    "residual",
    "multiplier",
    "conjugate",
    "minimiser",
    "exact_minimiser",
)
PART = ("member", "value")


def brought(*names):
    return {name: lambda *given: None for name in names}


@pytest.mark.parametrize(
    ("kind", "names", "missing"),
    [*((Atom, ATOM, name) for name in ATOM), *((Part, PART, name) for name in PART)],
)
def test_what_lacks_one_member_cannot_be_made(kind, names, missing):
    made = type("Whole", (kind,), {**brought(*names), "__init__": lambda self: None})
    assert isinstance(made(), kind)
    unfinished = type("Unfinished", (kind,), {"__init__": lambda self: None, **brought(*(set(names) - {missing}))})
    with pytest.raises(TypeError, match=missing):
        unfinished()


def test_an_atom_is_finite_everywhere_couples_its_entries_and_knows_no_short_cut():
    atom = type("Plain", (Atom,), brought(*ATOM))()
    z = np.array([1.0, -2.0])
    assert atom.violation(z) == 0.0
    assert atom.feasible(z).tolist() == [1.0, -2.0]
    assert atom.thresholds(z) is None
    assert atom.shortened(z, lambda length, cost: length) is None
    assert (atom.separable, atom.any_metric) == (False, True)


def test_a_part_comes_to_a_point_in_one_way_and_holds_every_entry():
    part = type("Plain", (Part,), {"__init__": lambda self: None, **brought(*PART)})()
    assert list(part.choices([], 0.5)) == [part]
    assert part.nearby([]) is None
    assert part.refined([], [], []) is None
    assert part.least([], []) is None
    assert part.bend(["first", "second"]) == ([None, None], None, None)
    assert part.change([], []) == 0
