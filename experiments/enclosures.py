"""How near the direct and iterative solutions of random subproblems are to the exact ones, as theorems.

``python -m experiments.enclosures`` solves random float64 subproblems of each kind, encloses every solution
(``ramda_verify.enclose``) and writes ``experiments/results/enclosures.md``.
"""

import importlib.metadata
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ramda_verify import enclose
from ramda_verify.oracles.enclosure import Enclosure
from ramda_verify.output import machine
from ramda_verify.output.writing import write_whole
from solvers import L1, GroupLasso, NuclearNorm, Regularizer, Simplex, SparseGroupLasso, Subproblem, solve

RESULT = Path(__file__).parent / "results" / "enclosures.md"
SHAPE, PROBLEMS = (16, 12), 100
#: Shares of ||Z*|| that a table counts the proofs of.
WITHIN = (1e-12, 1e-15)


@dataclass(frozen=True)
class Case:
    """Random subproblems of one regularizer: max D / min D is ``condition``, lam is ``lam`` times the size of B."""

    name: str
    regularizer: Regularizer
    condition: float
    lam: float


CASES = (
    Case("L1", L1(1.0), 1e8, 0.3),
    Case("group LASSO", GroupLasso(1.0), 1e8, 0.3),
    Case("group LASSO", GroupLasso(1.0), 10.0, 0.3),
    Case("sparse group LASSO", SparseGroupLasso(0.5, 0.5), 1e8, 0.3),
    Case("simplex", Simplex(1.0), 1e8, 1.0),
    Case("nuclear norm", NuclearNorm(1.0), 10.0, 1.0),
    Case("nuclear norm", NuclearNorm(1.0), 1e4, 1.0),
)


def problem(case: Case, seed: int) -> Subproblem:
    """B is normal, times D in every second problem, so that Z is of one size there; D is log-uniform."""
    torch.manual_seed(seed)
    D = case.condition ** -torch.rand(SHAPE, dtype=torch.float64)
    B = torch.randn(SHAPE, dtype=torch.float64) * (D if seed % 2 else 1.0)
    return Subproblem(B, D, case.lam * float(B.square().mean().sqrt()), case.regularizer)


def enclosed(subproblem: Subproblem) -> tuple[Enclosure, float]:
    """The theorem, and the seconds that it took."""
    solution = solve(subproblem, tolerance=0.0)
    start = time.perf_counter()
    found = enclose(solution, subproblem)
    return found, time.perf_counter() - start


def row(case: Case) -> list[str]:
    results = [enclosed(problem(case, seed)) for seed in range(PROBLEMS)]
    entries = SHAPE[0] * SHAPE[1]
    relative = [found.relative_distance for found, _ in results]
    in_metric = [found.metric_distance / _metric_length(problem(case, s)) for s, (found, _) in enumerate(results)]
    return [
        case.name,
        f"{case.condition:.0e}",
        f"{1e6 * statistics.median(seconds for _, seconds in results) / entries:.0f}",
        f"{statistics.median(relative):.1e}",
        f"{max(relative):.1e}",
        *(f"{sum(found.within(share) for found, _ in results)}" for share in WITHIN),
        f"{statistics.median(in_metric):.1e}",
        f"{max(in_metric):.1e}",
    ]


def _metric_length(subproblem: Subproblem) -> float:
    """``||B||_{1/D}``, the length of the unregularized solution in the metric."""
    return float((subproblem.B / subproblem.D.sqrt()).norm())


def main() -> None:
    torch.set_num_threads(1)
    head = [
        *("regularizer", "max D / min D", "us a coordinate", "proved distance / norm of Z*, median", "largest"),
        *(f"of {PROBLEMS} within {share:g}" for share in WITHIN),
        *("distance in the metric / norm of B in 1/D, median", "largest"),
    ]
    rows = [head, ["---"] * len(head)]
    for case in CASES:
        rows.append(row(case))
        print(*rows[-1], sep=" | ", flush=True)
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    write_whole(
        RESULT,
        "# Solutions enclosed\n\n"
        f"Made by `python -m experiments.enclosures`; {machine.processor()}, python {platform.python_version()}, torch "
        f"{torch.__version__}, python-flint {importlib.metadata.version('python-flint')}. {PROBLEMS} random float64 "
        f"subproblems of {SHAPE[0]} x {SHAPE[1]} entries a row, solved by `solve(..., tolerance=0.0)` and enclosed by "
        "`ramda_verify.enclose`. A distance is an upper bound that is proved, rounding included; Z* is the exact "
        "minimiser of the problem with these B, D and lam.\n\n"
        f"{table}\n",
    )


if __name__ == "__main__":
    main()
