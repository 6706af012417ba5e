"""The equation of a group on the GPU: where its iteration starts, which groups need none, and a step towards the root.

The kernel functions are asked directly, with the sums of groups that are small enough to be solved by hand.
"""

import math
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed")

import triton
import triton.language as tl

from solvers.kernels.gpu import norm_equation
from solvers.regularizers import norm_equation as plain
from tests.solvers.triton_cases import DEVICE

# The interpreter's numpy warns of infinities, which the kernels deal with.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
NAMES = {torch.float32: tl.float32, torch.float64: tl.float64}
DTYPES = pytest.mark.parametrize("dtype", NAMES, ids=str)
INF, NAN = math.inf, math.nan


@triton.jit
def starts(sums, found, decided, count: tl.constexpr, DTYPE: tl.constexpr):
    """``start`` of every column of ``sums``, [7, count]."""
    place = tl.arange(0, count)
    longest, steepest = tl.load(sums + place).to(DTYPE), tl.load(sums + count + place).to(DTYPE)
    flattest = tl.load(sums + 2 * count + place).to(DTYPE)
    square, weighted = tl.load(sums + 3 * count + place), tl.load(sums + 4 * count + place)
    twice, threshold = tl.load(sums + 5 * count + place), tl.load(sums + 6 * count + place)
    b_exponent, d_exponent, r, t, low, sought, lost = norm_equation.start(
        longest, steepest, flattest, square, weighted, twice, threshold, DTYPE
    )
    tl.store(found + place, r)
    tl.store(found + count + place, t)
    tl.store(found + 2 * count + place, low)
    tl.store(decided + place, b_exponent)
    tl.store(decided + count + place, d_exponent)
    tl.store(decided + 2 * count + place, sought.to(tl.int32))
    tl.store(decided + 3 * count + place, lost.to(tl.int32))


@triton.jit
def moves(given, found, decided, last, count: tl.constexpr, DTYPE: tl.constexpr):
    """``move`` of every column of ``given``, [7, count]."""
    place = tl.arange(0, count)
    r, low = tl.load(given + place).to(DTYPE), tl.load(given + count + place).to(DTYPE)
    high, phi = tl.load(given + 2 * count + place).to(DTYPE), tl.load(given + 3 * count + place).to(DTYPE)
    psi, chi = tl.load(given + 4 * count + place).to(DTYPE), tl.load(given + 5 * count + place).to(DTYPE)
    near = tl.load(given + 6 * count + place).to(tl.int32)
    next_r, low, high, small, done, senseless = norm_equation.move(r, low, high, phi, psi, chi, near, last, DTYPE)
    tl.store(found + place, next_r)
    tl.store(found + count + place, low)
    tl.store(found + 2 * count + place, high)
    tl.store(decided + place, small)
    tl.store(decided + count + place, done.to(tl.int32))
    tl.store(decided + 2 * count + place, senseless.to(tl.int32))


def moments(b: list[float], d: list[float]) -> list[float]:
    """What ``start`` is given of a group: max b, max d, max 1/d, and the sums of b^2, b^2*d and b^2*d^2."""
    pairs = list(zip(b, d, strict=True))
    sums = [math.fsum(x * x * y**power for x, y in pairs) for power in range(3)]
    return [max(map(abs, b)), max(d), 1 / min(d), *sums]


def started(columns: list[list[float]], dtype: torch.dtype) -> list[dict[str, Any]]:
    """``start`` of groups, of each its seven arguments are given."""
    filled = columns + columns[:1] * (triton.next_power_of_2(len(columns)) - len(columns))
    given = torch.tensor(filled, dtype=torch.float64, device=DEVICE).t().contiguous()
    found = torch.empty(3, len(filled), dtype=dtype, device=DEVICE)
    decided = torch.empty(4, len(filled), dtype=torch.int32, device=DEVICE)
    starts[(1,)](given, found, decided, count=len(filled), DTYPE=NAMES[dtype])
    names = ("r", "t", "low", "b_exponent", "d_exponent", "sought", "lost")
    rows = zip(*found.tolist(), *decided.tolist(), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows][: len(columns)]


