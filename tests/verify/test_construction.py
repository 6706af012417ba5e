"""Lines that make a regularizer again: they run in another folder and another process, or say that they cannot."""

import importlib
import subprocess
import sys
from typing import Any

import pytest

from ramda_verify.api import check
from ramda_verify.engine.construction import construction
from solvers import L1, GroupLasso

MODULE = """
from dataclasses import dataclass

import numpy as np
import torch


class Base:
    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step).clamp_min(0)

    def __eq__(self, other):
        return self is other


class Plain(Base):
    pass


class Kept(Base):
    def __init__(self, lam=1.0, shape=(3,), name="a 'b'", dtype=torch.float64):
        self.lam, self.shape, self._name, self.dtype = lam, shape, name, dtype


class Tensors(Base):
    def __init__(self, weights, table, radius):
        self.weights, self.table, self.radius = weights.clone(), table, radius


class Sum(Base):
    def __init__(self, terms, by_name):
        self.terms, self.by_name = terms, by_name


class Squared(Base):
    '''Keeps something else than it was given.'''

    def __init__(self, lam):
        self.lam = lam**2


class Honest(Base):
    def __init__(self, lam):
        self.square = lam**2

    def __repr__(self):
        return f"Honest({self.square**0.5!r})"


class Rounding(Honest):
    def __repr__(self):
        return f"Rounding({self.square**0.5:.1f})"


class Forgetful(Base):
    def __init__(self, lam, *rest):
        self.double = 2 * lam


class Outer:
    class Inner(Base):
        def __init__(self, lam=1.0):
            self.lam = lam


class Slots(Base):
    __slots__ = ("lam",)

    def __init__(self, lam):
        self.lam = lam


@dataclass(frozen=True)
class Data(Base):
    lam: float
    weights: torch.Tensor = None


MADE = {
    "plain": Plain(),
    "defaults": Kept(),
    "others": Kept(0.1, (2, 3), "\\n", torch.float32),
    "infinite": Kept(float("inf"), [float("-inf"), {"a": None}]),
    "tensors": Tensors(torch.tensor([[0.5, 1.5]], dtype=torch.float32), np.array([[1, 2]], dtype=np.int32), -0.0),
    "empty": Tensors(torch.ones(0, dtype=torch.float64), np.zeros(0), ()),
    "nested": Sum([Kept(0.1), Outer.Inner(2.0)], {"x": Tensors(torch.ones(2), np.ones(1), 1)}),
    "honest": Honest(3.0),
    "inner": Outer.Inner(0.3),
    "slots": Slots(0.7),
    "dataclass": Data(0.25, torch.ones(3)),
}
NOT_MADE = {
    "squared": Squared(3.0),
    "rounding": Rounding(0.123),
    "forgetful": Forgetful(2.0),
    "function": Kept(lambda t: t),
    "large": Tensors(torch.ones(1000), np.ones(1), 1.0),
    "local": (lambda: type("Local", (Base,), {"__qualname__": "f.<locals>.Local"})())(),
}
"""
NAMES = ["plain", "defaults", "others", "infinite", "tensors", "empty", "nested", "honest", "inner", "slots"]
NAMES += ["dataclass"]
IN_VAIN = ["squared", "rounding", "forgetful", "function", "large", "local"]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A package of a user's whose folder is on the path in this process alone."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").write_text("")
    (folder / "my_package" / "regularizers.py").write_text(MODULE)
    sys.path.append(str(folder))
    try:
        yield importlib.import_module("my_package.regularizers")
    finally:
        sys.path.remove(str(folder))
        for name in ("my_package.regularizers", "my_package"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def elsewhere(module, tmp_path_factory):
    """What each set of lines makes, described by one other process in another folder."""
    script = ["def shown(x):", "    if isinstance(x, (list, tuple)): return [shown(y) for y in x]"]
    script += ["    if isinstance(x, dict): return {k: shown(v) for k, v in x.items()}"]
    script += ["    kept = getattr(x, '__dict__', None)"]
    script += ["    named = type(x).__module__.startswith('my_package')"]
    script += ["    slots = {n: getattr(x, n) for n in getattr(type(x), '__slots__', ())}"]
    script += ["    return [type(x).__qualname__, shown({**slots, **kept})] if named else repr(x)"]
    namespace: dict[str, Any] = {}
    exec("\n".join(script), namespace)
    code = [*script]
    for name in NAMES:
        code += [f"namespace = {{}}; exec({chr(10).join(construction(module.MADE[name]))!r}, namespace)"]
        code += ["print(repr(shown(namespace['regularizer'])))"]
    folder = tmp_path_factory.mktemp("elsewhere")
    run = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, cwd=folder)
    assert run.returncode == 0, run.stderr
    return namespace["shown"], dict(zip(NAMES, run.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_object_is_made_again_elsewhere(module, elsewhere, name):
    shown, found = elsewhere
    assert found[name] == repr(shown(module.MADE[name]))


@pytest.mark.parametrize("name", IN_VAIN)
def test_where_no_call_makes_it_again_the_lines_say_so(module, name):
    text = "\n".join(construction(module.NOT_MADE[name]))
    assert "regularizer = ..." in text
    assert f"{type(module.NOT_MADE[name]).__name__}" in text
    compile(text, "pasted", "exec")


def test_every_object_is_tried(module):
    assert list(module.MADE) == NAMES
    assert list(module.NOT_MADE) == IN_VAIN


@pytest.mark.parametrize(
    ("regularizer", "lines"),
    [
        (L1(0.5), ["from solvers import L1", "regularizer = L1(reg_weight=0.5)"]),
        (
            GroupLasso(2.0, "output"),
            ["from solvers import GroupLasso", "regularizer = GroupLasso(reg_weight=2.0, grouping='output')"],
        ),
    ],
)
def test_what_is_installed_is_imported_by_its_shortest_name(regularizer, lines):
    assert construction(regularizer) == lines


def test_other_arguments_may_be_named(module):
    (*_, made) = construction(module.Kept(0.1, name="n"), {"lam": 7.0})
    assert made == "regularizer = Kept(lam=7.0, name='n')"


def test_a_class_of_a_script_or_notebook_is_said_to_be_needed(module, monkeypatch):
    monkeypatch.setattr(module.Kept, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Kept", module.Kept, raising=False)
    assert construction(module.Kept(0.5)) == ["regularizer = Kept(lam=0.5)  # where Kept is defined"]


WRONG = """
import torch


class TooMuch:
    def __init__(self, weight=1.0, scale=torch.ones(1, dtype=torch.float64)):
        self.weight, self.scale = weight, scale

    def value(self, w):
        return self.weight * w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - 2 * self.weight * step).clamp_min(0)
"""


def test_a_counterexample_from_python_runs_where_it_is_pasted(tmp_path, monkeypatch):
    """A class without a repr, in a module that only the test's folder has."""
    (tmp_path / "too_much.py").write_text(WRONG)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "too_much", raising=False)
    too_much = importlib.import_module("too_much")
    with pytest.raises(AssertionError) as raised:
        check(too_much.TooMuch(0.75), only=("prox-minimises",), cases="quick", seed=3)
    lines = str(raised.value).splitlines()
    snippet = "\n".join(lines[lines.index("import numpy as np") : lines.index("", lines.index("import numpy as np"))])
    assert "TooMuch(weight=0.75)" in snippet
    found = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd="/")
    assert found.returncode == 0, found.stderr
    assert float(found.stdout.split("violation=")[1].split(",")[0]) > 1
