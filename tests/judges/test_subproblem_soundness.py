"""A small residual means a small error: what the judge of accepted solutions allows."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st

from ramda_verify.checks.subproblem import certificate
from ramda_verify.checks.subproblem.certificate import (
    measure_soundness,
)
from solvers.subproblem import Status
from tests.judges.cases import drawn, target_of
from tests.judges.solutions import answers, problems_by_hand
from tests.judges.test_subproblem_certificate import BEST, LAM, PAIR, PSI, START, B, D, at


def test_cases_of_soundness_ask_for_many_tolerances(monkeypatch):
    """From the lowest to below 1, another one for each problem."""
    case = {**PAIR, "start": START}
    monkeypatch.setattr(certificate, "problem_batches", lambda *given, **options: st.just(case))
    all_lowest = []
    for found in drawn(certificate._loosely(target_of(PSI)), 150):
        lowest = found["tolerance"][0]
        assert found["tolerance"] == pytest.approx([lowest, lowest**0.5])
        all_lowest.append(lowest)
    assert 1e-6 <= min(all_lowest) < 1.5e-6
    assert max(all_lowest) <= 1


@pytest.fixture
def sound(monkeypatch):
    """The measurement of one problem with min D = 1/4, to half of ||B||, 2.5, where a method ends at a point with a
    residual: every one, or ``method`` alone, at every scale or at ``scale``.
    """

    def measured(
        point, residual=2.0, status=Status.CONVERGED, *, exact=0.125, method=None, scale=None, start=(4.0, 1.0), **said
    ):
        def solve(problems, by, tolerance, reference=None, **options):
            if by == "auto":
                assert tolerance.tolist() == [3e-12, 3e-12]
                assert options == {}
                return answers([BEST, BEST], exact)
            assert tolerance == pytest.approx(2.5, rel=1e-9)
            assert reference.tolist() == [list(start)] * 2
            assert (options["max_iterations"], options["to_the_end"]) == (certificate.SOON, False)
            wrong = method in (None, by) and scale in (None, options["factor"])
            return answers([point if wrong else BEST] * 2, residual if wrong else 0.0, status)

        rounding = {"floors": 0.0, "prox_error": 0.0, "of_Q": 0.0, **said}
        monkeypatch.setattr(certificate, "Problems", problems_by_hand(solve, 3.0, **rounding))
        problem = {"B": B[None], "D": D[None], "lam": np.array([LAM]), "start": np.array([start])}
        return measure_soundness(PSI, **problem, tolerance=np.array([0.5]), factor=7.0)

    return measured


@pytest.mark.parametrize("residual", [0.5, 0.25])
@pytest.mark.parametrize("exact", [0.0, 0.125])
def test_a_small_residual_means_a_small_error(residual, exact, sound):
    """Of an entry that is 6 too small: within (r + r*)/mu; Q, which rises by 1/8 of its square, within r^2/(2 mu)."""
    point = [8.0 - 6.0, 0.75]
    found = sound(point, residual=residual, exact=exact)
    assert found.violation == pytest.approx(0.125 * 36 * 2 * 0.25 / residual**2 - 1, rel=1e-9)
    assert "the gap in Q is" in found.note
    # Where rounding accounts for the gap.
    found = sound(point, residual=residual, exact=exact, of_Q=1e9)
    share = 6 * 0.25 / (residual + exact)
    assert found.violation == pytest.approx(share - 1, rel=1e-9)
    assert f"the distance is {share:.6g} times what is promised" in found.note


@pytest.mark.parametrize("largest", [2.0, 3.0])
def test_what_rounding_leaves_of_a_residual_is_allowed(largest, sound):
    """At the point and at the start, and by a prox."""

    def share(number):
        return lambda points: number * points.abs().amax(dim=1).numpy()

    point, said = [-5.0, 0.75], {"floors": share(0.0625), "prox_error": share(0.03125)}
    rounding = 0.0625 * 5 + 0.0625 * largest + 0.03125 * 5
    gap = 0.125 * 13**2 + 2 * 5
    found = sound(point, residual=0.25, start=(1.0, largest), **said)
    assert found.violation == pytest.approx(gap * 0.5 / (0.25 + rounding) ** 2 - 1, rel=1e-9)
    found = sound(point, residual=0.25, start=(1.0, largest), of_Q=1e9, **said)
    assert found.violation == pytest.approx(13 * 0.25 / (0.25 + 0.125 + rounding) - 1, rel=1e-9)


def test_Q_is_rounded_relative_to_its_terms(sound):
    """Where the residual is nothing: of 1/2<B, B/D>, 1/2<Z, D*Z> and lam*psi."""
    size = 0.5 * (36 + 4) + 0.5 * (0.25 * 64 + 4 * 1.0) + 9.0
    found = sound([8.0, 1.0], residual=0.0, exact=100.0)
    gap = 0.5 * 4 * 0.25**2
    assert found.violation == pytest.approx(gap / (1e-12 * size) - 1, rel=1e-6)

    def of_Q(*points):
        return at(points[0], 1e-3 if len(points) == 2 else 2e-3)

    found = sound([8.0, 1.0], residual=0.0, exact=100.0, of_Q=of_Q)
    assert found.violation == pytest.approx(gap / 3e-3 - 1, rel=1e-6)
    # What holds without is not looked into.
    assert sound([8.0, 1.0], residual=1.0, exact=0.0, of_Q=lambda *points: 1 / 0).violation == 0


@pytest.mark.parametrize("method", ["metric_prox", "separable", "accelerated", "proximal_gradient"])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_every_method_is_held_to_it_at_any_scale(method, scale, sound):
    found = sound([-100.0, 0.75], method=method, scale=scale)
    assert found.violation > 1
    assert f": {method}, scale {scale:g}: the gap in Q is" in found.note


@pytest.mark.parametrize(
    ("residual", "status", "violation"),
    [
        (2.4999, Status.CONVERGED, None),
        (2.5001, Status.CONVERGED, math.inf),
        (2.5001, Status.ITERATION_LIMIT, 0.0),
        (2.4999, Status.ITERATION_LIMIT, None),
    ],
)
def test_only_what_meets_the_tolerance_is_accepted(residual, status, violation, sound):
    """What claims to have converged must; what has not claims nothing, if it did not end small by chance."""
    found = sound([-100.0, 0.75], residual=residual, status=status)
    expected = (0.125 * 108**2 + 2 * 100) / (residual**2 / 0.5) - 1 if violation is None else violation
    assert found.violation == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("b", "size"), [(0.0, 16.0), (3.0, 16.0), (40.0, 40.0)])
def test_where_B_is_zero_the_start_gives_the_scale(b, size, monkeypatch):
    """A goal is at least 1e-12 of B and of D times the start, (4, 4)."""
    goals = []

    def solve(problems, by, tolerance, *reference, **options):
        goals.append(tolerance)
        return answers([[0.0, 0.0]] * 2)

    zero = {"floors": 0.0, "prox_error": 0.0, "of_Q": 0.0}
    monkeypatch.setattr(certificate, "Problems", problems_by_hand(solve, 3.0, **zero))
    problem = {"B": np.array([[b, 0.0]]), "D": D[None], "lam": np.array([LAM]), "start": np.array([[4.0, 4.0]])}
    measure_soundness(PSI, **problem, tolerance=np.array([1e-12]), factor=7.0)
    assert goals[1].tolist() == pytest.approx([1e-12 * (b + size)] * 2, rel=1e-9)
