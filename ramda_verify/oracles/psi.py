"""What each regularizer of the library is a sum of: one line a class, and psi evaluated from it.

The oracles know a regularizer by the name of its class and its plain attributes, and nothing of its methods. Wherever
an oracle takes a ``regularizer``, it also takes a list of atoms.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms import Atom, Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.atoms.functions import ABS, COUNT, SQUARE, mcp
from ramda_verify.oracles.index_sets import Indices, every, group_index_sets, matrix_shape

Shape = tuple[int, ...]
Atoms = tuple[Atom, ...]
#: A point further than this from a constraint's set, relative to the sum of its entries' sizes, violates the
#: constraint: a sum rounds relative to that.
ROUNDING = 64 * float(np.finfo(np.float64).eps)


def _groups(r: Any, weight: float, shape: Shape) -> Iterator[Norm]:
    """``weight * sum_g sqrt(|g|) * ||w_g||``."""
    for group in group_index_sets(shape, r.grouping, r.layout, r.conv_groups):
        yield Norm(weight * math.sqrt(len(group)), group, (weight, len(group)))


#: Class name -> (regularizer, shape) -> the atoms whose sum psi is on tensors of this shape.
ATOMS: dict[str, Callable[[Any, Shape], Sequence[Atom]]] = {
    "Zero": lambda r, shape: [],
    "L1": lambda r, shape: [Scalar(r.reg_weight, every(shape), ABS)],
    "GroupLasso": lambda r, shape: [*_groups(r, r.reg_weight, shape)],
    "NuclearNorm": lambda r, shape: [Spectral(r.reg_weight, every(shape), matrix_shape(shape), ABS)],
    "SparseGroupLasso": lambda r, shape: [
        Scalar(r.entry_weight, every(shape), ABS),
        *_groups(r, r.reg_weight, shape),
    ],
    "ElasticNet": lambda r, shape: [
        Scalar(r.reg_weight, every(shape), ABS),
        Scalar(r.square_weight, every(shape), SQUARE),
    ],
    "MCP": lambda r, shape: [Scalar(1.0, every(shape), mcp(r.reg_weight, r.gamma))] if r.reg_weight > 0 else [],
    "L0": lambda r, shape: [Scalar(r.reg_weight, every(shape), COUNT)],
    "Simplex": lambda r, shape: [Simplex(every(shape), r.radius)],
}


def name_of(regularizer: Any) -> str | None:
    """The class of the library that the regularizer is of (or of a subclass that keeps ``value``); None for any other.

    Goes by class name and module name. A class of the user's that happens to be called L1 is not ours, and neither is
    a subclass that defines its own psi.
    """
    for cls in type(regularizer).__mro__:
        if cls.__module__.split(".")[0] == "solvers" and cls.__name__ in ATOMS:
            return cls.__name__
        if "value" in vars(cls):
            return None
    return None


def is_known(regularizer: Any) -> bool:
    """Whether psi is known as a sum of atoms."""
    return _is_atoms(regularizer) or name_of(regularizer) is not None


def atoms_of(regularizer: Any, shape: Shape) -> Atoms:
    """The atoms of psi on tensors of ``shape``. Raises TypeError where the regularizer is none of the known ones."""
    if _is_atoms(regularizer):
        return tuple(regularizer)
    name = name_of(regularizer)
    if name is None:
        raise TypeError(
            f"regularizer must be one of {', '.join(ATOMS)} of the library or a list of atoms, got {regularizer!r}"
        )
    return tuple(ATOMS[name](regularizer, tuple(shape)))


def scaled_atoms(regularizer: Any, shape: Shape, lam: float) -> Atoms:
    """The atoms of ``lam*psi``. Raises TypeError as ``atoms_of``."""
    return tuple(atom.scaled(lam) for atom in atoms_of(regularizer, shape))


def _is_atoms(regularizer: Any) -> bool:
    return isinstance(regularizer, list | tuple) and all(isinstance(atom, Atom) for atom in regularizer)


def psi_value(x: Array, regularizer: Any) -> float:
    """psi(x) in float64, atom by atom; inf outside a constraint. Raises TypeError for an unknown regularizer."""
    x = np.asarray(x, dtype=np.float64)
    return total(x.ravel(), atoms_of(regularizer, x.shape))


def total(z: Array, atoms: Atoms) -> float:
    """The sum of the atoms at a flat z, inf where z violates a constraint by more than rounding."""
    if is_outside(z, atoms):
        return math.inf
    return math.fsum(atom.value(z[atom.indices]) for atom in atoms)


def is_outside(z: Array, atoms: Atoms) -> bool:
    """Whether a flat z violates a constraint among the atoms by more than rounding."""
    return violation(z, atoms) > ROUNDING * float(np.abs(z).sum())


def violation(z: Array, atoms: Atoms) -> float:
    """Distance of a flat z to the sets of the constraints among the atoms, where these share no entries."""
    return math.hypot(*(atom.violation(z[atom.indices]) for atom in atoms))


def disjoint(atoms: Sequence[Atom]) -> bool:
    """Whether no entry belongs to two atoms."""
    indices = [atom.indices for atom in atoms]
    return not indices or len(np.unique(np.concatenate(indices))) == sum(map(len, indices))


def norm_terms(atoms: Sequence[Atom]) -> list[tuple[float, Indices]] | None:
    """psi as ``sum price * ||z[indices]||`` over disjoint index sets, an entry's |z_i| being such a norm; None where it
    is none.
    """
    terms: list[tuple[float, Indices]] = []
    for atom in atoms:
        if isinstance(atom, Norm):
            terms.append((atom.price, atom.indices))
        elif isinstance(atom, Scalar) and atom.function is ABS:
            terms += [(atom.price, atom.indices[i : i + 1]) for i in range(len(atom.indices))]
        else:
            return None
    return terms if disjoint(atoms) else None


class PricedEntries(NamedTuple):
    """``sum price * ||z[indices]|| + entry_price * sum |z_i|`` over disjoint index sets and all entries."""

    norms: list[tuple[float, Indices]]
    entry_price: float


def priced_entries(atoms: Sequence[Atom], size: int) -> PricedEntries | None:
    """psi as norms of disjoint sets, with or without one price for all of the ``size`` entries; None where it is none.

    Without norms, every entry is a set of its own.
    """
    norms = [atom for atom in atoms if isinstance(atom, Norm)]
    rest = [atom for atom in atoms if not isinstance(atom, Norm)]
    over_all = all(isinstance(a, Scalar) and a.function is ABS and len(np.unique(a.indices)) == size for a in rest)
    if not norms or not over_all:
        terms = norm_terms(atoms)
        return None if terms is None else PricedEntries(terms, 0.0)
    if not disjoint(norms):
        return None
    return PricedEntries([(a.price, a.indices) for a in norms], sum(a.price for a in rest if isinstance(a, Scalar)))


def spectral_atom(atoms: Sequence[Atom]) -> Spectral | None:
    """The one atom of a psi that is a function of singular values and nothing else."""
    return atoms[0] if len(atoms) == 1 and isinstance(atoms[0], Spectral) else None


def model_value(x: Array, regularizer: Any) -> float:
    """psi(x) by ``as_cvxpy`` where the regularizer brings it, else by atoms; nan where the model has no value."""
    if not callable(getattr(regularizer, "as_cvxpy", None)):
        return psi_value(x, regularizer)
    import cvxpy as cp

    value = regularizer.as_cvxpy(cp.Constant(x)).value
    return math.nan if value is None else float(value)


def has_model(regularizer: Any) -> bool:
    """Whether there is a model of psi apart from the regularizer's own ``value``."""
    return callable(getattr(regularizer, "as_cvxpy", None)) or is_known(regularizer)
