"""The lines that make an object again: which imports, which folder, which arguments, which values can be written."""

import importlib
import importlib.util
import math
import sys
import types
from enum import IntEnum

import numpy as np
import pytest
import torch

from ramda_verify.engine.construction import NotWritten, changed, construction, expression, import_lines
from solvers import L1, GroupLasso

CLASSES = """
class Kept:
    def __init__(self, lam=1.0, name="n"):
        self.lam, self.name = lam, name


class Outer:
    class Inner:
        def __init__(self, lam=1.0):
            self.lam = lam


class ByRepr:
    def __init__(self, lam):
        self.square = lam * lam

    def __repr__(self):
        return f"ByRepr(lam={self.square ** 0.5!r})"


class Raises:
    def __init__(self, lam):
        self.lam = lam
        if lam > 1:
            raise ValueError


class OfAnotherClass:
    def __new__(cls, lam):
        if lam == 3:
            other = object.__new__(Outer)
            other.lam = lam
            return other
        return object.__new__(cls)

    def __init__(self, lam):
        self.lam = lam


class Squared:
    def __init__(self, lam):
        self.lam = lam * lam


class HidesItsRepr(ByRepr):
    def __repr__(self):
        return "ByRepr(lam=3.0)"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """``top``, which shows Kept of ``top.sub.deep``, and ``alone``, a module beside it."""
    (tmp_path / "top" / "sub").mkdir(parents=True)
    (tmp_path / "top" / "__init__.py").write_text("from top.sub.deep import Kept\n\n\nclass Here:\n    pass\n")
    (tmp_path / "top" / "sub" / "__init__.py").write_text("class Middle:\n    pass\n")
    (tmp_path / "top" / "sub" / "deep.py").write_text(CLASSES)
    (tmp_path / "alone.py").write_text(CLASSES)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("top.sub.deep", "alone"):
        importlib.import_module(name)
    yield tmp_path
    for name in ("top", "top.sub", "top.sub.deep", "alone"):
        del sys.modules[name]


def found(module, name):
    return getattr(sys.modules[module], name)


@pytest.mark.parametrize(
    ("module", "name", "imported"),
    [
        ("alone", "Kept", "from alone import Kept"),
        ("top", "Here", "from top import Here"),
        ("top.sub", "Middle", "from top.sub import Middle"),
        ("top.sub.deep", "Kept", "from top import Kept"),
        ("top.sub.deep", "Outer", "from top.sub.deep import Outer"),
    ],
)
def test_a_class_of_a_users_is_imported_from_the_folder_of_its_package(package, module, name, imported):
    lines = construction(found(module, name)())
    assert lines == ["import sys", f"sys.path.append({str(package.resolve())!r})", imported, f"regularizer = {name}()"]


def test_a_file_that_was_loaded_under_another_name_is_imported_by_its_own(package):
    specification = importlib.util.spec_from_file_location("name_of_ours", package / "alone.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["name_of_ours"] = module
    try:
        specification.loader.exec_module(module)
        *_, imported, call = construction(module.Kept(2.0))
    finally:
        del sys.modules["name_of_ours"]
    assert (imported, call) == ("from alone import Kept", "regularizer = Kept(lam=2.0)")


def test_a_class_of_a_module_without_a_file_is_imported_from_nowhere():
    module = types.ModuleType("made_by_hand")
    exec(CLASSES, vars(module))
    sys.modules["made_by_hand"] = module
    try:
        assert construction(module.Kept()) == ["from made_by_hand import Kept", "regularizer = Kept()"]
    finally:
        del sys.modules["made_by_hand"]


def test_imports_come_in_order_and_a_folder_once(package):
    names = {"L1": L1, "Kept": found("alone", "Kept"), "torch": torch, "Outer": found("alone", "Outer"), "np": np}
    assert import_lines(names) == [
        "import sys",
        f"sys.path.append({str(package.resolve())!r})",
        "import torch",
        "import numpy as np",
        "from solvers import L1",
        "from alone import Kept",
        "from alone import Outer",
    ]
    assert import_lines({"np": np, "float": float}) == ["import numpy as np"]
    main = type("Mine", (), {"__module__": "__main__"})
    assert import_lines({"Mine": main, "IntEnum": IntEnum}) == ["from enum import IntEnum"]
    assert import_lines({"ndarray": np.ndarray}) == ["from numpy import ndarray"]


@pytest.mark.usefixtures("package")
def test_the_call_is_tried_and_a_repr_after_it():
    module = sys.modules["alone"]
    assert construction(module.Kept(2.0, "m"))[-1] == "regularizer = Kept(lam=2.0, name='m')"
    assert construction(module.Kept(1.0, "m"))[-1] == "regularizer = Kept(name='m')"
    assert construction(module.Outer.Inner(2.0))[-2:] == [
        "from alone import Outer",
        "regularizer = Outer.Inner(lam=2.0)",
    ]
    assert construction(module.Kept(np.float64(0.25)))[-1] == "regularizer = Kept(lam=0.25)"
    assert construction(module.ByRepr(3.0))[-1] == "regularizer = ByRepr(lam=3.0)"
    raises = module.Raises(1.0)
    raises.lam = 2.0
    of_another = module.OfAnotherClass(2.0)
    of_another.lam = 3
    for thing in (raises, of_another, module.Squared(3.0), module.HidesItsRepr(3.0)):
        name = type(thing).__name__
        assert construction(thing) == [
            f"# The {name} that was checked; it does not keep what it was made with.",
            "regularizer = ...",
        ]
    local = type("Local", (), {"__qualname__": "f.<locals>.Local", "__module__": "alone"})()
    (line,) = construction(local)
    assert line.startswith("regularizer = ...  # a Local")


@pytest.mark.usefixtures("package")
def test_arguments_may_be_replaced():
    module = sys.modules["alone"]
    assert construction(module.Kept(2.0, "m"), {"lam": 5.0})[-1] == "regularizer = Kept(lam=5.0, name='m')"
    assert construction(module.Kept(2.0, "m"), {"name": "n"})[-1] == "regularizer = Kept(lam=2.0, name='n')"
    assert construction(module.ByRepr(3.0), {"lam": 4.0})[-1] == "regularizer = ..."
    lines = changed(module.Kept(2.0, "m"), {"lam": torch.tensor([0.5])})
    assert lines == [
        "import torch",
        "regularizer = type(regularizer)(lam=torch.tensor([0.5], dtype=torch.float32), name='m')",
    ]
    with pytest.raises(NotWritten):
        changed(module.Kept(2.0), {"lam": lambda: 0})


class Level(IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Real(float):
    pass


class Pair(tuple):
    __slots__ = ()


class Row(list):
    pass


class Rows(dict):
    pass


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        ("a 'b'", "\"a 'b'\""),
        (0.1, "0.1"),
        (math.inf, "float('inf')"),
        (-math.inf, "float('-inf')"),
        (math.nan, "float('nan')"),
        (torch.tensor([[1.0, 2.5]], dtype=torch.float64), "torch.tensor([[1.0, 2.5]], dtype=torch.float64)"),
        (torch.float16, "torch.float16"),
        (np.float64(0.1), "0.1"),
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        (np.bool_(True), "True"),
        (np.array([1, 2], dtype=np.int32), "np.array([1, 2], dtype=np.int32)"),
        ([], "[]"),
        ((), "()"),
        ((1,), "(1,)"),
        ([1], "[1]"),
        ((1, "a"), "(1, 'a')"),
        ({"a": [1.5], 2: None}, "{'a': [1.5], 2: None}"),
        (L1(0.5), "L1(reg_weight=0.5)"),
        ([L1(0.5), GroupLasso(2.0)], "[L1(reg_weight=0.5), GroupLasso(reg_weight=2.0)]"),
    ],
)
def test_what_is_written_of_a_value(value, words):
    assert expression(value, {}) == words


@pytest.mark.parametrize(
    "value",
    [
        torch.nn.Parameter(torch.ones(1)),
        torch.ones(65),
        np.ones(65),
        float,
        L1,
        len,
        Text("a"),
        Level.LOW,
        Real(0.5),
        Pair((1, 2)),
        np.complex64(1j),
        [lambda: 0],
        {"a": object},
        Row([1]),
        Rows(a=1),
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_written(value):
    with pytest.raises((NotWritten, ValueError)):
        expression(value, {})


def test_names_that_an_expression_needs_are_told():
    names: dict = {}
    expression([1.0, torch.float32, np.ones(64), L1(0.5)], names)
    assert names == {"torch": torch, "np": np, "L1": L1}
    names = {}
    assert expression(torch.ones(64), names).startswith("torch.tensor([1.0, 1.0,")
    assert names == {"torch": torch}
