"""Fewer and cheaper is still exact: the splitting against the plain path, narrow singular values against wide."""

from itertools import islice

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import regularizers, seeds, subproblem_cases, tensors
from ramda_verify.checks.helpers import Array, finite, needs, norm, psi_value, size, tensor
from ramda_verify.checks.regularizer.traits import asks, certified
from ramda_verify.checks.regularizer.traits import singular_values as of_singular_values
from ramda_verify.checks.subproblem.batches import Problems
from ramda_verify.checks.subproblem.certificate import member_violation
from ramda_verify.checks.subproblem.solutions import ITERATIONS, model
from ramda_verify.engine.property import Inconclusive, check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi import atoms_of, spectral_atom
from solvers.regularizers import singular_values
from solvers.regularizers.members import HasSubgradientResidual, Regularizer
from solvers.subproblem import Status, Subproblem, solve
from solvers.subproblem import splitting as method
from solvers.subproblem.criterion import certainly_descends, rounding_floor
from solvers.subproblem.iterate import run
from solvers.subproblem.penalty import FIRST
from solvers.subproblem.proximal_gradient import proximal_gradient

VANISHING = float(np.sqrt(np.finfo(float).tiny))

#: What the splitting promises of every two proxes, where a plain step does not promise less.
SHORTENED = 0.99

ENDED = (Status.CONVERGED, Status.PRECISION_LIMIT)


@check(
    "splitting-solution",
    claim="The splitting ends where plain proximal gradient ends: Q to 1e-10, the point within ||s||/min D.",
    source="strong convexity; Lions and Mercier 1979",
    kind="regularizer",
    tolerance=tolerances.RATE,
    cases=lambda target: _with_start(target, 100.0, hardest=100.0),
    applies=needs("convex"),
    share=0.7,
)
def measure_solution(regularizer: Regularizer, B: Array, D: Array, lam: float, start: Array) -> Measurement:
    """The splitting against plain proximal gradient: Q to 1e-10 of its scale, the points within what ||s|| allows."""
    both = Problems.alone(regularizer, B, D, lam)
    subproblem, target = both.single, 1e-10 * float(both.rounding.unit[0])
    origin = torch.zeros_like(subproblem.B)
    steps = proximal_gradient(subproblem, origin)
    plain = run(subproblem, steps, origin, tolerance=target, max_iterations=ITERATIONS)
    finite("the point of proximal gradient", plain.point)
    if plain.status is Status.NON_FINITE:
        return Measurement(np.inf, f"proximal gradient: {plain.status.value}")
    if plain.status not in ENDED:
        raise Inconclusive(f"proximal gradient: {plain.status.value}")
    fast = solve(subproblem, tensor(start), tolerance=target, method="splitting", max_iterations=ITERATIONS)
    if fast.status not in (*ENDED, Status.FELL_BACK):
        return Measurement(np.inf, f"splitting: {fast.status.value}, residual {fast.residual:.3g}")
    # Of a start to which it fell back only Q is known.
    fell_back = fast.status is Status.FELL_BACK
    known = (plain,) if fell_back else (plain, fast)
    ours, theirs = (_objective(subproblem, point.numpy()) for point in (fast.point, plain.point))
    scale = float((B * B / D).sum()) + abs(theirs)
    if abs(ours - theirs) > 1e-10 * scale:
        ends = [both.rounding.of_Q(point[None], tensor(start[None]))[0] for point in (fast.point, plain.point)]
        ends += [solution.residual**2 / (2 * float(D.min())) for solution in known]
        scale += 1e10 * float(sum(ends))
    gap = relative(abs(ours - theirs), scale) / 1e-10 - 1
    note = f"Q {ours:.12g} against {theirs:.12g}, residual {fast.residual:.3g}"
    worst = Worst()
    worst.see(gap, note)
    if not fell_back:
        # Norms of entries below the root of the smallest number vanish.
        rounding = rounding_floor(subproblem, fast.point) + rounding_floor(subproblem, tensor(start)) + VANISHING
        rounding += float(both.rounding.prox_error(fast.point[None])[0])
        reach = (plain.residual + fast.residual + rounding) / float(D.min())
        worst.see(relative(norm(fast.point.numpy() - plain.point.numpy()), reach) - 1, note)
    return worst.measurement()