def moved(columns: list[list[float]], last: bool = False, dtype: torch.dtype = torch.float64) -> list[dict[str, Any]]:
    """``move`` of groups, of each r, low, high, phi, psi, chi and near are given."""
    filled = columns + columns[:1] * (triton.next_power_of_2(len(columns)) - len(columns))
    given = torch.tensor(filled, dtype=torch.float64, device=DEVICE).t().contiguous()
    found = torch.empty(3, len(filled), dtype=dtype, device=DEVICE)
    decided = torch.empty(3, len(filled), dtype=torch.int32, device=DEVICE)
    moves[(1,)](given, found, decided, last, count=len(filled), DTYPE=NAMES[dtype])
    names = ("r", "low", "high", "small", "done", "senseless")
    rows = zip(*found.tolist(), *decided.tolist(), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows][: len(columns)]


def root_of(b: list[float], d: list[float], t: float) -> float:
    """The root r of sum b^2 / (r*d + t)^2 = 1, by bisection."""
    low, high = 0.0, math.hypot(*b) / min(d)
    for _ in range(200):
        middle = (low + high) / 2
        above = math.fsum((x / (middle * y + t)) ** 2 for x, y in zip(b, d, strict=True)) > 1
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2


@DTYPES
@pytest.mark.parametrize(
    ("b", "d", "threshold", "exponents"),
    [
        ([6.0, 8.0], [3.0, 3.0], 4.0, (3, 1)),
        ([6.0, -8.0], [0.375, 0.375], 1.0, (3, -2)),
        ([0.03125, 0.0], [64.0, 64.0], 0.03, (-5, 6)),
    ],
    ids=str,
)
def test_a_lower_bound_is_its_margin_below_the_root(dtype, b, d, threshold, exponents):
    """Of equal d the bound of Jensen is the root (||b|| - t)/d itself, and what is taken off shows."""
    (found,) = started([[*moments(b, d), threshold]], dtype)
    assert (found["b_exponent"], found["d_exponent"], found["sought"], found["lost"]) == (*exponents, 1, 0)
    b_unit, d_unit = 2.0 ** -exponents[0], 2.0 ** -exponents[1]
    size, t = math.hypot(*b) * b_unit, threshold * b_unit
    assert found["t"] == pytest.approx(t, rel=torch.finfo(dtype).eps)
    root = (size - t) / (d[0] * d_unit)
    assert found["r"] == pytest.approx(root, rel=2 * torch.finfo(dtype).eps)
    # LOOSE off ||b||, then MARGIN off the bound.
    missing = plain.LOOSE * size / (size - t) + plain.MARGIN
    assert (root - found["low"]) / root / torch.finfo(dtype).eps == pytest.approx(missing, abs=2, rel=0.02)


@pytest.mark.parametrize("t", [0.3, 0.9, 1.3])
def test_the_start_knows_the_variance_of_d(t):
    """It misses the root by the third power of the deviations of d alone, the bound by the second."""
    b, deviations = [1.0, 0.5, 0.25, 1.0], [1.0, -0.5, 2.0, -1.5]
    for size in (1e-2, 1e-3):
        d = [1.0 + size * x for x in deviations]
        (found,) = started([[*moments(b, d), t]], torch.float64)
        root = root_of(b, d, t) * 2.0 ** found["d_exponent"] / 2.0 ** found["b_exponent"]
        assert abs(found["r"] / root - 1) < 5 * size**3
        assert 1e-2 * size**2 < 1 - found["low"] / root < 5 * size**2


#: max|b|, max d, max 1/d, sum b^2, sum b^2*d, sum b^2*d^2, price: b is (3, 4), d is (1, 1).
SOUND = [4.0, 1.0, 1.0, 25.0, 25.0, 25.0, 2.0]


def changed(place: int, value: float) -> list[float]:
    return [value if i == place else number for i, number in enumerate(SOUND)]


