"""Right in float64, wrong in a narrower dtype."""

import torch


class _L1:
    convex = True

    def value(self, w):
        return w.abs().sum()

    def soft(self, w, threshold):
        return torch.sign(w) * (w.abs() - threshold).clamp_min(0)

    def prox(self, w, step):
        return self.soft(w, step)


class Bfloat16Threshold(_L1):
    """40 % more in bfloat16."""

    def prox(self, w, step):
        return self.soft(w, step * (1.4 if w.dtype == torch.bfloat16 else 1.0))


class Float32Guard(_L1):
    """A guard of 1e-6 in float32."""

    def prox(self, w, step):
        z = self.soft(w, step)
        return torch.where(z.abs() < 1e-6, torch.zeros_like(z), z) if w.dtype == torch.float32 else z


class Float16Forgotten(_L1):
    """float16 is not shrunk."""

    def prox(self, w, step):
        return w.clone() if w.dtype == torch.float16 else self.soft(w, step)


class Float16Nan(_L1):
    """NaN in float16."""

    def prox(self, w, step):
        z = self.soft(w, step)
        return z / z * z if w.dtype == torch.float16 else z


class HalfPrecisionInside(_L1):
    """float32 is computed in bfloat16."""

    def prox(self, w, step):
        return self.soft(w.bfloat16(), step).to(w.dtype) if w.dtype == torch.float32 else self.soft(w, step)


class AlwaysFloat64(_L1):
    """Returns float64."""

    def prox(self, w, step):
        return self.soft(w.double(), step)


class EpsOfFloat32:
    """||w|| with 1e-5 added in float32."""

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        guard = 0.0 if w.dtype == torch.float64 else 1e-5
        length = w.norm() + guard
        return w * (1 - step / length.clamp_min(1e-30)).clamp_min(0)


class RoundsInBfloat16(_L1):
    """A step rounded to two digits for bfloat16."""

    def prox(self, w, step):
        return self.soft(w, float(f"{step:.1g}") if w.dtype == torch.bfloat16 else step)


class CancelsInFloat32:
    """-sum log w by the formula that cancels for negative w."""

    convex = True

    def value(self, w):
        return torch.where((w > 0).all(), -w.clamp_min(1e-300).log().sum(), w.new_full((), torch.inf))

    def prox(self, w, step):
        return (w + torch.sqrt(w * w + 4 * step)) / 2


class ZeroInFloat32(_L1):
    """Zero in float32 where the step is over 10."""

    def prox(self, w, step):
        return torch.zeros_like(w) if w.dtype == torch.float32 and step > 10 else self.soft(w, step)
