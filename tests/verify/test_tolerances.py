"""Every tolerance is written twice, with its reason where it belongs and here, so that none is widened by a slip."""

from ramda_verify import tolerances
from ramda_verify.checks import ALL_CHECKS
from ramda_verify.tolerances import Tolerance

VALUES = {
    "CLOSED_FORM": 1e-10,
    "ITERATIVE_PROX": 1e-08,
    "PROX": 1.0,
    "CVXPY_GAP": 1e-08,
    "HIGH_PRECISION": 1e-12,
    "NORM_EQUATION": 1e-12,
    "CHALLENGE": 1e-09,
    "DERIVATIVE": 1e-05,
    "SUBGRADIENT": 1e-11,
    "EXACT": 0.0,
    "PROOF": 0.0,
    "NARROW": 8.0,
    "FLOAT32": 64.0,
    "NARROW_CERTIFICATE": 0.01,
    "DESCENT": 1e-13,
    "RATE": 1e-09,
    "BATCH": 1e-10,
    "TRANSCRIPTION": 1e-12,
    "TRANSCRIPTION_ITERATIVE": 1e-10,
    "PARENT": 1e-12,
    "KERNEL": 16.0,
    "FLOAT32_RESIDUAL": 5e-06,
    "FLOAT64_RESIDUAL": 2e-14,
    "ENCLOSED": 1.0,
    "IDENTIFICATION": 0.0,
}


def test_values():
    found = {name: tolerance.value for name, tolerance in vars(tolerances).items() if isinstance(tolerance, Tolerance)}
    assert found == VALUES


def test_every_check_has_one_of_them():
    known = [tolerance for tolerance in vars(tolerances).values() if isinstance(tolerance, Tolerance)]
    assert [check.id for check in ALL_CHECKS if check.tolerance not in known] == []
