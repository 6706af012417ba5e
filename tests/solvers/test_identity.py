"""Which regularizer a saved state belongs to, in one process and in the next."""

import dataclasses
import functools
import subprocess
import sys
import textwrap
from enum import Enum

import numpy as np
import pytest
import torch

from solvers import L1, RAMDA, GroupLasso, NuclearNorm
from solvers.regularizers.identity import differences, identity_of, text_of


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
