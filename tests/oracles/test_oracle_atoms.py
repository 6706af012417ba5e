"""Atoms of every kind against brute force on a grid and against CVXPY, one by one and where they share entries."""

import math

import cvxpy as cp
import numpy as np
import pytest

from ramda_verify.oracles import certificate, cvxpy_models, direct, duality_gap, exact, float_subproblem, naive_prox
from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.atoms.functions import ABS, COUNT, SQUARE, Piece, capped, even, huber, mcp, quadratic
from ramda_verify.oracles.atoms.scalar_minimum import _stationary, minimisers
from ramda_verify.oracles.index_sets import every, matrix_shape
from ramda_verify.oracles.psi import atoms_of, norm_terms, psi_value, spectral_atom
from tests.oracles.stand_ins import named, sparse_group_lasso

SHAPE = (4, 3)
#: |x|/(1 + |x|): a penalty whose pieces are no quadratics; its slope at zero is 1, its curvature grows from -2 to 0.
RATIONAL = even(
    "rational",
    (
        Piece(
            0.0,
            math.inf,
            lambda x: x / (1 + x),
            lambda x: 1 / ((1 + x) * (1 + x)),
            lambda x: -2 / ((1 + x) * (1 + x) * (1 + x)),
            constant_curvature=False,
        ),
    ),
    convex=False,
)
#: |x|^3: convex, its curvature grows without bound.
CUBE = even(
    "cube",
    (Piece(0.0, math.inf, lambda x: x * x * x, lambda x: 3 * x * x, lambda x: 6 * x, constant_curvature=False),),
    convex=True,
)
#: 0 at zero, 1 up to |x| = 1, 2 up to 2, 3 up to 3, 4 beyond: a jump at every step, the lower value on the step.
STAIRS = even(
    "stairs",
    tuple(quadratic(k, k + 1 if k < 3 else math.inf, 0, 0, k + 1) for k in range(4)),
    convex=False,
    points={sign * float(k): float(k) for k in range(4) for sign in (1, -1)},
)
FUNCTIONS = (ABS, SQUARE, COUNT, huber(0.7), mcp(1.3, 1.5), capped(0.8), RATIONAL, CUBE, STAIRS)
CONVEX = tuple(function for function in FUNCTIONS if function.convex)
OVERLAPPING = [
    Norm(0.8, np.array([0, 1, 2, 3, 4])),
    Norm(0.5, np.array([3, 4, 5, 6])),
    Norm(0.9, np.array([6, 7, 8, 9, 10, 11, 0])),
]
#: psi by name, what is to be compared with CVXPY on SHAPE.
CONVEX_PSI = {
    "sparse group LASSO": sparse_group_lasso(0.3, 0.4),
    "sparse group LASSO of rows": sparse_group_lasso(0.5, 0.2, "output"),
    "elastic net": named("ElasticNet", reg_weight=0.5, square_weight=0.3),
    "simplex": named("Simplex", radius=2.0),
    "overlapping groups": OVERLAPPING,
    "entries under overlapping groups": [Scalar(0.2, np.arange(2, 9), ABS), *OVERLAPPING],
    "Huber": [Scalar(0.9, every(SHAPE), huber(0.4))],
    "squared singular values": [Spectral(0.4, every(SHAPE), SHAPE, SQUARE)],
}
psi_by_name = pytest.mark.parametrize("psi", CONVEX_PSI.values(), ids=CONVEX_PSI)


def problem(seed, condition=30.0):
    random = np.random.default_rng(seed)
    B = random.standard_normal(SHAPE)
    B[:, 0] *= 1e-2
    return B, 10 ** -random.uniform(0, math.log10(condition), SHAPE)


