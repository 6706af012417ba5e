"""How far from the right answer a prox may be, and when rounding is looked into more closely."""

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer import prox_homotopy, prox_rays, search, structure_claim, tensors, traits
from ramda_verify.checks.regularizer.objective import ACCURACY, ProxProblem, Psi
from ramda_verify.oracles.psi import atoms_of
from solvers import L1, GroupLasso, NuclearNorm


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("metric", [None, 4.0])
def test_an_answer_may_be_off_by_a_share_of_its_move(scale, metric):
    """In the metric D the lengths are those of sqrt(D)*x."""
    w = scale * np.array([[3.0, -1.0], [0.5, 2.0]])
    z = 0.25 * w
    D = None if metric is None else np.full_like(w, metric)
    slack = ProxProblem(Psi(L1(1.0), w.shape), w, 1.0, z, D).slack
    moved = float(np.linalg.norm((w - z) / scale)) * scale * (metric or 1.0) ** 0.5
    assert ACCURACY * moved <= slack <= 1.01 * ACCURACY * moved


class Counted(L1):
    """Counts the calls of its prox, which is off by ``error`` where the step is short."""

    def prox(self, w, step):
        calls.append(step)
        return super().prox(w, step) * (1 + (error[0] if step < 0.9 else 0.0))


calls: list[float] = []
error = [0.0]


@pytest.mark.parametrize(("off", "looked_into"), [(0.0, False), (1e-3, True)])
def test_rounding_is_looked_into_where_a_prox_disagrees_with_itself(off, looked_into):
    calls.clear()
    error[0] = off
    w = np.array([3.0, -2.0, 0.25])
    measured = prox_homotopy.measure_homotopy(Counted(1.0), w, 1.0, 1.0, 1.0)
    along_the_ray = 1 + len(prox_homotopy.SHARES) + len(prox_homotopy.BEYOND)
    assert (len(calls) > along_the_ray) == looked_into
    assert (measured.violation > 1) == looked_into


class Recorded(L1):
    """Keeps the inputs of its prox."""

    def prox(self, w, step):
        inputs.append((w.numpy().copy(), step))
        return super().prox(w, step)


inputs: list = []


@pytest.mark.parametrize("seed", range(6))
def test_rays_are_of_the_input_and_of_the_step(seed):
    """Multiples of w or of a part of it at one step, and w itself at multiples of the step, over many sizes."""
    inputs.clear()
    w, step = np.array([[3.0, -2.0], [0.25, 0.0]]), 0.5
    prox_rays.measure_rays(Recorded(1.0), w, step, seed)
    of_the_input = [point for point, s in inputs if s == step and not np.array_equal(point, w)]
    of_the_step = [s for point, s in inputs if np.array_equal(point, w)]
    assert min(of_the_step) < 1e-2 * step < 1e2 * step < max(of_the_step)
    size_of = [np.abs(point).max() for point in of_the_input]
    assert min(size_of) < 1e-2 < 1e2 < max(size_of)
    directions = np.array([point / np.abs(point).max() for point in of_the_input])
    assert np.abs(directions - directions[0]).max() <= 1e-12
    part = directions[0] != 0
    assert np.abs(directions[0] - w / np.abs(w[part]).max())[part].max() <= 1e-12


class Unshrunk(L1):
    """Both members return the input: Q(3) = -1.5 where Q(2) = -2, and 3 where the prox objective falls to 2.5."""

    def prox(self, w, step):
        return w.clone()

    def metric_prox(self, B, D, lam):
        return B / D


def test_gains_of_a_search_are_relative_to_the_terms_of_the_objective():
    three, one = np.array([3.0]), np.array([1.0])
    measured = search.measure_metric_search(Unshrunk(1.0), three, one, 1.0, 0)
    assert measured.violation == pytest.approx(0.5 / (1.5 + 4.5), rel=1e-3)
    measured = search.measure_prox_search(Unshrunk(1.0), three, 1.0, 0)
    assert measured.violation == pytest.approx(0.5 / (0.0 + 2 * 3.0 + 4.5), rel=1e-3)
    for right in (
        search.measure_metric_search(L1(1.0), three, one, 1.0, 0),
        search.measure_prox_search(L1(1.0), three, 1.0, 0),
    ):
        assert right.violation <= 1e-12


def test_a_rise_is_relative_to_the_terms_of_the_objective():
    w, found, exact = (torch.tensor([value], dtype=torch.float64) for value in (3.0, 3.0, 2.0))
    assert tensors._rise(L1(1.0), w, 1.0, found, exact, 0.1) == pytest.approx(0.5 / (0.1 * (0.5 + 2.0 + 4.5)))
    assert tensors._rise(L1(1.0), w, 1.0, exact, exact, 0.1) == 0.0


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0, 1e3])
def test_a_psi_of_singular_values_is_the_same_after_a_rotation(scale):
    point = scale * np.random.default_rng(1).standard_normal((3, 2, 2))
    spectral = {
        regularizer: structure_claim._is_spectral(Psi(regularizer, point.shape), point)
        for regularizer in (NuclearNorm(0.7), L1(0.7), GroupLasso(0.7, "input"), GroupLasso(0.7, "output"))
    }
    assert list(spectral.values()) == [True, False, False, False]
    assert not structure_claim._is_spectral(Psi(L1(1.0), (4,)), np.ones(4))


@pytest.mark.parametrize(
    ("regularizer", "groups", "values"),
    [(GroupLasso(0.7), True, False), (NuclearNorm(0.7), False, True), (L1(0.7), True, False)],
)
def test_traits_are_those_of_the_atoms(regularizer, groups, values):
    atoms = atoms_of(regularizer, (3, 4))
    assert (traits.norms_of_groups(regularizer, atoms, (3, 4)) is None) == groups
    assert (traits.singular_values(regularizer, atoms, (3, 4)) is None) == values
