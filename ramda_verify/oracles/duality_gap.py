"""A rigorous lower bound on the subproblem's optimum by weak duality, from any point.

For convex psi, lam*psi the sum of atoms f_k, any U_k give f_k(Z) >= <U_k, Z> - f_k*(U_k), and with U their sum

    Q(Z) >= min over Z of 1/2<Z,D*Z> - <B-U, Z>, minus the f_k*(U_k) = -1/2 <B-U, (B-U)/D> - sum f_k*(U_k).

Each U_k is chosen as what the others leave of B - D*Z, brought to where its conjugate is finite, so that the bound is
tight at the solution (Rockafellar, Convex Analysis, 1970, section 31), whichever entries the atoms share.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms import Atom
from ramda_verify.oracles.psi import disjoint, psi_value, scaled_atoms

#: Rounds over atoms that share entries; the bound holds after any number of them.
ROUNDS = 1000
STANDS_STILL = 1e-15


def smooth_terms(Z: Array, B: Array, D: Array) -> Array:
    """The entries of ``1/2 D*Z^2 - B*Z``, flat."""
    return (Z * (0.5 * D * Z - B)).ravel()


def subproblem_objective(Z: Array, B: Array, D: Array, lam: float, regularizer: Any) -> float:
    """Q(Z) in float64, summed without rounding error between the terms."""
    return math.fsum(smooth_terms(Z, B, D)) + lam * psi_value(Z, regularizer)


def lower_bound(Z: Array, B: Array, D: Array, lam: float, regularizer: Any) -> float:
    """A number that is at most min Q, up to rounding of its own evaluation (float64 in, shapes equal); convex psi.

    Raises TypeError where an atom is not convex.
    """
    atoms = scaled_atoms(regularizer, np.shape(B), lam)
    if not all(atom.convex for atom in atoms):
        raise TypeError("psi must be convex for a bound by duality")
    b, d, z = (np.asarray(a, dtype=np.float64).ravel() for a in (B, D, Z))
    multipliers = _multipliers(atoms, b, z, d)
    left = b.copy()
    for atom, u in zip(atoms, multipliers, strict=True):
        left[atom.indices] -= u
    conjugates = math.fsum(atom.conjugate(u) for atom, u in zip(atoms, multipliers, strict=True))
    return -0.5 * math.fsum(left**2 / d) - conjugates


def _multipliers(atoms: Sequence[Atom], b: Array, z: Array, d: Array) -> list[Array]:
    """Of atoms that share no entries, each from the slope at z. Where some do, the bound is raised further, one
    atom at a time: ``p - d*x``, with p what the others leave of b and x the minimiser for p, is the best multiplier of
    one atom.
    """
    found, left = [np.zeros(len(atom.indices)) for atom in atoms], b - d * z
    for number, atom in enumerate(atoms):
        here = atom.indices
        found[number] = atom.multiplier(left[here], z[here], d[here])
        left[here] -= found[number]
    if disjoint(atoms):
        return found
    left += d * z
    for _ in range(ROUNDS):
        before = left.copy()
        for number, atom in enumerate(atoms):
            if not atom.any_metric:
                continue
            here, metric = atom.indices, d[atom.indices]
            available = left[here] + found[number]
            x = atom.minimiser(available, metric)
            # Once more through ``multiplier``: rounding may have put it where the conjugate is infinite.
            found[number] = atom.multiplier(available - metric * x, x, metric)
            left[here] = available - found[number]
        if np.abs(left - before).max() <= STANDS_STILL * np.abs(b).max():
            break
    return found
