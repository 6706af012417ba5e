"""Cube roots and powers of two, exact or to rounding over the whole range of the dtype."""

import triton
import triton.language as tl


@triton.jit
def cube_root(a, DTYPE: tl.constexpr):
    """Cube root of ``a`` >= 0 within two units in the last place, by Halley's method; 0 at 0, NaN at infinity."""
    # A third of the bits is a third of the logarithm: the first guess. Powers of 8 take very small and very large
    # numbers to where x*x*x neither vanishes nor overflows.
    if tl.float64 == DTYPE:
        tiny, huge = a < 2.0**-900, a > 2.0**900
        scaled = tl.where(tiny, a * 2.0**600, tl.where(huge, a * 2.0**-600, a))
        third = scaled.to(tl.int64, bitcast=True).to(tl.float64) * 0.3333333333333333
        x = (third + 3071306043645493248.0).to(tl.int64).to(tl.float64, bitcast=True)
        for _ in tl.static_range(3):
            cube = x * x * x
            x = x * ((cube + 2 * scaled) / (2 * cube + scaled))
        root = tl.where(tiny, x * 2.0**-200, tl.where(huge, x * 2.0**200, x))
    else:
        tiny, huge = a < 2.0**-96, a > 2.0**96
        scaled = tl.where(tiny, a * 2.0**72, tl.where(huge, a * 2.0**-72, a))
        third = scaled.to(tl.int32, bitcast=True).to(tl.float32) * 0.33333333
        x = (third + 709921077.0).to(tl.int32).to(tl.float32, bitcast=True)
        for _ in tl.static_range(2):
            cube = x * x * x
            x = x * ((cube + 2 * scaled) / (2 * cube + scaled))
        root = tl.where(tiny, x * 2.0**-24, tl.where(huge, x * 2.0**24, x))
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
