"""What a run logs, and what it is compared with at its end."""

from typing import Any

import torch
from torch import Tensor

from experiments.data import Dataset
from experiments.support import SupportTracker
from experiments.tasks.logistic import accuracy, evaluate
from ramda_verify.oracles.logistic_optimum import CertifiedOptimum
from solvers import GroupLasso


class Measure:
    """Measurements of a logistic model on one data set, against one certified optimum.

    ``features`` and ``labels`` are the training tensors on the run's device.
    """

    def __init__(
        self, dataset: Dataset, features: Tensor, labels: Tensor, regularizer: GroupLasso, optimum: CertifiedOptimum
    ) -> None:
        self.features, self.labels = features, labels
        self.test_features = torch.from_numpy(dataset.test_features).to(features.device)
        self.test_labels = torch.from_numpy(dataset.test_labels).to(features.device)
        self.regularizer = regularizer
        self.optimum = optimum
        self.groups = features.shape[1]

    def expected_support(self) -> Tensor:
        """Mask of the certified nonzero groups."""
        mask = torch.zeros(self.groups, dtype=torch.bool)
        mask[torch.from_numpy(self.optimum.support)] = True
        return mask

    def of_point(self, model: torch.nn.Linear, tracker: SupportTracker, *, full: bool) -> dict[str, Any]:
        """Support of the latest Ŵ; test accuracy (percent) of Ŵ and of W; F, gap and stationarity at Ŵ.

        The last three take the whole training set: without ``full`` they are None.
        """
        weight, bias = tracker.structured[model.weight], tracker.structured[model.bias]
        found = evaluate(weight, bias, self.features, self.labels, self.regularizer) if full else None
        return {
            "objective": found and found.objective,
            "objective_gap": found and found.objective - self.optimum.objective,
            "stationarity": found and found.stationarity,
            "test_accuracy": accuracy(weight, bias, self.test_features, self.test_labels),
            "test_accuracy_of_average": accuracy(model.weight, model.bias, self.test_features, self.test_labels),
            "support_size": len(tracker.nonzero()),
            "differing_groups": len(tracker.differing()),
        }

    def differing_groups(self, tracker: SupportTracker) -> list[dict[str, Any]]:
        """The groups on which Ŵ and the optimum disagree, with how clearly the optimum decides each."""
        support = set(self.optimum.support.tolist())
        return [
            {
                "index": index,
                "certified_margin": float(self.optimum.margins[index]),
                "certified_zero": index not in support,
            }
            for index in tracker.differing()
        ]

    def of_optimum(self) -> dict[str, Any]:
        """The certified optimum in a few numbers."""
        weight, bias = torch.from_numpy(self.optimum.weight), torch.from_numpy(self.optimum.bias)
        test_features = self.test_features.cpu().double()
        return {
            "status": self.optimum.status.name.lower(),
            "objective": self.optimum.objective,
            "residual": self.optimum.residual,
            "zero_groups": self.groups - len(self.optimum.support),
            "smallest_zero_margin": self.optimum.zero_margin,
            "smallest_nonzero_norm": self.optimum.nonzero_margin,
            "test_accuracy": accuracy(weight, bias, test_features, self.test_labels.cpu()),
            "support": self.optimum.support.tolist(),
        }