def _objective(subproblem: Subproblem, Z: Array) -> float:
    """Q in this file's own words."""
    B, D = subproblem.B.numpy(), subproblem.D.numpy()
    return float((Z * (0.5 * D * Z - B)).sum()) + float(subproblem.lam) * psi_value(subproblem.regularizer, Z)


def _from_anywhere(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda case, iterations, seed: {**case, "iterations": iterations, "seed": seed},
        _with_start(target, 1e4),
        st.integers(1, 6),
        seeds(),
    )


@check(
    "splitting-certificate",
    claim="The certificate D*Z - B + rho*(x - Z) lies in dQ(Z); where it proves descent, Q has not risen.",
    source="optimality of the prox; convexity",
    kind="regularizer",
    tolerance=tolerances.SUBGRADIENT,
    cases=_from_anywhere,
    applies=needs("convex"),
)
def measure_splitting_certificate(
    regularizer: Regularizer, B: Array, D: Array, lam: float, start: Array, iterations: int, seed: int
) -> Measurement:
    """The member of every iterate lies in dQ there; and where it is said to prove (7b), Q has not risen.

    From the start, and from each of the iterates: those after a point are as a rule lower than it.
    """
    subproblem = model(regularizer, B, D, lam)
    worst = Worst()
    iterates = list(islice(method.splitting(subproblem, tensor(start)), iterations))
    references = [(W, _objective(subproblem, W.numpy())) for W in (tensor(start), *(one.point for one in iterates))]
    for count, (iterate, (_, after)) in enumerate(zip(iterates, references[1:], strict=True), 1):
        Z, member = iterate.point.numpy(), iterate.member.numpy()
        violation, why = member_violation(regularizer, B, D, lam, Z, member, start, seed)
        worst.see(violation, f"iteration {count}: {why}")
        for W, before in references:
            # From outside a constraint anything finite is a descent.
            if certainly_descends(subproblem, iterate.point, iterate.member, W) and not after < before == np.inf:
                scale = abs(after) + abs(before) + float(np.abs(B * W.numpy()).sum())
                if after - before > tolerances.SUBGRADIENT.value * scale:
                    alone, origin = Problems.alone(regularizer, B, D, lam), tensor(start[None])
                    rounding = [alone.rounding.of_Q(end[None], origin)[0] for end in (iterate.point, W)]
                    scale += float(sum(rounding)) / tolerances.SUBGRADIENT.value
                rise = relative(after - before, scale)
                words = f"said to descend, but Q rose from {before:.12g} to {after:.12g}"
                worst.see(rise, f"iteration {count}: {words}")
    return worst.measurement()


