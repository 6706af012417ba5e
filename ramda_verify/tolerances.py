"""Every tolerance of the suite, with its reason. A check may not loosen one; change it here and say why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """``value`` bounds a violation, which every check makes dimensionless; ``reason`` says where it comes from."""

    value: float
    reason: str


CLOSED_FORM = Tolerance(1e-10, "ours need 1e-15, and 1e-12 where screened; a tenth of what is asked of a user's prox")
ITERATIVE_PROX = Tolerance(1e-8, "the square root of the float64 epsilon: a prox that is itself computed by iteration")
PROX = Tolerance(1.0, "in units of 1e-9 of ||w - prox(w)|| and of 256 roundings of w and prox(w)")
CVXPY_GAP = Tolerance(1e-8, "of Q, beyond the accuracy that the interior-point solver reports: what it may understate")
HIGH_PRECISION = Tolerance(1e-12, "70-digit oracle; float64 rounding of sums over a few dozen entries")
NORM_EQUATION = Tolerance(1e-12, "residual of the group equation relative to ||B||: rounding of the final division")
CHALLENGE = Tolerance(1e-9, "share of the objective's scale: the accuracy of its move that is asked of a user's prox")
DERIVATIVE = Tolerance(1e-5, "central differences of a prox over 1e-6 of its size: rounding, and its third derivative")
SUBGRADIENT = Tolerance(1e-11, "of the terms of a subgradient inequality: ours need 1e-15; a user's psi may cancel")
EXACT = Tolerance(0.0, "the two computations must agree bit for bit")
PROOF = Tolerance(0.0, "a prox is proved, refuted or neither")
NARROW = Tolerance(8.0, "epsilons of the dtype, of the largest entry of w or of the answer: right ones need 0.2 to 3")
FLOAT32 = Tolerance(64.0, "in units of the epsilon of the narrower dtype times the size of the input")
NARROW_CERTIFICATE = Tolerance(1e-2, "share of eps_t by which float32 may misjudge a residual beyond its floor")
DESCENT = Tolerance(1e-13, "rounding of the comparison of two objectives, relative to their terms")
RATE = Tolerance(1e-9, "a proven bound; only rounding may exceed it")
BATCH = Tolerance(1e-10, "another order of summation: ours need 1e-15; 20 iterations of a user's prox amplify it")
TRANSCRIPTION = Tolerance(1e-12, "50 steps of float64 rounding, amplified by a preconditioner of entries near eps")
TRANSCRIPTION_ITERATIVE = Tolerance(1e-10, "50 subproblems solved to 16 eps ||B||, an error that min D magnifies")
PARENT = Tolerance(1e-12, "the same formula in another order of operations, over 50 steps")
KERNEL = Tolerance(16.0, "ulps of the dtype of the sums: the roundings of one step, twice what was ever seen")
FLOAT32_RESIDUAL = Tolerance(5e-6, "of ||B||: float32's exp(log/3) is wrong by up to 3e-6, all else by 1e-6")
FLOAT64_RESIDUAL = Tolerance(2e-14, "of ||B||: float64's exp(log/3) is wrong by up to 1e-14, all else by 2e-15")
ENCLOSED = Tolerance(
    1.0, "16 roundings of the numbers computed from, and of singular vectors; right ones need up to 0.6"
)
IDENTIFICATION = Tolerance(0.0, "a support is either identified or not")
