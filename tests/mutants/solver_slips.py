"""Wrong inner solvers, certificates and criteria, put in the place of the right ones."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from solvers import L1, GroupLasso, NuclearNorm, PowerSchedule, Subproblem
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import RoundingFloor
from solvers.subproblem.ending import Ending, Iterate
from solvers.subproblem.result import Solution, Status
from tests.mutants.claims import CountNonzero
from tests.mutants.metric_proxes import IgnoresMetric
from tests.mutants.mutant import Patch, wrong_optimizer, wrong_solver

#: Every module that holds a function of the inner solvers under its name.
MODULES = [
    importlib.import_module(name)
    for name in (
        "solvers.regularizers.norm_equation",
        "solvers.regularizers.group_lasso",
        "solvers.subproblem.criterion",
        "solvers.subproblem.iterate",
        "solvers.subproblem.proximal_gradient",
        "solvers.subproblem.accelerated",
        "solvers.subproblem.splitting",
        "solvers.subproblem.methods",
        "solvers.subproblem.verdict",
        "solvers.subproblem.solve",
        "solvers.optimizers.base",
        "ramda_verify.checks.subproblem.solutions",
        "ramda_verify.checks.subproblem.certificate",
        "ramda_verify.checks.subproblem.rate",
    )
]


def of_one(right: Any, wrong: Any) -> Any:
    """The wrong function for one problem, the right one for a batch of them."""
    return lambda first, *more, **options: (right if isinstance(first, SubproblemBatch) else wrong)(
        first, *more, **options
    )


def everywhere(name: str, wrong: Any) -> Patch:
    """Replace the function ``name`` in every module that has it, as an edit of its source would. A function of one or
    many problems is replaced for one.
    """

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        holders = [module for module in MODULES if hasattr(module, name)]
        assert holders, name
        replacement = of_one(getattr(holders[0], name), wrong)
        for module in holders:
            monkeypatch.setattr(module, name, replacement)
        iterative = importlib.import_module("solvers.subproblem.methods").ITERATIVE
        for method in iterative:
            if name in (method, f"{method}_proximal_gradient"):
                monkeypatch.setitem(iterative, method, replacement)

    return patch


def of_subproblem(name: str, wrong: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(Subproblem, name, wrong)


#: The right parts, as they were before any patch.
RIGHT = {
    name: getattr(module, name)
    for module in MODULES
    for name in ("prox_member", "proximal_gradient", "run", "solve_norm_equation")
    if hasattr(module, name)
}


def stale_certificate(subproblem, start, *, step_rule="block"):
    """The gradient of the smooth part is taken at Z, the subgradient of psi at Z_next."""
    theta = 1 / subproblem.step_lipschitz(step_rule)
    Z = start
    while True:
        Z_next = subproblem.prox(Z - theta * subproblem.gradient(Z), theta)
        yield Iterate(Z_next, (Z - Z_next) / theta)
        Z = Z_next


def negative_certificate(slope, w, Z, theta):
    """The subgradient with the wrong sign."""
    return -(slope + (w - Z) / theta)


def plain_steps(theta_of: Callable[[Subproblem, Any], Any], prox: Callable[..., Any] = Subproblem.prox) -> Any:
    """Proximal gradient with the wrong step size or the wrong prox."""
    member = RIGHT["prox_member"]

    def steps(subproblem, start, *, step_rule="block"):
        theta = theta_of(subproblem, subproblem.step_lipschitz(step_rule))
        Z = start
        while True:
            w = Z - theta * subproblem.gradient(Z)
            Z = prox(subproblem, w, theta)
            yield Iterate(Z, member(subproblem.gradient(Z), w, Z, theta))

    return steps


def prox_without_theta(subproblem, w, theta):
    """prox of lam*psi, as the paper's Algorithm 2 writes it."""
    return subproblem.regularizer.prox(w, subproblem.lam)


def late_point(subproblem, start, *, step_rule="block"):
    """Reports the certificate of the next point for this one."""
    steps = RIGHT["proximal_gradient"]
    Z = start
    for iterate in steps(subproblem, start, step_rule=step_rule):
        yield Iterate(Z, iterate.member)
        Z = iterate.point


