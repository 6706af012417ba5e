"""What several checks need: tensors from arrays, sizes, points to compare with."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, largest
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasMetricProx, HasStructure, MetricProx, Regularizer

Array = np.ndarray
Finite = TypeVar("Finite", Array, Tensor)


def tensor(array: Array, dtype: torch.dtype = torch.float64) -> Tensor:
    """A new tensor; the case's array is never shared with the code under test."""
    return torch.tensor(array, dtype=dtype)


#: Entries up to which a sentence shows an array, and entries other than zero up to which it names those of a large one.
SHOWN, NAMED = 12, 4


def shown(array: Array | Tensor) -> str:
    """The entries of a small array, as a list; of a large one its shape and the first of them."""
    entries = np.asarray(array.double().cpu() if isinstance(array, Tensor) else array)
    if entries.size <= SHOWN:
        return str(entries.tolist())
    places = np.flatnonzero(entries)
    if len(places) <= NAMED:
        others = "".join(f", {entries.flat[place]:.6g} at {place}" for place in places)
        return f"[0 everywhere{others}] of shape {tuple(entries.shape)}"
    first = ", ".join(f"{entry:.6g}" for entry in entries.ravel()[:3])
    return f"[{first}, ...] of shape {tuple(entries.shape)}"


def size(*values: Array | Tensor | float) -> float:
    """The largest magnitude among the arguments, at least the smallest normal number: a scale to divide by.

    NaN where an entry is: nothing is small relative to that.
    """
    return float(np.max([TINY, *(np.abs(np.asarray(v)).max(initial=TINY) for v in values)]))


def norm(array: Array) -> float:
    """Euclidean norm whose squares neither vanish nor overflow."""
    return math.hypot(*np.asarray(array, dtype=np.float64).ravel())


def finite(what: str, values: Finite) -> Finite:
    """The values under judgement, if all are finite. Raises ArithmeticError, which the engine takes for a finding."""
    sound = torch.as_tensor(values).isfinite()
    if not bool(sound.all()):
        wrong = int((~sound).sum())
        raise ArithmeticError(f"{wrong} of {math.prod(values.shape)} entries of {what} are not finite")
    return values


def psi_value(regularizer: Regularizer, point: Array) -> float:
    """``value`` at a point in float64: a number, or infinity outside a constraint.

    Raises ArithmeticError where it is NaN or minus infinity, which no psi is.
    """
    value = float(regularizer.value(tensor(point)))
    if not value > -np.inf:
        raise ArithmeticError(f"value = {value} at {point.tolist()}")
    return value


def on_one_manifold(regularizer: HasStructure, *points: Tensor) -> bool:
    """Whether ``structure`` gives all points the same name, a tensor or an integer."""
    first, *others = (torch.as_tensor(regularizer.structure(point)) for point in points)
    return all(torch.equal(first, other) for other in others)


def metric_prox(regularizer: HasMetricProx, B: Array, D: Array, lam: float) -> Array:
    """``metric_prox(B, D, lam)``. Raises ArithmeticError, a finding, where its shape is not that of B or it is not
    finite.
    """
    Z = MetricProx.of(regularizer.metric_prox(tensor(B), tensor(D), lam)).point.detach().numpy()
    if Z.shape != B.shape:
        raise ArithmeticError(f"metric_prox returned shape {Z.shape} for {B.shape}")
    return finite("metric_prox", Z)


def size_in_metric(B: Array, D: Array, Z: Array) -> float:
    """The length of the unregularized solution in the metric D (1 if B is zero, where there is no other unit), or of
    ``Z`` where a constraint keeps it farther from zero.
    """
    return largest([norm(B / np.sqrt(D)) or 1.0, norm(np.sqrt(D) * Z)])


def lowest(objective: Callable[[Array], float], points: Sequence[Array]) -> tuple[Array, float]:
    """The rival with the lowest objective, and that objective; a rival whose objective is NaN counts as the lowest."""
    values = [objective(point) for point in points]
    at = int(np.argmin(values))  # of the first NaN, where there is one
    return points[at], values[at]


def feasible(regularizer: Regularizer, point: Array) -> Array:
    """``point``, or its prox where psi is infinite there: a start at which an objective can be compared."""
    if psi_value(regularizer, point) < np.inf:
        return point
    return finite("prox", regularizer.prox(tensor(point), 1.0)).numpy()


def needs(*members: str) -> Callable[[Target], str | None]:
    """``applies`` of a check on an optional member, such as ``convex``, or on several, of which one will do: a claim
    that is not made is not checked.
    """
    missing = f"the regularizer does not offer {' or '.join(members)}"
    return lambda target: target.probe(lambda r: None if any(offers(r, member) for member in members) else missing)


def comparison_points(w: Array, z: Array, seed: int, count: int = 12) -> list[Array]:
    """Points around z and w at many scales, with parts set to zero: where a wrong prox is beaten.

    Zero, w, z and w with single entries, rows and columns zeroed, multiples, and random moves of 1e-6 to 1e3 times the
    size of w, or of 1 where both are zero.
    """
    rng = np.random.default_rng(seed)
    scale = size(w, z) if w.any() or z.any() else 1.0
    points = [np.zeros_like(w), w, z * 0.5, z * 1.5, z + (w - z) * 0.1, z - (w - z) * 0.1, -z]
    for base in (w, z):
        for axis in range(base.ndim):
            index = tuple(rng.integers(base.shape[axis]) if k == axis else slice(None) for k in range(base.ndim))
            for factor in (0.0, 0.9, 1.1):
                point = base.copy()
                point[index] *= factor
                points.append(point)
        flat = int(rng.integers(base.size))
        point = base.copy()
        point.flat[flat] = 0.0
        points.append(point)
    for _ in range(count):
        move = rng.standard_normal(w.shape) * scale * 10.0 ** rng.uniform(-6, 3)
        if rng.random() < 0.3:
            move = move * (rng.random(w.shape) < 0.4)
        points.append(z + move)
    return points
