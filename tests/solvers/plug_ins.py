"""Regularizers as a user writes them, for the tests of the inner solvers."""

import torch


class PlainL1:
    """psi = sum |w_i| with value and prox, and nothing else; a NaN, an infinity or a zero step is an error."""

    def value(self, w):
        if not torch.isfinite(w).all():
            raise ArithmeticError("value of a point that is not finite")
        return w.abs().sum()

    def prox(self, w, step):
        step = torch.as_tensor(step, dtype=w.dtype)
        if not (torch.isfinite(w).all() and torch.isfinite(step).all() and (step > 0).all()):
            raise ArithmeticError(f"prox of {w} with step {step}")
        return torch.sign(w) * (w.abs() - step).clamp_min(0)


class ConvexL1(PlainL1):
    """The same, known to be convex."""

    convex = True


class Simplex:
    """The indicator of {w >= 0, sum w = 1}, by sorting; psi is 0 inside up to rounding."""

    convex = True

    def value(self, w):
        inside = bool((w >= 0).all()) and abs(float(w.sum()) - 1) <= 1e-6
        return w.new_tensor(0.0 if inside else torch.inf)

    def prox(self, w, step):
        descending = w.flatten().sort(descending=True).values
        excess = (descending.cumsum(0) - 1) / torch.arange(1, w.numel() + 1, dtype=w.dtype)
        return (w - excess[(descending > excess).sum() - 1]).clamp_min(0)


class SimplexInAMetric(Simplex):
    """With its projection in a diagonal metric: z = max((B - nu)/D, 0), nu by bisection."""

    def metric_prox(self, B, D, lam):
        low, high = float((B - D).min()), float(B.max())
        for _ in range(200):
            nu = (low + high) / 2
            low, high = (nu, high) if float(((B - nu) / D).clamp_min(0).sum()) > 1 else (low, nu)
        return ((B - nu) / D).clamp_min(0)