def accelerated_without_extrapolated_certificate(subproblem, start, *, step_rule="block"):
    """The certificate measures the step from Z, but the step was taken from the extrapolated point."""
    theta = 1 / subproblem.step_lipschitz(step_rule)
    Z = Y = start
    while True:
        Z_next = subproblem.prox(Y - theta * subproblem.gradient(Y), theta)
        yield Iterate(Z_next, (subproblem.D - 1 / theta) * (Z_next - Z))
        Y, Z = Z_next + 0.5 * (Z_next - Z), Z_next


def accelerated_to_the_wrong_place(subproblem, start, *, step_rule="block"):
    """Ends at half the right point, with a certificate of zero."""
    for iterate in RIGHT["proximal_gradient"](subproblem, start, step_rule=step_rule):
        yield Iterate(iterate.point / 2, torch.zeros_like(start))


def objective_per_group(self, Z):
    """Adds the scalar quadratic part to a vector with one entry per column, then sums (the released code's fault)."""
    z = Z.double()
    smooth = torch.sum(z * (0.5 * self.D.double() * z - self.B.double()))
    return (smooth * Z.shape[-1] + self.lam * self.regularizer.value(z)) * self.scale


def change_per_group(self, Z, reference):
    """The change of that objective."""
    change = (objective_per_group(self, Z) - objective_per_group(self, reference)) / self.scale
    return change, change.abs() * 1e-14, torch.ones_like(change)


def unscaled_residual(subproblem, member):
    """The residual of the divided problem, not multiplied by what it was divided by."""
    return float(torch.linalg.vector_norm(member, dtype=torch.float64))


def division_without_lam(self, factor):
    """Divides the smooth part alone."""
    return Subproblem(self.B / factor, self.D / factor, self.lam, self.regularizer, self.scale * factor)


def member_at_zero(subproblem, Z):
    """The exact subgradient with the gradient of another point: zero."""
    if not hasattr(subproblem.regularizer, "subgradient_residual"):
        return None
    return subproblem.regularizer.subgradient_residual(Z, -subproblem.B, subproblem.lam)


def ending_always_converged(subproblem, iterates, start, **options):
    """Says CONVERGED after one iteration, with a residual of zero."""
    return Ending(next(iterates).point, Status.CONVERGED, 1, 0.0)


def no_descent(subproblem, ending, reference):
    """(7b) is called held without a look."""
    return ending, True


def status_always_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the residual, the status says converged."""
    right = Solution.__init__
    monkeypatch.setattr(
        Solution, "__init__", lambda self, **fields: right(self, **{**fields, "status": Status.CONVERGED})
    )


def wrong_schedule(self, step, unit):
    """eps_t that does not know the scale of the problem."""
    return self.tolerance * step**-self.power


def enormous_rounding(self, Z):
    """Calls a residual of thousands of roundings rounding."""
    return 1e-3 * self._size * self._scale


def three_steps_at_once(subproblem, start, *, step_rule="block"):
    """Goes three times as far as a step does, and calls that stationary."""
    for iterate in RIGHT["proximal_gradient"](subproblem, start, step_rule=step_rule):
        yield Iterate(start + 3 * (iterate.point - start), torch.zeros_like(start))


def descent_not_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are too long, and (7b) is taken for granted."""
    everywhere("proximal_gradient", three_steps_at_once)(monkeypatch)
    everywhere("enforce_descent", lambda subproblem, ending, reference: (ending, True))(monkeypatch)


