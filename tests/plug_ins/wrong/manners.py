"""Right numbers, wrong manners: memory, aliases, state, the world around."""

import random

import numpy as np
import torch


class _L1:
    convex = True

    def value(self, w):
        return w.abs().sum()

    def soft(self, w, threshold):
        return torch.sign(w) * (w.abs() - threshold).clamp_min(0)

    def prox(self, w, step):
        return self.soft(w, step)


class ReadsTheStorage(_L1):
    """Reads the storage from its beginning, whatever the offset."""

    def prox(self, w, step):
        if w.is_contiguous() and w.storage_offset():
            begin = torch.as_strided(w, w.shape, w.stride(), 0)
            return self.soft(begin, step)
        return self.soft(w, step)


class ExpandedOnce(_L1):
    """Memory in which entries share a place is shrunk in place."""

    def prox(self, w, step):
        if 0 in w.stride():
            z = torch.empty_like(w.reshape(-1)[:1])
            return torch.zeros_like(w) + z.zero_()
        return self.soft(w, step)


class ChannelsLast(_L1):
    """channels_last tensors are read in the order of their memory."""

    def prox(self, w, step):
        if w.ndim == 4 and not w.is_contiguous() and w.is_contiguous(memory_format=torch.channels_last):
            return self.soft(w.permute(0, 2, 3, 1).reshape(w.shape), step)
        return self.soft(w, step)


class ReturnsTheInput(_L1):
    """The input itself where nothing is shrunk to zero: an alias."""

    def prox(self, w, step):
        z = self.soft(w, step)
        return w if torch.equal(z, w) else z


class ReturnsAViewOfTheInput:
    """[-1, 1]^n: the input itself inside."""

    convex = True

    def value(self, w):
        return w.new_tensor(0.0 if bool((w.abs() <= 1).all()) else torch.inf)

    def prox(self, w, step):
        return w.view(w.shape) if bool((w.abs() <= 1).all()) else w.clamp(-1, 1)


class ReturnsItsBuffer(_L1):
    """One buffer per shape for all answers."""

    def __init__(self):
        self.buffers = {}

    def prox(self, w, step):
        key = (tuple(w.shape), w.dtype)
        if key not in self.buffers:
            self.buffers[key] = torch.empty(w.shape, dtype=w.dtype, device=w.device)
        self.buffers[key].copy_(self.soft(w, step))
        return self.buffers[key]


class ChangesItsInput(_L1):
    """Works in place."""

    def prox(self, w, step):
        return w.copy_(self.soft(w, step)).clone()


class ValueChangesItsInput(_L1):
    """value takes absolute values in place."""

    def value(self, w):
        return w.abs_().sum()


class SeedsTheWorld(_L1):
    """Seeds torch's generator."""

    def prox(self, w, step):
        torch.manual_seed(0)
        return self.soft(w, step)


class DrawsFromTheWorld(_L1):
    """Draws from torch's generator."""

    def prox(self, w, step):
        torch.rand(1)
        return self.soft(w, step)


class DrawsFromNumpy(_L1):
    """Draws from NumPy's generator."""

    def value(self, w):
        np.random.rand()  # noqa: NPY002
        return w.abs().sum()


class DrawsFromPython(_L1):
    """Draws from Python's generator."""

    def prox(self, w, step):
        random.random()
        return self.soft(w, step)


class ChangesTheDefaultDtype(_L1):
    """Leaves float64 as the default dtype."""

    def prox(self, w, step):
        torch.set_default_dtype(torch.float64)
        return self.soft(w, step)


class TurnsGradientsOff(_L1):
    """Leaves gradients off."""

    def prox(self, w, step):
        torch.set_grad_enabled(False)
        return self.soft(w, step)


class ChangesTheThreads(_L1):
    """Leaves another number of threads."""

    def prox(self, w, step):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return self.soft(w, step)


class OneThread(_L1):
    """Sets the number of threads to what many have already."""

    def prox(self, w, step):
        torch.set_num_threads(1)
        return self.soft(w, step)


class TurnsGradientsOn(_L1):
    """Leaves gradients on, where an optimizer has turned them off."""

    def prox(self, w, step):
        torch.set_grad_enabled(True)
        return self.soft(w, step)


class Deterministic(_L1):
    """Asks for deterministic algorithms, of everybody."""

    def value(self, w):
        torch.use_deterministic_algorithms(True)
        return w.abs().sum()


class CountsItsCalls(_L1):
    """From the fifth call on the threshold is 10 % more."""

    def __init__(self):
        self.calls = 0

    def prox(self, w, step):
        self.calls += 1
        return self.soft(w, step * (1.1 if self.calls >= 5 else 1.0))


class RemembersTheFirst(_L1):
    """The weight is taken from the first tensor that it sees."""

    weight = None

    def prox(self, w, step):
        if self.weight is None:
            self.weight = float(w.abs().amax()) or 1.0
        return self.soft(w, step * self.weight / self.weight if w.numel() < 3 else step * self.weight)

    def value(self, w):
        return w.abs().sum()


class KeepsTheLast(_L1):
    """Starts from its last answer where the shapes agree, and comes only part of the way."""

    def __init__(self):
        self.last = None

    def prox(self, w, step):
        z = self.soft(w, step)
        if self.last is not None and self.last.shape == z.shape and self.last.dtype == z.dtype:
            z = z + 1e-3 * (self.last - z)
        self.last = z.clone()
        return z


class Noisy(_L1):
    """Noise of its own generator."""

    def __init__(self):
        self.generator = torch.Generator()

    def prox(self, w, step):
        return self.soft(w, step) * (1 + 1e-6 * torch.rand(w.shape, generator=self.generator, dtype=w.dtype))


class AlwaysOnTheCpu(_L1):
    """The answer is made on the CPU."""

    def prox(self, w, step):
        return (
            torch.zeros(w.shape, dtype=w.dtype) + self.soft(w, step).cpu()
            if w.device.type == "cpu"
            else (torch.zeros(w.shape, dtype=w.dtype))
        )


class FloatValue(_L1):
    """value returns a Python number."""

    def value(self, w):
        return float(w.abs().sum())


class NumpyValue(_L1):
    """value returns a NumPy number."""

    def value(self, w):
        return w.abs().sum().numpy()


class OneEntryValue(_L1):
    """value returns a tensor of one entry."""

    def value(self, w):
        return w.abs().sum().reshape(1)


class FlatAnswer(_L1):
    """The answer is flat."""

    def prox(self, w, step):
        return self.soft(w.flatten(), step)


class ListAnswer(_L1):
    """The answer is a list."""

    def prox(self, w, step):
        return self.soft(w, step).tolist()


class TupleAnswer(_L1):
    """The answer comes with its value."""

    def prox(self, w, step):
        z = self.soft(w, step)
        return z, z.abs().sum()


class NoStep(_L1):
    """prox takes no step."""

    def prox(self, w):
        return self.soft(w, 1.0)


class ArgumentsSwapped(_L1):
    """prox(step, w)."""

    def prox(self, step, w):
        return self.soft(w, step)
