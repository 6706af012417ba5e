"""What a solve says where its numbers leave the range of their dtype."""

import math
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import tensors
from ramda_verify.checks.helpers import Array, feasible, norm, size, tensor
from ramda_verify.checks.regularizer.traits import is_homogeneous
from ramda_verify.checks.subproblem.units import methods_of, mild_cases, unit_problem, with_drawn
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi import is_known
from solvers.subproblem import Solution, Status, Subproblem, solve, solve_batch
from solvers.subproblem.criterion import rounding_floor

#: The residual that is asked for, relative to ||B||.
SHARE = 1e-3

#: Three times what the accelerated method takes at max D/min D = 30.
ITERATIONS = 80


class RegularizerError(Exception):
    """A member of a user's regularizer raises. At the largest numbers there are that is its own affair."""


class Guarded:
    """The regularizer, raising ArithmeticError where it is handed a NaN or an infinity, and RegularizerError for all
    that a user's class raises.
    """

    def __init__(self, regularizer: Any) -> None:
        self._regularizer = regularizer

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._regularizer, name)
        if not callable(member):
            return member

        def guarded(*arguments: Any) -> Any:
            for argument in arguments:
                if isinstance(argument, Tensor) and torch._C._functorch.is_batchedtensor(argument):
                    raise TypeError("no number may be read under vmap")
                tensor_is_finite = not isinstance(argument, Tensor) or bool(torch.isfinite(argument).all())
                if not tensor_is_finite or (isinstance(argument, float) and not math.isfinite(argument)):
                    raise ArithmeticError(f"{name} was given {argument}")
            try:
                return member(*arguments)
            except Exception as error:
                if is_known(self._regularizer):
                    raise
                raise RegularizerError(f"{name} raises {error!r}") from error

        return guarded


def _at_the_top(target: Target) -> st.SearchStrategy[Case]:
    return with_drawn(
        mild_cases(target),
        lambda case: {
            "start": tensors(case["B"].shape),
            "shortfall": st.sampled_from([4.0, 0.0, 2.0, 30.0]),
            "light": st.booleans(),
            "narrow": st.booleans(),
            "referred": st.booleans(),
        },
    )


@check(
    "numbers-out-of-range",
    claim="Where B/D is out of range a solve says so; no regularizer is given an infinity; what is accepted holds.",
    source="paper, eq. 7; recomputed by ramda_verify/oracles/certificate.py",
    kind="regularizer",
    tolerance=tolerances.NARROW_CERTIFICATE,
    cases=_at_the_top,
    share=0.1,
)
def measure_range(
    regularizer: Any,
    B: Array,
    D: Array,
    lam: float,
    start: Array,
    shortfall: float,
    light: bool,
    narrow: bool,
    referred: bool,
) -> Measurement:
    """B just below the largest number, D small: B/D need not exist. No exception, no infinity in the point or handed to
    the regularizer; and what is accepted has that residual, recomputed in numbers of ordinary size. Nothing beyond that
    where a user's regularizer itself raises.
    """
    dtype = torch.float32 if narrow else torch.float64
    b, d, weight = unit_problem(B, D, lam, dtype)
    top = 2.0 ** (math.frexp(torch.finfo(dtype).max)[1] - 8)
    d = d * 10.0**-shortfall
    W = tensor(feasible(regularizer, start / size(start)), dtype)
    # A weight so small leaves lam/D in range where B/D is not.
    weight, goal = min(weight, 2.0**-20 if light else 4.0), SHARE * norm(b.double().numpy())
    worst = Worst()

    def solve_all(regular: Any) -> None:
        problem = Subproblem(b * top, d, weight * top, regular)
        for method in methods_of(problem):
            options: dict[str, Any] = {"method": method, "max_iterations": ITERATIONS}
            one = solve(problem, W if referred else None, tolerance=goal * top, **options)
            many = solve_batch(
                torch.stack([problem.B, b, problem.B]),
                torch.stack([d, d, d]),
                torch.tensor([problem.lam, weight, problem.lam], dtype=torch.float64),
                regular,
                torch.stack([W, W, W]) if referred else None,
                tolerance=torch.tensor([goal * top, goal, goal * top], dtype=torch.float64),
                **options,
            )
            for who, solution in (("solve", one), ("solve_batch", many[0]), ("solve_batch", many[2])):
                violation, why = _claim(regularizer, b, d, weight, solution, top, goal)
                worst.see(violation, f"{who}, {method}, {dtype}: {solution.status.name}, {why}")

    try:
        solve_all(Guarded(regularizer))
        solve_all(regularizer)
    except RegularizerError as error:
        worst.see(0.0, str(error))
    return worst.measurement()


def _claim(
    regularizer: Any, b: Tensor, d: Tensor, weight: float, solution: Solution, top: float, goal: float
) -> tuple[float, str]:
    """The excess of the recomputed residual over the accepted one, in units of the latter."""
    if not bool(torch.isfinite(solution.point).all()):
        return math.inf, f"point {solution.point.tolist()}"
    if math.isnan(solution.residual) or (solution.status is Status.CONVERGED and not solution.accepted):
        return math.inf, f"residual {solution.residual}"
    # Only of a homogeneous psi is the problem in numbers of ordinary size the same one.
    if not solution.accepted or not is_homogeneous(regularizer, tuple(b.shape)):
        return 0.0, ""
    Z = solution.point.double() / top
    relative = max(b.shape, default=1) * float(torch.finfo(b.dtype).eps)
    arrays = (Z.numpy(), b.double().numpy(), d.double().numpy())
    recomputed = certificate.stationarity(*arrays, weight, regularizer, rank_tolerance=relative)
    floor = rounding_floor(Subproblem(b.double(), d.double(), weight, regularizer), Z)
    floor *= float(torch.finfo(b.dtype).eps) / float(torch.finfo(torch.float64).eps)
    excess = (recomputed - goal - floor) / goal
    words = f"residual {solution.residual / top:.6g} accepted, recomputed {recomputed:.6g} (divided by {top:g})"
    return (math.inf if math.isnan(excess) else excess), words