def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the norm equation after two iterations."""
    monkeypatch.setattr(importlib.import_module("solvers.regularizers.norm_equation"), "MAX_ITERATIONS", 2)


def long_norms(B, D, threshold, groups):
    """Solves the norm equation with a lower bound that is not one: roots come out too large."""
    solve = RIGHT["solve_norm_equation"]
    found = solve(B, D, threshold, groups)
    shortest = (groups.norm(B) - threshold).clamp_min(0) / groups.max(D) * 1.1
    return found._replace(point=found.point * (shortest / groups.norm(found.point).clamp_min(1e-300)).clamp_min(1.0))


RATE, MEMBER, SOUND = "proximal-gradient-rate", "certificate-membership", "criterion-soundness"
ORACLE, DESCENT = "subproblem-oracle", "objective-descent"
MUTANTS = [
    wrong_solver("stale_certificate", everywhere("proximal_gradient", stale_certificate), L1, MEMBER),
    wrong_solver("negative_certificate", everywhere("prox_member", negative_certificate), GroupLasso, MEMBER),
    wrong_solver(
        "step_of_1.9_over_L",
        everywhere("proximal_gradient", plain_steps(lambda subproblem, L: 1.9 / L)),
        GroupLasso,
        RATE,
    ),
    wrong_solver(
        "convex_step_for_nonconvex",
        everywhere("proximal_gradient", plain_steps(lambda subproblem, L: 1 / L)),
        CountNonzero,
        RATE,
    ),
    wrong_solver(
        "prox_without_theta",
        everywhere("proximal_gradient", plain_steps(lambda subproblem, L: 1 / L, prox_without_theta)),
        NuclearNorm,
        MEMBER,
        RATE,
    ),
    wrong_solver("late_point", everywhere("proximal_gradient", late_point), GroupLasso, MEMBER),
    wrong_solver(
        "accelerated_certificate",
        everywhere("accelerated_proximal_gradient", accelerated_without_extrapolated_certificate),
        GroupLasso,
        MEMBER,
    ),
    wrong_solver(
        "accelerated_to_the_wrong_place",
        everywhere("accelerated_proximal_gradient", accelerated_to_the_wrong_place),
        GroupLasso,
        "solver-agreement",
        ORACLE,
    ),
    wrong_solver("change_per_group", of_subproblem("change_per_unit", change_per_group), L1, DESCENT),
    wrong_solver("objective_per_group", of_subproblem("objective", objective_per_group), GroupLasso, ORACLE),
    wrong_solver("no_descent", everywhere("enforce_descent", no_descent), IgnoresMetric, DESCENT),
    wrong_solver(
        "unscaled_residual", everywhere("residual_norm", unscaled_residual), NuclearNorm, "criterion-soundness"
    ),
    wrong_solver("division_without_lam", of_subproblem("divided_by", division_without_lam), L1, SOUND),
    wrong_solver("gradient_of_plus_B", of_subproblem("gradient", lambda self, Z: self.D * Z + self.B), L1, MEMBER),
    wrong_solver(
        "smallest_entry_for_L",
        of_subproblem("step_lipschitz", lambda self, rule="block": self.D.amin()),
        L1,
        RATE,
    ),
    wrong_solver("always_converged", everywhere("run", ending_always_converged), NuclearNorm, ORACLE),
    wrong_solver(
        "enormous_rounding",
        lambda monkeypatch: monkeypatch.setattr(RoundingFloor, "__call__", enormous_rounding),
        NuclearNorm,
        "subproblem-oracle",
    ),
    wrong_solver("descent_not_enforced", descent_not_enforced, GroupLasso, "objective-descent"),
    wrong_solver("few_iterations", few_iterations, GroupLasso, "group-norm-equation"),
    wrong_solver("long_norms", everywhere("solve_norm_equation", long_norms), GroupLasso, "group-norm-equation"),
    wrong_optimizer(
        "always_accepted",
        lambda monkeypatch: monkeypatch.setattr(Solution, "accepted", property(lambda self: True)),
        "ramda",
        "criterion-acceptance",
    ),
    wrong_optimizer("status_always_converged", status_always_converged, "ramda", "criterion-acceptance"),
    wrong_optimizer(
        "wrong_schedule",
        lambda monkeypatch: monkeypatch.setattr(PowerSchedule, "__call__", wrong_schedule),
        "ramda",
        "criterion-acceptance",
    ),
    wrong_optimizer("zero_residual", everywhere("best_residual", lambda *_: 0.0), "ramda", "criterion-acceptance"),
    wrong_optimizer("member_at_zero", everywhere("exact_member", member_at_zero), "proxgen", "criterion-acceptance"),
]