@check(
    "splitting-rate",
    claim="Extrapolated or not, every two proxes shorten the move of the splitting by a constant factor.",
    source="contraction of the reflected prox of a quadratic; the safeguard",
    kind="regularizer",
    tolerance=tolerances.RATE,
    cases=lambda target: _with_start(target, 1e3),
    applies=needs("convex"),
    share=0.5,
)
def measure_splitting_rate(regularizer: Regularizer, B: Array, D: Array, lam: float, start: Array) -> Measurement:
    """A kept point's move T(x) - x is at most that of the kept point before, times the contraction of a plain step or
    0.99; what is not kept is followed by the plain step that it replaced. So every two proxes shorten the move.

    That is as long as rho stays, until it is looked at for the first time. x is recovered from the point and its
    certificate, T and its contraction are written down once more, for rho the mean of D. Rounding: what is lost where x
    or Z is a sum of numbers larger than its moves.
    """
    subproblem, rho, share = model(regularizer, B, D, lam), float(D.mean()), method.RELAXATION / 2
    q = max((rho - D.min()) / (rho + D.min()), (D.max() - rho) / (D.max() + rho))
    promised = max(abs(1 - share) + share * float(q), SHORTENED)
    points: list[Array] = []
    moves: list[Array] = []
    # psi's own numbers are rounded, too, where all others are small.
    sizes = [size(start, B / rho, Problems.alone(regularizer, B, D, lam).rounding.unit / D.max())]
    for iterate in islice(method.splitting(subproblem, tensor(start)), FIRST):
        Z, member = finite("Z", iterate.point.numpy()), finite("the certificate", iterate.member.numpy())
        points.append(Z + (member - (D * Z - B)) / rho)
        moves.append(2 * share * ((B + rho * (2 * Z - points[-1])) / (D + rho) - Z))
        sizes.append(size(sizes[-1], points[-1], Z))
    noise = 1e-12 * np.array(sizes[1:]) * np.sqrt(B.size) * float(D.max()) / rho
    worst, kept = Worst(), 0
    for at in range(1, FIRST - 1):
        before, after = norm(moves[kept]), norm(moves[at])
        if max(before, after) <= noise[at]:
            worst.see(0.0, "nothing but rounding is left to shorten")  # at once, where a tensor has one entry
            continue
        if norm(points[at + 1] - (points[kept] + moves[kept])) <= noise[at]:
            continue  # not kept: the next point is the plain step from the one before
        note = f"moves {before:.6g}, {after:.6g}, promised {promised:.6g}"
        worst.see(relative(after - promised * before - noise[at], sizes[kept + 1]), note)
        kept = at
    return worst.measurement()


def matrix_of(rows: int, columns: int, decades: float, seed: int) -> Array:
    """A matrix whose singular values run over ``decades`` powers of ten, evenly."""
    rng, count = np.random.default_rng(seed), min(rows, columns)
    left, right = (np.linalg.qr(rng.standard_normal((n, count)))[0] for n in (rows, columns))
    return (left * np.logspace(0, -decades, count)) @ right.T


def _spectra(target: Target) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries(
        {
            "regularizer": regularizers(target.instances).filter(lambda r: _price(r, (1, 1)) > 0),
            "rows": st.sampled_from([2, 5, 1, 24, 12]),
            "columns": st.sampled_from([2, 5, 1, 40, 7]),
            "decades": st.floats(0, 10),
            "share": st.floats(-9, 0.1).map(lambda e: float(10.0**e)),
            "seed": seeds(),
        }
    )


@check(
    "narrow-singular-values",
    claim="Shrinking float32 singular values through a float64 Gram matrix loses nothing, at any threshold.",
    source="solvers/regularizers/singular_values.py",
    kind="regularizer",
    tolerance=tolerances.FLOAT32,
    cases=_spectra,
    recorded="never",
    applies=asks(of_singular_values),
)
def measure_narrow_shrinkage(
    regularizer: Regularizer, rows: int, columns: int, decades: float, share: float, seed: int
) -> Measurement:
    """float32 shrinkage against a float64 decomposition of the same numbers, in epsilons of the largest value.

    At a threshold of ``share`` of that value, and at two far below, where small singular values live on.
    """
    narrow = tensor(matrix_of(rows, columns, decades, seed), torch.float32)
    worst = Worst()
    for threshold in (share, 1e-3 * share, 1e-6 * share):
        found = singular_values.shrink_singular_values(narrow, threshold)
        exact = singular_values.shrink_by_svd(narrow.double(), threshold)
        deviation = float((found.double() - exact).norm()) / float(torch.finfo(torch.float32).eps)
        worst.see(deviation, f"{deviation:.3g} epsilons away from float64 at the threshold {threshold:.3g}")
    return worst.measurement()


