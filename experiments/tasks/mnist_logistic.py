"""MNIST, 784 pixel groups: the experiment of the paper's Table 7."""

from experiments.data import load_mnist
from experiments.tasks.logistic import LogisticTask

TASK = LogisticTask("mnist-logistic", load_mnist)
