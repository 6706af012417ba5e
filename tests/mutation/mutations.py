"""Small changes of a source: all that cosmic-ray makes, and a seeded sample of them.

cosmic-ray has the operators and applies them to a text; its sessions, its database and its distributors are not used,
since they change files where they lie. What no test can see is left out: changes within an annotation or a declaration
(``frozen=``, ``@overload``, a hint to a compiler), and of numbers that say what is drawn and how much, others being
as right. So are replacements that no hand makes, such as ``+`` by ``<<``, which end in a TypeError and would only raise
the percentage.
"""

import ast
import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from pathlib import Path
from random import Random
from typing import TypeVar

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

T = TypeVar("T")
Span = tuple[tuple[int, int], tuple[int, int]]
#: cosmic-ray's operators that replace a number by a neighbour, or change its sign.
NUMBERS = {"NumberReplacer", "ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_USub"}
#: Operators of Python that are taken for each other.
FAMILIES = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor"},
    {"LShift", "RShift"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
    {"USub", "UAdd"},
)
#: Leaves of a syntax tree in which no operator changes anything; two thirds of all nodes.
UNCHANGED_LEAVES = {"name", "newline", "string", "endmarker"}


@dataclass(frozen=True)
class Mutation:
    """One change of one source.

    ``occurrence`` counts what ``operator`` changes on lines that read ``text``, so that a change keeps its name where
    other lines move; ``index`` counts what it changes in the file.
    """

    file: str
    operator: str
    text: str
    occurrence: int
    index: int
    line: int
    column: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What names the change: file, operator, text of the line, occurrence."""
        return self.file, self.operator, self.text, self.occurrence

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.operator}"

    def applied(self, source: str) -> str:
        """The changed text of the source."""
        changed = mutate_code(source, get_operator(f"core/{self.operator}")(), self.index)
        if changed is None:
            raise ValueError(f"{self} is not a change of this source")
        return str(changed)

    def difference(self, source: str) -> str:
        """The lines that differ, those before with "-" and those after with "+"."""
        lines = difflib.ndiff(source.splitlines(), self.applied(source).splitlines())
        return "\n".join(line for line in lines if line[0] in "-+")


@cache
def operators() -> dict[str, Operator]:
    """cosmic-ray's operators that need no arguments and replace like by like."""
    found = {}
    for full in operator_names():
        name, kind = full.removeprefix("core/"), get_operator(full)
        _, *replaced = name.split("_")
        like = len(replaced) < 2 or "Delete" in replaced or any(set(replaced) <= family for family in FAMILIES)
        if like and not kind.arguments():
            found[name] = kind()
    return found


def mutations(root: Path, file: str) -> Iterator[Mutation]:
    """All changes of a source, ``file`` being its path below the root."""
    source = (root / file).read_text(encoding="utf-8")
    lines, drawing = source.splitlines(), list(numbers_of_draws(source))
    declared = [*annotations(source), *declarations(source)]
    nodes = [node for node in ast_nodes(get_ast(source)) if node.type not in UNCHANGED_LEAVES]
    for name, operator in operators().items():
        positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
        seen: Counter[str] = Counter()
        for index, (line, column) in enumerate(positions):
            text = lines[line - 1].strip()
            occurrence, seen[text] = seen[text], seen[text] + 1
            left_out = [*declared, *(drawing if name in NUMBERS else ())]
            if not any(first <= (line, column) < last for first, last in left_out):
                yield Mutation(file, name, text, occurrence, index, line, column)


def annotations(source: str) -> Iterator[Span]:
    """Where annotations of variables, arguments and results begin and end."""
    for node in ast.walk(ast.parse(source)):
        for found in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(found, ast.expr):
                yield span(found)


def declarations(source: str) -> Iterator[Span]:
    """Where right code says what holds anyway: options of a dataclass and of ``zip``, hints to Triton's compiler; how
    arguments are passed (the ``*`` before keywords); and what is for type checkers: signatures, the options of a class,
    the bodies of protocols, and imports that they alone make.
    """
    for name, call in calls(source):
        if name in ("dataclass", "zip"):
            yield from (span(keyword.value) for keyword in call.keywords)
        elif name == "tl.multiple_of":
            yield span(call)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            yield from bare_stars(source, node)
            yield from (above(mark) for mark in node.decorator_list if ast.unparse(mark) == "overload")
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield (node.lineno, 0), span(node.test)[1]
        elif isinstance(node, ast.ClassDef):
            yield from (span(keyword.value) for keyword in node.keywords if keyword.arg == "total")
            if any(ast.unparse(base) == "Protocol" for base in node.bases):
                yield (node.lineno, 0), (node.end_lineno or node.lineno, 10**9)


def bare_stars(source: str, function: ast.FunctionDef) -> Iterator[Span]:
    """The ``*`` after which a function takes keywords only: cosmic-ray takes it for a product."""
    first, last = function.lineno, function.body[0].lineno
    for number, text in enumerate(source.splitlines()[first - 1 : last], first):
        for found in re.finditer(r"\*(?=,)", text):
            yield (number, found.start()), (number, found.end())


def above(decorator: ast.expr) -> Span:
    """A decorator with its ``@``."""
    (line, column), end = span(decorator)
    return (line, column - 1), end


def numbers_of_draws(source: str) -> Iterator[Span]:
    """Where calls of a Hypothesis strategy (``st.integers(0, 9)``) or of a generator (``rng.uniform(-1, 1)``) are,
    ``share`` and ``cost`` of a check, and tables of shapes to try (constants named ``...SHAPES``).
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            (target, *_) = node.targets if isinstance(node, ast.Assign) else (node.target,)
            if ast.unparse(target).endswith("SHAPES"):
                yield span(node.value)
    for name, call in calls(source):
        if name.startswith(("st.", "rng.")):
            yield span(call)
        elif name == "check":
            yield from (span(keyword.value) for keyword in call.keywords if keyword.arg in ("share", "cost"))


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """All calls, each with what it calls."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def span(node: ast.expr) -> Span:
    """Where an expression begins and ends: (line, column) both."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def sample(root: Path, files: list[str], count: int, seed: int) -> list[Mutation]:
    """``count`` changes drawn by ``seed``, spread evenly over the files.

    The places at which something can be changed, in the order of files and lines, are cut into ``count`` stretches of
    equal length; from each one place is drawn and one of its changes, which must compile to another program.
    """
    found = sorted((m for file in files for m in mutations(root, file)), key=lambda m: (m.file, m.line, m.column))
    places = [list(group) for _, group in groupby(found, key=lambda m: (m.file, m.line, m.column))]
    random, count = Random(seed), min(count, len(places))
    drawn: list[Mutation] = []
    for stretch in range(count):
        candidates = places[stretch * len(places) // count : (stretch + 1) * len(places) // count]
        shuffled = (change for place in shuffle(random, candidates) for change in shuffle(random, place))
        drawn.extend(islice(filter(lambda change: changes_the_program(root, change), shuffled), 1))
    return drawn


def shuffle(random: Random, items: list[T]) -> list[T]:
    """The items in another order."""
    return random.sample(items, len(items))


def changes_the_program(root: Path, change: Mutation) -> bool:
    """Whether a changed source compiles, and to another syntax tree."""
    source = (root / change.file).read_text(encoding="utf-8")
    try:
        return ast.dump(ast.parse(change.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False
