"""Which entries of a point depend on each other: the atoms that couple entries tie them together."""

from collections.abc import Iterable

import numpy as np

from ramda_verify.oracles.atoms import Atom
from ramda_verify.oracles.lazily import lazily

sparse, graphs = lazily("scipy.sparse"), lazily("scipy.sparse.csgraph")


def block_of_each(atoms: Iterable[Atom], size: int) -> list[int]:
    """A number for each of ``size`` entries; two entries have the same one where a chain of coupling atoms joins them.

    Q is the sum of one function for each block.
    """
    coupling = [atom.indices for atom in atoms if not atom.separable and len(atom.indices)]
    if not coupling:
        return list(range(size))
    first = np.concatenate([np.repeat(indices[:1], len(indices)) for indices in coupling])
    other = np.concatenate(coupling)
    links = sparse.coo_array((np.ones(len(first)), (first, other)), shape=(size, size))
    found: list[int] = graphs.connected_components(links)[1].tolist()
    return found
