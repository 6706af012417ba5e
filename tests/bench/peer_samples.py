"""Checkouts of peers in miniature, written to a folder: the files, names and arguments of the real ones."""

from pathlib import Path

PROX = '''
"""Shared by both files, imported by an absolute name."""
import torch

def shrunk(point, threshold):
    left, sigma, right = torch.linalg.svd(point, full_matrices=False)
    return (left * (sigma - threshold).clamp_min(0)) @ right
'''

SOLVERS = """
from Core.prox import shrunk

def pgd_solver_nuclear_norm(p, p0, v, denom, alpha, lambda_, dim, dim_, max_iters, rtol):
    for _ in range(max_iters):
        step = 1 / denom.max()
        p.copy_(shrunk(p - step * (v + denom * (p - p0)), step * lambda_))
    return p, None
"""

OPTIMIZER = '''
import torch
import Core.prox

class RAMDA(torch.optim.Optimizer):
    """A step without its regularizer: enough to be timed, and wrong."""

    def __init__(self, params, lr=1e-2, momentum=1e-1, epsilon=1e-6):
        super().__init__(params, dict(lr=lr, momentum=momentum, epsilon=epsilon))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["step"] += 1
                s = group["lr"] * state["step"] ** 0.5
                state["alpha"] += s
                grad = p.grad.view(state["grad_sum"].shape)
                state["grad_sum"].add_(grad, alpha=s)
                state["grad_sum_sq"].add_(grad * grad, alpha=s)
                denom = state["grad_sum_sq"].pow(1 / 3) + group["epsilon"]
                found = (state["initial_point"] - state["grad_sum"] / denom).view(p.shape)
                p.mul_(1 - group["momentum"]).add_(found, alpha=group["momentum"])
'''

PROXSSI = '''
import torch
from math import sqrt

def prox_l1_l2_weighted(groups, weights, lr, lambda_):
    """One fixed-point step for each length instead of Newton's method."""
    for point, D in zip(groups, weights):
        price = lr * lambda_ * sqrt(point.numel() / point.size(-1))
        norm = torch.linalg.norm(point * D, dim=(0, 1))
        length = (norm - price).clamp_min(0) / D.amax(dim=(0, 1))
        point.mul_(length * D / (length * D + price))
'''


def write_reference(folder: Path) -> Path:
    """A checkout for --reference."""
    (folder / "Core").mkdir(parents=True)
    for name, text in (("__init__", ""), ("prox", PROX), ("solvers", SOLVERS), ("optimizer", OPTIMIZER)):
        (folder / "Core" / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def write_proxssi(folder: Path) -> Path:
    """A checkout for --proxssi."""
    (folder / "proxssi").mkdir(parents=True)
    for name, text in (("__init__", ""), ("l1_l2", PROXSSI)):
        (folder / "proxssi" / f"{name}.py").write_text(text, encoding="utf-8")
    return folder
