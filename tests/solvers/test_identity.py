"""Which regularizer a saved state belongs to, in one process and in the next."""

import dataclasses
import functools
import subprocess
import sys
import textwrap
from enum import Enum, StrEnum

import numpy as np
import pytest
import torch

from solvers import L1, RAMDA, GroupLasso, NuclearNorm
from solvers.regularizers.identity import MAX_DEPTH, differences, identity_of, text_of


class Shape(Enum):
    ROUND = 1
    SQUARE = 2


class Plain:
    """value and prox, and attributes of many kinds."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.nn.functional.softshrink(w, step)

    def __repr__(self):
        return "Plain()"


class Slotted(Plain):
    __slots__ = ("weight",)

    def __init__(self, weight):
        self.weight = weight


class Cached(Plain):
    """Keeps in its ``__dict__`` what it has computed from an attribute, once it has."""

    weight: float

    @functools.cached_property
    def threshold(self):
        return 2 * self.weight

    def prox(self, w, step):
        return torch.nn.functional.softshrink(w, step * self.threshold)

    def used(self):
        self.prox(torch.ones(2), 1.0)
        return self


class HalfSlotted:
    """Slots of which one is not set, beside a dictionary."""

    __slots__ = ("__dict__", "unset", "weight")
    value, prox = Plain.value, Plain.prox

    def __init__(self, **attributes):
        for name, value in attributes.items():
            setattr(self, name, value)


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


@dataclasses.dataclass
class Pair:
    x: int
    y: object = None


@dataclasses.dataclass(frozen=True)
class WithNewField(L1):
    sign: int = 1


@dataclasses.dataclass(frozen=True)
class Holder(L1):
    inner: object = None


ALIKE = [
    (GroupLasso(np.float64(1e-3)), GroupLasso(1e-3)),
    (GroupLasso(1), GroupLasso(1.0)),
    (Plain(weight=0.5), Plain(weight=np.float64(0.5))),
    (Plain(weights=(1, 2.0)), Plain(weights=[1.0, 2])),
    (Plain(table=torch.arange(3.0)), Plain(table=torch.arange(3.0).clone())),
    (Plain(table=np.arange(3.0)), Plain(table=torch.arange(3.0, dtype=torch.float64))),
    (Plain(table=torch.arange(6.0).reshape(2, 3).t()), Plain(table=torch.arange(6.0).reshape(2, 3).t().contiguous())),
    (Plain(scale=torch.tensor(2.0)), Plain(scale=2.0)),
    (Plain(options={"a": [1, None, True]}), Plain(options={"a": (1, None, True)})),
    (Plain(shape=Shape.ROUND, names={"b", "a"}), Plain(shape=Shape.ROUND, names={"a", "b"})),
    (Plain(nan=float("nan")), Plain(nan=float("nan"))),
    (Plain(inner=L1(0.1)), Plain(inner=L1(0.1))),
    (Slotted(0.5), Slotted(0.5)),
    (Cached(weight=0.5).used(), Cached(weight=0.5)),
    (Plain(dtype=torch.float32), Plain(dtype=torch.float32)),
    (HalfSlotted(weight=0.5, more=1), HalfSlotted(weight=0.5, more=1)),
    (Plain(pair=Pair(1, Pair(2))), Plain(pair=Pair(1, Pair(2)))),
    (Plain(word=Word.ONE), Plain(word="Word.ONE")),
]
UNLIKE = [
    (GroupLasso(1e-3), GroupLasso(2e-3), "reg_weight was 0.001, is 0.002"),
    (GroupLasso(1e-3, "input"), GroupLasso(1e-3, "output"), "grouping was 'input', is 'output'"),
    (L1(0.1), NuclearNorm(0.1), "L1, is .*NuclearNorm"),
    (Plain(weight=0.5), Plain(weight=0.25), "weight was 0.5, is 0.25"),
    (Plain(weights=(1, 2)), Plain(weights=(1, 3)), r"weights\[1\] was 2, is 3"),
    (Plain(weights=(1, 2)), Plain(weights=(1,)), "weights was"),
    (Plain(table=torch.arange(3.0)), Plain(table=torch.arange(3.0) + 1), "table"),
    (Plain(table=torch.arange(3.0)), Plain(table=torch.arange(3.0, dtype=torch.float64)), "table"),
    (Plain(options={"a": 1}), Plain(options={"a": 2}), "options.a was 1, is 2"),
    (Plain(inner=L1(0.1)), Plain(inner=L1(0.2)), "inner.reg_weight was 0.1, is 0.2"),
    (Plain(shape=Shape.ROUND), Plain(shape=Shape.SQUARE), "shape"),
    (Cached(weight=0.5).used(), Cached(weight=0.25).used(), "weight was 0.5, is 0.25"),
    (Slotted(0.5), Slotted(0.25), "weight was 0.5, is 0.25"),
    (Plain(flag=True), Plain(flag=False), "flag was True, is False"),
    (Plain(nan=float("nan")), Plain(nan=1.0), "nan was nan, is 1.0"),
    (Plain(nan=1.0), Plain(nan=float("nan")), "nan was 1.0, is nan"),
    (Plain(x={"a": 1}), Plain(x=1), "x was {'a': 1}, is 1"),
    (Plain(x=1), Plain(x={"a": 1}), "x was 1, is {'a': 1}"),
    (Plain(x=[1]), Plain(x=1), r"x was \[1\], is 1"),
    (Plain(x=1), Plain(x=[1]), r"x was 1, is \[1\]"),
    (Plain(x=object()), Plain(x=1), "x was .*object.*, is 1"),
    (Plain(x=None), Plain(x=object()), "x was None, is .*object"),
    (Plain(inner=Plain(weight=1)), Plain(inner=Plain(weight=2)), "inner.weight was 1, is 2"),
    (Plain(inner=Pair(1)), Plain(inner=Pair(2)), "inner.x was 1, is 2"),
    (Plain(inner=L1(0.1)), Plain(inner=NuclearNorm(0.1)), "inner was .*L1, is .*NuclearNorm"),
    (HalfSlotted(weight=0.5), HalfSlotted(weight=0.25), "weight was 0.5, is 0.25"),
    (Plain(word=Word.ONE), Plain(word=Word.TWO), "word was 'Word.ONE', is 'Word.TWO'"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE, ids=lambda value: text_of(identity_of(value)))
def test_alike(one, other):
    for saved, live in ((one, other), (other, one)):
        found = differences(identity_of(saved), live)
        assert (found.found, found.unknown) == ([], [])


@pytest.mark.parametrize(("one", "other", "message"), UNLIKE)
def test_unlike(one, other, message):
    found = differences(identity_of(one), other)
    assert len(found.found) == 1
    with pytest.raises(ValueError, match=message):
        RAMDA([torch.nn.Parameter(torch.ones(2, 2))], regularizer=other).load_state_dict(
            RAMDA([torch.nn.Parameter(torch.ones(2, 2))], regularizer=one).state_dict()
        )


UNKNOWN = {
    "an object beside a dictionary": (object(), {"a": 1}),
    "a dictionary beside an object": ({"a": 1}, object()),
    "a class": (L1, NuclearNorm),
    "a dataclass": (Pair, Pair),
    "an array of objects": (np.array([object()]), np.array([object()])),
    "a tensor without numbers": (torch.empty(2, device="meta"), torch.empty(2, device="meta")),
    "an array that torch does not read": (np.arange(3.0)[::-1], np.arange(3.0)[::-1]),
}


@pytest.mark.parametrize(("one", "other"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown(one, other):
    found = differences(identity_of(Plain(x=one)), Plain(x=other))
    assert (found.found, found.unknown) == ([], ["x"])


def test_objects_are_followed_so_far():
    """The regularizer is the first of them, its attribute the second; what lies deeper is only named."""
    nested: object = 1.0
    levels = 0
    for _ in range(MAX_DEPTH + 2):
        nested = [nested]
    found = identity_of(Plain(x=nested))["attributes"]["x"]
    while isinstance(found, list):
        (found,), levels = found, levels + 1
    assert (levels, found) == (MAX_DEPTH - 1, {"opaque": "builtins.list"})


def test_slots_that_are_set_are_attributes():
    assert identity_of(HalfSlotted(weight=0.5, more=1))["attributes"] == {"weight": 0.5, "more": 1}


def test_a_regularizer_is_printed_by_its_own_name_and_its_attributes():
    assert text_of(identity_of(L1(0.1))) == "L1(reg_weight=0.1)"
    assert text_of(identity_of(Holder(0.1, L1(0.2)))) == "Holder(reg_weight=0.1, inner=L1(reg_weight=0.2))"


def test_another_class_is_told_by_its_name_in_full():
    (line,) = differences(identity_of(L1(0.1)), NuclearNorm(0.1)).found
    assert line.startswith("the class was solvers.regularizers.l1.L1, is ")
    saved = identity_of(L1(0.1))
    for name in ("L1", "l1.L1"):  # of no script
        saved["class"] = name
        assert len(differences(saved, L1(0.1)).found) == 1


def test_a_field_that_the_class_has_gained_counts_as_its_default():
    saved = identity_of(WithNewField(0.1))
    del saved["attributes"]["sign"]
    assert differences(saved, WithNewField(0.1)).found == []
    assert differences(saved, WithNewField(0.1, -1)).found == ["sign was 1, is -1"]


def test_a_script_is_called_main_when_it_is_run():
    saved = identity_of(L1(0.1))
    saved["class"] = "__main__.L1"
    assert differences(saved, L1(0.1)).found == []
    saved["class"] = "__main__.L2"
    assert len(differences(saved, L1(0.1)).found) == 1


@pytest.mark.parametrize(
    "thing", [object(), lambda w: w, [object()], {"a": object()}], ids=["object", "function", "list", "dict"]
)
def test_what_cannot_be_compared_loads_with_one_line(thing):
    params = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    saved = RAMDA(params[:1], regularizer=Holder(0.1, thing)).state_dict()
    live = RAMDA(params[1:], regularizer=Holder(0.1, thing))
    with pytest.warns(UserWarning, match=r"param_groups\[0\].* inner.* cannot be compared") as said:
        live.load_state_dict(saved)
    assert len(said) == 1


def test_a_text_from_before_identities_loads_with_one_line():
    made = RAMDA([torch.nn.Parameter(torch.ones(2, 2))], regularizer=L1(0.1))
    saved = made.state_dict()
    saved["param_groups"][0]["regularizer"] = "L1(reg_weight=0.1)"
    del saved["param_groups"][0]["method"]
    with pytest.warns(UserWarning, match=r"'L1\(reg_weight=0.1\)' cannot be compared"):
        made.load_state_dict(saved)
    assert made.param_groups[0]["regularizer"] == L1(0.1)


def test_loading_keeps_the_very_object():
    regularizer = Plain(weight=1.0)
    param = torch.nn.Parameter(torch.ones(2, 2))
    made = RAMDA([param], regularizer=regularizer)
    seen = []
    made.register_load_state_dict_post_hook(lambda optimizer: seen.append(optimizer.param_groups[0]["regularizer"]))
    made.load_state_dict(made.state_dict())
    assert made.param_groups[0]["regularizer"] is regularizer
    assert seen[0] is regularizer


def test_the_next_process_resumes(tmp_path):
    """README's own plug-in has the default repr, which holds an address."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, torch
            from solvers import RAMDA

            class ElasticNet:
                def value(self, w):
                    return w.abs().sum() + 0.5 * w.square().sum()

                def prox(self, w, step):
                    return torch.sign(w) * (w.abs() - step).clamp_min(0) / (1 + step)

            model = torch.nn.Linear(3, 2)
            optimizer = RAMDA(model.parameters(), regularizer=ElasticNet())
            if sys.argv[2] == "save":
                model(torch.ones(1, 3)).sum().backward()
                optimizer.step()
                torch.save(optimizer.state_dict(), sys.argv[1])
            else:
                optimizer.load_state_dict(torch.load(sys.argv[1], weights_only=True))
                print(int(optimizer.state[model.weight]["step"]))
            """
        )
    )
    for what in ("save", "load"):
        command = [sys.executable, "-W", "error", str(script), str(tmp_path / "state.pt"), what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"