@pytest.mark.parametrize("price", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_scalar_minimum_against_a_grid(function, price):
    random = np.random.default_rng(3)
    b, d = 3 * random.standard_normal(40), 10 ** random.uniform(-1, 1, 40)
    b[:4] = (0.0, 1.0, -0.3, 1e-8)
    atom = Scalar(price, np.arange(40), function)
    numbers = exact.subproblem(b, d, 1.0, [atom])
    assert numbers.solved, numbers.detail
    z = atom.minimiser(b, d)
    np.testing.assert_allclose(z, numbers.point, rtol=1e-12, atol=1e-15)
    grid = np.linspace(-40, 40, 160_001)
    on_grid = 0.5 * d[:, None] * grid**2 - b[:, None] * grid + price * function.values(grid)
    ours = 0.5 * d * z**2 - b * z + price * function.values(z)
    assert (ours <= on_grid.min(axis=1) + 1e-13).all()
    # And no lower than what a grid of this spacing can be wrong by, next to a jump or without one.
    spacing = 5e-4 if function.points else 5e-8
    assert (ours >= on_grid.min(axis=1) - (40 + 240 * price) * spacing).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("build", [mcp, lambda weight, gamma: huber(gamma * weight)], ids=["mcp", "huber"])
def test_exact_minimum_beside_kinks_and_where_the_objective_is_flat(build, seed):
    """At a kink, and one float64 beside it; MCP with d = price/gamma has no curvature on its first piece."""
    random = np.random.default_rng(seed)
    weight, gamma, price = 10 ** random.uniform(-1, 1, 3)
    d = np.repeat([1.0, price / gamma, price / gamma * (1 + 1e-15), 10 ** random.uniform(-2, 2)], 6)
    edges = np.array([price * weight, d[-1] * gamma * weight])
    beside = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)])
    b = np.concatenate(
        [beside, d[6] * gamma * weight * np.array([1, 1 - 1e-16, 1 + 3e-16, 0, 1e-9, 2]), beside, -beside]
    )
    found = exact.subproblem(b, d, 1.0, [Scalar(price, np.arange(24), build(weight, gamma))])
    assert found.solved, found.detail


def test_sum_of_functions_of_one_entry():
    random = np.random.default_rng(4)
    b, d = 3 * random.standard_normal(30), 10 ** random.uniform(-1, 1, 30)
    terms = [(0.4, ABS), (0.2, SQUARE), (0.7, capped(0.8))]
    z, grid = minimisers(b, d, terms), np.linspace(-40, 40, 160_001)

    def cost(x):
        return sum(price * function.values(x) for price, function in terms)

    on_grid = 0.5 * d[:, None] * grid**2 - b[:, None] * grid + cost(grid)
    assert (0.5 * d * z**2 - b * z + cost(z) <= on_grid.min(axis=1) + 1e-13).all()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_scalar_certificate_is_zero_at_minimisers_and_sees_a_move(function):
    random = np.random.default_rng(5)
    b, d = 2 * random.standard_normal(30), 10 ** random.uniform(-1, 1, 30)
    psi = [Scalar(0.8, np.arange(30), function)]
    z = float_subproblem.solve(b, d, 1.0, psi)
    assert certificate.stationarity(z, b, d, 1.0, psi) <= 1e-12
    moved = np.where(z == 0, 0.01, z * 1.01)
    # A minimiser of L0 that is zero may be left: every point but zero is stationary or not by b alone.
    assert certificate.stationarity(moved, b, d, 1.0, psi) > 1e-3


@pytest.mark.parametrize("function", CONVEX, ids=lambda f: f.name)
def test_conjugate_against_a_grid(function):
    atom, grid = Scalar(0.6, np.arange(1), function), np.linspace(-60, 60, 240_001)
    for u in (0.0, 0.3, -0.4, 0.6, 2.0):
        found = atom.conjugate(np.array([u]))
        on_grid = (u * grid - 0.6 * function.values(grid)).max()
        if np.isinf(found):
            assert on_grid > 1.0
        else:
            assert found == pytest.approx(on_grid, abs=1e-6)


def test_a_minimum_next_to_a_maximum():
    # The slope 0.05 x - 0.3573 + 4/(1 + x)^2 has two roots close to one another: the second is the minimum.
    x = _stationary(np.array([0.3573]), np.array([0.05]), [(4.0, RATIONAL.pieces[1])], 0.0, math.inf)
    assert 0.05 * x - 0.3573 + 4 / (1 + x) ** 2 == pytest.approx(0.0, abs=1e-15)
    assert 0.05 - 8 / (1 + x) ** 3 > 0


def test_certificate_at_a_concave_kink():
    (kink,) = [Scalar(1.0, np.arange(1), capped(0.8))]
    for slope, shortest in ((-0.9, 0.1), (-0.1, -0.1), (0.5, 0.5), (-3.0, -2.0)):
        assert kink.residual(np.array([0.8]), np.array([slope]), 0.0) == pytest.approx(shortest)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (5, 1)])
