"""Both sides of the thresholds in the parts of a solve, by problems of a few numbers that are exact."""

import math

import pytest
import torch

from solvers import L1, MCP, GroupLasso, NuclearNorm, Simplex, Status, Subproblem, solve, solve_batch
from solvers.regularizers import WeightLayout
from solvers.regularizers.base import shrink
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import certainly_descends, descends, lower, smaller_residual
from solvers.subproblem.krylov import Krylov
from solvers.subproblem.memory import Memory
from solvers.subproblem.methods import allowed_methods
from solvers.subproblem.newton import Newton
from solvers.subproblem.verdict import certify
from tests.solvers.test_batch import ReadsItsStep

#: Sixteen roundings of a number of size 1: the level of rounding of the problems below.
LEVEL = 2.0**-48


def numbers(*entries: float) -> torch.Tensor:
    return torch.tensor(entries, dtype=torch.float64)


def one(B: float, D: float = 1.0, lam: float = 0.0) -> Subproblem:
    """A subproblem of one entry under the L1 norm."""
    return Subproblem(numbers(B), numbers(D), lam, L1(1.0))


def test_an_equal_objective_descends_and_is_not_lower():
    for Z in (numbers(0.0), numbers(3.0)):
        assert descends(one(1.0, lam=1.0), Z, Z) is True
        assert lower(one(1.0, lam=1.0), Z, Z) is False
    assert lower(one(1.0), numbers(1.0), numbers(0.0)) is True
    assert descends(one(1.0), numbers(3.0), numbers(0.0)) is False


@pytest.mark.parametrize(("above", "certain"), [(0.0, True), (-(2.0**-54), False)])
def test_a_certificate_proves_descent_from_the_level_of_rounding_on(above, certain):
    """From 1 to 0 a slope s gives at least s + 1/2."""
    member = numbers(-0.5 + LEVEL + above)
    assert certainly_descends(one(1.0), numbers(0.0), member, numbers(1.0)) is certain


@pytest.mark.parametrize(("level", "residual"), [(0.5, 1.5), (0.25, 1.0)])
def test_a_certificate_is_believed_where_it_is_smaller_by_more_than_rounding(level, residual):
    """At zero |B| - lam = 3/2 is the least norm of a subgradient."""
    assert smaller_residual(one(2.5, lam=1.0), 1.0, numbers(0.0), level) == residual


@pytest.mark.parametrize(
    ("problem", "Z", "tolerance", "status"),
    [
        (one(2.5, lam=1.0), 0.0, 1.5, Status.CONVERGED),
        (one(2.5, lam=1.0), 0.0, math.nextafter(1.5, 0), Status.NOT_STATIONARY),
        (one(1.0, lam=1 - LEVEL), 0.0, 0.0, Status.PRECISION_LIMIT),
        (one(1.0, lam=1 - LEVEL - 2.0**-53), 0.0, 0.0, Status.NOT_STATIONARY),
        (one(1.0, D=1e300, lam=1.0), 1e300, 1.0, Status.NOT_STATIONARY),
        (one(1.0, lam=1.0), math.inf, 1.0, Status.NON_FINITE),
    ],
    ids=["tolerance", "above-it", "level", "above-level", "out-of-range", "infinite"],
)
def test_the_status_of_a_direct_solution(problem, Z, tolerance, status):
    """Its residual is |B| - lam at zero; a residual and a level out of range say nothing."""
    assert certify(problem, numbers(Z), 1, tolerance).status is status


@pytest.mark.parametrize("step", [0.0, -1.0, math.inf, math.nan])
def test_no_derivative_at_a_step_out_of_range(step):
    given = Subproblem(torch.ones(2, 3), torch.ones(2, 3), 1.0, NuclearNorm(1.0))
    w = torch.arange(6.0).reshape(2, 3)
    assert given.prox_with_derivative(w, step) is None
    assert given.prox_with_derivative(w, 0.5) is not None
    assert given.prox_with_derivative(torch.full_like(w, math.inf), 0.5) is None
    assert one(1.0).prox_with_derivative(numbers(1.0), 0.5) is None


@pytest.mark.parametrize("lam", [0.0, torch.tensor(0.0, dtype=torch.float64)], ids=str)
def test_a_weight_of_zero_leaves_an_infinite_psi_out(lam):
    given = Subproblem(numbers(1.0, 2.0), numbers(2.0, 2.0), lam, Simplex())
    Z = numbers(3.0, -1.0)
    assert float(given.objective(Z)) == 0.5 * (2 * 9 + 2 * 1) - (3 - 2)
    assert float(given.objective_change(Z, numbers(0.0, 0.0))[0]) == 9.0


