"""The group LASSO subproblem in a diagonal metric: one scalar equation per group, solved to rounding.

For a group g, with t the price of a unit of its norm (lam and both weights included),

    argmin_z 1/2<z, D*z> - <B, z> + t||z||   is 0 if ||B|| <= t, else  z = r*B / (r*D + t)  with r = ||z|| the root of
    phi(r) = sum B^2 / (r*D + t)^2 = 1.

``h = phi^(-1/2)`` is increasing and concave, so its tangent at *any* r meets 1 to the left of the root: Newton's step
is a lower bound. The iteration moves by the root of the second-order Taylor model of h instead (Cauchy's method, cubic
order, one more sum in the same pass over memory), kept between the best bounds known. Newton alone needs 14 steps at
max D/min D = 1e8; this needs 8.

A bound in floating point is one only with its rounding taken off. Far above the root ``r*(1 - gap/slope)`` cancels and
what is left is rounding, so lower bounds are taken from r below the root alone, where Newton's step is a sum of
positive terms; and every bound is moved away from the root by more than the rounding of what it is computed from.

The residual of the subproblem at z is ``t*|1 - ||z||/r|``, and the sum that the iteration takes at r gives ||z||: a
group is solved only once that sum has been taken at the very r that is used, and says so. A group that is not, or whose
B or D is not finite, has no solution: its entries are NaN.

The sums are taken of ``b*u`` and ``r*d*u``, u = 1/(r*d + t), which lie in [0, 1] at the root. B and D are scaled by
powers of two, group by group, which is exact, so that no square leaves the range of the dtype. The compiled kernels
(solvers/kernels) do the same with the same constants.
"""

import math

import torch
from torch import Tensor

from solvers.batching import true_everywhere
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.groups import Grouping
from solvers.regularizers.members import MetricProx, Scalar

#: Evaluations of phi, the last of which confirms. Measured need: 5 at max D/min D = 1e4, 10 at 1e8, 16 at 1e24, 32 at
#: 1e60; where the loop cannot end early without waiting for a device, it ends at the second number.
MAX_ITERATIONS, MAX_ITERATIONS_ON_DEVICES = 64, 20
#: What ``|1 - phi^(1/2)|`` a root may leave, in epsilons of the dtype of the sums: from TIGHT on a group is solved,
#: from LOOSE on at the second time, since then rounding is all that is left (at most 16 terms are added in float32).
TIGHT, LOOSE = 3.0, 16.0
#: What is taken off a bound, in such epsilons: twice the worst rounding of a quotient of two sums.
MARGIN = 64.0
#: The least t, in units of ||B||. A smaller one makes no difference that float64 holds, and 1/t stays in float32.
LEAST_PRICE = 2.0**-60


