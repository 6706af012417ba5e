"""Functions of neighbouring or sorted entries."""

import torch


class TotalVariation:
    """``sum |w_(i+1) - w_i|`` over the flattened tensor, exactly, by the taut string (Condat 2013 gives a faster one).

    The prox is ``w - D'u`` with u the projection of the dual problem; here by walking the string's tube.
    """

    convex = True

    def value(self, w):
        return w.flatten().diff().abs().sum()

    def prox(self, w, step):
        flat = w.double().flatten().tolist()
        return torch.tensor(taut_string(flat, step), dtype=torch.float64).to(w.dtype).reshape(w.shape)


def taut_string(y, lam):
    """argmin 1/2 sum (z - y)^2 + lam * sum |z_(i+1) - z_i|: the tightest string through the tube of cumulative sums."""
    n = len(y)
    sums = [0.0]
    for number in y:
        sums.append(sums[-1] + number)
    low = [sums[0], *(s - lam for s in sums[1:-1]), sums[-1]]
    high = [sums[0], *(s + lam for s in sums[1:-1]), sums[-1]]
    z, start, height = [0.0] * n, 0, 0.0
    while start < n:
        # The range of slopes that stay in the tube so far, and where each end was last touched.
        smallest, largest, at_smallest, at_largest = -float("inf"), float("inf"), start, start
        end = None
        for i in range(start + 1, n + 1):
            up, down = (high[i] - height) / (i - start), (low[i] - height) / (i - start)
            if down > largest:
                end, slope = at_largest, largest
                break
            if up < smallest:
                end, slope = at_smallest, smallest
                break
            if up <= largest:
                largest, at_largest = up, i
            if down >= smallest:
                smallest, at_smallest = down, i
        if end is None:
            end, slope = n, (sums[-1] - height) / (n - start)
            z[start:end] = [slope] * (end - start)
            break
        z[start:end] = [slope] * (end - start)
        height = high[end] if end == at_largest and slope == largest else low[end]
        start = end
    return z


class Slope:
    """``sum lam_i |w|_(i)`` with falling weights, by pooling adjacent violators (Bogdan et al. 2015)."""

    convex = True

    def weights(self, n, dtype):
        return torch.linspace(1.0, 0.25, n, dtype=dtype)

    def value(self, w):
        sizes = w.abs().flatten().sort(descending=True).values
        return (self.weights(len(sizes), w.dtype) * sizes).sum()

    def prox(self, w, step):
        flat = w.double().flatten()
        sizes, order = flat.abs().sort(descending=True)
        shrunk = (sizes - step * self.weights(len(flat), torch.float64)).tolist()
        blocks = []
        for number in shrunk:
            blocks.append((number, 1))
            while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] <= blocks[-1][0] / blocks[-1][1]:
                total, count = blocks.pop()
                before, number_before = blocks.pop()
                blocks.append((before + total, number_before + count))
        pooled = [max(total / count, 0.0) for total, count in blocks for _ in range(count)]
        z = torch.empty_like(flat)
        z[order] = torch.tensor(pooled, dtype=torch.float64)
        return (torch.sign(flat) * z).to(w.dtype).reshape(w.shape)


class Smooth:
    """``1/2 sum (w_(i+1) - w_i)^2`` of a vector: a linear system, whose condition a long step makes as bad as it is
    long; by its eigenvectors, which lose nothing by that.
    """

    convex = True
    shapes = ((1,), (2,), (5,), (70,))

    def value(self, w):
        return 0.5 * w.diff().square().sum()

    def prox(self, w, step):
        n = w.numel()
        D = torch.eye(n, dtype=torch.float64).diff(dim=0)
        eigenvalues, basis = torch.linalg.eigh(D.T @ D)
        eigenvalues = torch.where(eigenvalues < 1e-12, torch.zeros_like(eigenvalues), eigenvalues)
        return (basis @ (basis.T @ w.double() / (1 + step * eigenvalues))).to(w.dtype)


class MeanAbsolute:
    """``|mean of w|``: a norm of one number of the tensor."""

    convex = True

    def value(self, w):
        return w.mean().abs()

    def prox(self, w, step):
        mean = w.mean()
        # Along the constant vectors the prox is a soft threshold, with step/n for the mean.
        kept = torch.sign(mean) * (mean.abs() - step / w.numel()).clamp_min(0)
        return w - mean + kept


class PairwiseDistance:
    """``|w_1 - w_2|`` of the first two entries of a vector."""

    convex = True
    shapes = ((2,), (3,), (70,))

    def value(self, w):
        return (w[0] - w[1]).abs()

    def prox(self, w, step):
        apart = w[0] - w[1]
        pull = apart.clamp(-2 * step, 2 * step) / 2
        z = w.clone()
        z[0] -= pull
        z[1] += pull
        return z
