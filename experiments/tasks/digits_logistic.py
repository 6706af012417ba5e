"""scikit-learn's 8x8 digits, 64 pixel groups: the same problem at a size that runs in seconds, without a download."""

from experiments.data import load_digits
from experiments.tasks.logistic import LogisticTask

TASK = LogisticTask("digits-logistic", load_digits)
