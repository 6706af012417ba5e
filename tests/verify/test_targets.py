"""Targets: what can be checked, and what is said about what cannot."""

import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from ramda_verify.engine import targets
from ramda_verify.engine.targets import (
    TargetError,
    known_regularizers,
    known_target,
    load_regularizer,
    plain_target,
    regularizer_target,
    why_refused,
)
from solvers import GroupLasso


def test_registered_regularizers():
    assert list(known_regularizers()) == sorted(known_regularizers())
    assert known_regularizers()["group_lasso"] is GroupLasso


@pytest.mark.parametrize("name", list(known_regularizers()))
def test_known_target_rebuilds_what_it_draws(name):
    target = known_target(name)
    namespace: dict[str, Any] = {}
    regularizer = replace(target.example, **{fields(target.example)[0].name: 0.25})
    exec("\n".join(target.import_lines(regularizer)), namespace)
    assert namespace["regularizer"] == regularizer


class Plain:
    """No dataclass: two objects that only its examples tell apart."""

    def value(self, w):
        return w.new_zeros(())

    def prox(self, w, step):
        return w

    @classmethod
    def examples(cls):
        return FIRST, SECOND


FIRST, SECOND = Plain(), Plain()


def test_known_target_rebuilds_what_has_no_repr(monkeypatch):
    monkeypatch.setattr(targets, "known_regularizers", lambda: {"plain": Plain})
    target = known_target("plain")
    assert target.example is FIRST
    for made in (FIRST, SECOND):
        namespace: dict[str, Any] = {}
        exec("\n".join(target.import_lines(made)), namespace)
        assert namespace["regularizer"] is made


def test_class_and_instance_in_a_file(folder):
    assert load_regularizer("good.py:Ridge").weight == 0.7
    assert load_regularizer(f"{folder}/good.py:stronger").weight == 2.0


def test_module_by_name(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "good", raising=False)
    assert load_regularizer("good:Ridge").weight == 0.7
    assert type(load_regularizer("solvers.regularizers.zero:Zero")).__name__ == "Zero"


def test_user_target_rebuilds_itself(folder):
    target = regularizer_target("good.py:stronger")
    namespace: dict[str, Any] = {}
    exec("\n".join(target.import_lines(target.example)), namespace)
    assert namespace["regularizer"].weight == 2.0
    assert (target.kind, target.name, target.traced) == ("regularizer", "good.py:stronger", False)


def test_plain_target_rebuilds_the_regularizer_of_a_case():
    namespace: dict[str, Any] = {}
    exec("\n".join(plain_target("ramda", "optimizer").import_lines(GroupLasso(0.5, "filter"))), namespace)
    assert namespace["regularizer"] == GroupLasso(0.5, "filter")


BAD = [
    pytest.param("good.py", "must be package.module:Name or path/file.py:Name, got 'good.py'", id="no-colon"),
    pytest.param("", "must be package.module:Name", id="empty"),
    pytest.param(":Ridge", "must be package.module:Name", id="no-module"),
    pytest.param("good.py:", "must be package.module:Name", id="no-name"),
    pytest.param("absent.py:Ridge", "there is no file absent.py", id="no-file"),
    pytest.param(".:Ridge", "importing . raised", id="folder"),
    pytest.param("no_such_module_here:Ridge", "importing no_such_module_here raised ModuleNotFoundError", id="module"),
    pytest.param("raises.py:Ridge", "importing raises.py raised RuntimeError: licence expired", id="module-raises"),
    pytest.param("good.py:Rigde", "no 'Rigde' in good.py, which has Ridge, stronger, torch", id="misspelt"),
    pytest.param("useless.py:NoProx", r"must have the methods .* lacks prox", id="no-prox"),
    pytest.param("useless.py:number", r"useless.py:number must have the methods .* lacks value, prox", id="number"),
    pytest.param("useless.py:NeedsArguments", r"NeedsArguments\(\) raised TypeError: .*give every argument", id="args"),
]


@pytest.mark.parametrize(("specification", "message"), BAD)
def test_bad_target(folder, specification, message):
    with pytest.raises(TargetError, match=message):
        load_regularizer(specification)


def test_a_refusal_is_told_without_an_error(folder):
    assert why_refused("good.py:Ridge") is None
    assert str(why_refused("absent.py:Ridge")).startswith("'absent.py:Ridge': there is no file absent.py")


@pytest.mark.parametrize("specification", ["absent.py:Ridge", "useless.py:Unbuilt", "useless.py:Unwilling"])
def test_what_is_wrong_is_said_once(folder, specification):
    """Neither wrapped in what the import raised, nor let through where a class ends the process."""
    (folder / "useless.py").write_text(UNBUILT)
    with pytest.raises(TargetError) as raised:
        load_regularizer(specification)
    said = str(raised.value)
    assert said.startswith(f"{specification!r}: ")
    assert said.count(specification) == 1
    assert "importing" not in said


UNBUILT = """
class Unbuilt:
    def __init__(self):
        raise SystemExit(3)


class Unwilling:
    def __init__(self):
        raise RuntimeError("no licence")
"""


def test_a_class_that_needs_arguments_gives_its_first_example(folder):
    (folder / "described.py").write_text(DESCRIBED)
    assert load_regularizer("described.py:Described").weight == 5.0
    assert load_regularizer("described.py:Outer.Inner").weight == 1.0
    assert load_regularizer("described.py:Outer.made").weight == 2.0
    with pytest.raises(TargetError, match=r"no 'Outer\.Other' in described\.py"):
        load_regularizer("described.py:Outer.Other")


DESCRIBED = """
class Plain:
    def __init__(self, weight=1.0):
        self.weight = weight

    def value(self, w):
        return w.sum()

    def prox(self, w, step):
        return w


class Described(Plain):
    def __init__(self, weight):
        self.weight = weight

    @classmethod
    def examples(cls):
        return [cls(5.0), cls(6.0)]


class Outer:
    Inner, made = Plain, Plain(2.0)
"""


def test_unknown_name():
    with pytest.raises(TargetError, match="no regularizer 'lasso' is registered; known are group_lasso, l1, "):
        known_target("lasso")
