"""Data sets by name."""

from experiments.data.dataset import Dataset
from experiments.data.digits import load_digits
from experiments.data.mnist import load_mnist

__all__ = ["Dataset", "load_digits", "load_mnist"]
