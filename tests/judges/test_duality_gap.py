"""The bound by duality: tight at solutions that are known, near them from elsewhere, never above."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.atoms import Norm, Scalar, Spectral
from ramda_verify.oracles.atoms.functions import ABS, COUNT, SQUARE
from ramda_verify.oracles.duality_gap import lower_bound, smooth_terms, subproblem_objective

D = np.array([2.0, 0.5, 1.0, 4.0])

#: Atoms and, for a solution, the subgradient of half of their sum that B - D*Z is.
PROBLEMS: dict[str, tuple[list, list, list]] = {
    "nothing": ([], [3.0, -1.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]),
    "entries": ([Scalar(3.0, np.arange(4), ABS)], [3.0, 0.0, -2.0, 0.0], [1.5, -1.0, -1.5, 1.5]),
    "squares": ([Scalar(3.0, np.arange(4), SQUARE)], [3.0, 0.0, -2.0, 1.0], [9.0, 0.0, -6.0, 3.0]),
    "groups": (
        [Norm(10.0, np.array([0, 3])), Norm(4.0, np.array([1, 2]))],
        [3.0, 0.0, 0.0, -4.0],
        [3.0, 1.0, 1.0, -4.0],
    ),
    "some entries": ([Norm(10.0, np.array([3, 0]))], [3.0, 7.0, -5.0, -4.0], [3.0, 0.0, 0.0, -4.0]),
    "groups that overlap": (
        [Norm(10.0, np.array([0, 1])), Norm(8.0, np.array([1, 2])), Norm(6.0, np.array([2, 3]))],
        [3.0, 4.0, 0.0, 0.0],
        [3.0, 4.0 + 4.0, 2.0, 1.0],
    ),
    "entries and groups": (
        [Scalar(2.0, np.arange(4), ABS), Norm(10.0, np.array([0, 1])), Norm(3.0, np.array([2, 3]))],
        [3.0, -4.0, 0.0, 0.0],
        [3.0 + 1, -4.0 - 1, 1.0 + 1, -0.5],
    ),
}


def quadratic(Z, B):
    return sum(0.5 * d * z * z - b * z for d, z, b in zip(D, Z, B, strict=True))


def priced(atoms, Z):
    """Half of the sum of the atoms, from their definition."""
    total = 0.0
    for atom in atoms:
        z = np.asarray(Z)[atom.indices]
        if isinstance(atom, Norm):
            total += atom.price * math.sqrt(sum(x * x for x in z))
        else:
            total += atom.price * sum(x * x if atom.function is SQUARE else abs(x) for x in z)
    return 0.5 * total


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_bound_is_the_optimum_at_the_solution_and_below_it_elsewhere(name):
    atoms, solution, pull = PROBLEMS[name]
    Z = np.array(solution)
    B = D * Z + pull
    optimum = quadratic(Z, B) + priced(atoms, Z)
    assert subproblem_objective(Z, B, D, 0.5, atoms) == pytest.approx(optimum, rel=1e-14)
    shape = (2, 2)
    assert lower_bound(Z.reshape(shape), B.reshape(shape), D.reshape(shape), 0.5, atoms) == pytest.approx(
        optimum, rel=1e-9
    )
    overlaps = name in ("groups that overlap", "entries and groups")
    random = np.random.default_rng(0)
    for size in (1e-3, 1.0, 100.0):
        other = Z + size * random.standard_normal(4)
        bound = lower_bound(other, B, D, 0.5, atoms)
        assert bound <= optimum + 1e-12 * abs(optimum)
        if overlaps or name in ("nothing", "entries", "squares"):  # here the multiplier is the best whatever Z is
            assert bound == pytest.approx(optimum, rel=1e-8)
        elif size == 1e-3:
            assert bound >= optimum - 1e-4 * abs(optimum)


def test_terms_are_those_of_the_entries():
    Z, B, metric = np.array([[1.0, -2.0]]), np.array([[3.0, 0.5]]), np.array([[2.0, 4.0]])
    assert smooth_terms(Z, B, metric).tolist() == [1.0 - 3.0, 8.0 + 1.0]


def test_beside_a_psi_of_singular_values_the_other_atoms_are_brought_to_their_best():
    """The nuclear norm, of four entries of its own, has no minimiser in a metric; its multiplier is that of the slope
    at Z. Its solution is diag(2.25, 0), where Q is -4.5^2/4.
    """
    atoms, solution, pull = PROBLEMS["entries and groups"]
    nuclear = Spectral(1.0, np.arange(4, 8), (2, 2), ABS)
    B = np.concatenate([D * solution + pull, [5.0, 0.0, 0.0, 0.25]])
    metric = np.concatenate([D, [2.0] * 4])
    optimum = quadratic(solution, B[:4]) + priced(atoms, solution) - 4.5**2 / 4
    best = np.array([*solution, 2.25, 0.0, 0.0, 0.0])
    assert subproblem_objective(best, B, metric, 0.5, [nuclear, *atoms]) == pytest.approx(optimum, rel=1e-13)
    for psi in ([nuclear, *atoms], [*atoms, nuclear]):
        assert lower_bound(best, B, metric, 0.5, psi) == pytest.approx(optimum, rel=1e-9)
        other = best + np.array([1.0, -2.0, 0.5, 3.0, 0.0, 0.0, 0.0, 0.0])
        assert lower_bound(other, B, metric, 0.5, psi) == pytest.approx(optimum, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-3, 1e30])
def test_the_bound_of_atoms_that_overlap_is_tight_at_every_scale(scale):
    """Norms are homogeneous: with B, Z and the prices multiplied by a number, the optimum is by its square."""
    atoms, solution, pull = PROBLEMS["groups that overlap"]
    B = D * solution + pull
    optimum = quadratic(solution, B) + priced(atoms, solution)
    bound = lower_bound(scale * np.array([1.0, 1.0, -2.0, 3.0]), scale * B, D, scale * 0.5, atoms)
    assert bound / scale**2 == pytest.approx(optimum, rel=1e-8)


def test_nothing_bounds_what_is_not_convex():
    with pytest.raises(TypeError, match="convex"):
        lower_bound(D, D, D, 1.0, [Scalar(1.0, np.arange(4), ABS), Scalar(1.0, np.arange(4), COUNT)])
