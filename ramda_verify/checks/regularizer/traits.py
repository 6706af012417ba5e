"""What checks ask of psi: traits of the atoms that it is a sum of, never the class of a regularizer."""

import math
from collections.abc import Callable
from typing import Any

import torch

from ramda_verify.cases.strategies import shapes
from ramda_verify.engine.targets import Target
from ramda_verify.oracles import direct
from ramda_verify.oracles.psi import Atoms, atoms_of, is_known, norm_terms, spectral_atom
from solvers.regularizers import MetricProx
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

#: Why an oracle cannot be asked: psi of a user's class has no line among the oracles.
UNKNOWN = "psi is not known apart from the regularizer's own value"

#: (regularizer, its atoms, the shape that they are of) -> None, or the reason why a check does not apply.
Question = Callable[[Regularizer, Atoms, tuple[int, ...]], str | None]


def asks(*questions: Question) -> Callable[[Target], str | None]:
    """``applies`` of a check: the first reason that a question gives, of the atoms on the largest shape tried."""

    def reason(regularizer: Regularizer) -> str | None:
        if not is_known(regularizer):
            return UNKNOWN
        shape = max(shapes(regularizer), key=math.prod)
        atoms = atoms_of(regularizer, shape)
        return next(filter(None, (question(regularizer, atoms, shape) for question in questions)), None)

    return lambda target: target.probe(reason)


def directly_solved(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """The oracles and the regularizer have a solution in a diagonal metric without iteration over the tensor."""
    if not offers(regularizer, "metric_prox"):
        return "the regularizer does not offer metric_prox"
    return direct.why_not(atoms, math.prod(shape))


def directly_solved_by_prox(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """The oracles have a solution in a constant metric."""
    return direct.why_not(atoms, math.prod(shape), constant_metric=True)


def counted_iterations(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """``metric_prox`` says how many iterations it took."""
    ones = torch.ones(shape, dtype=torch.float64)
    try:
        found: Any = regularizer.metric_prox(ones, ones, 1.0) if offers(regularizer, "metric_prox") else None
    except Exception:
        return None  # which the check itself reports
    return None if isinstance(found, MetricProx) else "metric_prox does not count iterations"


def norms_of_groups(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """psi is a sum of norms of disjoint groups."""
    return None if norm_terms(atoms) is not None else "psi is no sum of norms of disjoint groups"


def singular_values(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """psi is a convex function of singular values."""
    atom = spectral_atom(atoms)
    return None if atom is not None and atom.convex else "psi is no convex function of singular values"


def certified(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """The regularizer has a certificate of its own."""
    missing = "the regularizer does not offer subgradient_residual"
    return None if offers(regularizer, "subgradient_residual") else missing


def is_homogeneous(regularizer: Regularizer, shape: tuple[int, ...]) -> bool:
    """Whether psi is known, and known to grow in proportion along every ray."""
    return is_known(regularizer) and all(atom.homogeneous for atom in atoms_of(regularizer, shape))
