"""What solutions and floating-point certificates say, against what is proved in ball arithmetic.

The enclosure knows psi from its definition and shares no formula with the solvers, nor with the certificates that
ramda_verify/oracles recomputes in float64.
"""

import math
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import subproblem_cases, tensors
from ramda_verify.checks.helpers import Array, finite, norm, shown, size, tensor
from ramda_verify.checks.regularizer.traits import asks
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from ramda_verify.oracles import certificate, duality_gap
from ramda_verify.oracles.enclosure import enclose, why_not
from ramda_verify.oracles.psi import Atoms, atoms_of, spectral_atom
from ramda_verify.output.extras import how_to_install, is_there
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer
from solvers.subproblem import Subproblem, solve

#: Iterations after which an iterative method stops with whatever residual it then claims.
ITERATIONS = 500


def enclosable(regularizer: Regularizer, atoms: Atoms, shape: tuple[int, ...]) -> str | None:
    """psi is convex and its terms have enclosures, and python-flint is installed."""
    return why_not(regularizer, shape) if is_there("flint") else f"python-flint is missing: {how_to_install('verify')}"


def _in_dtypes(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda case, dtype, tolerance: {**case, "dtype": dtype, "tolerance": tolerance},
        subproblem_cases(target.instances),
        st.sampled_from(["float64", "float32"]),
        st.sampled_from([1e-14, 1e-2, 1e-6]),
    )


@check(
    "enclosure",
    claim="A solution is as near to the exact one as its residual says, or, solved directly, as roundings of B and "
    "D*Z make it: proved in ball arithmetic, rounding included.",
    source="strong convexity with a subgradient enclosed; ramda_verify/oracles/enclosure",
    kind="regularizer",
    tolerance=tolerances.ENCLOSED,
    cases=_in_dtypes,
    applies=asks(enclosable),
    share=0.5,
)
def measure_solution(
    regularizer: Regularizer, B: Array, D: Array, lam: float, dtype: str, tolerance: float
) -> Measurement:
    """By how much what is proved of a solution to ``tolerance * max|B|`` exceeds what it claims, in roundings: its
    residual, the distance and Q.
    """
    kind: torch.dtype = getattr(torch, dtype)
    problem = Subproblem(tensor(B, kind), tensor(D, kind), lam, regularizer)
    solution = solve(problem, tolerance=tolerance * size(B), max_iterations=ITERATIONS)
    Z = finite("the point", solution.point).double().numpy()
    b, d = problem.B.double().numpy(), problem.D.double().numpy()
    eps, tiny = float(torch.finfo(kind).eps), float(torch.finfo(kind).tiny)
    proved, worst = enclose(Z, b, d, lam, regularizer, eps), Worst()
    magnified = d * Z if not solution.legs else float(d.max()) * Z
    least = tiny * (1 + float(d.max())) * Z.size**0.5
    unit = rounding(eps, norm(b), norm(magnified), solution.residual) + least
    unit += 2 * float(d.max()) * proved.moved + turned(Z, lam, regularizer, eps)
    who, high = f"{solution.method}, {dtype}", proved.residual.high
    note = f"{who}: residual {solution.residual:.6g}, proved {high:.6g} at {shown(Z)}"
    worst.see(relative(high - solution.residual, unit), note)
    if offers(regularizer, "subgradient_residual") and not solution.legs:
        worst.see(relative(solution.residual - high, unit), f"{note}: not the shortest")
    if solution.legs:
        # What the claimed residual promises by strong convexity, in the units of the residual.
        apart = relative(proved.distance * float(d.min()) - solution.residual, unit)
    else:
        apart = relative(proved.metric_distance, rounding(eps, norm(b / np.sqrt(d)), norm(np.sqrt(d) * Z)) + least)
    worst.see(apart, f"{who}: the distance that is proved is {proved.distance:.6g} at {shown(Z)}")
    claimed = solution.objective
    # Of a constraint the point may lie outside by rounding, where psi is infinite.
    if claimed != math.inf or not proved.moved:
        scale = rounding(float(np.finfo(np.float64).eps), *terms(Z, b, d, lam, regularizer))
        outside = max(proved.optimum.low - claimed, claimed - proved.optimum.high - proved.objective_gap)
        note = f"{who}: Q = {claimed:.9g}, proved Q* in {proved.optimum}, gap {proved.objective_gap:.3g}"
        worst.see(relative(outside, scale), note)
    return _enclosed(worst)