LOST = {
    "b infinite": changed(0, INF),
    "d infinite": changed(1, INF),
    "1/d infinite": changed(2, INF),
    "sum b^2 infinite": changed(3, INF),
    "sum b^2*d infinite": changed(4, INF),
    "b not a number": changed(0, NAN),
    "d not a number": changed(1, NAN),
    "sum b^2 not a number": changed(3, NAN),
    "sum b^2*d not a number": changed(4, NAN),
    "squares that vanish": [1e-30, 1.0, 1.0, 0.0, 0.0, 0.0, 2.0],
    "no value and no bound to start from": [*changed(5, INF)[:6], 5.0 * (1 - 2.0**-51)],
    "a root out of range": [4.0, 1.0, 1.0, 25.0, 1e-310, 1e-310, 2.0],
}


@DTYPES
@pytest.mark.parametrize("name", LOST)
def test_a_group_that_is_lost_has_no_root(dtype, name):
    # Nor is it zero, where all that is a number in it would be.
    numbers = name not in ("no value and no bound to start from", "1/d infinite", "a root out of range")
    dear = [*LOST[name][:6], 1e3] if numbers else LOST[name]
    *rows, sound = started([LOST[name], dear, SOUND], dtype)
    for found in rows:
        assert (found["sought"], found["lost"], found["r"], found["t"]) == (0, 1, 0.0, 1.0)
    assert (sound["sought"], sound["lost"]) == (1, 0)


@DTYPES
def test_a_group_without_a_variance_that_fits_starts_at_the_bound(dtype):
    (found,) = started([changed(5, INF)], dtype)
    assert (found["sought"], found["lost"]) == (1, 0)
    assert found["r"] == found["low"] > 0


@DTYPES
def test_how_far_d_may_spread(dtype):
    """max d * max 1/d may be all but 16 of the largest power of two that the dtype holds."""
    limit = 1020 if dtype == torch.float64 else 124
    below, at = 2.0 ** (limit - 1), 2.0**limit
    rows = started([[4.0, 1.0, number, 25.0, 25.0, 25.0, 2.0] for number in (below, at)], dtype)
    assert [(row["sought"], row["lost"]) for row in rows] == [(1, 0), (0, 1)]


@DTYPES
def test_a_price_decides_what_has_to_be_found(dtype):
    """||b|| is 5; zero from there on, b/d without a price, and a price that no digit shows is made larger."""
    prices = [5.0, 6.0, 5.0 * (1 - 1e-6), 1e-30, 0.0]
    rows = started([changed(6, price) for price in prices], dtype)
    assert [(row["r"], row["t"], row["sought"], row["lost"]) for row in (*rows[:2], rows[4])] == [
        (0.0, 1.0, 0, 0),
        (0.0, 1.0, 0, 0),
        (1.0, 0.0, 0, 0),
    ]
    assert [(row["sought"], row["lost"]) for row in rows[2:4]] == [(1, 0), (1, 0)]
    assert rows[3]["t"] == pytest.approx(plain.LEAST_PRICE * 1.25, rel=1e-6)
    zero = started([[0.0, 1.0, 1.0, 0.0, 0.0, 0.0, price] for price in (0.0, 2.0)], dtype)
    assert [(row["r"], row["t"], row["sought"], row["lost"]) for row in zero] == [(0.0, 1.0, 0, 0)] * 2


def sums_at(r: float, b: list[float], d: list[float], t: float) -> list[float]:
    """phi, psi and chi."""
    pairs = [((x / (r * y + t)) ** 2, r * y / (r * y + t)) for x, y in zip(b, d, strict=True)]
    return [math.fsum(term * ratio**power for term, ratio in pairs) for power in range(3)]


B, D, PRICE = [1.0, 0.5, 0.25, 1.5], [1.0, 0.3, 1.9, 0.1], 0.4


@pytest.mark.parametrize("off", [1e-2, -1e-2, 1e-3, -1e-3])
def test_a_step_has_the_third_order(off):
    """And the bound that it leaves: from below Newton's, of the second order; from above the r where it was."""
    root = root_of(B, D, PRICE)
    r = root * (1 + off)
    (found,) = moved([[r, 0.0, INF, *sums_at(r, B, D, PRICE), 0]])
    assert 1e-4 * abs(off) ** 3 < abs(found["r"] / root - 1) < 2 * abs(off) ** 3
    assert (found["small"], found["done"], found["senseless"]) == (0, 0, 0)
    if off > 0:
        assert (found["low"], found["high"]) == (0.0, r)
    else:
        assert 1e-3 * off**2 < 1 - found["low"] / root < 2 * off**2
        assert found["high"] == INF


