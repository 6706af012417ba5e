"""The subproblem of a sum of atoms cut into blocks of entries, each of which has a direct solution.

An entry belongs to a block with those that an atom couples it to. A block is solved by the minimiser of its one
coupling atom. A multiple of sum |z_i| under a norm is taken off b first, by a soft threshold: with sign and zeros
decided by it, 0 in d*z - b + s*d|z| + t*d||z|| is the equation of the norm alone. Entries that no atom couples are
minimised one by one, over the sum of all functions of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms import Atom, Norm, Scalar
from ramda_verify.oracles.atoms.atom import NoMinimiserError
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.atoms.scalar import checked_minimisers
from ramda_verify.oracles.atoms.scalar_minimum import minimisers
from ramda_verify.oracles.index_sets import Indices


class Block(NamedTuple):
    """The entries at ``indices``, the atom that couples them (None for single entries), and the functions of entries
    that all of them share.
    """

    indices: Indices
    coupling: Atom | None
    scalars: tuple[Scalar, ...]


def blocks(atoms: Sequence[Atom], size: int) -> list[Block]:
    """The blocks of a tensor with ``size`` entries. Raises NoMinimiserError where one has no direct solution."""
    owner = np.full(size, -1)
    coupling = [atom for atom in atoms if not atom.separable]
    for number, atom in enumerate(coupling):
        if (owner[atom.indices] >= 0).any():
            raise NoMinimiserError("two atoms that couple their entries share one: there is no direct solution")
        owner[atom.indices] = number
    scalars = [atom for atom in atoms if isinstance(atom, Scalar)]
    found = []
    for number, atom in enumerate(coupling):
        above = tuple(s for s in scalars if (owner[s.indices] == number).any())
        if above and not (isinstance(atom, Norm) and all(s.function is ABS for s in above)):
            raise NoMinimiserError("only |z| has a direct solution together with a norm of the same entries")
        found.append(Block(atom.indices, atom, above))
    belongs = np.array([np.isin(np.arange(size), s.indices) for s in scalars], dtype=bool).reshape(len(scalars), size)
    for pattern in np.unique(belongs[:, owner < 0], axis=1).T:
        alike = np.flatnonzero((owner < 0) & (belongs == pattern[:, None]).all(axis=0))
        found.append(Block(alike, None, tuple(s for s, there in zip(scalars, pattern, strict=True) if there)))
    return found


def why_not(atoms: Sequence[Atom], size: int, *, constant_metric: bool = False) -> str | None:
    """The reason why psi has no direct solution in a diagonal metric, or in a constant one; None where it has one."""
    try:
        blocks(atoms, size)
    except NoMinimiserError as reason:
        return str(reason)
    direct = constant_metric or all(atom.any_metric for atom in atoms)
    return None if direct else "a metric that is not constant needs iteration"


def solution(atoms: Sequence[Atom], b: Array, d: Array, exact: bool) -> Array:
    """``argmin 1/2<z, d*z> - <b, z> + sum of the atoms`` for flat b and d > 0, of float64, or with ``exact`` of mpmath
    numbers (dtype object). Raises NoMinimiserError.
    """
    z = b / d
    for block in blocks(atoms, b.size):
        here = block.indices
        if block.coupling is None:
            terms = [scalar.term for scalar in block.scalars]
            z[here] = (checked_minimisers if exact else minimisers)(b[here], d[here], terms)
            continue
        pull = b[here]
        for scalar in block.scalars:
            price = np.where(np.isin(here, scalar.indices), scalar.price, 0.0)
            pull = np.where(pull > price, pull - price, np.where(pull < -price, pull + price, 0 * pull))
        solve = block.coupling.exact_minimiser if exact else block.coupling.minimiser
        z[here] = solve(pull, d[here])
    return z
