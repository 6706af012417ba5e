"""What the comparison with the released code measures; runs in a process of its own, see reference_comparison.py.

Used as ``python -B -m paper_checks.reference_measurements PATH STEPS SEED``; prints one JSON object. PATH is a checkout
of ismoptgroup/RAMDA. Its package is called by its public names, with the arguments that its own optimizers pass.
"""

import contextlib
import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from ramda_verify.engine.worst import largest
from ramda_verify.oracles.certificate import stationarity
from solvers import RMDA, GroupLasso, ProxSGD, Subproblem, solve

EPS = float(torch.finfo(torch.float32).eps)
#: The released code's axes for the columns of an (out, in) matrix, and the shipped defaults of its inner solver.
COLUMNS = {"dim": 0, "dim_": 1}
SHIPPED_RTOL = 1e-8
MAX_ITERATIONS = 100
#: No relative decrease is below this: all iterations are then made.
EARLY_STOP_OFF = -math.inf
#: Hyperparameters of the released MNIST run (design.md, section 6).
REG_WEIGHT = 1e-3
BATCH = 128
RMDA_AND_PROXSGD_OPTIONS = {"lr": 1e-1, "momentum": 1e-1}
RAMDA_OPTIONS = {"lr": 1e-2, "momentum": 1e-2, "epsilon": 1e-6}
#: Weights of psi in the random subproblems: from no zero groups to half of them.
RANDOM_WEIGHTS = (0.05, 0.5, 1.0, 2.0)


class Case(NamedTuple):
    """A subproblem as the released code states it: min <v, p - p0> + 1/2 <p - p0, denom*(p - p0)> + lambda*psi."""

    p: Tensor
    p0: Tensor
    v: Tensor
    denom: Tensor
    lambda_: float

    def to(self, dtype: torch.dtype) -> "Case":
        """The same numbers in another precision, for both solvers."""
        return Case(self.p.to(dtype), self.p0.to(dtype), self.v.to(dtype), self.denom.to(dtype), self.lambda_)


@contextlib.contextmanager
def importable(path: Path) -> Iterator[None]:
    """``path`` on the import path inside the context only."""
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))


def softmax_problem(seed: int) -> Callable[[Tensor, int], Tensor]:
    """gradient(W, step) of a softmax regression on scikit-learn's digits, minibatches of 128; W is (10, 64) float32."""
    random = torch.Generator().manual_seed(seed)
    pixels, classes = load_digits(return_X_y=True)
    features, labels = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(classes)
    batches = [torch.randint(len(features), (BATCH,), generator=random) for _ in range(1000)]

    def gradient(W: Tensor, step: int) -> Tensor:
        batch = batches[step % len(batches)]
        point = W.detach().clone().requires_grad_()
        torch.nn.functional.cross_entropy(features[batch] @ point.T, labels[batch]).backward()
        assert point.grad is not None
        return point.grad

    return gradient


def starting_point(seed: int) -> Tensor:
    return 0.1 * torch.randn(10, 64, generator=torch.Generator().manual_seed(seed + 1))


def trajectory(
    make: Callable[[Any], torch.optim.Optimizer],
    initial: Tensor,
    gradients: Callable[[Tensor, int], Tensor],
    steps: int,
) -> list[Tensor]:
    """W after every step."""
    W = torch.nn.Parameter(initial.clone())
    optimizer, found = make([W]), []
    for step in range(steps):
        W.grad = gradients(W, step)
        optimizer.step()
        found.append(W.detach().clone())
    return found


def difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Largest over the steps of max|W - W'| / max|W'|, in units of float32 eps; infinite where one is NaN."""
    pairs = zip(ours, theirs, strict=True)
    return largest(float((a.double() - b.double()).abs().max() / b.double().abs().max()) for a, b in pairs) / EPS


def compare_trajectories(core: ModuleType, steps: int, seed: int) -> dict[str, Any]:
    """RMDA and ProxSGD: every gradient taken at the method's own iterate ("closed_loop_eps"), and ours fed with the
    gradients of theirs ("same_gradients_eps").
    """
    gradient = softmax_problem(seed)
    initial = starting_point(seed)
    theirs_of = {"RMDA": core.RMDA, "ProxSGD": core.ProxSGD}
    ours_of: dict[str, Any] = {"RMDA": RMDA, "ProxSGD": ProxSGD}
    found = {}
    for name, ours_class in ours_of.items():

        def make_theirs(params: Any, name: str = name) -> torch.optim.Optimizer:
            return theirs_of[name](params, **RMDA_AND_PROXSGD_OPTIONS, **COLUMNS, lambda_=REG_WEIGHT)

        def make_ours(params: Any, cls: Any = ours_class) -> torch.optim.Optimizer:
            return cls(params, **RMDA_AND_PROXSGD_OPTIONS, regularizer=GroupLasso(REG_WEIGHT, "input"))

        theirs = trajectory(make_theirs, initial, gradient, steps)
        # Step k of theirs saw the gradient at the iterate after step k - 1.
        seen = [gradient(W, step) for step, W in enumerate([initial, *theirs[:-1]])]

        def replay(W: Tensor, step: int, seen: list[Tensor] = seen) -> Tensor:
            return seen[step]

        replayed = trajectory(make_ours, initial, replay, steps)
        closed = trajectory(make_ours, initial, gradient, steps)
        found[name] = {
            "same_gradients_eps": difference(replayed, theirs),
            "closed_loop_eps": difference(closed, theirs),
            "moved": float((theirs[-1] - initial).norm() / initial.norm()),
        }
    return found


def random_cases(seed: int, lambda_: float, count: int) -> list[Case]:
    """(32, 16) matrices, preconditioner entries uniform in [0.05, 3.05], everything else standard normal."""
    random = torch.Generator().manual_seed(seed)
    cases = []
    for _ in range(count):
        p, p0, v = (torch.randn(32, 16, generator=random) for _ in range(3))
        denom = 0.05 + 3 * torch.rand(32, 16, generator=random)
        cases.append(Case(p, p0, v, denom, lambda_))
    return cases


def trajectory_cases(core: ModuleType, solver: Callable[..., Any], steps: int, seed: int) -> list[Case]:
    """The subproblems that their RAMDA meets on the softmax problem, recorded through its ``solver`` argument."""
    met: list[Case] = []

    def recording(**arguments: Any) -> Any:
        copies = {name: arguments[name].clone() for name in ("p", "p0", "v", "denom")}
        met.append(Case(**copies, lambda_=float(arguments["lambda_"])))
        return solver(**arguments)

    options = {**RAMDA_OPTIONS, **COLUMNS, "lambda_": REG_WEIGHT, "solver": recording}
    trajectory(lambda params: core.RAMDA(params, **options), starting_point(seed), softmax_problem(seed), steps)
    return met


class Outcome(NamedTuple):
    """Residuals of one subproblem: theirs, ours, and of the data; None for theirs where the released code crashed."""

    theirs: float | None
    ours: float
    size: float
    iterations: int
    zero_share: float


def solve_both(case: Case, solvers_module: ModuleType, rtol: float) -> Outcome:
    """Stationarity residuals in float64 of both solutions, found in the dtype of the case, of one subproblem."""
    # Ours gets B as its optimizer would form it, in that dtype; the judge forms it in float64.
    psi = GroupLasso(1.0, "input")
    solution = solve(Subproblem(case.denom * case.p0 - case.v, case.denom, case.lambda_, psi), tolerance=1e-4)
    D = case.denom.double().numpy()
    B = D * case.p0.double().numpy() - case.v.double().numpy()
    ours = stationarity(solution.point.numpy(), B, D, case.lambda_, psi)
    tensors = {"p": case.p.clone(), "p0": case.p0, "v": case.v, "denom": case.denom}
    with counted_steps(solvers_module) as counted:
        try:
            point, _ = solvers_module.pgd_solver_group_lasso(
                **tensors, **COLUMNS, alpha=1.0, lambda_=case.lambda_, max_iters=MAX_ITERATIONS, rtol=rtol
            )
            theirs = stationarity(point.numpy(), B, D, case.lambda_, psi)
        except UnboundLocalError:  # every group screened away: the released code then has no result to return
            theirs = None
    zero_share = float((solution.point == 0).all(dim=0).float().mean())
    return Outcome(theirs, ours, float(np.linalg.norm(B)), counted["steps"], zero_share)


def summarise(outcomes: list[Outcome]) -> dict[str, Any]:
    """Medians and ratios as plain numbers."""
    kept = [(o.theirs, o) for o in outcomes if o.theirs is not None]
    theirs, ours = np.array([t for t, _ in kept]), np.array([o.ours for _, o in kept])
    if not (np.isfinite(theirs).all() and np.isfinite(ours).all() and len(kept)):
        raise ArithmeticError("a residual could not be evaluated")
    ratios = theirs / np.maximum(ours, np.finfo(np.float64).tiny)
    return {
        "cases": len(kept),
        "reference_crashes": len(outcomes) - len(kept),
        "median_residual_reference": float(np.median(theirs)),
        "median_residual_ours": float(np.median(ours)),
        "largest_residual_ours_over_size_of_B": largest(o.ours / o.size for _, o in kept),
        "ratio_of_medians": float(np.median(theirs) / np.median(ours)),
        "smallest_ratio": float(ratios.min()),
        "share_of_cases_with_ratio_1000": float((ratios >= 1000).mean()),
        "median_size_of_B": float(np.median([o.size for _, o in kept])),
        "median_reference_iterations": float(np.median([o.iterations for _, o in kept])),
        "median_share_of_zero_groups": float(np.median([o.zero_share for _, o in kept])),
    }


@contextlib.contextmanager
def counted_steps(solvers_module: ModuleType) -> Iterator[dict[str, int]]:
    """Count the calls of the released solver's step; nothing that it computes changes."""
    counted, original = {"steps": 0}, solvers_module.pgd.step

    def step(self: Any) -> None:
        counted["steps"] += 1
        original(self)

    solvers_module.pgd.step = step
    try:
        yield counted
    finally:
        solvers_module.pgd.step = original