def _with_a_point(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances).flatmap(
        lambda case: st.builds(lambda point: {**case, "point": point}, tensors(case["B"].shape))
    )


@check(
    "enclosed-certificates",
    claim="The residual and the bounds on the optimum that the oracles compute in float64 lie in their enclosures.",
    source="as enclosure",
    kind="regularizer",
    tolerance=tolerances.ENCLOSED,
    cases=_with_a_point,
    applies=asks(enclosable),
    share=0.3,
)
def measure_certificates(regularizer: Regularizer, B: Array, D: Array, lam: float, point: Array) -> Measurement:
    """How far the residual and the bounds on Q* that float64 computes lie outside of what is proved, in roundings: at
    the prox of any point, at zero where psi is finite, and at the solution.
    """
    worst, eps = Worst(), float(np.finfo(np.float64).eps)
    solution = solve(Subproblem(tensor(B), tensor(D), lam, regularizer), tolerance=0.0, max_iterations=ITERATIONS)
    anywhere = finite("prox", regularizer.prox(tensor(point), 1.0)).numpy()
    for Z in (anywhere, np.zeros_like(B), finite("the point", solution.point).numpy()):
        found = certificate.stationarity(Z, B, D, lam, regularizer)
        if found == math.inf:
            continue
        proved = enclose(Z, B, D, lam, regularizer)
        unit = rounding(eps, norm(B), norm(D * Z), proved.residual.high)
        unit += 2 * float(D.max()) * proved.moved + turned(Z, lam, regularizer, eps)
        outside = max(proved.residual.low - found, found - proved.residual.high)
        worst.see(relative(outside, unit), f"residual {found:.9g} at {shown(Z)}, proved {proved.residual}")
        lower = duality_gap.lower_bound(Z, B, D, lam, regularizer)
        scale = rounding(eps, *terms(Z, B, D, lam, regularizer), norm(B / np.sqrt(D)) ** 2)
        worst.see(relative(lower - proved.optimum.high, scale), f"Q* >= {lower:.9g}, proved {proved.optimum}")
        upper = duality_gap.subproblem_objective(Z, B, D, lam, regularizer)
        below = relative(proved.optimum.low - upper, scale)
        worst.see(below, f"Q = {upper:.9g} at {shown(Z)}, below what is proved of the lowest, {proved.optimum.low:.9g}")
    return _enclosed(worst)


def rounding(eps: float, *sizes: float) -> float:
    """16 roundings of numbers of these sizes."""
    return 16 * eps * math.fsum(abs(number) for number in sizes)


def terms(Z: Array, B: Array, D: Array, lam: float, regularizer: Any) -> tuple[float, ...]:
    """The sizes of the terms of Q."""
    value = math.fsum(abs(atom.value(Z.ravel()[atom.indices])) for atom in atoms_of(regularizer, Z.shape))
    return float((D * Z * Z).sum()), float(np.abs(B * Z).sum()), lam * value


def turned(Z: Array, lam: float, regularizer: Any, eps: float) -> float:
    """By how much rounding of Z turns the subgradient of a function of singular values: see
    ``certificate.stationarity_of_rounded``.
    """
    atom = spectral_atom(atoms_of(regularizer, Z.shape))
    if atom is None:
        return 0.0
    sigma = np.linalg.svd(Z.reshape(atom.shape), compute_uv=False)
    kept = sigma[sigma > max(atom.shape) * eps * sigma[0]]
    return float(lam * atom.price * 16 * eps * norm(Z) / kept[-1]) if kept.size else 0.0


def _enclosed(worst: Worst) -> Measurement:
    found = worst.measurement()
    return Measurement(found.violation, found.note, found.problems, enclosed=True)
