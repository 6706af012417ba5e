"""Running a network for its own sake: batches of any form, and running statistics for another point."""

from solvers.evaluation.batch_norm import batch_norm_advice, batch_norm_recomputed, recompute_batch_norm
from solvers.evaluation.forward import Forward, preserved, run_forward

__all__ = [
    "Forward",
    "batch_norm_advice",
    "batch_norm_recomputed",
    "preserved",
    "recompute_batch_norm",
    "run_forward",
]
