"""The subproblem to 40 digits and more with mpmath: L1 by cases, groups by their dual, the nuclear prox by SVD.

Every solver checks its own optimality condition at the 70-digit point before it vouches for anything. The point comes
back rounded to float64; the objective of the unrounded point comes back as an mpmath number, so that an objective gap
of 1e-30 can be seen (``objective_gap``).
"""

from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array, OracleAnswer, failure
from ramda_verify.oracles.psi_model import as_matrix, norm_terms, require_model

#: Digits of the arithmetic; a group just above its threshold costs up to 16 of them by cancellation.
DIGITS = 70
#: Largest relative residual of an optimality condition that a solver may leave and still vouch for its point.
RESIDUAL = mpmath.mpf(10) ** -40
#: Bisections of the multiplier: 220 halvings are 66 digits of the bracket.
BISECTIONS = 220

#: (price, flat indices): the term ``price * ||Z[indices]||`` of lam*psi.
NormTerm = tuple[float, NDArray[np.intp]]


def l1_subproblem(B: Array, D: Array, t: float) -> OracleAnswer:
    """``min 1/2<z,D*z> - <B,z> + t*sum|z_i|``, entry by entry by the cases of ``0 in d*z - b + t*sign(z)``.

    z > 0 needs (b - t)/d > 0, z < 0 needs (b + t)/d < 0, z = 0 needs |b| <= t; exactly one case must hold.
    """
    refused = _refuse(B, D, t)
    if refused is not None:
        return refused
    with mpmath.workdps(DIGITS):
        price, found = mpmath.mpf(t), []
        for b, d in zip(_numbers(B), _numbers(D), strict=True):
            candidates = [z for z, holds in _l1_cases(b, d, price) if holds]
            if len(candidates) != 1:
                return failure(f"{len(candidates)} cases of the optimality condition hold at b = {b}, d = {d}, t = {t}")
            found.extend(candidates)
        terms = [(t, np.array([i])) for i in range(np.size(B))]
        return _answer(found, B, D, terms, "optimality condition by cases")


def _l1_cases(b: Any, d: Any, t: Any) -> list[tuple[Any, bool]]:
    up, down = (b - t) / d, (b + t) / d
    return [(up, up > 0), (down, down < 0), (mpmath.mpf(0), abs(b) <= t)]


def group_subproblem(b: Array, d: Array, t: float) -> OracleAnswer:
    """``min 1/2<z,d*z> - <b,z> + t*||z||`` for one group, through its dual.

    The dual is the projection ``min 1/2 <b-u, (b-u)/d>, ||u|| <= t`` and z = (b - u)/d. Its multiplier nu >= 0 gives
    u = b/(1 + nu*d); nu is bisected on ``||u(nu)|| = t`` in 70 digits (the library solves a primal equation for ||z||).
    """
    return group_lasso_subproblem(b, d, t, [np.arange(np.size(b))])


def group_lasso_subproblem(
    B: Array, D: Array, t: float | Sequence[float], group_index_sets: Sequence[NDArray[np.intp]]
) -> OracleAnswer:
    """``min 1/2<Z,D*Z> - <B,Z> + sum_g t_g*||Z_g||`` over disjoint groups of flat indices; entries in no group are
    free. ``t`` (the group's weight and lam included) is one number or one per group.
    """
    prices = [float(p) for p in np.broadcast_to(np.asarray(t, dtype=np.float64), (len(group_index_sets),))]
    refused = _refuse(B, D, min(prices, default=0.0))
    if refused is not None:
        return refused
    with mpmath.workdps(DIGITS):
        b, d = _numbers(B), _numbers(D)
        found = [x / y for x, y in zip(b, d, strict=True)]
        for price, indices in zip(prices, group_index_sets, strict=True):
            bg, dg = [b[i] for i in indices], [d[i] for i in indices]
            zg = _project_dual(bg, dg, mpmath.mpf(price))
            if _group_residual(zg, bg, dg, mpmath.mpf(price)) > RESIDUAL:
                return failure(f"the multiplier of the group at index {indices[0]} was not found to 40 digits")
            for i, z in zip(indices, zg, strict=True):
                found[i] = z
        return _answer(found, B, D, list(zip(prices, group_index_sets, strict=True)), "dual projection")


def _project_dual(b: list[Any], d: list[Any], t: Any) -> list[Any]:
    if t == 0:
        return [x / y for x, y in zip(b, d, strict=True)]
    size = mpmath.norm(b)
    if size <= t:
        return [mpmath.mpf(0)] * len(b)
    low, high = (size / t - 1) / max(d), (size / t - 1) / min(d)
    for _ in range(BISECTIONS):
        nu = (low + high) / 2
        if mpmath.norm([x / (1 + nu * y) for x, y in zip(b, d, strict=True)]) > t:
            low = nu
        else:
            high = nu
    nu = (low + high) / 2
    return [(x - x / (1 + nu * y)) / y for x, y in zip(b, d, strict=True)]


def _group_residual(z: list[Any], b: list[Any], d: list[Any], t: Any) -> Any:
    """Relative distance of zero from the subdifferential at z."""
    slope = [y * v - x for v, x, y in zip(z, b, d, strict=True)]
    length, size = mpmath.norm(z), mpmath.norm(b)
    if length == 0:
        return max(mpmath.norm(slope) - t, mpmath.mpf(0)) / (size if size > 0 else 1)
    return mpmath.norm([s + t * v / length for s, v in zip(slope, z, strict=True)]) / size