@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_certificate_of_singular_values_against_cvxpy(shape, rank):
    random = np.random.default_rng(rank)
    left, sigma, right = np.linalg.svd(random.standard_normal(shape), full_matrices=False)
    rank = min(rank, *shape)
    left, sigma, right = left[:, :rank], sigma[:rank], right[:rank]
    for size in (0.3, 1.0, 4.0):
        slope, normal = size * random.standard_normal(shape), cp.Variable(shape)
        inside = [cp.sigma_max(normal) <= 0.7]
        if rank:
            inside += [left.T @ normal == 0, normal @ right.T == 0]
        distance = cp.Problem(cp.Minimize(cp.norm(slope + 0.7 * left @ right + normal, "fro")), inside)
        point, ones = (left * sigma) @ right, np.ones(shape)
        found = certificate.stationarity(point, point - slope, ones, 1.0, [Spectral(0.7, every(shape), shape, ABS)])
        assert found == pytest.approx(distance.solve(solver=cp.CLARABEL), rel=1e-5, abs=1e-6)


def test_conjugates_of_norms_are_balls():
    for atom in (Norm(0.7, np.arange(4)), Spectral(0.7, every((2, 2)), (2, 2), ABS), Scalar(0.7, np.arange(4), ABS)):
        u = np.array([0.7, 0.0, 0.0, 0.0])
        assert atom.conjugate(u) == pytest.approx(0.0, abs=1e-15)
        assert atom.conjugate(1.001 * u) == math.inf
        inside = atom.multiplier(5 * u, np.zeros(4), np.ones(4))
        assert atom.conjugate(inside) == pytest.approx(0.0, abs=1e-15)
        np.testing.assert_allclose(inside, u, atol=1e-15)


def test_known_answers():
    b, d = np.array([3.0, -0.5, 0.0, -2.0]), np.array([1.0, 2.0, 1.0, 4.0])
    net = float_subproblem.solve(b, d, 2.0, named("ElasticNet", reg_weight=0.25, square_weight=0.5))
    np.testing.assert_allclose(net, [2.5 / 3, 0.0, 0.0, -1.5 / 6], rtol=1e-15)
    count = float_subproblem.solve(b, d, 1.0, named("L0", reg_weight=0.5))
    # An entry pays if b^2/(2d) > 0.5; at equality (the last) both are minimisers.
    np.testing.assert_allclose(count[:3], [3.0, 0.0, 0.0])
    assert count[3] in (0.0, -0.5)
    # MCP with gamma*d > 1: firm threshold (b - weight)/(d - 1/gamma) up to b = d*gamma*weight, then b/d.
    firm = float_subproblem.solve(
        np.array([0.4, 1.0, 1.9, 2.1]), np.ones(4), 1.0, named("MCP", reg_weight=0.5, gamma=4.0)
    )
    np.testing.assert_allclose(firm, [0.0, 0.5 / 0.75, 1.4 / 0.75, 2.1], rtol=1e-14)
    simplex = float_subproblem.solve(np.array([1.0, 0.6, -3.0]), np.ones(3), 1.0, named("Simplex", radius=1.0))
    np.testing.assert_allclose(simplex, [0.7, 0.3, 0.0], atol=1e-15)
    # Soft threshold by 0.5 to (2.5, 0, 1.5), then a group of price sqrt(3)*0.4 in the metric 1.
    group = sparse_group_lasso(0.5, 0.4)
    soft = np.array([[2.5], [0.0], [1.5]])
    expected = soft * (1 - 0.4 * math.sqrt(3) / math.hypot(2.5, 1.5))
    found = exact.subproblem(np.array([[3.0], [-0.4], [2.0]]), np.ones((3, 1)), 1.0, group).point
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_values_by_hand():
    x = np.array([[3.0, 0.0], [-4.0, 1.0]])
    assert psi_value(x, sparse_group_lasso(2.0, 1.0)) == pytest.approx(2 * 8 + math.sqrt(2) * (5 + 1))
    assert psi_value(x, named("ElasticNet", reg_weight=1.0, square_weight=2.0)) == pytest.approx(8 + 2 * 26)
    assert psi_value(x, named("L0", reg_weight=3.0)) == 9.0
    assert psi_value(x, named("MCP", reg_weight=1.0, gamma=2.0)) == pytest.approx(1.0 + 0 + 1.0 + (1 - 0.25))
    assert psi_value(x, named("MCP", reg_weight=0.0, gamma=2.0)) == 0.0
    for radius, value in ((1.0, 0.0), (1.0 + 1e-9, math.inf)):
        assert psi_value(np.array([0.25, 0.75]), named("Simplex", radius=radius)) == value
    (simplex,) = atoms_of(named("Simplex", radius=1.0), (2,))
    assert simplex.violation(np.array([1.0, 1.0])) == pytest.approx(math.sqrt(0.5))
    assert simplex.violation(np.array([2.0, 0.0])) == pytest.approx(1.0)


