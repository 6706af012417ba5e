"""One scalar equation per group, as in solvers/regularizers/norm_equation.py, which has the reasons: with r = ||z||,
z = r*b / (r*d + t) and phi(r) = sum b^2 / (r*d + t)^2 = 1.

B and D are scaled by powers of two to max|b|, max d in [1, 2), which is exact. All arguments are vectors with an entry
per group (or several that are the same).
"""

import triton
import triton.language as tl

from solvers.kernels.gpu.arithmetic import exponent, power_of_two
from solvers.regularizers import norm_equation

TIGHT: tl.constexpr = tl.constexpr(norm_equation.TIGHT)
LOOSE: tl.constexpr = tl.constexpr(norm_equation.LOOSE)
MARGIN: tl.constexpr = tl.constexpr(norm_equation.MARGIN)
LEAST_PRICE: tl.constexpr = tl.constexpr(norm_equation.LEAST_PRICE)
EPS_32: tl.constexpr = tl.constexpr(2.0**-23)
EPS_64: tl.constexpr = tl.constexpr(2.0**-52)


@triton.jit
def start(longest, steepest, flattest, square, weighted, twice, threshold, DTYPE: tl.constexpr):
    """Where the iteration starts, from max|b|, max d, max 1/d, sum b^2, sum b^2*d and sum b^2*d^2 (the sums float64).

    Returns the exponents of max|b| and max d, then, of the scaled group, r, t, a lower bound of the root and whether
    the root has to be found; last whether the group is lost, because its numbers are not finite. r = 0, t = 1 give
    z = 0; t = 0 gives z = b/d.
    """
    infinity = float("inf")
    eps: tl.constexpr = EPS_64 if tl.float64 == DTYPE else EPS_32
    b_exponent, d_exponent = exponent(longest, DTYPE), exponent(steepest, DTYPE)
    b_unit = power_of_two(-b_exponent, DTYPE).to(tl.float64)
    d_unit = power_of_two(-d_exponent, DTYPE).to(tl.float64)
    # Squares that vanish, although b does not, are out of float64's range. (NaN is in the sums, if not in the maxima.)
    sound = (longest < infinity) & (steepest < infinity) & (square < infinity) & (weighted < infinity)
    sound = sound & ((square > 0) | (longest == 0))
    square = square * b_unit * b_unit
    weighted = weighted * b_unit * b_unit * d_unit
    twice = twice * b_unit * b_unit * d_unit * d_unit
    size = tl.sqrt(square)
    scaled = threshold * b_unit
    zero = sound & (size <= scaled)
    # A d so small beside the largest that its unit takes it out of range is not what it was.
    spread_fits = steepest.to(tl.float64) * flattest.to(tl.float64) < (2.0**1020 if tl.float64 == DTYPE else 2.0**124)
    unregularized = sound & (zero == 0) & (scaled == 0)
    # A price so small that it changes nothing is made larger.
    t = tl.maximum(scaled, LEAST_PRICE * size)
    # Jensen's lower bound with the mean of d under the weights b^2, its rounding taken off; and with their variance a
    # value to second order, no bound, but most often closer.
    mean = weighted / square
    low = tl.maximum(((1 - LOOSE * eps) * size - t) / mean * (1 - MARGIN * eps), 0.0)
    part = 1 - t / size
    spread = tl.maximum(twice / (square * mean * mean) - 1, 0.0)
    better = (size * tl.sqrt(1 + 3 * part * part * spread) - t) / mean
    first = tl.where(better < infinity, better, low).to(DTYPE)
    low, t = low.to(DTYPE), t.to(DTYPE)
    sought = sound & spread_fits & (zero == 0) & (scaled > 0) & (first > 0) & (first < infinity)
    lost = (zero | unregularized | sought) == 0
    r = tl.where(sought, first, tl.where(unregularized, 1.0, 0.0))
    t = tl.where(sought, t, tl.where(unregularized, 0.0, 1.0))
    return b_exponent, d_exponent, r, t, low, sought, lost


@triton.jit
def move(r, low, high, phi, psi, chi, near, last, DTYPE: tl.constexpr):
    """One step of Cauchy's third-order method on h(r) = phi^(-1/2), between the best bounds known. The sums are
    dimensionless: psi = sum b^2 u^2 (rdu), chi = sum b^2 u^2 (rdu)^2 with u = 1/(rd + t).

    Returns the next r, the bounds, whether r was the root as far as rounding lets see, whether it is taken for the root
    (``near``: it was so the last time; ``last``: there is no next time), and whether the numbers make no sense.
    """
    eps: tl.constexpr = EPS_64 if tl.float64 == DTYPE else EPS_32
    gap = 1 - tl.sqrt(phi)
    slope = psi / phi
    bend = 3 * (slope * slope - chi / phi)
    sound = slope > 0
    small = tl.abs(gap) <= LOOSE * eps
    done = sound & ((tl.abs(gap) <= TIGHT * eps) | (small & ((near != 0) | last)))
    # From below Newton's step stays below, and nothing cancels in it.
    newton = r * (1 + (-gap * (1 - MARGIN * eps) - LOOSE * eps) / slope)
    low = tl.where(gap < 0, tl.maximum(newton, low), low)
    high = tl.where(gap > 0, tl.minimum(r, high), high)
    radicand = slope * slope - 2 * gap * bend
    root = tl.sqrt(tl.maximum(radicand, 0.0))
    next_r = tl.minimum(tl.maximum(r * (1 - 2 * gap / (slope + root)), low), high)
    # The bounds may leave room down to zero.
    next_r = tl.where(next_r > 0, next_r, r / 8)
    return next_r, low, high, small.to(tl.int32), done, sound == 0
