"""In which memory and in which dtypes a regularizer is tried, and how many epsilons its answers are apart."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer.tensors import (
    _deviation,
    _holds,
    _is_on_an_open_edge,
    _rise,
    devices_here,
    dtypes_of,
    layouts,
    measure_dtypes,
    measure_layout,
)
from ramda_verify.engine.record import NothingClaimed
from solvers import L1
from tests.judges.cases import close
from tests.judges.regularizers import made

EPS = 2.0**-23
ALL = ("float32", "bfloat16", "float16")


@pytest.mark.parametrize("shape", [(6,), (2, 3), (3, 1, 4), (2, 3, 2, 3), (2, 2, 2, 2, 3)])
def test_the_same_entries_lie_in_other_memory(shape):
    w = torch.arange(1.0, 1 + math.prod(shape), dtype=torch.float64).reshape(shape)
    found = layouts(w)
    assert all(torch.equal(other, w) for other in found.values())
    assert ("channels_last" in found) == (len(shape) in (4, 5))
    strided, behind = found["strided storage"], found["a storage offset"]
    assert strided.stride()[-1] == 2
    assert torch.as_strided(strided, (1,), (1,), 1).isnan().all()
    assert behind.storage_offset() == 3
    assert behind.is_contiguous()
    assert torch.as_strided(behind, (3,), (1,), 0).isnan().all()
    assert behind.untyped_storage().nbytes() == (w.numel() + 3) * 8
    if len(shape) > 1:
        assert found["transposed storage"].stride()[0] == 1
        assert found["transposed storage"].stride() != w.stride()
    if len(shape) in (4, 5):
        assert found["channels_last"].stride()[1] == 1


W = np.arange(1.0, 25.0).reshape(2, 3, 4)
SEES = {
    "transposed storage": lambda w: w.stride(0) == 1 and w.ndim > 1,
    "strided storage": lambda w: w.stride(-1) == 2,
    "a storage offset": lambda w: w.storage_offset() == 3,
    "channels_last": lambda w: w.ndim > 3 and w.stride(1) == 1 and w.stride(0) > 1,
    "rows that share their memory": lambda w: w.ndim > 1 and w.stride(0) == 0,
}


@pytest.mark.parametrize("name", SEES)
@pytest.mark.parametrize("member", ["prox", "value"])
def test_an_error_in_one_memory_is_seen(name, member):
    """By 2 in each, of entries up to 24 or 23 and their sum of 300."""
    w, shared = (W.reshape(2, 3, 2, 2) if name == "channels_last" else W), name == "rows that share their memory"
    wrong = made(
        lambda x: x.sum() - 2.0 * (member == "value" and SEES[name](x)),
        lambda x, s: x - 2.0 * (member == "prox" and SEES[name](x)),
    )
    found = measure_layout(wrong, w, 1.0)
    largest, total = (12.0, 2 * 78.0) if shared else (24.0, 300.0)
    expected = 2.0 / largest if member == "prox" else 2.0 / (total + 24.0)
    assert found.violation == close(expected, rel=1e-12)
    assert name in found.note
    assert ("by 2" in found.note) if member == "prox" else (f"from {total:g} to {total - 2:g}" in found.note)


@pytest.mark.parametrize("w", [np.ones(3), W])
def test_a_regularizer_of_entries_passes_in_every_memory(w):
    assert measure_layout(L1(0.5), w, 1.0).violation == 0.0
    assert measure_layout(made(lambda x: math.inf, lambda x, s: x), w, 1.0).violation == 0.0


def test_the_size_of_the_answer_counts_where_it_is_larger_than_the_input():
    wrong = made(prox=lambda x, s: 10 * x + 5.0 * (x.storage_offset() == 3))
    assert measure_layout(wrong, np.array([1.0, -2.0]), 1.0).violation == close(0.25)


def test_an_answer_that_is_not_finite_in_one_memory_is_a_finding():
    with pytest.raises(ArithmeticError, match="prox"):
        measure_layout(made(prox=lambda x, s: x / (x.storage_offset() != 3)), np.ones(3), 1.0)


def test_the_case_is_tried_at_its_size_and_at_a_small_and_a_large_one():
    seen = []

    def prox(w, s):
        seen.extend([(float(w[0]), s)] if w.dtype == torch.float32 else [])
        return w

    measure_dtypes(made(prox=prox), np.array([3.0]), 0.5, ("float32",), ("cpu",))
    assert seen == [(close(3.0), close(0.5)), (close(3e-8), close(5e-9)), (close(3e3), close(500.0))]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ALL),
        ({"dtypes": [torch.float32]}, ("float32",)),
        ({"dtypes": ["bfloat16", "float64"]}, ("bfloat16",)),
        ({"dtypes": [torch.float16, torch.float32]}, ("float32", "float16")),
        ({"dtypes": [torch.float64]}, ()),
    ],
)
def test_the_dtypes_are_those_that_a_regularizer_names_or_all(members, expected):
    tried = []

    def prox(w, s):
        tried.append(str(w.dtype).removeprefix("torch."))
        return w.clone()

    regularizer = made(prox=prox, **members)
    assert dtypes_of(regularizer) == expected
    if expected:
        assert measure_dtypes(regularizer, np.array([2.0]), 1.0).violation <= 0
        assert set(tried) - {"float64"} == set(expected)
    else:
        with pytest.raises(NothingClaimed):
            measure_dtypes(regularizer, np.array([2.0]), 1.0)
    assert devices_here() == (("cpu", "cuda") if torch.cuda.is_available() else ("cpu",))


def test_dtypes_that_are_asked_for_are_tried_alone():
    tried = []

    def prox(w, s):
        tried.append(w.dtype)
        return w

    measure_dtypes(made(prox=prox, dtypes=[torch.float32]), np.array([2.0]), 1.0, ("bfloat16",), ("cpu",))
    assert set(tried) == {torch.bfloat16, torch.float64}


@pytest.mark.parametrize(
    ("dtype", "entries", "step", "held"),
    [
        (torch.float32, [0.999e6, 0.0], 1e9, True),
        (torch.float32, [-1e6], 1.0, False),
        (torch.float32, [3e6], 1.0, False),
        (torch.float32, [1e-30], 1e-30, True),
        (torch.float16, [29.5, 0.0, -0.0011], 1.0, True),
        (torch.bfloat16, [29.5, 0.0], 29.9, True),
        (torch.bfloat16, [-30.0], 1.0, False),
        (torch.bfloat16, [1.0, -0.0009], 1.0, False),
        (torch.bfloat16, [1.0], 0.001, False),
        (torch.bfloat16, [1.0], 0.0011, True),
        (torch.bfloat16, [1.0], 30.0, False),
        (torch.bfloat16, [0.0], 1.0, True),
    ],
)
def test_a_dtype_holds_numbers_of_some_sizes(dtype, entries, step, held):
    assert _holds(torch.tensor(entries, dtype=dtype), step) == held


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize(
    ("message", "members", "lacking"),
    [
        ('"svd_cpu" not implemented for Half', {}, True),
        ("Low precision dtypes are NOT SUPPORTED", {}, True),
        ("low precision", {}, True),
        ("not available", {}, True),
        ("does not support Half", {}, True),
        ("out of memory", {}, False),
        ("not implemented for Half", {"dtypes": ALL}, False),
    ],
)
def test_what_torch_lacks_in_16_bits_is_no_fault_unless_it_is_claimed(dtype, message, members, lacking):
    def prox(w, s):
        if w.dtype != torch.float64:
            raise RuntimeError(message)
        return w

    expected = NothingClaimed if lacking and dtype != "float32" else RuntimeError
    with pytest.raises(expected):
        measure_dtypes(made(prox=prox, **members), np.array([2.0]), 1.0, (dtype,), ("cpu",))


@pytest.mark.parametrize(
    ("prox", "words"),
    [
        (lambda w, s: w.double(), "torch.float64 on cpu for torch.float32"),
        (lambda w, s: w / (w.dtype == torch.float64), "is [inf]"),
        (lambda w, s: w * math.nan, "is [nan]"),
    ],
)
def test_another_dtype_and_what_is_not_finite_are_findings(prox, words):
    found = measure_dtypes(made(prox=prox), np.array([2.0]), 1.0, ("float32",), ("cpu",))
    assert found.violation == math.inf
    assert words in found.note


def test_an_answer_on_the_edge_of_a_barrier_is_a_finding():
    """-log w: zero in float32 where float64 has a small number."""
    barrier = made(
        lambda w: -w.log().sum() if (w > 0).all() else math.inf,
        lambda w, s: w.clamp_min(0) + (w.dtype == torch.float64) * 1e-3,
    )
    found = measure_dtypes(barrier, np.array([0.0]), 1.0, ("float32",), ("cpu",))
    assert found.violation == math.inf
    assert "psi is infinite" in found.note
    assert (
        measure_dtypes(made(barrier.value, lambda w, s: w + 1), np.array([0.0]), 1.0, ("float32",), ("cpu",)).violation
        <= 8
    )


@pytest.mark.parametrize(
    ("finite_from", "hole", "open_edge"),
    [
        (0.0, None, True),
        (-1.0, None, False),
        (5e-10, None, True),
        (2e-9, None, False),
        *((0.0, t, False) for t in (1e-9, 1e-6, 1e-3, 1.0)),
    ],
)
def test_an_open_edge_is_left_at_once_and_for_good(finite_from, hole, open_edge):
    """On the way from 0 to 1 psi is infinite up to a place, and in a hole."""

    def value(w):
        x = float(w[0])
        return math.inf if x <= finite_from or (hole is not None and abs(x / hole - 1) < 1e-6) else 0.0

    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert _is_on_an_open_edge(made(value), zero, one) == open_edge


def steep(prox, weight=1e6, at=0.5):
    """A psi that makes all of an error count."""
    return made(lambda w: weight * (w - at).abs().sum(), prox)


def half(w, s):
    """One half, whatever the input, but zero of zero; with a vanishing step the input itself."""
    return torch.where(w.any(), 0.5, w) if s > 1e-50 else w


def deviation(regularizer, found, w=(1.0,), step=1.0):
    narrow = torch.tensor(w, dtype=torch.float32)
    return _deviation(regularizer, narrow, step, torch.tensor(found, dtype=torch.float32))


@pytest.mark.parametrize("epsilons", [3.0, 8.0, 9.0, 20.0])
@pytest.mark.parametrize(
    ("w", "unit"), [([1.0], 1.0), ([4.0, 0.0], 4.0), ([0.25], 0.5), ([1.0] * 8, 1.0), ([1.0] * 16, 2.0)]
)
def test_a_deviation_is_in_epsilons_of_the_largest_number_and_grows_with_the_sums(epsilons, w, unit):
    found = [0.5] * (len(w) - 1) + [0.5 + epsilons * unit * EPS]
    assert deviation(steep(half), found, w) == close(epsilons, rel=1e-6)


@pytest.mark.parametrize("tiny", [1.0, 100.0])
def test_the_smallest_normal_number_is_free(tiny):
    smallest = torch.finfo(torch.float32).tiny
    found = deviation(made(prox=lambda w, s: 0 * w), [tiny * smallest], [0.0])
    assert found <= 0 if tiny == 1 else found >= 0


@pytest.mark.parametrize("which", range(6))
def test_what_four_roundings_of_the_arguments_move_is_taken_off(which):
    """The exact answer jumps by 5 epsilons at one of six neighbours of (w, step)."""
    w, step, off = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64), 1.0, 4 * EPS
    signs = torch.tensor([off, -off, off], dtype=torch.float64)
    neighbours = [(w * (1 + off), step), (w * (1 - off), step), (w * (1 + signs), step), (w * (1 - signs), step)]
    neighbours += [(w, step * (1 + off)), (w, step * (1 - off))]
    point, shorter = neighbours[which]

    def prox(x, s):
        return half(x, s) - (5 * EPS if torch.equal(x, point) and s == shorter else 0.0)

    found = [0.5, 0.5 + 20 * EPS, 0.5]
    assert deviation(steep(prox), found, w.tolist()) == close(15.0, rel=1e-6)


def test_beyond_what_is_allowed_the_own_size_of_psi_is_looked_at():
    """The anchor of 2 is larger than the input and the answer: 20 epsilons of 1 are 10 of it."""

    def prox(w, s):
        return torch.where(w == 0, 2.0, half(w, s))

    assert deviation(steep(prox), [0.5 + 20 * EPS]) == close(10.0, rel=1e-6)
    assert deviation(steep(prox), [0.5 + 7 * EPS]) == close(7.0, rel=1e-6)


@pytest.mark.parametrize("weight", [0.52, 0.55, 0.6])
def test_where_the_objective_hardly_rises_the_distance_is_of_no_account(weight):
    """Towards 1 it rises by the weight and falls by 1/2, relative to 1/8, psi and 1/2; half an epsilon is free."""
    regularizer = made(lambda w: weight * (1 + (w - 0.5).abs().sum()), half)
    rise = 20 * (weight - 0.5) / (0.125 + weight + 0.5)
    assert deviation(regularizer, [0.5 + 20 * EPS]) == close(min(20.0, 16 * rise), rel=1e-3)


@pytest.mark.parametrize(("off", "expected"), [(8.0, 0.0), (12.0, 12.0)])
def test_the_objective_of_a_set_is_that_of_the_nearest_member(off, expected):
    """Of entries up to 1/2: an answer that is outside by up to 8 units, which a number of psi's own makes as large as 2
    epsilons, is taken for its projection.
    """

    def prox(w, s):
        return torch.where(w == 0, 2.0, torch.full_like(w, 0.5))

    found = deviation(steep(prox), [0.5 + 2 * off * EPS])
    assert found == close(expected, rel=1e-6) if expected else found == 0.0


@pytest.mark.parametrize("eps", [0.1, 1e-7])
def test_a_rise_is_in_epsilons_of_the_terms(eps):
    w, found, exact = (torch.tensor([value], dtype=torch.float64) for value in (4.0, 3.0, 1.0))
    regularizer = made(lambda w: 5 * w.sum() - 20)
    # 1/2 - 0.5 * 5 at 3, and 9/2 - 0.5 * 15 at 1.
    rise = (0.5 - 2.5) - (4.5 - 7.5)
    assert _rise(regularizer, w, 0.5, found, exact, eps) == close(rise / (eps * (4.5 + 7.5 + 8.0)))


def test_the_worst_deviation_of_all_dtypes_is_found():
    """Three epsilons in float32, and none in the others."""
    wrong = made(prox=lambda w, s: w * (1 + 3 * EPS) if w.dtype == torch.float32 else w)
    found = measure_dtypes(wrong, np.array([1.0]), 1.0, ALL, ("cpu",))
    assert found.violation == close(3.0, rel=0.1)
    assert "torch.float32 on cpu" in found.note
