"""Maps into a set that are not its projection."""

import math

import torch


def indicator(w, inside):
    return w.new_tensor(0.0 if bool(inside) else math.inf)


class _Simplex:
    convex = True

    def value(self, w):
        return indicator(w, bool((w >= 0).all()) and abs(float(w.double().sum()) - 1) <= 1e-6)


class SimplexBySoftmax(_Simplex):
    """Softmax."""

    def prox(self, w, step):
        return torch.softmax(w.flatten(), 0).reshape(w.shape)


class SimplexByScaling(_Simplex):
    """Clipped, then divided by its sum."""

    def prox(self, w, step):
        z = w.clamp_min(0)
        total = z.sum()
        return z / total if total > 0 else torch.full_like(w, 1 / w.numel())


class SimplexWithoutSorting(_Simplex):
    """The excess is taken off once, what is negative is cut, the rest divided by its sum."""

    def prox(self, w, step):
        z = (w - (w.sum() - 1) / w.numel()).clamp_min(0)
        return z / z.sum()


class SimplexCorner(_Simplex):
    """The corner of the largest entry."""

    def prox(self, w, step):
        z = torch.zeros_like(w).flatten()
        z[w.flatten().argmax()] = 1.0
        return z.reshape(w.shape)


class SphereReversed:
    """||w|| = 1, at the point opposite."""

    def value(self, w):
        return indicator(w, (w.double().norm() - 1).abs() <= 1e-9)

    def prox(self, w, step):
        scaled = -w / w.abs().amax().clamp_min(1e-300)
        if not bool((scaled != 0).any()):
            scaled.view(-1)[0] = 1.0
        return scaled / scaled.norm()


class BallByBox:
    """||w|| <= 1, by clipping entries and then scaling."""

    def value(self, w):
        return indicator(w, w.norm() <= 1 + 1e-9)

    def prox(self, w, step):
        z = w.clamp(-1, 1)
        return z / z.norm().clamp_min(1.0)


class BallTooSmall:
    """||w|| <= 1, projected on 0.999."""

    def value(self, w):
        return indicator(w, w.norm() <= 1 + 1e-9)

    def prox(self, w, step):
        return w / (w.norm() / 0.999).clamp_min(1.0)


class BallTooLarge:
    """||w|| <= 1, projected on 1.001."""

    def value(self, w):
        return indicator(w, w.norm() <= 1 + 1e-9)

    def prox(self, w, step):
        return w / (w.norm() / 1.001).clamp_min(1.0)


class BallAlways:
    """||w|| <= 1; points inside are sent to the boundary."""

    def value(self, w):
        return indicator(w, w.norm() <= 1 + 1e-9)

    def prox(self, w, step):
        length = w.norm()
        return w / length if length > 0 else w.clone()


class HyperplaneAlongOneAxis:
    """sum w = 0, by changing the first entry alone."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().sum().abs() <= 1e-9 * (1 + w.double().abs().sum()))

    def prox(self, w, step):
        z = w.clone().flatten()
        z[0] -= z.sum()
        return z.reshape(w.shape)


class SmallestKept:
    """At most two nonzero entries: the two smallest stay."""

    shapes = ((2,), (4,), (3, 4), (70,))

    def value(self, w):
        return indicator(w, (w != 0).sum() <= 2)

    def prox(self, w, step):
        flat = w.flatten()
        z = torch.zeros_like(flat)
        places = flat.abs().topk(2, largest=False).indices
        z[places] = flat[places]
        return z.reshape(w.shape)


class LargestSigned:
    """At most two nonzero entries: the two largest stay, not the two largest in size."""

    shapes = ((2,), (4,), (3, 4), (70,))

    def value(self, w):
        return indicator(w, (w != 0).sum() <= 2)

    def prox(self, w, step):
        flat = w.flatten()
        z = torch.zeros_like(flat)
        places = flat.topk(2).indices
        z[places] = flat[places]
        return z.reshape(w.shape)


class SignsOfZero:
    """Entries of -1 or 1; zero stays zero."""

    def value(self, w):
        return indicator(w, (w.abs() == 1).all())

    def prox(self, w, step):
        return torch.sign(w)


class BoxOfAnotherWidth:
    """[-1, 1]^n in value, [-1, 0.99]^n in prox."""

    def value(self, w):
        return indicator(w, (w.abs() <= 1).all())

    def prox(self, w, step):
        return w.clamp(-1, 0.99)


class StepInAProjection:
    """[-1, 1]^n, approached by a share of the way that the step gives."""

    def value(self, w):
        return indicator(w, (w.abs() <= 1).all())

    def prox(self, w, step):
        inside = w.clamp(-1, 1)
        return inside * min(step, 1.0) if step < 1 else inside
