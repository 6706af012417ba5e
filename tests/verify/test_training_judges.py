"""What a training must show at its end, and the tolerance of each step, on both sides of what is asked for."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.cases.recorded.plan import OPTIMIZERS
from ramda_verify.checks.optimizer.shadow import Fault
from ramda_verify.checks.problems import training
from ramda_verify.checks.problems.training import ACCURACY, FIRST_TOLERANCE, STRUCTURE
from solvers import L1
from solvers.regularizers.zero import Zero

ENTRIES = 100


def ended(zeros: int = ENTRIES, accuracy: float | None = 1.0, unaccepted: int = 0, regularizer=None):
    """A run of one parameter at its end, and its structured iterate, which is the parameter."""
    param = torch.nn.Parameter(torch.cat([torch.zeros(zeros), torch.ones(ENTRIES - zeros)]))
    bias = torch.nn.Parameter(torch.ones(3))
    groups = [
        {"params": [param], "param_names": ["weight"], "regularizer": regularizer or L1(1.0)},
        {"params": [bias], "param_names": ["bias"], "regularizer": Zero()},
    ]
    run = SimpleNamespace(
        optimizer=SimpleNamespace(unaccepted_steps=unaccepted, param_groups=groups),
        training=SimpleNamespace(accuracy=None if accuracy is None else lambda model: accuracy),
        model=None,
    )
    return run, {p: p.detach().numpy().copy() for p in (param, bias)}


LEAST = math.ceil(STRUCTURE * ENTRIES)


@pytest.mark.parametrize("change", [{}, {"accuracy": ACCURACY}, {"zeros": LEAST}])
def test_a_training_that_shows_enough(change):
    training._look_at_the_end(*ended(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unaccepted": 1}, "1 steps were not accepted"),
        ({"accuracy": ACCURACY - 1e-3}, "49.9%"),
        ({"accuracy": math.nan}, "nan%"),
        ({"accuracy": None}, "nan%"),
        ({"zeros": LEAST - 1}, f"{LEAST - 1} of {ENTRIES}"),
    ],
)
def test_a_training_that_shows_too_little(change, message):
    with pytest.raises(Fault, match=message):
        training._look_at_the_end(*ended(**change))


@pytest.mark.parametrize("place", [0, 1])
def test_a_training_that_ends_beside_its_structured_iterate(place):
    run, w_hats = ended()
    w_hats[list(w_hats)[place]][-1] += 1e-6
    with pytest.raises(Fault, match="is not Ŵ"):
        training._look_at_the_end(run, w_hats)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("t", "regularized"), [(1, 1), (7, 4)])
def test_a_tolerance_is_at_most_that_of_the_default_schedule(optimizer, t, regularized):
    largest = FIRST_TOLERANCE * OPTIMIZERS[optimizer][1]["lr"] / (t * math.sqrt(regularized))
    for right in (largest, 0.5 * largest, 1e-300):
        training._judge_tolerance(right, t, regularized, optimizer)
    for wrong in (largest * (1 + 1e-6), 2 * largest, 0.0, -largest, np.nan):
        with pytest.raises(Fault, match="eps_t is"):
            training._judge_tolerance(wrong, t, regularized, optimizer)
