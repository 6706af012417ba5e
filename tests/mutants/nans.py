"""NaN in the place of a number, and who sees it: what the families of NaN mutants share.

Every check must reject a mutant that judges NaN. The telling ones are NaN in one place only, before or after numbers
that are right: a comparison written by hand forgets it there.
"""

import math

import torch
from torch import Tensor


def spoiled(values: Tensor, where: Tensor | bool = True) -> Tensor:
    """The values with NaN where the mask is true."""
    return torch.where(torch.as_tensor(where), math.nan, values)


def first_spoiled(values: Tensor) -> Tensor:
    """The values with NaN in the first entry; runs under torch.vmap."""
    return spoiled(values, (torch.arange(values.numel()) == 0).reshape(values.shape))
