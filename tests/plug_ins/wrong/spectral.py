"""The nuclear norm by decompositions that keep half the digits."""

import torch

from tests.plug_ins.right import spectral as right


class ByGramMatrix(right.NuclearForMatrices):
    """The eigenvalues of w'w: squares, whose rounding hides singular values below 1e-8 of the largest."""

    def prox(self, w, step):
        squares, vectors = torch.linalg.eigh(w.mT @ w)
        singular = squares.clamp_min(0).sqrt()
        factor = torch.where(singular > step, 1 - step / singular.clamp_min(step), 0.0)
        return w @ vectors @ torch.diag(factor) @ vectors.mT


class DecomposedInSingle(right.NuclearForMatrices):
    """The singular vectors of w in float32."""

    def prox(self, w, step):
        U, singular, V = torch.linalg.svd(w.float(), full_matrices=False)
        return (U * (singular - step).clamp_min(0) @ V).to(w.dtype)
