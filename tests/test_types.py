"""What a type checker makes of code that uses ``solvers``: a user's own regularizer, an optimizer, a solve."""

import inspect
import re
import typing
from pathlib import Path

import pytest

import solvers
from solvers.optimizers import StructuredOptimizer
from solvers.optimizers.options import CommonOptions
from solvers.regularizers import OPTIONAL_MEMBERS, Regularizer
from solvers.regularizers.base import offers

ROOT = Path(__file__).resolve().parent.parent

#: Right but for the lines that end in "# error: code", which are refused with that code.
USE = """
from typing import assert_type

import torch
from torch import Tensor, nn

import solvers
from solvers import RAMDA, GroupLasso, ProxGen, Regularizer, Stages, Subproblem
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasMetricProx


class Ridge:
    def value(self, w: Tensor) -> Tensor:
        return w.square().sum() / 2

    def prox(self, w: Tensor, step: float) -> Tensor:
        return w / (1 + step)


class Other:
    def value(self, point: Tensor) -> Tensor:
        return point.new_zeros(())

    def prox(self, point: Tensor, size: float | Tensor) -> Tensor:
        return point.clone()

    def metric_prox(self, B: Tensor, D: Tensor, lam: float) -> Tensor:
        return B / D


class OnlyValue:
    def value(self, w: Tensor) -> Tensor:
        return w.sum()


class NotATensor:
    def value(self, w: Tensor) -> str:
        return ""

    def prox(self, w: Tensor, step: float) -> Tensor:
        return w


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    out: Tensor = model(batch)
    return out.square().mean()


model, B, batches = nn.Linear(3, 2), torch.ones(2, 3), [torch.ones(4, 3)]
regularizers: list[Regularizer] = [Ridge(), Other(), *(kind(1.0) for kind in (solvers.L1, GroupLasso))]
wrong: Regularizer = OnlyValue()  # error: assignment
neither: Regularizer = NotATensor()  # error: assignment

optimizer = RAMDA(model.parameters(), lr=1e-2, regularizer=Ridge(), backend="plain")
assert_type(optimizer, RAMDA)
assert_type(optimizer.step(), None)
assert_type(optimizer.step(lambda: loss_of(model, B)), Tensor)
assert_type(optimizer.structured_iterate(), dict[Tensor, Tensor])
assert_type(optimizer.unaccepted_steps, int)
assert_type(optimizer.solve_every, int)
optimizer.solve_every = "2"  # error: assignment
optimizer.observers.append(lambda param, w_hat: None)
RAMDA(model.parameters(), bakend="plain")  # error: call-arg
RAMDA(model.parameters(), regularizer=OnlyValue())  # error: arg-type
RAMDA(model.parameters(), regularizer=Ridge)  # error: arg-type
ProxGen(solvers.parameter_groups(model, linear=Other()), weight_decay=1e-2, reg_warmup=10)
solvers.parameter_groups(model, linear=1.0)  # error: arg-type
Stages(optimizer, [10, 20]).step()

with solvers.structured_iterate_swapped_in(optimizer, batches, model=model):
    pass
assert_type(solvers.parameter_groups(model), solvers.ParameterGroups)
assert_type(solvers.structure_levels(optimizer)["Ridge"].fraction, float)
assert_type(solvers.materialize(model, optimizer, batches), solvers.StructureLevels)
assert_type(solvers.reg_weight_max(model, loss_of, batches)["weight"], float)
assert_type(solvers.recompute_batch_norm(model, batches), int)

problem = Subproblem(B, B, torch.ones(()), Ridge())
Subproblem(B, B, "1", Ridge())  # error: arg-type
assert_type(problem.regularizer, Regularizer)
assert_type(problem.objective(B), Tensor)
assert_type(solvers.solve(problem, tolerance=1e-6).residual, float)
assert_type(solvers.solve(problem, tolerance=1e-6).point, Tensor)
assert_type(solvers.solve_batch(B, B, 1.0, Ridge(), tolerance=1e-6).residual, Tensor)

problem.regularizer.metric_prox(B, B, 1.0)  # error: attr-defined
if offers(problem.regularizer, "metric_prox"):
    assert_type(problem.regularizer, HasMetricProx)
"""


