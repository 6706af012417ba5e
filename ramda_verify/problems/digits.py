"""Real data that every machine has: scikit-learn's digits, multinomial logistic regression, groups of pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from ramda_verify.oracles.logistic_optimum import CertifiedOptimum, certified_optimum
from solvers import GroupLasso, Stages
from solvers.optimizers import StructuredOptimizer

REG_WEIGHT = 5e-3
BATCH = 64
STAGE_EPOCHS, STAGES = 60, 3


@dataclass(frozen=True)
class SupportHistory:
    """Per epoch: how many groups of Ŵ and of W differ from the certified support, and the size of Ŵ's."""

    steps: list[int]
    differing: list[int]
    differing_average: list[int]
    support_size: list[int]
    certified_size: int


@cache
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """1,437 training and 360 test images as float32 rows of 64 pixels in [0, 1], and their labels; one fixed split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    features, test_features, train_labels, test_labels = train_test_split(
        (images / 16).astype(np.float32), labels.astype(np.int64), test_size=360, random_state=0, stratify=labels
    )
    return features, train_labels, test_features, test_labels


@cache
def optimum() -> CertifiedOptimum:
    """The certified optimum of the full-batch problem."""
    features, labels, *_ = data()
    return certified_optimum(features, labels, classes=10, reg_weight=REG_WEIGHT)


def train(optimizer_class: Callable[..., StructuredOptimizer], seed: int, **settings: Any) -> SupportHistory:
    """Train from the origin in float32 through three stages; compare supports with the certified one every epoch.

    Raises ArithmeticError where Ŵ is not finite: the support of a NaN is anything.
    """
    features, labels, *_ = (torch.from_numpy(array) for array in data())
    certified = np.zeros(features.shape[1], dtype=bool)
    certified[optimum().support] = True
    model = torch.nn.Linear(features.shape[1], 10)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    regularizer = GroupLasso(REG_WEIGHT, "input")
    groups = [{"params": [model.weight], "regularizer": regularizer}, {"params": [model.bias]}]
    optimizer = optimizer_class(groups, **settings)
    per_epoch = -(-len(labels) // BATCH)
    stages = Stages(optimizer, [STAGE_EPOCHS * per_epoch * k for k in range(1, STAGES)])
    order = torch.Generator().manual_seed(seed)
    history = SupportHistory([], [], [], [], int(certified.sum()))
    structured: list[torch.Tensor] = []
    optimizer.observers.append(lambda param, w_hat: structured.append(w_hat) if param is model.weight else None)
    for _ in range(STAGE_EPOCHS * STAGES):
        for batch in torch.randperm(len(labels), generator=order).split(BATCH):
            structured.clear()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(features[batch]), labels[batch]).backward()
            optimizer.step()
            stages.step()
        if not bool(structured[-1].isfinite().all()):
            raise ArithmeticError(f"Ŵ is not finite after {stages.steps} steps")
        nonzero = regularizer.structure(structured[-1]).numpy()
        history.steps.append(stages.steps)
        history.differing.append(int((nonzero != certified).sum()))
        history.differing_average.append(int((regularizer.structure(model.weight.detach()).numpy() != certified).sum()))
        history.support_size.append(int(nonzero.sum()))
    return history
