"""The arguments that an object was made with, and when two objects are alike."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from ramda_verify.engine.arguments import (
    alike,
    arguments_of,
    attributes,
    constructor_arguments,
    differing,
    rebuilt,
)


class Nothing:
    """Has no constructor of its own."""


class Kept:
    def __init__(self, weight, name="n", *rest, shape=(3,), **more):
        self.weight, self._name, self.shape, self.other = weight, name, shape, 7


class Behind:
    """Keeps an argument under both names; the plain one counts."""

    def __init__(self, weight):
        self._weight, self.weight = 2 * weight, weight


class ByProperty:
    def __init__(self, weight):
        self.halved = weight / 2

    @property
    def weight(self):
        return 2 * self.halved


class Forgets:
    def __init__(self, weight, optional=None):
        self.twice = 2 * weight


class ForgetsWhatIsOptional:
    def __init__(self, weight, optional=None):
        self.weight = weight


class ByPosition:
    def __init__(self, weight, /):
        self.weight = weight


class Slots:
    __slots__ = ("__weakref__", "empty", "weight")

    def __init__(self, weight):
        self.weight = weight


class MoreSlots(Slots):
    __slots__ = ("name",)

    def __init__(self, weight, name):
        super().__init__(weight)
        self.name = name


@dataclass
class Data:
    weight: float
    made: float = field(init=False, default=3.0)
    name: str = "n"


@pytest.mark.parametrize(
    ("thing", "kept", "values"),
    [
        (Nothing(), {}, {}),
        (
            Kept(2.0, "m", 5, shape=(1,), extra=1),
            {"weight": "weight", "name": "_name", "shape": "shape"},
            {"weight": 2.0, "name": "m", "shape": (1,)},
        ),
        (Behind(3.0), {"weight": "weight"}, {"weight": 3.0}),
        (ByProperty(5.0), {"weight": "weight"}, {"weight": 5.0}),
        (Forgets(1.0), None, {}),
        (ForgetsWhatIsOptional(1.0), {"weight": "weight"}, {"weight": 1.0}),
        (ByPosition(1.0), None, {}),
        (MoreSlots(1.0, "s"), {"weight": "weight", "name": "name"}, {"weight": 1.0, "name": "s"}),
        (Data(4.0), {"weight": "weight", "name": "name"}, {"weight": 4.0, "name": "n"}),
    ],
    ids=lambda x: type(x).__name__,
)
def test_arguments_are_read_from_what_keeps_them(thing, kept, values):
    assert constructor_arguments(thing) == kept
    assert arguments_of(thing) == values


def test_attributes_are_those_of_slots_and_of_the_object():
    assert attributes(Kept(2.0)) == {"weight": 2.0, "_name": "n", "shape": (3,), "other": 7}
    assert attributes(MoreSlots(1.0, "s"))["weight"] == 1.0
    assert attributes(MoreSlots(1.0, "s"))["name"] == "s"
    assert "empty" not in attributes(Slots(1.0))
    assert attributes(3.0) == {}


def test_an_object_is_rebuilt_with_other_arguments():
    thing = Kept(2.0, "m")
    other = rebuilt(thing, {"weight": 5.0})
    assert (type(other), other.weight, other._name, thing.weight) == (Kept, 5.0, "m", 2.0)
    assert rebuilt(thing, {}) is thing
    forgets = Forgets(1.0)
    assert rebuilt(forgets, {}) is forgets
    with pytest.raises(ValueError, match="Forgets"):
        rebuilt(forgets, {"weight": 2.0})
    with pytest.raises(TypeError):
        rebuilt(Behind(1.0), {"no_such": 2.0})


class Box:
    """Equal to itself alone; so is what it looks like."""

    def __init__(self, inside: Any, more: Any = None) -> None:
        self.inside = inside
        if more is not None:
            self.more = more


def boxes(count: int, inside: Any = 0) -> Any:
    for _ in range(count):
        inside = Box(inside)
    return inside


class Unanswered:
    def __init__(self, words):
        self.words = words

    def __eq__(self, other):
        raise RuntimeError("no answer")

    def __repr__(self):
        return self.words


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (torch.ones(2), torch.ones(2), True),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), False),
        (torch.ones(2), torch.tensor([1.0, 2.0]), False),
        (torch.ones(2), torch.ones(1, 2), False),
        (np.ones(2), np.ones(2), True),
        (np.ones(2), np.array([1.0, 2.0]), False),
        (1, 1.0, True),
        (1, 2, False),
        ("a", "a", True),
        (math.nan, float("nan"), True),  # which look the same
        (None, 0, False),
        ([Box(1), 2], [Box(1), 2], True),
        ([Box(1), 2], [Box(2), 2], False),
        ([Box(1), 2], [Box(1), 3], False),
        ([Box(1)], [Box(1), Box(1)], False),
        ([Box(1)], (Box(1),), False),
        ((Box(1),), (Box(1),), True),
        ({"a": Box(1)}, {"a": Box(1)}, True),
        ({"a": Box(1)}, {"a": Box(2)}, False),
        ({"a": Box(1)}, {"b": Box(1)}, False),
        ({"a": Box(1)}, {"a": Box(1), "b": Box(1)}, False),
        ({"a": Box(1), "b": Box(1)}, {"a": Box(1), "b": Box(2)}, False),
        (Box(1), Box(1), True),
        (Box(torch.ones(2)), Box(torch.ones(2)), True),
        (Box(1), Box(2), False),
        (Box(1, "more"), Box(1), False),
        (Box(1), Slots(1), False),
        (Nothing(), Nothing(), False),  # nothing is known of either
        (Unanswered("the same"), Unanswered("the same"), True),
        (Unanswered("one"), Unanswered("another"), False),
        ([Box(1), torch.ones(2)], [Box(1), torch.ones(2)], True),
        ([torch.ones(2), 1], [torch.ones(2), 1], True),
        ([torch.ones(2), 1], [torch.ones(2), 2], False),
    ],
)
def test_what_is_alike(one, other, expected):
    assert alike(one, other) is expected
    assert alike(other, one) is expected
    assert alike(one, one)


@pytest.mark.parametrize("wrapped", [Box, lambda x: [x], lambda x: (x,), lambda x: {"a": x}])
def test_objects_within_objects_are_compared_to_a_depth(wrapped):
    """Five levels; what is deeper is equal or looks the same, or is not alike."""

    def nested(levels):
        return boxes(levels - 1, wrapped(Box(0)))

    assert alike(nested(4), nested(4))
    assert not alike(nested(5), nested(5))
    assert alike(boxes(5, 0), boxes(5, 0))
    assert not alike(boxes(5, 0), boxes(5, 1))
    assert alike(boxes(4, [1, (2, {"a": 3})]), boxes(4, [1, (2, {"a": 3})]))


def test_an_object_that_holds_itself_is_compared():
    one, other = Box(0), Box(0)
    one.inside, other.inside = one, other
    assert not alike(one, other)


def test_the_attributes_that_differ_are_named():
    one, other = Kept(2.0, "m", shape=[Box(1)]), Kept(3.0, "m", shape=[Box(1)])
    assert differing(one, other) == {"weight"}
    vars(other)["added"] = 1
    del other.other
    assert differing(one, other) == {"weight", "added", "other"}
    assert differing(boxes(6), boxes(6)) == set()
    assert differing(boxes(7), boxes(7)) == {"inside"}
