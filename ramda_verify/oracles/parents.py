"""The parents of RAMDA and RMDA, which they must become where psi = 0, in the conventions of their own authors.

torch.optim.AdamW is the parent of ProxGen, torch.optim.SGD(momentum=1-c, dampening=1-c) that of ProxSGD. torch's
SGD begins its buffer with the undampened first gradient, ProxSGD with c times it: they agree where torch's first step
is a zero gradient, where its first gradient is multiplied by c, or where c = 1.
"""

import numpy as np

from ramda_verify.oracles.answer import Array


class Madgrad:
    """MADGRAD (Defazio and Jelassi, 2022, arXiv 2101.11075, Algorithm 1, in the conventions of the authors' package).

    The package differs from RAMDA in two names: its ``momentum`` is the share of the *old* iterate, and it adds ``eps``
    to the learning rate as well as to the cube root:

        lambda_k = (lr + eps)*sqrt(k+1);  s += lambda_k*g;  v += lambda_k*g*g;
        z = x0 - s/(cbrt(v) + eps);  x = momentum*x + (1 - momentum)*z.

    Hence RAMDA(lr, momentum=c, eps) with psi = 0 is Madgrad(lr - eps, momentum=1 - c, eps); see ``for_ramda``. (The
    paper's own algorithm has no eps in lambda_k.) No weight decay.
    """

    def __init__(self, initial: Array, lr: float, momentum: float, eps: float) -> None:
        self.x = np.array(initial, dtype=np.float64)
        self.x0 = self.x.copy()
        self.lr, self.momentum, self.eps = lr, momentum, eps
        self.k = 0
        self.s, self.v = np.zeros_like(self.x), np.zeros_like(self.x)

    @classmethod
    def for_ramda(cls, initial: Array, lr: float, momentum: float, eps: float) -> "Madgrad":
        """The MADGRAD that equals RAMDA(lr, momentum, eps) with psi = 0."""
        return cls(initial, lr - eps, 1 - momentum, eps)

    def step(self, gradient: Array) -> Array:
        weight = (self.lr + self.eps) * (self.k + 1) ** 0.5
        self.s = self.s + weight * gradient
        self.v = self.v + weight * gradient**2
        z = self.x0 - self.s / (np.cbrt(self.v) + self.eps)
        self.x = self.momentum * self.x + (1 - self.momentum) * z
        self.k += 1
        return self.x


class Mda:
    """Modernized dual averaging (Jelassi and Defazio, 2020, arXiv 2010.10502): with beta_k = sqrt(k+1),

        s += lr*beta_k*g;  z = x0 - s/beta_k;  x = (1 - c)*x + c*z.

    RMDA(lr, momentum=c) with psi = 0.
    """

    def __init__(self, initial: Array, lr: float, c: float) -> None:
        self.x = np.array(initial, dtype=np.float64)
        self.x0 = self.x.copy()
        self.lr, self.c, self.k = lr, c, 0
        self.s = np.zeros_like(self.x)

    def step(self, gradient: Array) -> Array:
        beta = (self.k + 1) ** 0.5
        self.s = self.s + self.lr * beta * gradient
        z = self.x0 - self.s / beta
        self.x = (1 - self.c) * self.x + self.c * z
        self.k += 1
        return self.x