def solve_norm_equation(B: Tensor, D: Tensor, threshold: Scalar, groups: Grouping) -> MetricProx:
    """Solve the subproblem of ``threshold * sum_g ||z_g||`` for all groups at once.

    ``B`` and ``D`` > 0 are tensors of one shape; ``threshold`` >= 0 is a number or a 0-d tensor. Returns the point and
    the evaluations of phi used; on the CPU the loop ends as soon as every root is exact to rounding. Groups without a
    solution in the dtype are NaN: those where B or D is not finite, where the solution overflows, or (never seen) whose
    root was not found; on the CPU float32 groups are tried in float64 first.
    """
    work = accumulation_dtype(B)
    eps = torch.finfo(work).eps
    b, d = B.to(work), D.to(work)
    longest, steepest = groups.max(b.abs()), groups.max(d.abs())
    sound = torch.isfinite(longest) & torch.isfinite(steepest)
    b_unit, d_unit = _power_of_two(longest), _power_of_two(steepest)
    b, d = b / b_unit, d / d_unit
    # A d so small beside the largest that its unit takes it out of range is not what it was.
    flattest = -groups.max(-d)
    sound = sound & ((flattest >= torch.finfo(work).tiny) | (steepest == 0))

    square = b.square()
    size_square, weighted = groups.sum(square), groups.sum(square * d)
    mean, size = weighted / size_square, size_square.sqrt()
    # A price so small that it changes nothing is made larger.
    t = torch.maximum(threshold / b_unit.double(), LEAST_PRICE * size)
    unsolved = sound & (size > t)
    # Jensen's lower bound of the root, with the mean of d under the weights b^2; and with their variance a value to
    # second order, no bound, but most often closer.
    low = (((1 - LOOSE * eps) * size - t) / mean * (1 - MARGIN * eps)).clamp_min(0)
    spread = (groups.sum(square * d * d) / (size_square * mean * mean) - 1).clamp_min(0)
    better = (size * (1 + 3 * (1 - t / size).square() * spread).sqrt() - t) / mean
    r = torch.where(unsolved, torch.where(torch.isfinite(better), torch.maximum(low, better), low), 0.0)
    # A group that is zero has r = 0 and t = 1, which keeps the arithmetic below finite.
    t = torch.where(unsolved, t, 1.0)
    nonzero, high, near = unsolved, torch.full_like(low, torch.inf), torch.zeros_like(unsolved)
    loose = LOOSE * eps + math.log2(B.numel() + 1) * torch.finfo(torch.float64).eps
    waits = B.device.type == "cpu"
    limit, iterations = MAX_ITERATIONS if waits else min(MAX_ITERATIONS, MAX_ITERATIONS_ON_DEVICES), 0
    while iterations < limit:
        iterations += 1
        r = r.to(work).double()
        ratio, u = _ratio(r, d, t)
        term = (b * u).square()
        phi, psi, chi = groups.sum(term), groups.sum(term * ratio), groups.sum(term * ratio * ratio)
        # h - 1 and its two derivatives with respect to log r, each divided by h.
        gap = 1 - phi.sqrt()
        slope = psi / phi
        bend = 3 * (slope * slope - chi / phi)
        small = gap.abs() <= loose
        unsolved = unsolved & ~((gap.abs() <= TIGHT * eps) | (small & (near | (iterations == limit))))
        if waits and true_everywhere(~unsolved):
            break
        newton = r * (1 + (-gap * (1 - MARGIN * eps) - loose) / slope)
        low = torch.where(gap < 0, torch.maximum(low, newton), low)
        high = torch.where(gap > 0, torch.minimum(high, r), high)
        move = -2 * gap / (slope + (slope * slope - 2 * gap * bend).clamp_min(0).sqrt())
        moved = torch.minimum(torch.maximum(r * (1 + move), low), high)
        # The bounds may leave room down to zero.
        r = torch.where(unsolved, torch.where(moved > 0, moved, r / 8), r)
        near = small
    # z = B / (D + t/r): in this form nothing leaves the range of the dtype that z does not leave.
    # Without a price the solution is B / D, also where D spreads so far that the least price would show.
    shift = torch.where(torch.as_tensor(threshold == 0, device=B.device), 0.0, t / r)
    z = (b / (d + shift.to(work))).double() * (b_unit.double() / d_unit.double())
    found = torch.where(nonzero, z, 0.0).to(B.dtype)
    lost = unsolved | ~sound | ~torch.isfinite(groups.max(found.abs()))
    found = torch.where(lost, torch.nan, found)
    if work == torch.float32 and waits and not true_everywhere(~lost):
        wide = solve_norm_equation(B.double(), D.double(), threshold, groups).point.to(B.dtype)
        found = torch.where(torch.isfinite(groups.max(wide.abs())), torch.where(lost, wide, found), found)
    return MetricProx(found, iterations)


def _power_of_two(x: Tensor) -> Tensor:
    """The power of two with x in [1, 2) of it, for x > 0 and finite; else 1."""
    x = torch.where((x > 0) & torch.isfinite(x), x, 1.0)
    return x / (2 * torch.frexp(x).mantissa)


def _ratio(r: Tensor, d: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """``r*d*u`` and ``u = 1/(r*d + t)`` in the dtype of ``d``."""
    rd = r.to(d.dtype) * d
    u = 1 / (rd + t.to(d.dtype))
    return rd * u, u
