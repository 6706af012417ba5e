"""Proofs: prox and value read as real arithmetic, and an SMT solver that decides for all inputs.

``prove`` needs z3-solver, which is imported only when it is called.
"""

from typing import Any

from ramda_verify.proof.verdict import LIMITS, MEANINGS, Counterexample, Proof, ProofVerdict

__all__ = ["LIMITS", "MEANINGS", "Counterexample", "Proof", "ProofVerdict", "prove"]


def prove(regularizer: Any, *, name: str | None = None, seconds: float = 20.0) -> Proof:
    """Prove or refute that ``regularizer.prox(w, step)`` minimises ``step*psi(z) + 1/2 (z - w)^2``, psi its ``value``.

    The proof is for all real w, all steps > 0 and all parameters of the object in their range, where prox and value can
    be read as arithmetic: of one entry, of which psi is a sum, or of one group, of whose norm psi is a function.

    Arguments:
        regularizer: an object with ``value(w)`` and ``prox(w, step)``, or a class that is made without arguments.
        name: how the proof names it; the class's name if None.
        seconds: the time for the solver, > 0.

    Returns:
        The verdict, with a counterexample where it is refuted.

    Raises:
        TypeError: ``regularizer`` lacks one of the two methods.
        ValueError: ``seconds`` is not > 0, or the class declares a range that cannot be read.
    """
    from ramda_verify.proof.prover import prove_instance
    from ramda_verify.proof.subject import import_lines_of
    from solvers import validate
    from solvers.regularizers.base import require_regularizer

    validate.positive("seconds", seconds)
    instance = regularizer() if isinstance(regularizer, type) else regularizer
    require_regularizer("regularizer", instance)
    return prove_instance(instance, name or type(instance).__name__, import_lines_of(instance), seconds)
