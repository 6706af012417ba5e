"""Large tensors are tried after small ones on which a check holds, and one result comes of both."""

import math
from dataclasses import replace

import hypothesis.strategies as st
import pytest

from ramda_verify.cases.strategies import LARGE_SHAPES, SHAPES, LargeTensors, regularizers_and_shapes
from ramda_verify.engine.large import also_on_large
from ramda_verify.engine.property import Check, run_check
from ramda_verify.engine.record import Measurement, Verdict
from ramda_verify.engine.targets import Target
from ramda_verify.tolerances import Tolerance
from solvers import L1

TARGET = Target("L1", "regularizer", L1(1.0), st.just(L1(1.0)), lambda regularizer: [])
SMALL, LARGE = (max(math.prod(shape) for shape in shapes) for shapes in (SHAPES, LARGE_SHAPES))


def check_of(measured, **more):
    def cases(target):
        drawn.append(target)
        shapes = regularizers_and_shapes(target.instances).map(lambda pair: pair[1])
        return st.fixed_dictionaries({"entries": shapes.map(math.prod), "seed": st.integers(0, 10**9)})

    drawn: list[Target] = []
    given = {"tolerance": Tolerance(1.0, "a test"), "trace": lambda target: {"kind": "rate"}, **more}
    return Check(id="invented", claim="", source="", kind="regularizer", cases=cases, measure=measured, **given), drawn


def both(measured, *, examples=100, seed=0, target=TARGET, **more):
    check, drawn = check_of(measured, **more)
    small = run_check(check, target, seed=seed, max_examples=examples)
    return small, also_on_large(small, check, target, seed=seed, max_examples=examples), drawn


def test_large_tensors_are_fewer_and_the_result_is_of_both():
    seen = []

    def measured(entries, seed):
        seen.append((entries, seed))
        return Measurement(0.25 if entries <= SMALL else 0.75, problems=2)

    small, total, drawn = both(measured)
    beyond = [entries for entries, _ in seen if entries > SMALL]
    assert 4 < len(beyond) < small.cases / 4
    assert len({seed for entries, seed in seen if entries > SMALL} - {seed for e, seed in seen if e <= SMALL}) > 4
    assert (total.status, total.worst, small.worst) == (Verdict.PASS, 0.75, 0.25)
    assert total.cases == len(seen) > small.cases
    assert total.problems == 2 * len(seen)
    assert [isinstance(target.instances, LargeTensors) for target in drawn] == [False, True]
    assert (drawn[1].traced, drawn[1].name, drawn[1].kind) == (False, "L1", "regularizer")


def test_few_cases_are_still_some():
    small, total, _ = both(lambda entries, seed: Measurement(0.0), examples=1)
    assert total.cases > small.cases


def test_what_goes_wrong_on_large_tensors_alone_is_a_failure_that_is_not_shrunk():
    seen = []

    def measured(entries, seed):
        seen.append(entries)
        return Measurement(0.0 if entries <= SMALL else 2.0, f"{entries} entries")

    small, total, _ = both(measured)
    assert (small.status, total.status) == (Verdict.PASS, Verdict.FAIL)
    assert total.counterexample.violation == total.worst == 2.0
    assert total.seconds >= small.seconds
    assert len(seen) - small.cases < 100  # each try of the pass that makes it plainer is one, too


@pytest.mark.parametrize(
    ("violation", "more"),
    [(2.0, {}), (0.0, {"large": False}), (0.0, {"applies": lambda target: "not here"}), (0.0, {"kind": "problem"})],
)
def test_some_checks_are_not_run_on_large_tensors(violation, more):
    """Those that fail or are skipped on small ones, say that they need none, or are of no regularizer."""
    kind = more.pop("kind", "regularizer")
    small, total, drawn = both(
        lambda entries, seed: Measurement(violation), target=replace(TARGET, kind=kind), examples=5, **more
    )
    assert total is small
    assert len(drawn) <= 1
