"""Tasks by name."""

from experiments.tasks import digits_logistic, mnist_logistic
from experiments.tasks.logistic import LogisticTask

TASKS = {task.name: task for task in (digits_logistic.TASK, mnist_logistic.TASK)}

__all__ = ["TASKS", "LogisticTask"]