@DTYPES
def test_the_bound_of_newton_is_its_margin_below_the_root(dtype):
    """Of one entry h is linear without a price: Newton's step is the root, b/d = 1, and what is taken off shows."""
    eps = torch.finfo(dtype).eps
    (found,) = moved([[0.5, 0.0, INF, 4.0, 4.0, 4.0, 0]], dtype=dtype)
    # gap = -1 and slope = 1: r*(1 + 1 - MARGIN*eps - LOOSE*eps).
    assert (1 - found["low"]) / eps == pytest.approx((plain.MARGIN + plain.LOOSE) / 2, abs=1)
    assert found["r"] == pytest.approx(1.0, rel=4 * eps)


def test_bounds_are_kept_where_they_are_better():
    root = root_of(B, D, PRICE)
    below, above = 0.8 * root, 1.2 * root
    given = {
        "a low beside Newton's": [below, 0.9999 * root, 3 * root, *sums_at(below, B, D, PRICE), 0],
        "a high below r": [above, below, 1.01 * root, *sums_at(above, B, D, PRICE), 0],
        "a step below low": [above, 1.1 * root, 3 * root, *sums_at(above, B, D, PRICE), 0],
        "a step above high": [below, 0.0, 0.9 * root, *sums_at(below, B, D, PRICE), 0],
    }
    rows = dict(zip(given, moved(list(given.values())), strict=True))
    assert rows["a low beside Newton's"]["low"] == 0.9999 * root
    assert rows["a high below r"]["high"] == 1.01 * root
    assert rows["a step below low"]["r"] == 1.1 * root
    assert rows["a step above high"]["r"] == 0.9 * root
    assert all(row["senseless"] == 0 for row in rows.values())


def test_a_step_to_zero_or_beyond_goes_an_eighth_of_the_way():
    # gap = 0.9, slope = 0.5: the step leads below zero, to where the bound is.
    (found,) = moved([[2.0, 0.0, INF, 0.01, 0.005, 0.0025, 0]])
    assert (found["r"], found["low"], found["high"]) == (0.25, 0.0, 2.0)


def test_a_model_without_a_root_is_left_at_its_top():
    # gap = 0.25, slope = 1, bend = 3: the radicand is 1 - 1.5, and r*(1 - 2*gap/slope) is r/2.
    (found,) = moved([[2.0, 0.0, INF, 0.5625, 0.5625, 0.0, 0]])
    assert found["r"] == 1.0


@pytest.mark.parametrize("sums", [(1.0, 0.0, 0.0), (1.0, -0.5, 0.1), (NAN, 0.5, 0.2), (1.0, NAN, 0.2), (INF, 0.5, 0.2)])
def test_sums_that_make_no_sense(sums):
    (found,) = moved([[1.0, 0.1, 8.0, *sums, 1]], last=True)
    assert (found["done"], found["senseless"]) == (0, 1)


@DTYPES
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("near", [0, 1])
def test_a_root_is_one_up_to_tight_and_later_up_to_loose(dtype, last, near):
    """In epsilons of the dtype, on both sides: the last that counts, and the next one."""
    eps, tight, loose = torch.finfo(dtype).eps, plain.TIGHT, plain.LOOSE
    gaps = [0.0, tight, -tight, tight + 1, -tight - 1, loose, -loose, loose + 1, -loose - 1]
    rows = moved([[1.0, 0.1, 8.0, (1 - gap * eps) ** 2, 0.5, 0.25, near] for gap in gaps], last, dtype)
    assert [row["small"] for row in rows] == [1] * 7 + [0] * 2
    # At the root itself nothing is left to bound.
    assert (rows[0]["low"], rows[0]["high"]) == (pytest.approx(0.1), 8.0)
    assert [row["done"] for row in rows] == [1] * 3 + [int(last or near)] * 4 + [0] * 2
