"""The norm equation as the compiled step once solved it: right almost everywhere, and 1e-4 too long where it was not.

It starts at a second-order estimate, which may lie far above the root, takes Newton's step from there for a lower bound
although all of it has cancelled, keeps between its bounds, and ends when it stands still.
"""

import torch
from torch import Tensor


def solve(b: Tensor, d: Tensor, t: float, axes: tuple[int, ...]) -> Tensor:
    """``argmin 1/2<z, d*z> - <b, z> + t * sum of the norms over ``axes```` in the dtype of b."""

    def total(x: Tensor) -> Tensor:
        return x.sum(dim=axes, keepdim=True).double()

    size = total(b * b).sqrt()
    mean = total(b * b * d) / size**2
    low = (size - t) / mean
    spread = (total(b * b * d * d) / (size * mean) ** 2 - 1).clamp_min(0)
    r = torch.maximum(low, (size * (1 + 3 * (1 - t / size) ** 2 * spread).sqrt() - t) / mean)
    high = torch.full_like(r, torch.inf)
    for _ in range(20):
        rd = r.to(b.dtype) * d
        u = 1 / (rd + t)
        term, ratio = (b * u) ** 2, rd * u
        phi, psi, chi = total(term), total(term * ratio), total(term * ratio * ratio)
        gap, slope = 1 - phi.sqrt(), psi / phi
        bend = 3 * (slope * slope - chi / phi)
        low = torch.maximum(low, r * (1 - gap / slope))
        high = torch.where(gap > 0, torch.minimum(high, r), high)
        move = -2 * gap / (slope + (slope * slope - 2 * gap * bend).clamp_min(0).sqrt())
        r = torch.minimum(torch.maximum(r * (1 + move), low), high)
    z = r.to(b.dtype) * (b / (r.to(b.dtype) * d + t))
    return torch.where(size > t, z, 0.0).to(b.dtype)
