"""The certified optimum of multinomial logistic regression with a group LASSO on the features.

An independent method (full batch, float64, second order) and a certificate recomputed by other code: the truth that a
training run's support is compared with. Imports nothing of the solvers that it judges.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ramda_verify.oracles import logistic_cache
from ramda_verify.oracles.logistic_certificate import Array, Certificate, certify
from ramda_verify.oracles.logistic_problem import LogisticProblem
from ramda_verify.oracles.logistic_steps import accelerated, newton

#: Part of the cache key: raise it when the method changes what it returns.
ALGORITHM_VERSION = 1
#: Residual below which a point counts as the optimum, and the one that the method aims at.
TOLERANCE, TARGET = 1e-9, 1e-12


class OptimumStatus(Enum):
    """How the search ended. Only CERTIFIED is a truth to compare with."""

    CERTIFIED = "the residual is below the tolerance and every zero group lies strictly inside"
    DEGENERATE = "the residual is below the tolerance but some zero group is not strictly inside"
    NOT_CONVERGED = "the residual is above the tolerance"


@dataclass(frozen=True)
class CertifiedOptimum:
    """``weight`` (classes, p), ``bias`` (classes,) with sum zero, and the certificate at exactly this point.

    ``support`` holds the sorted indices of the nonzero groups (columns of weight). ``margins`` has one entry per group:
    ``1 - ||gradient|| / threshold`` of a zero group, the norm of a nonzero one. ``from_cache`` says that the point was
    read and only certified again.
    """

    weight: Array
    bias: Array
    objective: float
    residual: float
    support: NDArray[np.int64]
    margins: Array
    status: OptimumStatus
    from_cache: bool

    @property
    def zero_margin(self) -> float:
        """The smallest margin of a zero group; infinite where there is none."""
        zero = np.delete(self.margins, self.support)
        return float(zero.min()) if len(zero) else float("inf")

    @property
    def nonzero_margin(self) -> float:
        """The smallest norm of a nonzero group; infinite where there is none."""
        return float(self.margins[self.support].min()) if len(self.support) else float("inf")


def certified_optimum(
    features: ArrayLike, labels: ArrayLike, *, classes: int, reg_weight: float, cache: bool = True
) -> CertifiedOptimum:
    """The optimum of F for ``features`` (n, p), taken as they are and widened to float64, and ``labels`` (n,).

    Kept in the user's cache folder (or that of the environment variable RAMDA_CACHE) under a hash of its data; what is
    read there is certified anew and dropped where it fails. Not reaching the tolerance is a status, not an error.
    Raises ValueError on data that do not fit together.
    """
    raw, y, reg_weight = _checked(features, labels, classes, reg_weight)
    question = (raw, y, classes, reg_weight, ALGORITHM_VERSION)

    def described(point: tuple[Array, Array], from_cache: bool) -> CertifiedOptimum:
        weight, bias = point
        found = certify(raw.astype(np.float64), y, reg_weight=reg_weight, weight=weight, bias=bias)
        return _describe(found, weight, bias, from_cache)

    if not cache:
        return described(_solution(*question), False)
    # What is read and is no optimum is forgotten, and so is what could not be solved.
    for _ in range(2):
        kept = logistic_cache.remembered(_solution, *question)
        if _is_point(kept.value, (classes, raw.shape[1])):
            found = described(kept.value, kept.from_cache)
            if found.status is not OptimumStatus.NOT_CONVERGED:
                return found
        kept.discard()
        if not kept.from_cache:
            break
    return found


def _is_point(value: Any, shape: tuple[int, int]) -> bool:
    """Whether a value is a float64 weight of this shape and its bias."""
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, np.ndarray) for part in value)):
        return False
    weight, bias = value
    return weight.shape == shape and bias.shape == shape[:1] and weight.dtype == bias.dtype == np.float64


def _solution(
    features: NDArray[np.floating], labels: NDArray[np.int64], classes: int, reg_weight: float, version: int
) -> tuple[Array, Array]:
    """(weight, bias) by ``version`` of the algorithm, a number that is there to tell entries of the cache apart."""
    return _minimise(features.astype(np.float64), labels, classes, reg_weight)


def _describe(certificate: Certificate, weight: Array, bias: Array, from_cache: bool) -> CertifiedOptimum:
    zero = np.delete(certificate.margins, certificate.support)
    if not certificate.residual <= TOLERANCE:
        status = OptimumStatus.NOT_CONVERGED
    elif len(zero) and not zero.min() > 0:
        status = OptimumStatus.DEGENERATE
    else:
        status = OptimumStatus.CERTIFIED
    return CertifiedOptimum(weight, bias, *certificate, status=status, from_cache=from_cache)


def _minimise(x: Array, y: NDArray[np.int64], classes: int, reg_weight: float) -> tuple[Array, Array]:
    """Accelerated proximal gradient to a rough support, then Newton on it with proximal steps in between.

    Works on centred features, which the free bias makes the same problem with a several times smaller Lipschitz
    constant.
    """
    mean = x.mean(axis=0)
    problem = LogisticProblem(x - mean, y, classes, reg_weight)
    lipschitz = problem.lipschitz()
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    rough = 0.05 * problem.threshold
    weight, bias = accelerated(problem, weight, bias, lipschitz, steps=2000, tolerance=rough)
    best, best_residual, stalled = (weight, bias), np.inf, 0
    for _ in range(60):
        moved = newton(problem, weight, bias)
        # The proximal steps let zero groups in whose gradient is too long; where Newton fails they go on alone.
        steps = 3 if moved is not None else 100
        weight, bias = accelerated(problem, *(moved or (weight, bias)), lipschitz, steps)
        residual = problem.residual(weight, *problem.gradient(problem.smooth(weight, bias)[1]))
        stalled = 0 if residual < best_residual else stalled + 1
        if residual < best_residual:
            best, best_residual = (weight, bias), residual
        if best_residual <= TARGET or (stalled >= 3 and best_residual <= TOLERANCE):
            break
    weight, bias = best
    bias = bias - weight @ mean
    return weight, bias - bias.mean()


def _checked(
    features: ArrayLike, labels: ArrayLike, classes: int, reg_weight: float
) -> tuple[NDArray[np.floating], NDArray[np.int64], float]:
    x, y = np.asarray(features), np.asarray(labels)
    if x.ndim != 2 or 0 in x.shape or x.dtype not in (np.float32, np.float64) or not np.isfinite(x).all():
        raise ValueError(f"features must be a nonempty finite float32 or float64 matrix, got {x.dtype} {x.shape}")
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    if y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= classes:
        raise ValueError(f"labels must be {len(x)} integers in [0, {classes}), got {y.dtype} {y.shape}")
    if len(np.unique(y)) < classes:
        raise ValueError("every class must occur in labels: the bias of an absent one has no optimum")
    if not (np.isfinite(reg_weight) and reg_weight > 0):
        raise ValueError(f"reg_weight must be finite and > 0, got {reg_weight!r}")
    return np.ascontiguousarray(x), y.astype(np.int64), float(reg_weight)