@pytest.mark.parametrize(("w", "theta"), [(math.inf, 1.0), (math.nan, 1.0), (1.0, math.inf), (1.0, math.nan)])
def test_a_prox_of_what_is_out_of_range_is_nan(w, theta):
    for step in (theta, torch.tensor(theta), numbers(theta)):
        assert one(1.0, lam=1.0).prox(numbers(w), step).isnan().all()


class Divides:
    """The indicator of w >= 0, whose prox is NaN at a step of zero; a step for each entry will do."""

    convex = separable = True

    def value(self, w):
        return torch.where((w >= 0).all(), 0.0, math.inf)

    def prox(self, w, step):
        return (w / step * step).clamp_min(0)


def test_a_step_that_underflows_is_the_smallest_normal_number():
    w, expected = numbers(1e-300, -1e-300), [1e-300, 0.0]
    given = Subproblem(numbers(1.0, 1.0), numbers(1.0, 1.0), 1e-300, Divides())
    for theta in (1e-300, torch.tensor(1e-300), numbers(1.0, 1e-300), numbers(1e-300, 1.0)):
        assert given.prox(w, theta).tolist() == pytest.approx(expected, rel=1e-15)
    ones = torch.ones(3, 2, dtype=torch.float64)
    many = SubproblemBatch(ones, ones, numbers(1e-300, 1.0, 0.0), Divides())
    found = many.prox(w.expand(3, 2), numbers(1e-300, 1e-300, 1e-300)).tolist()
    assert found[0] == found[1] == pytest.approx(expected, rel=1e-15)
    assert found[2] == w.tolist()  # at lam = 0 there is no set
    assert many.looped == {}


@pytest.mark.parametrize(("products", "tolerance"), [(5, 0.8), (1, 0.0)])
def test_a_linear_system_is_solved_as_far_as_the_tolerance_or_the_basis(products, tolerance):
    """A maps (1, 0) to (3, 4): of its multiples 3/25 leaves the least of (1, 0), with norm 4/5."""
    A, right = numbers(3.0, 4.0, 4.0, 20.0).reshape(2, 2), numbers(1.0, 0.0)
    found, rest = Krylov(right, products).solve(lambda v: A @ v, right, tolerance)
    assert found.tolist() == pytest.approx([0.12, 0.0], rel=1e-15)
    assert rest == 0.8
    found, rest = Krylov(right, 5).solve(lambda v: A @ v, right, math.nextafter(0.8, 0))
    assert found.tolist() == pytest.approx(torch.linalg.solve(A, right).tolist(), rel=1e-12)
    assert rest == pytest.approx(0.0, abs=1e-15)


def test_a_linear_system_that_the_first_direction_solves():
    right = numbers(0.6, 0.8)
    found, rest = Krylov(right, 5).solve(lambda v: 2 * v, right, 0.0)
    assert found.tolist() == [0.3, 0.4]
    assert rest == 0


@pytest.fixture
def newton():
    """A Newton method with its memory, and a function that proposes from a member of this size."""
    generator = torch.Generator().manual_seed(0)
    x, B, D = (torch.rand(3, 4, generator=generator, dtype=torch.float64) + 0.1 for _ in range(3))
    given, memory = Subproblem(B, D, 0.1, NuclearNorm(1.0)), Memory()
    found, rho = Newton(given, 1e-9, memory), torch.tensor(0.5, dtype=torch.float64)

    def propose(size: float):
        return found.propose(x, given.prox_with_derivative(x, 0.1 / 0.5), size * B, rho)

    return found, memory, propose, B


def test_a_newton_step_serves_that_halves_the_residual(newton):
    found, _, propose, member = newton
    assert found.serves(100 * member)
    assert propose(1.0) is not None
    assert found.serves(member / 2)
    assert not found.serves(member / 2 * (1 + 1e-9))
    found.forget()
    assert found.serves(100 * member)
    assert propose(0.0) is None


@pytest.mark.parametrize("second", [1.0, 2.0])
def test_a_first_step_that_gains_nothing_has_missed_everything(newton, second):
    """And what later steps miss is not left to the next solve."""
    _, memory, propose, _ = newton
    propose(1.0)
    propose(second)
    assert memory.missed == 1.0
    propose(second / 4)
    assert memory.missed == 1.0


def test_a_first_step_that_gains_has_missed_what_it_left(newton):
    _, memory, propose, _ = newton
    propose(1.0)
    propose(0.25)
    assert 0.2 < memory.missed <= 0.25  # all but what the linear system was left with
    kept = memory.missed
    propose(0.2)
    assert memory.missed == kept


