"""Steps and entries of unusual size, and steps put to wrong use."""

import numpy as np
import torch


class _L1:
    def value(self, w):
        return w.abs().sum()

    def soft(self, w, threshold):
        return torch.sign(w) * (w.abs() - threshold).clamp_min(0)


class IdentityBelow1e5(_L1):
    """Steps below 1e-5 do nothing."""

    def prox(self, w, step):
        return w.clone() if step < 1e-5 else self.soft(w, step)


class IdentityBelow1e8(_L1):
    """Steps below 1e-8 do nothing."""

    def prox(self, w, step):
        return w.clone() if step < 1e-8 else self.soft(w, step)


class StepCapped(_L1):
    """Steps over 1e5 count as 1e5."""

    def prox(self, w, step):
        return self.soft(w, min(step, 1e5))


class EntriesCapped(_L1):
    """Entries over 1e6 are cut."""

    def prox(self, w, step):
        return self.soft(w.clamp(-1e6, 1e6), step)


class BigEntriesLeft(_L1):
    """Entries over 1e8 are left as they are."""

    def prox(self, w, step):
        return torch.where(w.abs() > 1e8, w, self.soft(w, step))


class EpsInTheNorm:
    """||w|| with 1e-8 added to the length that is divided by."""

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        return w * (1 - step / (w.norm() + 1e-8)).clamp_min(0)


class EpsInTheRatio:
    """||w|| with 1e-6 under the square root."""

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        length = (w.square().sum() + 1e-6).sqrt()
        return w * (1 - step / length).clamp_min(0)


class StepSquared(_L1):
    """The step used twice."""

    def prox(self, w, step):
        return self.soft(w, step * step)


class StepUnused(_L1):
    """A threshold of 1, whatever the step."""

    def prox(self, w, step):
        return self.soft(w, 1.0)


class RootOfTheStep(_L1):
    """A threshold of the root of the step, as for L0."""

    def prox(self, w, step):
        return self.soft(w, step**0.5)


class OneOverStep(_L1):
    """The convention of 1/(2 step): half the threshold."""

    def prox(self, w, step):
        return self.soft(w, step / 2)


class LogOfTheStep(_L1):
    """Nearly the step, for small ones."""

    def prox(self, w, step):
        return self.soft(w, step / (1 + 1e-6 * step))


class SmallAnswersCut(_L1):
    """Answers below 1e-7 are set to zero."""

    def prox(self, w, step):
        z = self.soft(w, step)
        return torch.where(z.abs() < 1e-7, torch.zeros_like(z), z)


class RoundedToSingle(_L1):
    """The work is done in float32."""

    def prox(self, w, step):
        return self.soft(w.float(), step).to(w.dtype)


class RidgeTwice:
    """1/2 ||w||^2, shrunk by 1/(1 + 2 step)."""

    convex = True

    def value(self, w):
        return 0.5 * w.square().sum()

    def prox(self, w, step):
        return w / (1 + 2 * step)


class RidgeByGradient:
    """1/2 ||w||^2, by a gradient step."""

    convex = True

    def value(self, w):
        return 0.5 * w.square().sum()

    def prox(self, w, step):
        return w * max(1 - step, 0.0)


class ElasticNetShrunkTwice:
    """``sum |w| + w^2`` shrunk by 1/(1 + 2*2*step/2*2)."""

    def value(self, w):
        return (w.abs() + w.square()).sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step).clamp_min(0) / (1 + 4 * step)


class ElasticNetOrder:
    """The elastic net shrunk before its threshold."""

    def value(self, w):
        return (w.abs() + w.square()).sum()

    def prox(self, w, step):
        return self.soft(w / (1 + 2 * step), step)

    def soft(self, w, threshold):
        return torch.sign(w) * (w.abs() - threshold).clamp_min(0)


class WeightForgotten(_L1):
    """value has a weight of 0.5, prox none."""

    def value(self, w):
        return 0.5 * w.abs().sum()

    def prox(self, w, step):
        return self.soft(w, step)


class WeightSlightlyOff(_L1):
    """A threshold of 1.0001 steps."""

    def prox(self, w, step):
        return self.soft(w, 1.0001 * step)


class PositiveEntriesOnly(_L1):
    """Negative entries are left as they are."""

    def prox(self, w, step):
        return torch.where(w > 0, self.soft(w, step), w)


class WrongAtTies:
    """max |w_i|, of which the first largest entry alone is lowered."""

    def value(self, w):
        return w.abs().amax()

    def prox(self, w, step):
        z = w.clone().flatten()
        place = int(z.abs().argmax())
        z[place] = torch.sign(z[place]) * (z[place].abs() - step).clamp_min(0)
        return z.reshape(w.shape)


class DerivedFromMoreau:
    """A projection on the wrong ball, put through Moreau's identity."""

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        return w - w.clamp(-step, step)


class StepInSingle(_L1):
    """The step is rounded to float32."""

    def prox(self, w, step):
        return self.soft(w, float(np.float32(step)))