@psi_by_name
@pytest.mark.parametrize("seed", range(3))
def test_cvxpy_gap_and_certificate_agree(psi, seed):
    B, D = problem(seed)
    answer = cvxpy_models.solve_subproblem(B, D, 1.0, psi)
    assert answer.solved, answer.detail
    assert answer.accuracy <= 1e-7
    best = duality_gap.subproblem_objective(answer.point, B, D, 1.0, psi)
    for other in (0.9 * answer.point, answer.point + 0.01, np.zeros(SHAPE)):
        # A lower bound from a bad point is still a lower bound.
        assert duality_gap.lower_bound(other, B, D, 1.0, psi) <= best + answer.error
    if direct.why_not(atoms_of(psi, SHAPE), B.size) is None:
        numbers = exact.subproblem(B, D, 1.0, psi)
        assert numbers.solved, numbers.detail
        gap = exact.objective_gap(answer.point, B, D, 1.0, psi, numbers)
        assert -1e-13 * numbers.scale <= gap <= answer.error
        np.testing.assert_allclose(float_subproblem.solve(B, D, 1.0, psi), numbers.point, rtol=1e-9, atol=1e-14)
        assert certificate.stationarity(numbers.point, B, D, 1.0, psi) <= 1e-13
        assert certificate.stationarity(numbers.point * 1.01 + 1e-3, B, D, 1.0, psi) > 1e-4
        below = numbers.objective - duality_gap.lower_bound(numbers.point, B, D, 1.0, psi)
        assert below <= 1e-12 * numbers.scale


def distance_by_cvxpy(psi, z, slope):
    """The distance of -slope to the sum of the subdifferentials at a flat z, each written out as its constraints."""
    total, constraints = slope, []
    for atom in atoms_of(psi, SHAPE):
        here, part = atom.indices, cp.Variable(len(atom.indices))
        at = z[here]
        if isinstance(atom, Norm):
            length = np.linalg.norm(at)
            constraints.append(part == atom.price * at / length if length > 0 else cp.norm(part) <= atom.price)
        elif isinstance(atom, Scalar):
            left, right = (atom.price * side for side in atom.function.slopes(at))
            constraints += [part >= left, part <= right]
        else:
            assert isinstance(atom, Simplex)
            top = cp.Variable()
            constraints += [part <= top, *(part[i] == top for i in np.flatnonzero(at))]
        place = np.zeros((len(z), len(here)))
        place[here, np.arange(len(here))] = 1.0
        total = total + place @ part
    problem = cp.Problem(cp.Minimize(cp.norm(total)), constraints)
    return problem.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("psi", [*CONVEX_PSI.values()][:-1], ids=[*CONVEX_PSI][:-1])
@pytest.mark.parametrize("zeros", ["none", "some", "a group", "all"])
def test_certificate_against_cvxpy(psi, zeros):
    random = np.random.default_rng(7)
    z = random.standard_normal(SHAPE)
    if zeros == "some":
        z[random.random(SHAPE) < 0.5] = 0.0
    elif zeros == "a group":
        z[:, :2] = 0.0
        z[0] = 0.0
    elif zeros == "all":
        z[:] = 0.0
    atoms = atoms_of(psi, SHAPE)
    for atom in atoms:
        z.ravel()[atom.indices] = atom.feasible(z.ravel()[atom.indices])
    for size in (0.1, 0.6, 3.0):
        slope = size * random.standard_normal(SHAPE)
        found = certificate.stationarity(z, z - slope, np.ones(SHAPE), 1.0, psi)
        assert found == pytest.approx(distance_by_cvxpy(psi, z.ravel(), slope.ravel()), rel=1e-5, abs=1e-6)


def test_certificate_rejects_what_a_constraint_forbids():
    psi, ones = named("Simplex", radius=1.0), np.ones(3)
    assert certificate.stationarity(np.array([0.5, 0.5, 1e-9]), ones, ones, 1.0, psi) == math.inf
    assert certificate.stationarity(np.array([0.5, 0.5, 0.0]), ones, ones, 1.0, psi) < math.inf


