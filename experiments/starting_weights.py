"""How the weight of a regularizer acts on small networks, in units of ``reg_weight_max`` of the untrained network.

``python -m experiments.starting_weights`` trains every network with RAMDA at several shares of its smallest
``reg_weight_max`` and writes ``experiments/results/starting-weights.md``. Accuracies are those of Ŵ on test data, with
running statistics of its own where the network has any.
"""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.data import Dataset, load_digits, load_mnist
from ramda_verify.output.writing import write_whole
from solvers import (
    L1,
    RAMDA,
    GroupLasso,
    NuclearNorm,
    Stages,
    batch_norm_recomputed,
    parameter_groups,
    reg_weight_max,
    structure_levels,
)

RESULT = Path(__file__).parent / "results" / "starting-weights.md"
#: Shares of the smallest reg_weight_max.
SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
BATCH = 128

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Case:
    """A network on a data set, its regularizers by kind of layer, made from a weight, and how long it is trained."""

    name: str
    data: Callable[[], Dataset]
    network: Callable[[], nn.Module]
    kinds: Callable[[float], dict[str, Any]]
    epochs: int
    learning_rate: float = 0.1

    @property
    def regularizer(self) -> str:
        """The classes of the regularizers."""
        return ", ".join(dict.fromkeys(type(psi).__name__ for psi in self.kinds(1.0).values()))


def digits_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def digits_convolutions() -> nn.Module:
    return nn.Sequential(
        *(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)),
    )


def mnist_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 10))


def linear(make: Callable[[float], Any]) -> Callable[[float], dict[str, Any]]:
    return lambda weight: {"linear": make(weight)}


def channels(weight: float) -> dict[str, Any]:
    return {"linear": GroupLasso(weight, "input"), "convolution": GroupLasso(weight, "channel")}


CASES = (
    Case("digits, 64-32-10", load_digits, digits_mlp, linear(GroupLasso), 60),
    Case("digits, 64-32-10", load_digits, digits_mlp, linear(L1), 60),
    Case("digits, 64-32-10", load_digits, digits_mlp, linear(NuclearNorm), 60),
    Case("digits, two convolutions with BatchNorm", load_digits, digits_convolutions, channels, 40, 0.03),
    Case("MNIST, 784-300-10", load_mnist, mnist_mlp, linear(GroupLasso), 10, 0.03),
    Case("MNIST, 784-300-10", load_mnist, mnist_mlp, linear(L1), 10, 0.03),
)


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def shuffled(features: Tensor, labels: Tensor) -> Iterator[Batch]:
    for rows in torch.randperm(len(labels)).split(BATCH):
        yield features[rows], labels[rows]


def measure(case: Case) -> list[str]:
    """One row of the table: the weights of the untrained network, then accuracy / structured zeros at every share."""
    data = case.data()
    train = torch.from_numpy(data.train_features), torch.from_numpy(data.train_labels)
    test = torch.from_numpy(data.test_features), torch.from_numpy(data.test_labels)
    torch.manual_seed(0)
    model = case.network()
    weights = reg_weight_max(model, loss, shuffled(*train), parameter_groups(model, **case.kinds(1.0)))
    smallest, largest = min(weights.values()), max(weights.values())
    cells = [case.name, case.regularizer, f"{smallest:.1e} to {largest:.1e}"]
    for share in SHARES:
        torch.manual_seed(0)
        model = case.network()
        accuracy, zeros = trained(case, model, share * smallest, train, test)
        cells.append(f"{100 * accuracy:.1f} / {100 * zeros:.3g}")
        print(case.name, case.regularizer, share, cells[-1], flush=True)
    return cells


def trained(case: Case, model: nn.Module, weight: float, train: Batch, test: Batch) -> tuple[float, float]:
    """(test accuracy, fraction of structured zeros) of Ŵ after training."""
    steps = -(-len(train[1]) // BATCH)
    optimizer = RAMDA(parameter_groups(model, **case.kinds(weight)), lr=case.learning_rate, momentum=0.1)
    stages = Stages(optimizer, milestones=[steps * case.epochs // 2], gamma=0.1)
    for _ in range(case.epochs):
        for batch in shuffled(*train):
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
            stages.step()
    with optimizer.structured_iterate_swapped_in(), batch_norm_recomputed(model, list(shuffled(*train))):
        model.eval()
        with torch.no_grad():
            accuracy = (model(test[0]).argmax(1) == test[1]).double().mean().item()
        model.train()
    (level,) = structure_levels(optimizer).values()
    return accuracy, level.fraction


def main() -> None:
    torch.set_num_threads(1)
    head = ["network", "regularizer", "reg_weight_max, untrained", *(f"{share:g}" for share in SHARES)]
    rows = [head, ["---"] * len(head), *(measure(case) for case in CASES)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    training = "; ".join(dict.fromkeys(f"{c.name}: {c.epochs} epochs, lr {c.learning_rate:g}" for c in CASES))
    write_whole(
        RESULT,
        "# What the weight of a regularizer does, in units of reg_weight_max\n\n"
        f"Made by `python -m experiments.starting_weights`; python {platform.python_version()}, torch "
        f"{torch.__version__}, CPU, 1 thread, seed 0. RAMDA, momentum 0.1, batches of {BATCH}, one restart with gamma "
        f"0.1 halfway ({training}). The last columns are test accuracy / structured zeros in % of Ŵ at these shares of "
        "the smallest reg_weight_max of the untrained network.\n\n"
        f"{table}\n",
    )


if __name__ == "__main__":
    main()
