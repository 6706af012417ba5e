"""The kinds of terms that a regularizer is a sum of, one class a file, all with the members of ``Atom``."""

from ramda_verify.oracles.atoms.atom import Atom
from ramda_verify.oracles.atoms.norm import Norm
from ramda_verify.oracles.atoms.scalar import Scalar
from ramda_verify.oracles.atoms.simplex import Simplex
from ramda_verify.oracles.atoms.spectral import Spectral

__all__ = ["Atom", "Norm", "Scalar", "Simplex", "Spectral"]