@check(
    "narrow-certificate",
    claim="A float32 solution certified by the splitting has that residual in float64, up to rounding.",
    source="paper, eq. 7; recomputed by ramda_verify/oracles/certificate.py",
    kind="regularizer",
    tolerance=tolerances.NARROW_CERTIFICATE,
    cases=_spectra,
    recorded="never",
    applies=asks(of_singular_values),
    share=0.5,
)
def measure_narrow_certificate(
    regularizer: Regularizer, rows: int, columns: int, decades: float, share: float, seed: int
) -> Measurement:
    """What the splitting certifies in float32, recomputed in float64 outside the solver: only rounding may differ.

    The rounded point has tiny singular values in place of zeros; up to float32 rounding they count as zero.
    """
    rng = np.random.default_rng(seed)
    D = 10.0 ** rng.uniform(-2, 0, (rows, columns))
    # Numbers that float32 holds, so that both sides are given the same problem.
    B, D = (a.astype(np.float32).astype(np.float64) for a in (matrix_of(rows, columns, decades, seed) * D, D))
    lam = max(share, 1e-3) * float(np.linalg.norm(B, 2)) / _price(regularizer, B.shape)
    subproblem = Subproblem(tensor(B, torch.float32), tensor(D, torch.float32), lam, regularizer)
    target = 1e-4 * norm(B)
    solution = solve(subproblem, tolerance=target, method="splitting")
    if solution.status is not Status.CONVERGED or not solution.residual <= target:
        return Measurement(np.inf, f"{solution.status.value}, residual {solution.residual:.3g}")
    Z = solution.point.double().numpy()
    eps = float(np.finfo(np.float32).eps)
    recomputed = certificate.stationarity(Z, B, D, lam, regularizer, rank_tolerance=max(rows, columns) * eps)
    floor = rounding_floor(subproblem, solution.point)
    excess = relative(recomputed - solution.residual - floor, target)
    return Measurement(excess, f"certified {solution.residual:.6g}, recomputed {recomputed:.6g}, rounding {floor:.3g}")


def _price(regularizer: Regularizer, shape: tuple[int, ...]) -> float:
    """What psi charges per unit of a singular value."""
    atom = spectral_atom(atoms_of(regularizer, shape))
    assert atom is not None
    return atom.price


def _pairs(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, extreme=False).map(
        lambda case: {"regularizer": case["regularizer"], "first": case["B"], "second": case["D"], "lam": case["lam"]}
    )


@check(
    "batch-of-matrices",
    claim="prox and subgradient_residual run under torch.vmap, whatever the ranks in the batch.",
    source="the contract of solve_batch",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=_pairs,
    applies=asks(of_singular_values, certified),
    share=0.5,
)
def measure_batch(regularizer: HasSubgradientResidual, first: Array, second: Array, lam: float) -> Measurement:
    """prox and subgradient_residual of two points at once (torch.vmap) and one after the other."""
    worst = Worst()
    for dtype in (torch.float64, torch.float32):
        # The second half of one of them is zero: the ranks of a batch differ.
        poor = first.copy()
        poor.reshape(len(poor), -1)[:, poor[0].size // 2 :] = 0.0
        points, slopes = (torch.stack([tensor(a, dtype) for a in pair]) for pair in ((poor, second), (second, first)))
        functions = {
            "prox": lambda w, g: regularizer.prox(w, lam),
            "subgradient_residual": lambda w, g: regularizer.subgradient_residual(w, g, lam),
        }
        for name, function in functions.items():
            together = torch.vmap(function)(points, slopes)
            alone = torch.stack([function(w, g) for w, g in zip(points, slopes, strict=True)])
            scale = size(points, slopes, lam * _price(regularizer, first.shape))
            unit = torch.finfo(dtype).eps / 1e-16
            deviation = relative(float((together - alone).abs().max()), scale * unit)
            worst.see(deviation, f"{name} in {dtype} differs under vmap by {deviation:.3g}")
    return worst.measurement()


def _with_start(target: Target, condition: float, hardest: float = np.inf) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=condition, hardest=hardest).flatmap(
        lambda case: st.builds(lambda start: {**case, "start": start}, tensors(case["B"].shape))
    )
