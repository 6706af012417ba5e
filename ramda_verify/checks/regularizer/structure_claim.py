"""``structure`` names a manifold and ``sparsity`` counts its zeros: both change where psi has a kink or a jump."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, seeds
from ramda_verify.checks.helpers import Array, finite, needs, norm, on_one_manifold, shown, size, tensor
from ramda_verify.checks.regularizer.objective import Psi
from ramda_verify.checks.regularizer.tensors import layouts
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

#: Distances, relative to the point, at which psi rises by the same slope both ways, and how well the slopes agree with
#: the one at 1e-5. They go down to below OFF: beside a point that only lies near a kink psi is smooth, and a prox that
#: decomposes a matrix leaves singular values of 1e-13. There psi, a number near 1, has two digits of the slope left.
DISTANCES = {1e-3: 0.02, 1e-5: 0.0, 1e-11: 0.1, 3e-14: 0.5}

#: How steep the slopes are at least, relative to the steepest seen.
STEEP = 1e-3

#: How far from the manifold a point is that no longer belongs to it, relative to its length: a rank counts singular
#: values up to max(shape) * eps of the largest as zero, 3e-14 for the largest shape tried.
OFF = 1e-12

ENTRIES = 6


def _seeded(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


@check(
    "structure-claim",
    claim="structure names a manifold, and another one 1e-12 beside a kink of psi; sparsity counts its zeros.",
    source="the contract of a regularizer; partial smoothness: psi is sharp across its active manifold",
    kind="regularizer",
    tolerance=tolerances.EXACT,
    cases=_seeded,
    applies=needs("structure", "sparsity"),
    share=0.5,
)
def measure_structure(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """0 where structure and sparsity are as they must be at prox(w, step) and at zero; infinite where they are not."""
    worst = Worst()

    def must_hold(fact: bool, note: str) -> None:
        worst.see(0.0 if fact else np.inf, note)

    z = finite("prox", regularizer.prox(tensor(w), step)).detach()
    rng, psi = np.random.default_rng(seed), Psi(regularizer, w.shape)
    if offers(regularizer, "structure"):
        named = regularizer.structure(z)
        if not isinstance(named, Tensor | int):
            return Measurement(np.inf, f"structure must return a tensor or an integer, got {type(named).__name__}")
        finite("structure", torch.as_tensor(named))
        for memory, other in layouts(z).items():
            must_hold(on_one_manifold(regularizer, z, other), f"structure differs in {memory}")
        for point in (z.numpy(), np.zeros_like(w)):
            for off, onto in _off_the_manifold(psi, point, rng):
                # A point that lies beside the kink, nearer than the slopes tell, is taken onto it.
                on = (tensor(point), regularizer.prox(tensor(point), onto).detach())
                same = all(on_one_manifold(regularizer, at, tensor(off)) for at in on)
                must_hold(not same, f"psi has a kink at {shown(point)}, and structure is the same at {shown(off)}")
    if offers(regularizer, "sparsity"):
        fault = _sparsity_fault(regularizer, z, psi, rng)
        must_hold(fault is None, fault or "")
    return worst.measurement()


def _off_the_manifold(psi: Psi, point: Array, rng: np.random.Generator) -> list[tuple[Array, float]]:
    """Points 1e-12 off, moved in single entries along which psi rises like |h| both ways: it has a kink there. None
    where psi is infinite.

    An entry may lead almost along the manifold, and is moved farther then: until psi rises as it would straight off it.
    Each point comes with the step by which a prox moves at least the smallest of DISTANCES towards the kink.
    """
    here, scale, length = psi.at(point), size(point) if np.any(point) else 1.0, norm(point) or 1.0
    places, slopes = [], []
    for index in rng.permutation(point.size)[:ENTRIES]:
        if 0 < abs(point.flat[index]) < min(DISTANCES) * scale:
            continue  # so near that a kink at zero looks like one here
        direction = np.zeros_like(point)
        direction.flat[index] = scale
        rises = [(psi.at(point + h * direction) + psi.at(point - h * direction) - 2 * here) / h for h in DISTANCES]
        slopes.append(rises)
        places.append(index)
    steepest = max((abs(slope) for rises in slopes for slope in rises[:2] if np.isfinite(slope)), default=0.0)
    # Where every entry that was drawn leads along the manifold, psi itself tells how steep it is.
    straight = max(steepest, (here - psi.at(np.zeros_like(point))) * (scale / length))
    kept = []
    for index, rises in zip(places, slopes, strict=True):
        slope = rises[1]
        alike = (abs(rise - slope) <= most * slope for rise, most in zip(rises, DISTANCES.values(), strict=True))
        if slope > STEEP * steepest and all(alike):
            off = point.copy()
            off.flat[index] += OFF * length * min(straight / slope, 1 / STEEP)
            kept.append((off, 2 * min(DISTANCES) * scale * (scale / slope)))
    return kept


def _sparsity_fault(regularizer: Regularizer, z: Tensor, psi: Psi, rng: np.random.Generator) -> str | None:
    assert offers(regularizer, "sparsity")
    answers = [regularizer.sparsity(point) for point in (z, torch.zeros_like(z), torch.ones_like(z))]
    for answer in answers:
        if not (isinstance(answer, tuple) and len(answer) == 2 and all(_is_count(number) for number in answer)):
            return f"sparsity must return two ints, (zeros, all), got {answer!r}"
    (zeros, total), (at_zero, _), _ = answers
    if not 0 <= zeros <= total:
        return f"sparsity is {zeros} structured zeros of {total}"
    if at_zero != total:
        return f"sparsity is {at_zero} of {total} at zero"
    if len({count for _, count in answers}) > 1:
        return f"sparsity counts {[count for _, count in answers]} in all for tensors of one shape"
    for off, _ in _off_the_manifold(psi, np.zeros(tuple(z.shape)), rng):
        left, _ = regularizer.sparsity(tensor(off))
        if left >= total:
            return f"psi has a kink at zero, and sparsity counts all {left} of {total} as zeros at {shown(off)}"
    if zeros > int((z == 0).sum()) and total == z.numel():
        return f"sparsity counts {zeros} zeros at {shown(z)}, which has fewer"
    if 0 < total < z.numel() and z.numel() % total == 0 and not _is_spectral(psi, _sample_like(z, rng)):
        return f"sparsity counts {total} in all, of {z.numel()} parameters: it is asked for parameters, not for groups"
    if offers(regularizer, "structure") and on_one_manifold(regularizer, z, torch.zeros_like(z)) != (zeros == total):
        return f"structure and sparsity disagree: {zeros} of {total} at {shown(z)}"
    return None


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _sample_like(z: Tensor, rng: np.random.Generator) -> Array:
    return np.asarray(rng.standard_normal(tuple(z.shape)))


def _is_spectral(psi: Psi, point: Array) -> bool:
    """Whether psi is the same when the matrix (out, everything else) is rotated on either side."""
    if point.ndim < 2:
        return False
    matrix = point.reshape(point.shape[0], -1)
    turned = (_rotation(matrix.shape[0]) @ matrix, matrix @ _rotation(matrix.shape[1]))
    here = psi.at(point)
    there = [psi.at(other.reshape(point.shape)) for other in turned]
    return all(abs(value - here) <= 1e-9 * abs(here) for value in there)


def _rotation(n: int) -> Array:
    found, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))
    return np.asarray(found)