OF_THE_VERIFIER = """
from typing import assert_type

import ramda_verify
from ramda_verify import check, prove

assert_type(ramda_verify.__version__, str)
assert_type(check(object()).holds, bool)
assert_type(prove(object()).proved, bool)
ramda_verify.battery(object())
ramda_verify.chek  # error: attr-defined
check(object(), case="quick")  # error: call-arg
"""


def checked_by_mypy(folder: Path, **sources: str) -> dict[str, list[tuple[int, str, str]]]:
    """(line, "error" or "note", message) of each source for everything that one ``mypy --strict`` finds in them."""
    api = pytest.importorskip("mypy.api", reason="mypy comes with the dev extra")
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    files = [str(folder / f"{name}.py") for name in sources]
    options = ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={folder / 'cache'}"]
    out, err, _ = api.run([*options, *files])
    assert err == ""
    found: dict[str, list[tuple[int, str, str]]] = {name: [] for name in sources}
    for line in out.splitlines():
        if match := re.fullmatch(r"(?:.*/)?(\w+)\.py:(\d+): (error|note): (.*)", line):
            found[match[1]].append((int(match[2]), match[3], match[4]))
    return found


def errors_of(found: list[tuple[int, str, str]]) -> dict[int, str]:
    """The code of the error in each line."""
    return {number: re.search(r"\[([\w-]+)\]$", text)[1] for number, kind, text in found if kind == "error"}


def wanted_in(source: str) -> dict[int, str]:
    """The codes of the errors that the source asks for."""
    lines = enumerate(source.splitlines(), 1)
    return {number: line.split("# error: ")[1] for number, line in lines if "# error: " in line}


def test_a_users_code_has_types(tmp_path, monkeypatch):
    """Both sources in one run, of which most goes into torch."""
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    source = USE + "".join(f"reveal_type(solvers.{name})\n" for name in solvers.__all__)
    found = checked_by_mypy(tmp_path, use=source, verifier=OF_THE_VERIFIER)
    assert errors_of(found["use"]) == wanted_in(source)
    assert errors_of(found["verifier"]) == wanted_in(OF_THE_VERIFIER)
    revealed = {
        number: match[1]
        for number, kind, text in found["use"]
        if kind == "note" and (match := re.fullmatch(r'Revealed type is "(.*)"', text))
    }
    # A function whose result is Any, or a name that is Any altogether, checks nothing.
    lines = source.splitlines()
    untyped = [lines[number - 1] for number, text in revealed.items() if re.search(r"(^|-> )Any$", text)]
    assert len(revealed) == len(solvers.__all__)
    assert untyped == []


def test_the_options_are_those_of_the_base_class():
    signature = inspect.signature(StructuredOptimizer.__init__).parameters
    keywords = {name: p.annotation for name, p in signature.items() if p.kind is p.KEYWORD_ONLY}
    assert typing.get_type_hints(CommonOptions) == keywords


def test_offers_narrows_to_the_member_that_it_is_asked_for():
    narrowed = {}
    for overload in typing.get_overloads(offers):
        hints = typing.get_type_hints(overload)
        if typing.get_origin(hints["member"]) is typing.Literal:
            (protocol,), (member,) = typing.get_args(hints["return"]), typing.get_args(hints["member"])
            narrowed[member] = protocol
    assert narrowed.keys() <= OPTIONAL_MEMBERS.keys()
    for member, protocol in narrowed.items():
        assert issubclass(protocol, Regularizer)
        assert [name for name in vars(protocol) if not name.startswith("_")] == [member]
    # True or False, or asked for by the oracles alone, which import nothing of the solvers.
    assert OPTIONAL_MEMBERS.keys() - narrowed.keys() == {"convex", "separable", "as_cvxpy"}
