"""The four methods written out in NumPy float64 for one tensor, line by line after the papers; slow and literal.

Every method is an object with ``step(gradient) -> W`` and ``restart(gamma)``; ``W`` is the iterate, ``structured`` the
subproblem's solution Ŵ. The subproblem ``min 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` is handed to a callable
``solve(B, D, lam) -> Z``, so that an oracle can be put there; ``no_regularizer`` is the one for psi = 0.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ramda_verify.oracles.answer import Array

Solve = Callable[[Array, Array, float], Array]


def no_regularizer(B: Array, D: Array, lam: float) -> Array:
    """The subproblem's solution for psi = 0."""
    return B / D


class Method(Protocol):
    """What ``run`` drives; ``divided_by_rate`` tells whether its subproblem is that of the paper divided by lr."""

    W: Array
    structured: Array
    c: float
    averages: bool
    divided_by_rate: bool

    def step(self, gradient: Array) -> Array: ...

    def restart(self, gamma: float) -> None: ...


class RamdaTranscription:
    """Algorithm 1 of Huang and Lee (NeurIPS 2024, arXiv 2403.14398).

    s_t = lr*sqrt(t); alpha_t = sum s; V_t = sum s*G; U_t = sum s*G*G; P_t = cbrt(U_t) + eps;
    Ŵ_t = argmin <V_t, W> + 1/2 <W - W0, P_t*(W - W0)> + alpha_t*psi(W); W_t = (1 - c)*W_{t-1} + c*Ŵ_t.
    """

    averages, divided_by_rate = True, False

    def __init__(
        self,
        initial: Array,
        lr: float,
        momentum: float,
        eps: float,
        weight_decay: float = 0.0,
        solve: Solve = no_regularizer,
    ) -> None:
        self.W = np.array(initial, dtype=np.float64)
        self.structured = self.W.copy()
        self.lr, self.c, self.eps, self.weight_decay, self.solve = lr, momentum, eps, weight_decay, solve
        self._begin_stage()

    def _begin_stage(self) -> None:
        self.W0 = self.W.copy()
        self.t, self.alpha = 0, 0.0
        self.V, self.U = np.zeros_like(self.W), np.zeros_like(self.W)

    def step(self, gradient: Array) -> Array:
        self.t = self.t + 1
        s = self.lr * np.sqrt(self.t)
        self.alpha = self.alpha + s
        self.V = self.V + s * gradient
        self.U = self.U + s * gradient * gradient
        P = np.cbrt(self.U) + self.eps
        # <V,W> + 1/2<W-W0, P(W-W0)> = 1/2<W,PW> - <P*W0 - V, W> + constant
        # The decay of the regularized objective is alpha_t * weight_decay/2 ||W||^2; the paper has none.
        D = P + self.alpha * self.weight_decay
        self.structured = self.solve(P * self.W0 - self.V, D, self.alpha)
        self.W = (1 - self.c) * self.W + self.c * self.structured
        return self.W

    def restart(self, gamma: float) -> None:
        """Appendix A.1: the sums and t from 0, W0 the current W, lr and eps times gamma."""
        self.lr, self.eps = gamma * self.lr, gamma * self.eps
        self._begin_stage()


class RmdaTranscription:
    """RMDA (Huang and Lee, ICLR 2022, arXiv 2112.02612, Algorithm 1): RAMDA with the number beta_t = sqrt(t) for P_t.

    Ŵ_t = argmin <V_t, W> + beta_t/2 ||W - W0||^2 + alpha_t*psi(W).
    """

    averages, divided_by_rate = True, False

    def __init__(
        self, initial: Array, lr: float, momentum: float, weight_decay: float = 0.0, solve: Solve = no_regularizer
    ) -> None:
        self.W = np.array(initial, dtype=np.float64)
        self.structured = self.W.copy()
        self.lr, self.c, self.weight_decay, self.solve = lr, momentum, weight_decay, solve
        self._begin_stage()

    def _begin_stage(self) -> None:
        self.W0 = self.W.copy()
        self.t, self.alpha, self.V = 0, 0.0, np.zeros_like(self.W)

    def step(self, gradient: Array) -> Array:
        self.t = self.t + 1
        s = self.lr * np.sqrt(self.t)
        self.alpha = self.alpha + s
        self.V = self.V + s * gradient
        beta = np.full_like(self.W, np.sqrt(self.t))
        D = beta + self.alpha * self.weight_decay
        self.structured = self.solve(beta * self.W0 - self.V, D, self.alpha)
        self.W = (1 - self.c) * self.W + self.c * self.structured
        return self.W

    def restart(self, gamma: float) -> None:
        self.lr = gamma * self.lr
        self._begin_stage()


