"""Cube roots and powers of two, exact or to rounding over the whole range of the dtype."""

import triton
import triton.language as tl


@triton.jit
def cube_root(a, DTYPE: tl.constexpr):
    """Cube root of ``a`` >= 0 within two units in the last place, by Halley's method; 0 at 0, NaN at infinity."""
    # A third of the bits is a third of the logarithm: the first guess. A power of 8 takes numbers up to 1, and those
    # from 1 on, to where x*x*x neither vanishes nor overflows.
    small = a < 1
    if tl.float64 == DTYPE:
        scaled = tl.where(small, a * 2.0**600, a * 2.0**-600)
        third = scaled.to(tl.int64, bitcast=True).to(tl.float64) * 0.3333333333333333
        x = (third + 3071306043645493248.0).to(tl.int64).to(tl.float64, bitcast=True)
        for _ in tl.static_range(3):
            cube = x * x * x
            x = x * ((cube + 2 * scaled) / (2 * cube + scaled))
        root = tl.where(small, x * 2.0**-200, x * 2.0**200)
    else:
        scaled = tl.where(small, a * 2.0**72, a * 2.0**-72)
        third = scaled.to(tl.int32, bitcast=True).to(tl.float32) * 0.33333333
        x = (third + 709921077.0).to(tl.int32).to(tl.float32, bitcast=True)
        for _ in tl.static_range(2):
            cube = x * x * x
            x = x * ((cube + 2 * scaled) / (2 * cube + scaled))
        root = tl.where(small, x * 2.0**-24, x * 2.0**24)
    return tl.where(a == 0, 0.0, root)


@triton.jit
def exponent(x, DTYPE: tl.constexpr):
    """floor(log2(x)) of x >= 0, no less and no more than what ``power_of_two`` of it and of its negative can hold."""
    if tl.float64 == DTYPE:
        found = (x.to(tl.int64, bitcast=True) >> 52).to(tl.int32) - 1023
        found = tl.minimum(tl.maximum(found, -1022), 1022)
    else:
        found = (x.to(tl.int32, bitcast=True) >> 23) - 127
        found = tl.minimum(tl.maximum(found, -126), 126)
    return found


@triton.jit
def power_of_two(k, DTYPE: tl.constexpr):
    """2^k, exactly, for integers k within the bounds of ``exponent``."""
    if tl.float64 == DTYPE:
        power = ((k.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)
    else:
        power = ((k + 127) << 23).to(tl.float32, bitcast=True)
    return power
