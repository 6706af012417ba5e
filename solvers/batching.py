"""What a function written for one problem may ask while ``torch.vmap`` runs it on a batch of them."""

import torch
from torch import Tensor


def true_everywhere(condition: Tensor) -> bool:
    """Whether every entry of ``condition`` is True; under vmap, every entry of every problem of the batch.

    An early exit needs a Python bool, which vmap refuses. A loop that may go on without harm can end once *all*
    problems of the batch are done, and that is one bool: that of the tensor beneath. Waits for the device.

    Arguments:
        condition: a boolean tensor, of one problem or under vmap.

    Returns:
        True where nothing is left to be done.
    """
    while torch._C._functorch.is_batchedtensor(condition):
        condition = torch._C._functorch.get_unwrapped(condition)
    return bool(condition.all())