def residuals_at(
    rtol: float, recorded: list[Case], inner: ModuleType, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """All residual summaries with one early-stop tolerance of the released solver, both solvers in ``dtype``."""
    count = 200 // len(RANDOM_WEIGHTS)
    by_weight = {
        weight: [solve_both(case.to(dtype), inner, rtol) for case in random_cases(seed, weight, count)]
        for weight in RANDOM_WEIGHTS
    }
    return {
        "random_all": summarise([outcome for outcomes in by_weight.values() for outcome in outcomes]),
        "random_by_weight": {f"{weight:g}": summarise(outcomes) for weight, outcomes in by_weight.items()},
        "digits_trajectory": summarise([solve_both(case.to(dtype), inner, rtol) for case in recorded]),
    }


def measure(path: Path, steps: int, seed: int) -> dict[str, Any]:
    """All measurements as plain data."""
    torch.set_num_threads(1)
    with importable(path):
        optimizers = importlib.import_module("Core.optimizer")
        inner = importlib.import_module("Core.solvers")
    if not Path(str(inner.__file__)).resolve().is_relative_to(path.resolve()):
        raise ImportError("another package named Core was imported")
    recorded = trajectory_cases(optimizers, inner.pgd_solver_group_lasso, steps, seed)
    return {
        "trajectories": compare_trajectories(optimizers, steps, seed),
        "ramda_subproblems_shipped": residuals_at(SHIPPED_RTOL, recorded, inner, seed),
        "ramda_subproblems_float64": residuals_at(SHIPPED_RTOL, recorded, inner, seed, torch.float64),
        "ramda_subproblems_early_stop_off": residuals_at(EARLY_STOP_OFF, recorded, inner, seed),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
