"""Hypothesis strategies: regularizers, tensors, metrics, weights on both sides of every threshold.

Arrays are float64 numpy; a check turns them into tensors. Small shapes, since Hypothesis shrinks them entry by entry,
and all that a prox can get wrong shows on a few entries.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import DrawFn, SearchStrategy

from ramda_verify.cases.companions import AROUND_A_THRESHOLD, array, companion, within_reach, without_a_slice
from ramda_verify.cases.exact_set import with_exact_set
from ramda_verify.cases.recorded.problems import RecordedProblem
from ramda_verify.engine.limits import DidNotReturn
from ramda_verify.oracles.psi import atoms_of, disjoint, is_known
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

#: Shapes tried where a regularizer does not name its own; simplest first, for shrinking.
SHAPES = (
    *((1,), (2,), (5,), (1, 1), (1, 3), (3, 1), (2, 2), (3, 4), (5, 2), (4, 3), (2, 3, 2), (4, 2, 2)),
    *((2, 2, 1, 2), (6, 1, 2, 1), (2, 1, 2, 1, 2)),
)

#: Shapes beyond which something may begin to go wrong: more entries than a block of 64, more rows or columns than 16 or
#: 100, ranks over 4, and kernels all of whose axes are longer than 1. Their tensors come from seeds.
LARGE_SHAPES = ((70,), (130, 3), (3, 100), (20, 40), (2, 2, 3, 2), (6, 5, 3, 3), (3, 2, 2, 3, 2))

#: The smallest entry but zero, times a scale of at least 1e-4. Below 1e-11 a guard against division by zero, 1e-12 as
#: torch has it, is no fault; and at 1e-308, which Hypothesis likes best, numbers have fewer digits.
SMALLEST_ENTRY = 1e-7

#: Entries up to which Hypothesis draws and shrinks each by itself.
DRAWN_ENTRIES = 64


def reg_weights() -> SearchStrategy[float]:
    """Weights from 0 through 1e-6 to 1e3.

    The simplest is 0, which every check thus meets at zero, the simplest tensor: there a threshold and a norm vanish
    together.
    """
    return st.one_of(st.sampled_from([0.0, 1.0, 0.1, 3.0]), st.floats(-6, 3).map(lambda e: float(10.0**e)))


@st.composite
def instances(draw: DrawFn, examples: Sequence[Any], weights: SearchStrategy[float] | None = None) -> Any:
    """One of ``examples``, with every weight that it has (fields of a dataclass whose names end in "weight") over its
    whole range, or from ``weights``.
    """
    example = draw(st.sampled_from(examples))
    if not is_dataclass(example) or isinstance(example, type):
        return example
    names = [field.name for field in fields(example) if field.init and field.name.endswith("weight")]
    try:
        return replace(example, **{name: draw(reg_weights() if weights is None else weights) for name in names})
    except (TypeError, ValueError):
        return example  # a weight that the class refuses


def shapes(regularizer: Regularizer) -> tuple[tuple[int, ...], ...]:
    """The shapes to try: the regularizer's own, else those of SHAPES that it does not refuse; all where it refuses all,
    so that the checks report what it raises.
    """
    if offers(regularizer, "shapes"):
        return tuple(tuple(shape) for shape in regularizer.shapes)
    return _not_refused(regularizer, SHAPES) or SHAPES


def large_shapes(regularizer: Regularizer) -> tuple[tuple[int, ...], ...]:
    """As ``shapes``, of LARGE_SHAPES, or of the regularizer's own the larger half."""
    if offers(regularizer, "shapes"):
        own = sorted((tuple(shape) for shape in regularizer.shapes), key=math.prod)
        return tuple(own[len(own) // 2 :])
    return _not_refused(regularizer, LARGE_SHAPES) or shapes(regularizer)


def _not_refused(regularizer: Regularizer, offered: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(shape for shape in offered if refusal(regularizer, shape) is None)


def refusal(regularizer: Regularizer, shape: tuple[int, ...]) -> ValueError | None:
    """The ValueError by which ``check_shape`` or ``value`` refuses tensors of this shape.

    Nothing else that is raised is a refusal: it comes back in the checks, as a finding.
    """
    try:
        if offers(regularizer, "check_shape"):
            regularizer.check_shape(shape)
        else:
            regularizer.value(torch.ones(shape, dtype=torch.float64))
    except ValueError as error:
        return error
    except Exception:
        return None
    return None


def entries() -> SearchStrategy[float]:
    """Mostly plain numbers with ties and zeros; sometimes magnitudes from 1e-6 to 1e6; none below SMALLEST_ENTRY."""
    plain = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, -3.0])
    wide = st.tuples(st.sampled_from([1.0, -1.0]), st.floats(-6, 6)).map(lambda p: float(p[0] * 10.0 ** p[1]))
    short = st.floats(-4, 4).map(lambda entry: entry if abs(entry) >= SMALLEST_ENTRY else 0.0)
    return st.one_of(plain, short, wide)


def tensors(shape: tuple[int, ...]) -> SearchStrategy[np.ndarray]:
    """A float64 array: entries of all kinds, or a plain normal sample; now and then with repeated rows or a slice of
    zeros, so that ranks and groups degenerate."""
    if math.prod(shape) > DRAWN_ENTRIES:
        return seeds().map(lambda seed: array(np.random.default_rng(seed), shape))
    # Without a fill value: Hypothesis would otherwise give most entries one value.
    full = st.one_of(
        arrays(np.float64, shape, elements=entries(), fill=st.nothing()),
        seeds().map(lambda seed: np.random.default_rng(seed).standard_normal(shape)),
    )
    if len(shape) < 2:
        return full
    repeated = arrays(np.float64, shape[1:], elements=entries()).map(lambda row: np.broadcast_to(row, shape).copy())
    places = st.integers(0, max(shape) - 1)
    sliced = st.builds(without_a_slice, full, st.integers(0, len(shape) - 1), places)
    return st.one_of(full, repeated, sliced)


def steps() -> SearchStrategy[float]:
    """Step sizes from 1e-4 to 1e4."""
    return st.one_of(st.sampled_from([1.0, 0.5, 2.0]), st.floats(-4, 4).map(lambda e: float(10.0**e)))


@st.composite
def metrics(draw: DrawFn, shape: tuple[int, ...], max_condition: float = 1e8, extreme: bool = True) -> np.ndarray:
    """D > 0 with max/min from 1 to ``max_condition``; with ``extreme`` entries go down to 1e-12 and up to 1e12."""
    most = float(np.log10(max_condition))
    spread = draw(st.one_of(st.sampled_from([0.0, most / 4, most / 2, most]), st.floats(0, most)))
    top = draw(st.one_of(st.just(0.0), st.floats(spread - 12, 12))) if extreme else 0.0
    if math.prod(shape) > DRAWN_ENTRIES:
        share = np.random.default_rng(draw(seeds())).uniform(size=shape)
        return 10.0 ** (top - spread * share)
    ends_and_between = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
    share = draw(
        st.one_of(
            arrays(np.float64, shape, elements=ends_and_between, fill=st.nothing()),
            seeds().map(lambda seed: np.random.default_rng(seed).uniform(size=shape)),
        )
    )
    return 10.0 ** (top - spread * share)


@st.composite
def weights_for(draw: DrawFn, regularizer: Regularizer, B: np.ndarray, D: np.ndarray | None = None) -> float:
    """lam: often on either side of a value at which a part of the solution turns zero, else from 1e-4 to 1e4."""
    near_a_threshold = draw(st.booleans())
    if near_a_threshold:
        critical = [c for c in critical_weights(regularizer, B, D) if 1e-12 < c < 1e12]
        if critical:
            return float(draw(st.sampled_from(critical)) * draw(st.sampled_from(AROUND_A_THRESHOLD)))
    return draw(steps())


def critical_weights(regularizer: Regularizer, B: np.ndarray, D: np.ndarray | None = None) -> list[float]:
    """lam at which parts of the subproblem's solution turn zero: by the atoms of a known psi, of any other by trying
    its prox in the metric max D.
    """
    if is_known(regularizer):
        atoms = atoms_of(regularizer, B.shape)
        found = [atom.thresholds(B.ravel()[atom.indices]) for atom in atoms]
        # Of atoms that share entries, none decides alone where zero is.
        if disjoint(atoms) and None not in found:
            return [weight for weights in found for weight in weights or []]
    return zeroing_weights(regularizer, B, 1.0 if D is None else float(D.max()))


def zeroing_weights(regularizer: Regularizer, B: np.ndarray, scale: float) -> list[float]:
    """The lam from which on ``prox(B/scale, lam/scale)`` is zero somewhere that B is not, and everywhere.

    By bisection to 1e-6, which is 50 proxes at most; those of the two that lie between 1e-8 and 1e8. None where prox
    raises, which the checks report.
    """
    centre = torch.tensor(B / scale, dtype=torch.float64)
    nonzero = centre != 0

    @cache
    def zeros(lam: float) -> torch.Tensor:
        return regularizer.prox(centre.clone(), lam / scale)[nonzero] == 0

    found = []
    try:
        for enough in (torch.any, torch.all):
            low, high = 1e-8, 1e8
            if not bool(nonzero.any()) or bool(enough(zeros(low))) or not bool(enough(zeros(high))):
                continue
            for _ in range(25):
                middle = (low * high) ** 0.5
                low, high = (low, middle) if bool(enough(zeros(middle))) else (middle, high)
            found.append(high)
    except (Exception, DidNotReturn):
        return []
    return found


@dataclass(frozen=True)
class LargeTensors:
    """Takes the place of the strategy of a target's regularizers: its cases have shapes of LARGE_SHAPES, or the larger
    half of a regularizer's own.
    """

    regularizers: SearchStrategy[Any]


#: Regularizers to draw, on small tensors or on large ones, or the recorded problem that a case is to hold.
Instances = SearchStrategy[Any] | LargeTensors | RecordedProblem


def regularizers(instances: Instances) -> SearchStrategy[Any]:
    """Regularizers alone."""
    if isinstance(instances, LargeTensors):
        return instances.regularizers
    return st.just(instances.regularizer) if isinstance(instances, RecordedProblem) else instances


@st.composite
def regularizers_and_shapes(draw: DrawFn, instances: SearchStrategy[Any] | LargeTensors) -> tuple[Any, tuple[int, ...]]:
    """A regularizer and a shape that it accepts."""
    regularizer = draw(regularizers(instances))
    offered = large_shapes(regularizer) if isinstance(instances, LargeTensors) else shapes(regularizer)
    return regularizer, draw(st.sampled_from(offered))


def _solvable(instances: SearchStrategy[Any] | LargeTensors) -> SearchStrategy[tuple[Any, tuple[int, ...]]]:
    """The same for a subproblem; a user's constraint as its set is, since its value may have any tolerance."""
    return regularizers_and_shapes(instances).map(
        lambda pair: pair if is_known(pair[0]) else (with_exact_set(*pair), pair[1])
    )


def prox_cases(instances: Instances) -> SearchStrategy[dict[str, Any]]:
    """``regularizer``, ``w`` and ``step``, the step often on either side of a threshold."""
    return st.just(instances.prox_case()) if isinstance(instances, RecordedProblem) else _drawn_prox_cases(instances)


@st.composite
def _drawn_prox_cases(draw: DrawFn, instances: SearchStrategy[Any] | LargeTensors) -> dict[str, Any]:
    regularizer, shape = draw(regularizers_and_shapes(instances))
    w = within_reach(draw(tensors(shape)) * draw(scales()), 1.0)
    return {"regularizer": regularizer, "w": w, "step": draw(weights_for(regularizer, w))}


def scales() -> SearchStrategy[float]:
    """1, and now and then a power of ten from 1e-4 to 1e9: weights are not always of the size of one."""
    return st.one_of(*[st.just(0)] * 4, st.integers(-4, 9)).map(lambda exponent: 10.0**exponent)


def subproblem_cases(
    instances: Instances, max_condition: float = 1e8, extreme: bool = True, hardest: float = np.inf
) -> SearchStrategy[dict[str, Any]]:
    """``regularizer``, ``B``, ``D`` and ``lam``; B carries the scale of D, so that solutions are of all sizes.

    ``hardest`` bounds the condition number of a recorded problem, for checks that solve it by plain iteration. Raises
    UnsuitableError on a recorded problem beyond it.
    """
    if isinstance(instances, RecordedProblem):
        return st.just(instances.subproblem_case(hardest))
    return _drawn_subproblem_cases(instances, max_condition, extreme)


@st.composite
def _drawn_subproblem_cases(
    draw: DrawFn, instances: SearchStrategy[Any] | LargeTensors, max_condition: float, extreme: bool
) -> dict[str, Any]:
    regularizer, shape = draw(_solvable(instances))
    B = draw(tensors(shape))
    D = draw(metrics(shape, max_condition, extreme))
    if draw(st.booleans()):
        B = B * D
    B = within_reach(B, D)
    return {"regularizer": regularizer, "B": B, "D": D, "lam": draw(weights_for(regularizer, B, D))}


def seeds() -> SearchStrategy[int]:
    """Seeds for random directions inside a measurement."""
    return st.integers(0, 2**16)


def problem_batches(
    instances: Instances,
    max_condition: float = 1e8,
    extreme: bool = True,
    point: str | None = None,
    most: int = 30,
    mild: float = 1e8,
    hardest: float = np.inf,
) -> SearchStrategy[dict[str, Any]]:
    """``regularizer``, ``B``, ``D`` and ``lam`` of 1 to ``most`` + 1 problems of one shape, along a first axis.

    One problem is drawn entry by entry, the others come from seeds (``companions``); it shrinks to one of either kind.
    ``mild`` limits the condition number of the latter, where slow problems would hold up the batch.
    With ``point`` there is one more array of the shape of B, of this name: a start or a reference.

    A recorded problem makes a batch of one, with its W as the point. ``hardest`` bounds its condition number, for
    checks that solve it by plain iteration; raises UnsuitableError beyond it.
    """
    if isinstance(instances, RecordedProblem):
        return st.just(instances.batch_case(hardest, point))
    return _drawn_problem_batches(instances, max_condition, extreme, point, most, mild)


@st.composite
def _drawn_problem_batches(
    draw: DrawFn,
    instances: SearchStrategy[Any] | LargeTensors,
    max_condition: float,
    extreme: bool,
    point: str | None,
    most: int,
    mild: float,
) -> dict[str, Any]:
    regularizer, shape = draw(_solvable(instances))
    # Several short lists: each holds five on average, and any element of any can be deleted.
    numbers = [seed for _ in range(most // 10) for seed in draw(st.lists(seeds(), max_size=10))]
    problems = [
        companion(seed, regularizer, shape, critical_weights, min(mild, max_condition), extreme) for seed in numbers
    ]
    # Zero, which Hypothesis shrinks to, leaves a failing companion alone.
    if not problems or draw(st.integers(0, 9)) > 0:
        B, D = draw(tensors(shape)), draw(metrics(shape, max_condition, extreme))
        if draw(st.booleans()):
            B = B * D
        B = within_reach(B, D)
        drawn = {"B": B, "D": D, "lam": draw(weights_for(regularizer, B, D))}
        problems.insert(0, {**drawn, "point": draw(tensors(shape)) if point else B})
    names = ("B", "D", "lam", *(["point"] if point else []))
    stacked = {name: np.stack([np.asarray(problem[name]) for problem in problems]) for name in names}
    if point:
        stacked[point] = stacked.pop("point")
    return {"regularizer": regularizer, **stacked}
