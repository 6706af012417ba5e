# mypy: allow-untyped-defs
"""One scalar equation per group, as in solvers/regularizers/norm_equation.py: with r = ||z||, z = r*b / (r*d + t) and
phi(r) = sum b^2 / (r*d + t)^2 = 1.

B and D are scaled by powers of two to max|b|, max d in [1, 2), which is exact. All arguments are vectors with an entry
per group (or several that are the same).
"""

import triton
import triton.language as tl

from solvers.kernels.gpu.arithmetic import exponent, power_of_two


@triton.jit
def start(longest, steepest, square, weighted, threshold, DTYPE: tl.constexpr):
    """Where the iteration starts, from max|b|, max d, sum b^2 and sum b^2*d (the sums float64).

    Returns the exponents of max|b| and max d, then, of the scaled group, r, t and whether the root has to be found;
    last whether the group is lost, because its numbers are not finite. r = 0, t = 1 give z = 0; t = 0 gives z = b/d.
    """
    infinity = float("inf")
    b_exponent, d_exponent = exponent(longest, DTYPE), exponent(steepest, DTYPE)
    b_unit = power_of_two(-b_exponent, DTYPE).to(tl.float64)
    d_unit = power_of_two(-d_exponent, DTYPE).to(tl.float64)
    # Squares that vanish, although b does not, are out of float64's range.
    sound = (longest < infinity) & (steepest < infinity) & (square < infinity) & (weighted < infinity)
    sound = sound & ((square > 0) | (longest == 0))
    square = square * b_unit * b_unit
    weighted = weighted * b_unit * b_unit * d_unit
    t = threshold * b_unit
    size = tl.sqrt(square)
    zero = sound & (size <= t)
    # Jensen's lower bound with the mean of d under the weights b^2, and the crude one, which guards it against
    # rounding.
    above = size - t
    crude = above / (steepest.to(tl.float64) * d_unit)
    jensen = above * square / weighted
    low = tl.where(jensen > crude, jensen, crude).to(DTYPE)
    t = t.to(DTYPE)
    # So small a t changes nothing, and its inverse might overflow.
    if tl.float64 == DTYPE:
        least = 2.0**-900
    else:
        least = 2.0**-100
    unregularized = sound & (zero == 0) & (t < least)
    sought = sound & (zero == 0) & (t >= least) & (low > 0) & (low < infinity)
    lost = (zero | unregularized | sought) == 0
    r = tl.where(sought, low, tl.where(unregularized, 1.0, 0.0))
    t = tl.where(sought, t, tl.where(unregularized, 0.0, 1.0))
    return b_exponent, d_exponent, r, t, sought, lost


@triton.jit
def move(r, low, high, phi, psi, chi, DTYPE: tl.constexpr):
    """One step of Cauchy's third-order method on h(r) = phi^(-1/2), between the best bounds known. The sums are
    dimensionless: psi = sum b^2 u^2 (rdu), chi = sum b^2 u^2 (rdu)^2 with u = 1/(rd + t).

    Returns r, the bounds, whether r is the root now, and whether the numbers make no sense.
    """
    if tl.float64 == DTYPE:
        close, exact = 2e-6, 1e-15
    else:
        close, exact = 2e-3, 5e-7
    gap = 1 - tl.sqrt(phi)
    slope = psi / phi
    bend = 3 * (slope * slope - chi / phi)
    sound = (slope > 0) & (tl.abs(gap) < float("inf"))
    newton = r * (1 - gap / slope)
    low = tl.where(newton > low, newton, low)
    high = tl.where((gap > 0) & (r < high), r, high)
    radicand = slope * slope - 2 * gap * bend
    root = tl.sqrt(tl.where(radicand > 0, radicand, 0.0))
    next_r = r * (1 - 2 * gap / (slope + root))
    next_r = tl.where(next_r < low, low, next_r)
    next_r = tl.where(next_r > high, high, next_r)
    # The error that is left is of the order of the cube of this step.
    done = (tl.abs(next_r - r) <= close * r) | (tl.abs(gap) <= exact)
    return next_r, low, high, done & sound, sound == 0
