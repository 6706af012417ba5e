"""Wrong inner solvers, certificates and criteria, put in the place of the right ones."""

from collections.abc import Callable
from typing import Any

import torch

from solvers import L1, GroupLasso, NuclearNorm, PowerSchedule, Subproblem
from solvers.regularizers import norm_equation
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.criterion import RoundingFloor, best_residual, exact_member, prox_member, residual_norm
from solvers.subproblem.ending import Ending, Iterate
from solvers.subproblem.iterate import run
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.verdict import enforce_descent
from tests.mutants.claims import CountNonzero
from tests.mutants.metric_proxes import IgnoresMetric
from tests.mutants.mutant import wrong_optimizer, wrong_solver
from tests.mutants.patching import Patch, constant, everywhere, for_one, member, original, together

#: The right parts, which no patch reaches.
PROX_MEMBER, PROXIMAL_GRADIENT = original(prox_member), original(proximal_gradient)
SOLVE_NORM_EQUATION = original(norm_equation.solve_norm_equation)


def of_subproblem(name: str, wrong: Any) -> Patch:
    return member(Subproblem, name, wrong)


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

    def steps(subproblem, start, *, step_rule="block"):
        theta = theta_of(subproblem, subproblem.step_lipschitz(step_rule))
        Z = start
        while True:
            w = Z - theta * subproblem.gradient(Z)
            Z = prox(subproblem, w, theta)
            yield Iterate(Z, PROX_MEMBER(subproblem.gradient(Z), w, Z, theta))

    return steps


def prox_without_theta(subproblem, w, theta):
    """prox of lam*psi, as the paper's Algorithm 2 writes it."""
    return subproblem.regularizer.prox(w, subproblem.lam)


def late_point(subproblem, start, *, step_rule="block"):
    """Reports the certificate of the next point for this one."""
    steps = PROXIMAL_GRADIENT
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
    for iterate in PROXIMAL_GRADIENT(subproblem, start, step_rule=step_rule):
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


def of_solution(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Patch:
    """Every Solution gets other fields than were computed."""
    right = Solution.__init__
    return member(Solution, "__init__", lambda self, **fields: right(self, **change(fields)))


def wrong_schedule(self, step, unit):
    """eps_t that does not know the scale of the problem."""
    return self.tolerance * step**-self.power


def enormous_rounding(self, Z):
    """Calls a residual of thousands of roundings rounding."""
    return 1e-3 * self._size * self._scale


def three_steps_at_once(subproblem, start, *, step_rule="block"):
    """Goes three times as far as a step does, and calls that stationary."""
    for iterate in PROXIMAL_GRADIENT(subproblem, start, step_rule=step_rule):
        yield Iterate(start + 3 * (iterate.point - start), torch.zeros_like(start))


def long_norms(B, D, threshold, groups):
    """Solves the norm equation with a lower bound that is not one: roots come out too large."""
    found = SOLVE_NORM_EQUATION(B, D, threshold, groups)
    shortest = (groups.norm(B) - threshold).clamp_min(0) / groups.max(D) * 1.1
    return found._replace(point=found.point * (shortest / groups.norm(found.point).clamp_min(1e-300)).clamp_min(1.0))


RATE, MEMBER, SOUND = "proximal-gradient-rate", "certificate-membership", "criterion-soundness"
ORACLE, DESCENT = "subproblem-oracle", "objective-descent"
MUTANTS = [
    wrong_solver("stale_certificate", for_one(proximal_gradient, stale_certificate), L1, MEMBER),
    wrong_solver("negative_certificate", everywhere(prox_member, negative_certificate), GroupLasso, MEMBER),
    wrong_solver(
        "step_of_1.9_over_L",
        for_one(proximal_gradient, plain_steps(lambda subproblem, L: 1.9 / L)),
        GroupLasso,
        RATE,
    ),
    wrong_solver(
        "convex_step_for_nonconvex",
        for_one(proximal_gradient, plain_steps(lambda subproblem, L: 1 / L)),
        CountNonzero,
        RATE,
    ),
    wrong_solver(
        "prox_without_theta",
        for_one(proximal_gradient, plain_steps(lambda subproblem, L: 1 / L, prox_without_theta)),
        NuclearNorm,
        MEMBER,
        RATE,
    ),
    wrong_solver("late_point", for_one(proximal_gradient, late_point), GroupLasso, MEMBER),
    wrong_solver(
        "accelerated_certificate",
        for_one(accelerated_proximal_gradient, accelerated_without_extrapolated_certificate),
        GroupLasso,
        MEMBER,
    ),
    wrong_solver(
        "accelerated_to_the_wrong_place",
        for_one(accelerated_proximal_gradient, accelerated_to_the_wrong_place),
        GroupLasso,
        "solver-agreement",
        ORACLE,
    ),
    wrong_solver("change_per_group", of_subproblem("change_per_unit", change_per_group), L1, DESCENT),
    wrong_solver("objective_per_group", of_subproblem("objective", objective_per_group), GroupLasso, ORACLE),
    wrong_solver("no_descent", for_one(enforce_descent, no_descent), IgnoresMetric, DESCENT),
    wrong_solver("unscaled_residual", for_one(residual_norm, unscaled_residual), NuclearNorm, "criterion-soundness"),
    wrong_solver("division_without_lam", of_subproblem("divided_by", division_without_lam), L1, SOUND),
    wrong_solver("gradient_of_plus_B", of_subproblem("gradient", lambda self, Z: self.D * Z + self.B), L1, MEMBER),
    wrong_solver(
        "smallest_entry_for_L",
        of_subproblem("step_lipschitz", lambda self, rule="block": self.D.amin()),
        L1,
        RATE,
    ),
    wrong_solver("always_converged", for_one(run, ending_always_converged), NuclearNorm, ORACLE),
    wrong_solver(
        "enormous_rounding",
        member(RoundingFloor, "__call__", enormous_rounding),
        NuclearNorm,
        "subproblem-oracle",
    ),
    # Steps that are too long, and (7b) is taken for granted.
    wrong_solver(
        "descent_not_enforced",
        together(for_one(proximal_gradient, three_steps_at_once), for_one(enforce_descent, no_descent)),
        GroupLasso,
        "objective-descent",
    ),
    # The norm equation ends after two iterations.
    wrong_solver("few_iterations", constant(norm_equation, "MAX_ITERATIONS", 2), GroupLasso, "group-norm-equation"),
    wrong_solver(
        "long_norms", everywhere(norm_equation.solve_norm_equation, long_norms), GroupLasso, "group-norm-equation"
    ),
    wrong_optimizer(
        "always_accepted",
        member(Solution, "accepted", property(lambda self: True)),
        "ramda",
        "criterion-acceptance",
    ),
    # Whatever the residual, the status says converged.
    wrong_optimizer(
        "status_always_converged",
        of_solution(lambda fields: {**fields, "status": Status.CONVERGED}),
        "ramda",
        "criterion-acceptance",
    ),
    wrong_optimizer(
        "wrong_schedule",
        member(PowerSchedule, "__call__", wrong_schedule),
        "ramda",
        "criterion-acceptance",
    ),
    wrong_optimizer("zero_residual", for_one(best_residual, lambda *_: 0.0), "ramda", "criterion-acceptance"),
    wrong_optimizer("member_at_zero", for_one(exact_member, member_at_zero), "proxgen", "criterion-acceptance"),
]