def test_singular_values_in_an_uneven_metric_take_iterations_like_the_root_of_its_condition():
    rng = np.random.default_rng(0)
    d = np.geomspace(1, 1e4, 12)
    rng.shuffle(d)
    b = 10 * rng.standard_normal(12) * np.sqrt(d)
    atom = Spectral(300.0, every(SHAPE), SHAPE, ABS)
    # Without momentum it would not stand still in the 20,000 iterations that there are; with it, after 2,500.
    z = atom.minimiser(b, d)
    assert 0 < np.linalg.matrix_rank(z.reshape(SHAPE)) < 3
    assert certificate.stationarity(z, b, d, 1.0, [atom]) <= 1e-13 * np.linalg.norm(b)
    # And it stands still by its own size, not by an absolute one.
    for scale in (2.0**-80, 2.0**80):
        np.testing.assert_array_equal(atom.scaled(scale).minimiser(scale * b, d), scale * z)


def test_sums_without_a_direct_solution_say_so():
    size = math.prod(SHAPE)
    for psi, word in (
        (OVERLAPPING, "share"),
        ([Scalar(1.0, every(SHAPE), SQUARE), Norm(1.0, every(SHAPE))], "together"),
        ([Spectral(1.0, every(SHAPE), SHAPE, ABS)], "not constant"),
    ):
        assert word in direct.why_not(atoms_of(psi, SHAPE), size)
        B, D = problem(0)
        assert not exact.subproblem(B, D, 1.0, psi).solved
    assert direct.why_not(atoms_of(sparse_group_lasso(1.0, 1.0), SHAPE), size) is None


def test_norm_terms_are_of_disjoint_norms_only():
    assert norm_terms(OVERLAPPING) is None
    assert norm_terms(atoms_of(sparse_group_lasso(1.0, 1.0), SHAPE)) is None
    assert norm_terms([Scalar(1.0, every(SHAPE), huber(1.0))]) is None
    terms = norm_terms([Scalar(0.5, np.array([1, 3]), ABS), Norm(2.0, np.array([0, 2]))])
    assert [(price, indices.tolist()) for price, indices in terms] == [(0.5, [1]), (0.5, [3]), (2.0, [0, 2])]
    assert spectral_atom(OVERLAPPING) is None


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f is not CUBE], ids=lambda f: f.name)
def test_line_searches_find_nonconvex_minimisers(function):
    w = np.random.default_rng(11).standard_normal(SHAPE) * 2
    psi = [Scalar(0.7, every(SHAPE), function)]
    found = naive_prox.naive_prox(w, 0.9, psi)
    numbers = exact.subproblem(w, np.ones(SHAPE), 0.9, psi)
    assert found.solved
    assert found.objective == pytest.approx(numbers.objective + 0.5 * float((w * w).sum()), rel=1e-10)
    if function is STAIRS:
        return  # singular values are not kept on a step to the last digit
    spectral = [Spectral(0.7, every(SHAPE), matrix_shape(SHAPE), function)]
    found, numbers = naive_prox.naive_prox(w, 0.9, spectral), exact.subproblem(w, np.ones(SHAPE), 0.9, spectral)
    assert numbers.solved, numbers.detail
    assert found.objective == pytest.approx(numbers.objective + 0.5 * float((w * w).sum()), rel=1e-10)
    assert certificate.stationarity(numbers.point, w, np.ones(SHAPE), 0.9, spectral, rank_tolerance=1e-12) <= 1e-12


def test_a_line_is_searched_as_a_whole():
    # 1.6 f(r) + 1/2 (r - 4)^2 is 8, 6.1, 5.2, 5.3, 6.4 at r = 0, ..., 4, which descent from either end does not see.
    answer = naive_prox.naive_prox(np.array([4.0]), 1.6, [Scalar(1.0, np.arange(1), STAIRS)])
    assert answer.point == pytest.approx(2.0)
    assert exact.subproblem(np.array([4.0]), np.ones(1), 1.6, [Scalar(1.0, np.arange(1), STAIRS)]).point == 2.0


def test_no_line_leads_to_shared_entries_or_sets():
    w = np.ones(SHAPE)
    for psi in (OVERLAPPING, sparse_group_lasso(1.0, 1.0), named("Simplex", radius=1.0)):
        answer = naive_prox.naive_prox(w, 1.0, psi)
        assert not answer.solved
        assert "no line" in answer.detail


def test_nonconvex_psi_has_no_cone_model_and_no_bound():
    B, D = problem(1)
    for psi in (named("MCP", reg_weight=1.0, gamma=3.0), named("L0", reg_weight=1.0)):
        assert not cvxpy_models.has_cone_model(psi, SHAPE)
        assert "not convex" in cvxpy_models.solve_subproblem(B, D, 1.0, psi).detail
        with pytest.raises(TypeError, match="convex"):
            duality_gap.lower_bound(B, B, D, 1.0, psi)
    assert cvxpy_models.has_cone_model(OVERLAPPING, SHAPE)
