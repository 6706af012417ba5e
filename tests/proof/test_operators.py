"""Every operation of the prover's table, compared with torch at points with infinities and what is no number."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import z3
from torch.nn import functional as nn

from ramda_verify.proof import operators
from ramda_verify.proof.arrays import as_array
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import Number, as_number, constant
from ramda_verify.proof.groups import ALONG, Coupled, Group, Part
from ramda_verify.proof.interpreter import run_graph
from ramda_verify.proof.operators import OPERATIONS
from ramda_verify.proof.reading import read
from ramda_verify.proof.terms import Context
from ramda_verify.proof.tracing import trace

#: Points of two entries; ties, zeros, both signs and numbers that are none.
FINITE = [(0.0, 1.0), (1.0, 1.0), (-1.5, 0.75), (2.5, -0.25), (0.25, 2.0), (-3.0, -3.0), (0.5, 0.0), (-0.125, 1.5)]
FINITE += [(-0.5, 0.5)]
BROKEN = [(math.inf, 1.0), (-math.inf, 2.0), (math.nan, 1.0), (1.0, math.inf), (0.0, math.inf), (2.0, -math.inf)]
BROKEN += [(-1.0, math.nan), (math.inf, math.inf), (math.inf, -math.inf), (math.inf, 0.0), (math.nan, math.nan)]

#: Functions of two tensors a and b by the operations that they are there for.
CASES = {
    "add": lambda a, b: a + b + torch.add(a, b, alpha=2),
    "add none": lambda a, b: torch.add(a, b, alpha=0),
    "sub": lambda a, b: a - b + torch.sub(a, b, alpha=3),
    "rsub": lambda a, b: 1 - a + torch.rsub(a, b, alpha=2),
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b.abs(),
    "neg": lambda a, b: -a,
    "abs": lambda a, b: abs(a),
    "square": lambda a, b: a.square(),
    "sqrt": lambda a, b: a.sqrt() + (a * a).sqrt(),
    "rsqrt": lambda a, b: a.abs().rsqrt(),
    "reciprocal": lambda a, b: a.abs().reciprocal(),
    "sign": lambda a, b: a.sign() + 3 * a.sgn(),
    "relu": lambda a, b: nn.relu(a),
    "pow": lambda a, b: a**2 + a**3 + a.abs() ** -1,
    "pow-roots": lambda a, b: a**0.5 + 2 * a.abs() ** (1 / 3),
    "pow-broken": lambda a, b: a**1.5 + 2 * a ** (2 / 3),
    "clamp": lambda a, b: a.clamp(-1, 1) + 3 * a.clamp(min=b) + 5 * a.clamp(max=b) + 7 * torch.clamp(a, b, -b),
    "clamp_min": lambda a, b: torch.clamp_min(a, 0.5),
    "clamp_max": lambda a, b: torch.clamp_max(a, 0.5),
    "maximum": lambda a, b: torch.maximum(a, b),
    "minimum": lambda a, b: torch.minimum(a, b),
    "fmax": lambda a, b: torch.fmax(a, b),
    "fmin": lambda a, b: torch.fmin(a, b),
    "where": lambda a, b: torch.where(a > b, a, b) + torch.where(a > 0, 1.0, b),
    "lt": lambda a, b: (a < b).double(),
    "le": lambda a, b: (a <= b).double(),
    "gt": lambda a, b: (a > b).double(),
    "ge": lambda a, b: (a >= b).double(),
    "eq": lambda a, b: (a == b).double(),
    "ne": lambda a, b: (a != b).double(),
    "isnan": lambda a, b: a.isnan().double(),
    "isinf": lambda a, b: a.isinf().double() + 2 * a.isposinf().double() + 4 * a.isneginf().double(),
    "isfinite": lambda a, b: a.isfinite().double(),
    "logical": lambda a, b: a.logical_and(b > 0) + 2 * a.logical_or(b > 0) + 4 * (a > 0).logical_xor(b > 0),
    "logical_not": lambda a, b: torch.logical_not(a).double() + 2 * (~(b > 0)),
    "bitwise": lambda a, b: ((a > 0) & (b > 0)) + 2 * ((a > 0) | (b > 0)) + 4 * ((a > 0) ^ (b > 0)),
    "nan_to_num": lambda a, b: torch.where(a.isfinite(), a, math.nan).nan_to_num() + b,
    "truths": lambda a, b: ((a > 0) + (b > 0)).double() + 2 * ((a > 0) * (b > 0)) + 4 * ~torch.maximum(a > 0, b > 0),
    "hypot": lambda a, b: torch.hypot(a, torch.where(b.isfinite(), b, 0.0)),
    "acos": lambda a, b: torch.cos(a.acos()),
    "cos": lambda a, b: torch.cos(2 * math.pi / 3 - 2 * a.acos() / 3) + torch.cos(math.pi - a.acos()),
    "more angles": lambda a, b: torch.cos(a.acos() / 3) + torch.cos(a.acos() / 2) + torch.cos(-2 * a.acos()),
    "turned angles": lambda a, b: torch.cos((a.acos() + 2 * math.pi) / 3) + torch.cos((4 * math.pi + a.acos()) / 3),
    "sin": lambda a, b: torch.sin(a.acos() / 3 + math.pi / 6) + torch.sin(math.pi / 2 - a.acos()),
    "products of roots": lambda a, b: 2 ** (1 / 3) * (4 * a) ** (1 / 3) * b ** (2 / 3),
    "heaviside": lambda a, b: torch.heaviside(torch.where(a.isnan(), 0.0, a), b),
    "copysign": lambda a, b: torch.copysign(a, torch.where(b == 0, 1.0, torch.where(b.isnan(), 2.0, b))),
    "masked_fill": lambda a, b: a.masked_fill(b > 0, 7.0) + a.masked_fill(a > 0, b.sum()),
    "index_put": lambda a, b: _put(a, b),
    "in-place": lambda a, b: a.clone().mul_(2).add_(b).clamp_(min=0),
    "loop": lambda a, b: _entry_by_entry(a, b),
    "scatter": lambda a, b: torch.slice_scatter(torch.cat([a, b, a]), b, 0, 1, 2)[1:2] + _entry_by_entry(b, a),
    "input changed": lambda a, b: b.mul_(2) + a,
    "copy": lambda a, b: torch.empty_like(a).copy_(b) + torch.zeros_like(a).fill_(3.0),
    "softshrink": lambda a, b: nn.softshrink(a, 0.5) + nn.softshrink(a, torch.where(b.isfinite(), b.abs(), 2.0).sum()),
    "hardshrink": lambda a, b: nn.hardshrink(a, 0.5) + nn.hardshrink(a, torch.where(b.isfinite(), b.abs(), 2.0).sum()),
    "scalars": lambda a, b: nn.leaky_relu(a, b.abs().sum()),
    "more functions": lambda a, b: nn.leaky_relu(a, 0.1) + nn.hardtanh(a, -1, 2) + nn.threshold(a, 0.2, 9),
    "relu6": lambda a, b: nn.relu6(a),
    "losses": lambda a, b: nn.huber_loss(a, b, reduction="none", delta=0.5) + nn.mse_loss(a, b),
    "smooth loss": lambda a, b: nn.smooth_l1_loss(a, b),
    "fused": lambda a, b: torch.addcmul(a, a, b, value=2) + torch.lerp(a, b, 0.25),
    "addcdiv": lambda a, b: torch.addcdiv(a, a, 1 + b.abs()),
    "sum": lambda a, b: a.sum() + b.sum(0) + torch.stack([a, b]).sum(dim=0),
    "mean": lambda a, b: torch.stack([a, b]).mean(dim=0) + b.mean(),
    "amax": lambda a, b: torch.stack([a, b]).amax(dim=0) + torch.cat([a, b]).max(),
    "amin": lambda a, b: torch.stack([a, b]).amin(dim=0) + torch.cat([a, b]).min(),
    "max-dim": lambda a, b: torch.stack([a, b]).max(dim=0).values + 2 * torch.stack([a, b]).min(dim=0)[0],
    "all": lambda a, b: torch.cat([a > 0, b > 0]).all() + 2 * torch.cat([a > 0, b > 0]).any() + 0 * a,
    "count_nonzero": lambda a, b: torch.count_nonzero(torch.cat([a, b])) + 0.0 * torch.ones_like(a),
    "norm": lambda a, b: torch.cat([a, b]).norm() + 2 * torch.stack([a, b]).norm(dim=0, p=2) + a.norm(p=1),
    "vector_norm": lambda a, b: torch.linalg.vector_norm(torch.cat([a, b])) + torch.linalg.norm(a),
    "other norms": lambda a, b: torch.cat([a, b]).norm(p=1) + 2 * torch.cat([a, b]).norm(p=math.inf),
    "norm-0": lambda a, b: torch.linalg.vector_norm(torch.cat([a, b]), ord=0) + 0 * torch.ones_like(a),
    "likes": lambda a, b: torch.zeros_like(a) + 2 * torch.ones_like(a) + torch.full_like(a, 3.0),
    "news": lambda a, b: a.new_zeros(1) + 2 * a.new_ones(1) + a.new_full((1,), 3.0) + a.new_empty(1).fill_(1.0),
    "mades": lambda a, b: torch.zeros(1) + 2 * torch.ones(1) + torch.full((1,), 3.0) + torch.empty(1).fill_(1.0) + a,
    "constant": lambda a, b: torch.tensor([0.5]) * a + torch.tensor(0.25) + torch.scalar_tensor(2.0),
    "cast": lambda a, b: a.bool().double() + (a > 0).to(torch.uint8).double() + (b != 0).int() + a.float().double() * 0,
    "views": lambda a, b: a.reshape(1, 1).t().squeeze().unsqueeze(0).expand(1).view(-1) + a.detach()[None, :][0],
    "places": lambda a, b: torch.stack([a, b])[1] + 2 * torch.cat([a, b])[:1] + 4 * torch.cat([a, b])[1:],
    "more places": lambda a, b: torch.stack([a, b]).permute(1, 0).transpose(0, 1).select(0, 1) + torch.stack(list(a)),
    "split": lambda a, b: torch.stack([a, b]).unbind(0)[1] + torch.stack([a, b]).sum(-1)[0],
    "dot": lambda a, b: torch.dot(a, b) + a * 0 + torch.stack([a, b]).squeeze(-1)[1],
    "item": lambda a, b: a * b.item() + b.sum().item(),
    "branch": lambda a, b: a if bool(a > b) else (2 * b if (b > 0).all() else a - b),
    "close": lambda a, b: (2 if torch.allclose(a, b) else 3) + (4 if torch.equal(a, b) else 5) + 0 * a,
    "close enough": lambda a, b: (2 if torch.allclose(a, a + 1e-6) else 3) + (4 if torch.allclose(a, a + 1) else 5),
    "by default": lambda a, b: nn.softshrink(a) + nn.hardshrink(b),
    "truthiness": lambda a, b: 2 * b if a else (b if torch.is_nonzero(b) else a),
    "just close": lambda a, b: (
        (2 if torch.allclose(a, b, rtol=0.0, atol=1.0) else 3) + (4 if torch.equal(a, torch.cat([a, b])) else 5) + 0 * a
    ),
    "math of tensors": lambda a, b: math.cbrt(a) + 2 * math.fabs(b) + math.copysign(3, 1 + a * a) + 0 * a,
    "powers by math": lambda a, b: math.pow(abs(a), 2) + math.pow(2, 3) + 0 * b,
    "tests by math": lambda a, b: 0 * a + (2 if math.isnan(b) else 3) + (4 if math.isinf(a) else 5),
    "math": lambda a, b: math.sqrt(abs(a).sum()) + max(a, b) + (2 if math.isfinite(b) else 3) + 0 * a,
}  # fmt: skip


def _put(a, b):
    found = a.clone()
    found[b > 0] = 0
    found[found < -1] = b.sum()
    return found


def _entry_by_entry(a, b):
    found = torch.empty(2, 1, dtype=a.dtype)
    for place in range(2):
        found[place] = a if a > b else place
    found[:1] = b
    return found.sum(dim=0)


def read_at(function, *points):
    """What the reading gives with the inputs as variables, and with the inputs as constants where some is no number."""
    examples = [torch.tensor([0.5 + place], dtype=torch.float64) for place in range(2)]
    paths = trace(lambda a, b: function(a, b) + torch.zeros(1, dtype=torch.float64), examples)
    context = Context()
    inputs = [np.array([Number(z3.Real(name))], dtype=object) for name in "ab"]
    symbolic = as_number_of(read(context, paths, inputs, (1,)))
    for point in points:
        if all(map(math.isfinite, point)):
            yield point, evaluate(context, symbolic, dict(zip("ab", point, strict=True)))
        given = [as_array(context, torch.tensor([entry], dtype=torch.float64)) for entry in point]
        yield point, evaluate(context, as_number_of(read(context, paths, given, (1,))), {})


def as_number_of(array):
    element = array.reshape(-1)[0]
    return element if isinstance(element, Number) else as_number(element)


def differences(function, points):
    """Points at which the reading and torch differ by more than rounding."""
    found = []
    for point, read_value in read_at(function, *points):
        a, b = (torch.tensor([entry], dtype=torch.float64) for entry in point)
        truth = (function(a, b) + torch.zeros(1, dtype=torch.float64)).item()
        alike = math.isclose(read_value, truth, rel_tol=1e-6 if "float" in str(truth) else 1e-7, abs_tol=1e-7)
        if not (alike or (math.isnan(read_value) and math.isnan(truth))):
            found.append((point, read_value, truth))
    return found


@pytest.mark.parametrize("name", CASES)
def test_an_operation_reads_as_torch_computes(name):
    assert differences(CASES[name], FINITE + BROKEN) == []


#: Operations that other versions of torch make of the same code, each an alias of one that is compared or the identity.
OF_OTHER_VERSIONS = {
    *("alias", "contiguous", "positive", "to", "true_divide", "reshape", "_unsafe_view", "norm", "square", "isfinite"),
}


def test_every_operation_of_the_table_is_compared(monkeypatch):
    """A reading that is replaced by a wrong one is seen: none of the table is left out of the cases above."""
    used = set()
    original = operators.operation

    def noted(name):
        used.add(name)
        return original(name)

    monkeypatch.setattr("ramda_verify.proof.interpreter.operation", noted)
    for function in CASES.values():
        list(read_at(function, (1.0, 2.0)))
    assert OPERATIONS.keys() - used == OF_OTHER_VERSIONS


#: (operation, what a careless reader takes it for, a case that sees it)
MISREADINGS = [
    ("clamp_min", "clamp_max", "clamp_min"),
    ("maximum", "minimum", "maximum"),
    ("maximum", "fmax", "maximum"),
    ("fmin", "minimum", "fmin"),
    ("lt", "le", "lt"),
    ("ge", "gt", "ge"),
    ("ne", "eq", "ne"),
    ("sub", "rsub", "sub"),
    ("sign", "relu", "sign"),
    ("all", "any", "all"),
    ("amax", "amin", "amax"),
    ("sum", "mean", "sum"),
    ("isinf", "isnan", "isinf"),
    ("bitwise_and", "bitwise_or", "bitwise"),
    ("logical_xor", "logical_or", "logical"),
    ("abs", "neg", "abs"),
    ("sqrt", "abs", "sqrt"),
    ("reciprocal", "neg", "reciprocal"),
    ("zeros_like", "ones_like", "likes"),
]


@pytest.mark.parametrize(("name", "taken_for", "case"), MISREADINGS)
def test_a_wrong_reading_is_seen(name, taken_for, case, monkeypatch):
    monkeypatch.setitem(OPERATIONS, name, OPERATIONS[taken_for])
    assert differences(CASES[case], FINITE + BROKEN)


def unknowns(*names):
    return np.array([Number(z3.Real(name)) for name in names], dtype=object)


MASK = np.array([z3.Bool("p"), z3.Bool("q")], dtype=object)


@pytest.mark.parametrize(
    ("indices", "values", "accumulate"),
    [
        ([MASK], unknowns("c"), True),
        ([MASK], unknowns("c", "d"), False),
        ([MASK[:1]], unknowns("c"), False),
        ([MASK, MASK], unknowns("c"), False),
        ([None], unknowns("c"), False),
        ([unknowns("c", "d")], unknowns("c"), False),
    ],
    ids=["a sum", "several values", "rows", "two masks", "all", "places"],
)
def test_what_is_put_elsewhere_is_not_read(indices, values, accumulate):
    context = Context()
    assert operators.index_put(context, unknowns("a", "b"), [MASK], unknowns("c")).shape == (2,)
    with pytest.raises(Unreadable, match="index_put"):
        operators.index_put(context, unknowns("a", "b"), indices, values, accumulate)


def graph_of(*arguments, target=torch.ops.aten.pow.Tensor_Scalar):
    """A graph of one operation on its input and these arguments."""
    graph = torch.fx.Graph()
    graph.output(graph.call_function(target, (graph.placeholder("a"), *arguments)))
    return torch.fx.GraphModule({}, graph)


@pytest.mark.parametrize(
    ("graph", "error", "words"),
    [
        (graph_of(9), Unreadable, "a power of exponent 9"),
        (graph_of(target=torch.ops.aten.svd.default), Coupled, "it uses svd, which mixes entries"),
        (graph_of(3, target=torch.ops.aten.linalg_vector_norm.default), Unreadable, "a norm of order 3"),
        (graph_of(target=torch.ops.aten.round.default), Unreadable, "the operation round"),
    ],
)
def test_what_has_no_reading_is_told_as_it_is(graph, error, words):
    with pytest.raises(error) as caught:
        run_graph(Context(), graph, [unknowns("a", "b")])
    assert str(caught.value) == words


def test_what_couples_a_group_is_told_as_it_is():
    group, _ = Group.named("g", 2)
    entries = np.array([Part(ALONG, constant(Fraction(1)), index, group) for index in range(2)], dtype=object)
    with pytest.raises(Coupled, match=r"^it sums the entries"):
        run_graph(Context(), graph_of(target=torch.ops.aten.sum.default), [entries])


def test_an_operation_with_arguments_of_another_form_has_no_reading():
    with pytest.raises(Unreadable, match=r"^the operation neg with these arguments \(.+\)$"):
        run_graph(Context(), graph_of(1, 2, 3, target=torch.ops.aten.neg.default), [unknowns("a")])
    with pytest.raises(Unreadable, match="a value of type str"):
        as_array(Context(), "some words")


WHOLE, BROKEN_NUMBER = constant(Fraction(3)), constant(Fraction(1, 2))
LARGE = Number(Fraction(3), up=z3.Bool("up"))


def array_of(*elements):
    found = np.empty(len(elements), dtype=object)
    found[:] = elements
    return found


@pytest.mark.parametrize(
    "element",
    [BROKEN_NUMBER, Number(z3.Real("w")), LARGE, Part(ALONG, WHOLE, 0, Group.named("g", 2)[0])],
    ids=["a half", "unknown", "infinite", "an entry"],
)
def test_what_may_not_be_whole_is_no_integer(element):
    for given in ((element,), (WHOLE, element), (element, True)):
        with pytest.raises(Unreadable, match=r"cast to torch\.int64"):
            operators.cast(Context(), array_of(*given), torch.int64)
        assert operators.cast(Context(), array_of(*given), torch.float32)[given.index(element)] is element
        assert operators.cast(Context(), array_of(*given))[given.index(element)] is element


def test_whole_numbers_and_truth_values_are_cast():
    context, held = Context(), z3.Bool("held")
    found = operators.cast(context, array_of(WHOLE, True, held), torch.int32)
    assert [each.term for each in found[:2]] == [3, 1]
    assert evaluate(context, found[2], {"held": False}) == 0
    truths = operators.cast(context, array_of(WHOLE, constant(Fraction(0)), held), torch.bool)
    assert list(truths) == [True, False, held]
    kept = operators.cast(context, array_of(True, WHOLE), None)
    assert list(kept) == [True, WHOLE]


def test_the_first_axis_is_meant_where_none_is_named():
    context, array = Context(), np.arange(6).reshape(2, 3).astype(object)
    assert OPERATIONS["slice"](context, array).tolist() == array.tolist()
    assert OPERATIONS["slice"](context, array, start=1).tolist() == [[3, 4, 5]]
    assert OPERATIONS["slice_scatter"](context, array, array[:1], start=1)[1].tolist() == [0, 1, 2]
    both = OPERATIONS["slice_scatter"](context, array, array[::-1])
    assert both.tolist() == [[3, 4, 5], [0, 1, 2]]
    assert [part.tolist() for part in OPERATIONS["unbind"](context, array)] == [[0, 1, 2], [3, 4, 5]]
    assert OPERATIONS["stack"](context, [array, array]).shape == (2, 2, 3)
    assert OPERATIONS["cat"](context, [array, array]).shape == (4, 3)
    assert OPERATIONS["add"](context, array_of(WHOLE), array_of(WHOLE))[0].term == 6
