"""Multinomial logistic regression with a group LASSO on the pixels: what the logistic tasks share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from experiments.data import Dataset
from experiments.settings import OPTIMIZERS, Settings
from ramda_verify.oracles.logistic_optimum import CertifiedOptimum, certified_optimum
from solvers import GroupLasso
from solvers.optimizers import StructuredOptimizer


@dataclass(frozen=True)
class LogisticTask:
    """``min (1/n) sum CE(W x + b, y) + reg_weight * sqrt(classes) * sum_j ||W[:, j]||`` from W = 0, b = 0.

    Convex, so that the optimum can be certified and what a run identifies compared with the truth.
    """

    name: str
    load: Callable[[Path | None], Dataset]

    def regularizer(self, settings: Settings) -> GroupLasso:
        return GroupLasso(settings.reg_weight, "input")

    def model(self, dataset: Dataset, device: torch.device) -> torch.nn.Linear:
        """The linear map at the origin, float32."""
        model = torch.nn.Linear(dataset.train_features.shape[1], dataset.classes, device=device)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        return model

    def optimizer(self, model: torch.nn.Linear, settings: Settings) -> StructuredOptimizer:
        groups: list[dict[str, Any]] = [
            {"params": [model.weight], "regularizer": self.regularizer(settings)},
            {"params": [model.bias]},
        ]
        return OPTIMIZERS[settings.optimizer](groups, **settings.hyperparameters)

    def optimum(self, dataset: Dataset, settings: Settings) -> CertifiedOptimum:
        """The truth, on all cores; threads on matrices as small as the digits only wait for each other."""
        small = dataset.train_features.size < 1_000_000
        with threadpool_limits(limits=1 if small else None, user_api="blas"):
            return certified_optimum(
                dataset.train_features, dataset.train_labels, classes=dataset.classes, reg_weight=settings.reg_weight
            )


@dataclass(frozen=True)
class Evaluation:
    """F, and the norm of its smallest subgradient, at one point."""

    objective: float
    stationarity: float


@torch.no_grad()
def evaluate(
    weight: Tensor, bias: Tensor, features: Tensor, labels: Tensor, regularizer: GroupLasso, chunk: int = 1024
) -> Evaluation:
    """F and its stationarity at (``weight``, ``bias``) over all of ``features`` (n, p), in float64.

    Widened a chunk of rows at a time: what float32 would lose is the gap to the optimum that a good run reaches.
    """
    W, b = weight.double(), bias.double()
    loss = W.new_zeros(())
    grad_weight, grad_bias = torch.zeros_like(W), torch.zeros_like(b)
    for x, y in zip(features.split(chunk), labels.split(chunk), strict=True):
        wide = x.double()
        log_probabilities = torch.log_softmax(torch.addmm(b, wide, W.T), dim=1)
        chosen = log_probabilities.gather(1, y[:, None])
        loss -= chosen.sum()
        error = log_probabilities.exp().scatter_add_(1, y[:, None], -torch.ones_like(chosen))
        grad_weight.addmm_(error.T, wide)
        grad_bias += error.sum(dim=0)
    n = len(features)
    member = regularizer.subgradient_residual(W, grad_weight / n, 1.0)
    stationarity = torch.sqrt(member.square().sum() + (grad_bias / n).square().sum())
    return Evaluation(float(loss / n + regularizer.value(W)), float(stationarity))


@torch.no_grad()
def accuracy(weight: Tensor, bias: Tensor, features: Tensor, labels: Tensor) -> float:
    """Share of the rows of ``features`` whose largest logit is at their label, in percent."""
    hits = (torch.addmm(bias, features, weight.T).argmax(dim=1) == labels).sum()
    return 100 * int(hits) / len(labels)