def nuclear_prox(w: Array, t: float) -> OracleAnswer:
    """``argmin_z t*||z||_nuclear + 1/2||z - w||^2`` of the matrix (out, everything else); small matrices only.

    Objective as in the subproblem with D = 1 (without ``1/2||w||^2``). Checked by the 70-digit factorisation error.
    """
    refused = _refuse(w, np.ones_like(w), t)
    if refused is not None:
        return refused
    with mpmath.workdps(DIGITS):
        matrix = mpmath.matrix(as_matrix(np.asarray(w, dtype=np.float64)).tolist())
        try:
            left, sigma, right = mpmath.svd_r(matrix, full_matrices=False)
        except (RuntimeError, ZeroDivisionError) as error:
            return failure(f"the SVD failed: {error}")
        size = mpmath.norm(matrix, 2)
        left_over = mpmath.norm(left * mpmath.diag(list(sigma)) * right - matrix, 2)
        if left_over > RESIDUAL * (size if size > 0 else 1):
            return failure(f"the SVD leaves an error of {mpmath.nstr(left_over, 3)}")
        kept = [max(s - t, mpmath.mpf(0)) for s in sigma]
        found = list(left * mpmath.diag(kept) * right)
        # 1/2||z||^2 - <w,z> + t*||z||_* along the common singular vectors.
        exact = mpmath.fsum(k * k / 2 - s * k + t * k for s, k in zip(sigma, kept, strict=True))
        return _rounded(found, np.shape(w), exact, "SVD")


def exact_objective(
    Z: Array | Sequence[Any],
    B: Array,
    D: Array,
    norms: Sequence[NormTerm] = (),
    nuclear: tuple[float, tuple[int, int]] | None = None,
) -> Any:
    """``1/2<Z,D*Z> - <B,Z> + sum price*||Z[indices]|| + price*||Z as (m, n)||_*`` in 70 digits, as an mpmath number.

    Z, B and D are float64 (or sequences of mpmath numbers), read as exact; ``nuclear`` is (price, (m, n)).
    """
    with mpmath.workdps(DIGITS):
        z = _numbers(Z)
        value = mpmath.fsum(v * (y * v / 2 - x) for v, x, y in zip(z, _numbers(B), _numbers(D), strict=True))
        value += mpmath.fsum(mpmath.mpf(price) * mpmath.norm([z[i] for i in indices]) for price, indices in norms)
        if nuclear is not None:
            price, (rows, columns) = nuclear
            matrix = mpmath.matrix([z[r * columns : (r + 1) * columns] for r in range(rows)])
            value += mpmath.mpf(price) * mpmath.fsum(mpmath.svd_r(matrix, compute_uv=False))
        return value


def objective_gap(Z: Array, B: Array, D: Array, lam: float, regularizer: Any, answer: OracleAnswer) -> float:
    """``Q(Z) - Q*`` with Q* from a 70-digit answer, subtracted in 70 digits and then rounded; nan where there is none.

    For the known regularizers. The prices are the float64 products lam*weight, as in ``subproblem``.
    """
    if not answer.solved or answer.exact_objective is None:
        return float("nan")
    model, shape = require_model(regularizer), np.shape(B)
    with mpmath.workdps(DIGITS):
        if model.kind == "NuclearNorm":
            nuclear = (lam * model.reg_weight, as_matrix(np.asarray(B)).shape)
            return float(exact_objective(Z, B, D, nuclear=nuclear) - answer.exact_objective)
        terms = [(lam * price, indices) for price, indices in norm_terms(model, shape)]
        return float(exact_objective(Z, B, D, terms) - answer.exact_objective)


def subproblem(B: Array, D: Array, lam: float, regularizer: Any) -> OracleAnswer:
    """The subproblem of a known regularizer; a failure for the nuclear norm unless D is 1 (there is no closed form)."""
    model = require_model(regularizer)
    if model.kind == "NuclearNorm":
        if not np.all(np.asarray(D) == 1):
            return failure("the nuclear norm has no closed form in a metric other than D = 1")
        return nuclear_prox(B, lam * model.reg_weight)
    if model.kind == "L1":
        return l1_subproblem(B, D, lam * model.reg_weight)
    terms = norm_terms(model, np.shape(B))
    return group_lasso_subproblem(B, D, [lam * price for price, _ in terms], [indices for _, indices in terms])


def _refuse(B: Array, D: Array, t: float) -> OracleAnswer | None:
    B, D = np.asarray(B, dtype=np.float64), np.asarray(D, dtype=np.float64)
    fits = B.shape == D.shape and np.isfinite(B).all() and np.isfinite(D).all() and np.isfinite(t)
    return None if fits and (D > 0).all() and t >= 0 else failure("B, D and t must be finite, fit, D > 0 and t >= 0")


def _numbers(values: Any) -> list[Any]:
    return [mpmath.mpf(v) for v in (values.ravel().tolist() if isinstance(values, np.ndarray) else values)]


def _answer(found: list[Any], B: Array, D: Array, terms: Sequence[NormTerm], detail: str) -> OracleAnswer:
    return _rounded(found, np.shape(B), exact_objective(found, B, D, terms), detail)


def _rounded(found: list[Any], shape: tuple[int, ...], exact: Any, detail: str) -> OracleAnswer:
    point = np.array([float(z) for z in found]).reshape(shape)
    # The residual is below 1e-40 of ||B||; the accuracy of the *exact* objective is far below float64's.
    accuracy = float(np.finfo(np.float64).eps)
    scale = abs(float(exact)) or 1.0
    return OracleAnswer(point, float(exact), accuracy, True, f"{DIGITS} digits, {detail}", scale, exact)
