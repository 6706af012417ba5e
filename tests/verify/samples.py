"""Regularizers as users write them, for the tests of the verifier to load from files and by module."""

GOOD = '''
"""A box: a set, with nothing but value and prox."""

import torch


class Ridge:
    """psi(w) = weight/2 ||w||^2, from the library's contract alone."""

    def __init__(self, weight=0.7):
        self.weight = weight

    def value(self, w):
        return 0.5 * self.weight * (w * w).sum()

    def prox(self, w, step):
        return w / (1 + step * self.weight)


stronger = Ridge(2.0)
'''

BAD = '''
import torch


class Unshrunk:
    """The prox forgets its step."""

    convex = True

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - 1).clamp_min(0)
'''

USELESS = """
import torch


class NoProx:
    def value(self, w):
        return w.sum()


class NeedsArguments:
    def __init__(self, weight):
        self.weight = weight


number = 3
"""