def test_a_miss_that_is_not_seen_is_taken_for_a_tenth_of_what_the_linear_system_was_left_with(newton):
    """Which the first time is a tenth at most."""
    _, memory, propose, _ = newton
    propose(1.0)
    propose(1e-6)
    assert 1e-4 < memory.missed <= 0.01


def nuclear(entries: int, largest: float) -> Subproblem:
    B, D = numbers(*range(1, entries + 1)), numbers(largest, *[1.0] * (entries - 1))
    return Subproblem(B.reshape(1, -1), D.reshape(1, -1), 1.0, NuclearNorm(1.0))


@pytest.mark.parametrize(
    ("entries", "largest", "first"),
    [
        (255, 10.0, "accelerated"),
        (256, 10.0, "splitting"),
        (255, math.nextafter(10.0, 11.0), "splitting"),
        (2, 1.0, "accelerated"),
    ],
)
def test_auto_begins_with_the_splitting_from_256_entries_or_a_spread_above_10_on(entries, largest, first):
    given = nuclear(entries, largest)
    assert allowed_methods(given)[0] == first
    assert solve(given, tolerance=1e9).method == first
    assert solve_batch(given.B[None], given.D[None], 1.0, given.regularizer, tolerance=1e9).methods == (first,)


@pytest.mark.parametrize(("entries", "free"), [(255, True), (256, False)])
def test_the_splitting_compares_and_judges_its_starts_below_256_entries(entries, free):
    """Above it begins at the first one, unseen."""
    given = nuclear(entries, 1.0)
    best = solve(given, tolerance=1e-9).point
    found = solve(given, tolerance=1e-3, method="splitting", warm_starts=[best + 100, best])
    assert (found.iterations == 0) == free


class Slopes(NuclearNorm):
    """The nuclear norm, which counts how often it is asked for its exact subgradient: that costs more than a step."""

    asked = 0

    def subgradient_residual(self, point, gradient, lam):
        Slopes.asked += 1
        return super().subgradient_residual(point, gradient, lam)


