"""Cube roots, exponents and powers of two of the Triton kernels, over the whole range of both dtypes."""

import importlib
import inspect
import math
import pkgutil
import re

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed")

import triton
import triton.language as tl
from triton.runtime.jit import KernelInterface

from solvers.kernels import gpu
from solvers.kernels.gpu import arithmetic
from tests.solvers.triton_cases import DEVICE

# The interpreter's numpy warns of infinities, which the kernels deal with.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
DTYPES = [torch.float32, torch.float64]
NAMES = {torch.float32: tl.float32, torch.float64: tl.float64}


@triton.jit
def roots_of(source, target, count, DTYPE: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.arange(0, BLOCK)
    kept = place < count
    tl.store(target + place, arithmetic.cube_root(tl.load(source + place, kept, 1.0), DTYPE), kept)


@triton.jit
def powers_below(source, target, exponents, count, DTYPE: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.arange(0, BLOCK)
    kept = place < count
    k = arithmetic.exponent(tl.load(source + place, kept, 1.0), DTYPE)
    tl.store(exponents + place, k, kept)
    tl.store(target + place, arithmetic.power_of_two(k, DTYPE), kept)


def cube_roots(numbers: torch.Tensor) -> torch.Tensor:
    source = numbers.to(DEVICE)
    target = torch.empty_like(source)
    block = triton.next_power_of_2(len(source))
    roots_of[(1,)](source, target, len(source), DTYPE=NAMES[numbers.dtype], BLOCK=block)
    return target.cpu()


def every_scale(dtype: torch.dtype) -> list[float]:
    """A few numbers beside every power of two that the dtype holds, denormal ones included."""
    limits = torch.finfo(dtype)
    low, high = (math.frexp(number)[1] - 1 for number in (limits.smallest_normal * limits.eps, limits.max))
    return [float(mantissa * 2.0**k) for k in range(low, high + 1) for mantissa in (1.0, 1.3, 1.999)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_cube_roots_of_every_scale(dtype):
    numbers = torch.tensor(every_scale(dtype), dtype=dtype)
    numbers = numbers[torch.isfinite(numbers) & (numbers > 0)]
    found = cube_roots(numbers).double().numpy()
    right = np.cbrt(numbers.double().numpy())
    assert np.abs(found / right - 1).max() <= 2 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
def test_cube_roots_of_zero_infinity_and_nan(dtype):
    found = cube_roots(torch.tensor([0.0, math.inf, math.nan, 27.0], dtype=dtype))
    assert found[0] == 0
    assert torch.isnan(found[1:3]).all()
    assert found[3] == pytest.approx(3.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two_below_every_scale(dtype):
    """What is below the smallest normal number, zero, or within a factor of four of the largest gets a bound."""
    numbers = torch.tensor([0.0, *every_scale(dtype)], dtype=dtype)
    numbers = numbers[torch.isfinite(numbers)]
    source = numbers.to(DEVICE)
    target, exponents = torch.empty_like(source), torch.empty_like(source, dtype=torch.int32)
    block = triton.next_power_of_2(len(source))
    powers_below[(1,)](source, target, exponents, len(source), DTYPE=NAMES[dtype], BLOCK=block)
    bound = 126 if dtype == torch.float32 else 1022
    right = [max(-bound, min(bound, math.frexp(number)[1] - 1)) if number else -bound for number in numbers.tolist()]
    assert exponents.tolist() == right
    assert target.tolist() == [2.0**k for k in right]


def test_all_that_a_kernel_calls_is_compiled():
    """The interpreter calls a function of plain Python as well, a GPU does not."""
    modules = [importlib.import_module(found.name) for found in pkgutil.iter_modules(gpu.__path__, f"{gpu.__name__}.")]
    plain = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, found in vars(module).items()
        if inspect.isfunction(found) and found.__module__ == module.__name__
        if re.search(r"\btl\.\w+\(", inspect.getsource(found))
    ]
    assert plain == []
    assert isinstance(arithmetic.cube_root, KernelInterface)