class ProxSgdTranscription:
    """ProxSGD with a unit step (Yang et al., ICLR 2020): m = (1 - c)*m + c*G from m = 0, then
    W = argmin <m, Z> + 1/(2 lr) ||Z - W||^2 + psi(Z), W shrunk by 1 - lr*weight_decay before. Stages change lr only.
    Needs lr > 0.
    """

    averages, divided_by_rate = False, True

    def __init__(
        self, initial: Array, lr: float, momentum: float, weight_decay: float = 0.0, solve: Solve = no_regularizer
    ) -> None:
        self.W = np.array(initial, dtype=np.float64)
        self.structured = self.W.copy()
        self.lr, self.c, self.weight_decay, self.solve = lr, momentum, weight_decay, solve
        self.m = np.zeros_like(self.W)

    def step(self, gradient: Array) -> Array:
        self.m = (1 - self.c) * self.m + self.c * gradient
        self.W = self.W - self.lr * self.weight_decay * self.W
        D = np.full_like(self.W, 1 / self.lr)
        self.W = self.structured = self.solve(D * self.W - self.m, D, 1.0)
        return self.W

    def restart(self, gamma: float) -> None:
        self.lr = gamma * self.lr


class ProxGenTranscription:
    """ProxGen on AdamW (Yun, Lozano and Yang, NeurIPS 2021; Huang and Lee, 2024, Algorithm 3).

    W <- (1 - lr*weight_decay)*W; m = beta1*m + (1-beta1)*G; v = beta2*v + (1-beta2)*G*G; both bias-corrected;
    P = sqrt(v) + eps; W = argmin <lr*m, Z> + 1/2 <Z - W, P*(Z - W)> + lr*psi(Z). With ``amsgrad`` the largest v so far
    takes the place of v before the correction. Stages change lr only.
    """

    averages, divided_by_rate = False, False
    c = 1.0

    def __init__(
        self,
        initial: Array,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        solve: Solve = no_regularizer,
    ) -> None:
        self.W = np.array(initial, dtype=np.float64)
        self.structured = self.W.copy()
        self.lr, self.betas, self.eps, self.weight_decay, self.amsgrad = lr, betas, eps, weight_decay, amsgrad
        self.solve = solve
        self.t, self.m, self.v = 0, np.zeros_like(self.W), np.zeros_like(self.W)
        self.v_largest = np.zeros_like(self.W)

    def step(self, gradient: Array) -> Array:
        beta1, beta2 = self.betas
        self.t = self.t + 1
        self.W = self.W - self.lr * self.weight_decay * self.W
        self.m = beta1 * self.m + (1 - beta1) * gradient
        self.v = beta2 * self.v + (1 - beta2) * gradient**2
        self.v_largest = np.maximum(self.v_largest, self.v)
        v = self.v_largest if self.amsgrad else self.v
        P = np.sqrt(v / (1 - beta2**self.t)) + self.eps
        self.W = self.structured = self.solve(P * self.W - self.lr * (self.m / (1 - beta1**self.t)), P, self.lr)
        return self.W

    def restart(self, gamma: float) -> None:
        self.lr = gamma * self.lr


#: The transcription of each method, by the name of its record.
TRANSCRIPTIONS: dict[str, Callable[..., Method]] = {
    "ramda": RamdaTranscription,
    "rmda": RmdaTranscription,
    "proxsgd": ProxSgdTranscription,
    "proxgen": ProxGenTranscription,
}


class Trajectory(NamedTuple):
    """Both sequences, entry 0 the starting point; arrays of shape (steps + 1, *shape)."""

    W: Array
    structured: Array


def run(
    method: Method,
    gradient: Callable[[Array], Array],
    steps: int,
    milestones: Sequence[int] = (),
    gamma: float = 0.1,
    ramp: bool = False,
) -> Trajectory:
    """``steps`` steps with ``gradient(W)``; after ``milestones[k]`` steps in all the next stage begins.

    With ``ramp`` step i = 1, 2, ... of the last stage averages with c_i = min(c*sqrt(i), 1) (paper, appendix A.1),
    where the method averages at all (ProxSGD's momentum is not ramped).
    """
    c, first_of_stage = method.c, 1
    iterates, structured = [method.W.copy()], [method.structured.copy()]
    for k in range(1, steps + 1):
        if ramp and method.averages and all(milestone < k for milestone in milestones):
            method.c = min(c * np.sqrt(k - first_of_stage + 1), 1.0)
        method.step(gradient(method.W))
        iterates.append(method.W.copy())
        structured.append(method.structured.copy())
        if k in milestones:
            method.restart(gamma)
            first_of_stage = k + 1
    return Trajectory(np.array(iterates), np.array(structured))