@pytest.mark.parametrize(("report", "asked"), [(True, 1), (False, 0)])
def test_the_splitting_asks_for_the_exact_subgradient_once_in_the_end_or_not_at_all(report, asked):
    B = torch.randn(16, 17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    Slopes.asked, psi = 0, Slopes(0.5)
    given = Subproblem(B, 1 + B.square(), 1.0, psi)
    found = solve(given, tolerance=0.0, method="splitting", max_iterations=3, report=report)
    assert Slopes.asked == asked
    exact = float(psi.subgradient_residual(found.point, given.gradient(found.point), 1.0).norm())
    assert (found.residual == pytest.approx(exact, rel=1e-9)) == report
    many = solve_batch(B[None], given.D[None], 1.0, psi, tolerance=0.0, method="splitting", max_iterations=3)
    exact = float(psi.subgradient_residual(many.point[0], given.gradient(many.point[0]), 1.0).norm())
    assert float(many.residual[0]) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(("count", "tried"), [(2, False), (3, True)])
def test_two_problems_are_solved_one_by_one(count, tried):
    """So nothing is said of a regularizer that vmap refuses."""
    B = torch.ones(count, 2, 3)
    found = solve_batch(B, B, 0.5, ReadsItsStep(), tolerance=1e-3, method="proximal_gradient")
    assert bool(found.looped) == tried


def test_zero_is_shrunk_to_zero_without_a_sign():
    assert not torch.signbit(shrink(numbers(-0.0, 0.0, -1.0, 1.0), 0.0))[:2].any()
    assert not torch.signbit(shrink(numbers(-0.0, 0.0, -1.0, 1.0), 1.0)).any()


@pytest.mark.parametrize(
    ("psi", "B"),
    [
        (L1(2.5), [[2.5], [-2.5]]),
        (GroupLasso(2.5), [[3.0], [0.0], [0.0], [4.0]]),  # of norm 5 = 2.5 * sqrt(4)
        (GroupLasso(2.5, "output"), [[3.0, 0.0, 0.0, 4.0]]),
        (NuclearNorm(2.5), [[2.5]]),
    ],
    ids=repr,
)
def test_what_just_reaches_its_threshold_is_zero(psi, B):
    given = torch.tensor(B, dtype=torch.float64)
    assert psi.zero_mask(given, 1.0).all()
    assert not psi.zero_mask(given * (1 + 1e-12), 1.0).any()
    for D in (torch.ones_like(given), torch.linspace(1, 2, given.numel(), dtype=torch.float64).reshape(given.shape)):
        assert not solve(Subproblem(given, D, 1.0, psi), tolerance=1e-12).point.any()


def test_of_two_minimisers_of_the_concave_penalty_zero_is_returned():
    """With gamma = 1 and a weight of 1 they change places at w^2 = step."""
    w = numbers(2.0, -2.0, math.nextafter(2.0, 3.0))
    assert MCP(1.0, 1.0).prox(w, 4.0).tolist() == [0.0, 0.0, math.nextafter(2.0, 3.0)]


@pytest.mark.parametrize("psi", [L1(1.0), MCP(1.0), GroupLasso(1.0), GroupLasso(1.0, "output"), Simplex()], ids=repr)
def test_zeros_of_a_prox_have_no_sign(psi):
    w = numbers(-1.0, -0.5, -0.0).reshape(1, 3)
    found = psi.prox(w, 1.0)
    assert not torch.signbit(found)[found == 0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_singular_values_of_a_batch_are_shrunk_at_once(dtype):
    matrices = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    many = SubproblemBatch(matrices, torch.ones_like(matrices), numbers(0.5, 1.0, 2.0), NuclearNorm(1.0))
    found = many.prox(matrices, numbers(1.0, 1.0, 1.0))
    for matrix, step, shrunk in zip(matrices, (0.5, 1.0, 2.0), found, strict=True):
        expected = (torch.linalg.svdvals(matrix) - step).clamp_min(0)
        torch.testing.assert_close(torch.linalg.svdvals(shrunk), expected, rtol=1e-4, atol=1e-5)
    assert many.looped == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_singular_values_of_zero_without_a_price_are_kept(dtype):
    """One by one, where what is lost is left out, and in a batch, where it is multiplied by zero."""
    matrices = torch.zeros(3, 4, 5, dtype=dtype)
    matrices[:, 0, 0] = 2.0
    many = SubproblemBatch(matrices, torch.ones_like(matrices), numbers(1.0, 1.0, 1.0), NuclearNorm(0.0))
    for found in (many.prox(matrices, numbers(1.0, 1.0, 1.0)), NuclearNorm(0.0).prox(matrices[0], 1.0)[None]):
        torch.testing.assert_close(found, matrices[: len(found)])


def test_a_product_is_the_plain_sum_up_to_the_largest_number():
    largest = torch.finfo(torch.float64).max
    assert one(1.0).product(numbers(largest / 2), numbers(2.0)) == largest
    assert one(1.0).product(numbers(largest / 2, largest / 2), numbers(2.0, 2.0)) == largest  # of the size of the slope


@pytest.mark.parametrize(
    ("layout", "shape", "fits"),
    [
        (("out_in", 1), (4, 2), True),
        (("out_in", 2), (4, 2, 3), True),
        (("in_out", 1), (4, 2), True),
        (("in_out", 1), (4, 2, 1), False),
        (("in_out", 2), (4, 2), False),
    ],
)
def test_the_nuclear_norm_takes_a_matrix_and_its_transpose(layout, shape, fits):
    psi = NuclearNorm(1.0)
    assert psi.for_layout(WeightLayout(*layout), shape) is (psi if fits else None)


@pytest.mark.parametrize(
    ("groups", "shape", "fits"),
    [(1, (), True), (1, (3,), True), (2, (4,), False), (2, (), False), (2, (4, 3), True), (2, (3, 4), False)],
)
def test_blocks_of_a_convolution_divide_a_first_axis_of_two(groups, shape, fits):
    layout = WeightLayout("out_in", groups)
    if fits:
        layout.check_shape(shape)
    else:
        with pytest.raises(ValueError, match=f"got {groups} and"):
            layout.check_shape(shape)


def test_the_smallest_normal_number_beside_one_is_a_metric():
    """The second entry of z = B / (D + t/||z||) is nearly all of the norm: (4 - t)/D; the first has t/||z|| = 0."""
    tiny = torch.finfo(torch.float64).tiny
    B, D = numbers(3.0, 4.0).reshape(2, 1), numbers(1.0, tiny).reshape(2, 1)
    found = GroupLasso(math.sqrt(0.5)).metric_prox(B, D, 1.0).point
    assert found.flatten().tolist() == pytest.approx([3.0, 3 / tiny], rel=1e-12)


def test_a_group_without_weight_and_entries_has_a_subgradient_of_zero():
    zero = torch.zeros(2, 2, dtype=torch.float64)
    assert not GroupLasso(0.0).subgradient_residual(zero, zero, 1.0).any()
    slope = torch.tensor([[3.0, 0.0], [4.0, 0.0]], dtype=torch.float64)
    assert torch.equal(GroupLasso(0.0).subgradient_residual(zero, slope, 1.0), slope)
