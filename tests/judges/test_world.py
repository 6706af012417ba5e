"""What belongs to the process is seen to change, comes back, and can be put in two states that show what is set."""

import random

import numpy as np
import pytest
import torch

from ramda_verify.engine.world import World, left_alone, made_telling

#: Of the generator of the process, which a user's code may draw from: it is what is watched.
draw, reseed = np.random.random, np.random.seed

#: What a call may change, by the name under which the difference is told.
CHANGES = {
    "torch_generator": lambda: torch.rand(()),
    "numpy_generator": draw,
    "python_generator": random.random,
    "default_dtype": lambda: torch.set_default_dtype(torch.float16),
    "gradients": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic": lambda: torch.set_deterministic_debug_mode(1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_taken_back(name):
    before = World.now()
    with left_alone() as kept:
        assert kept.differences(before) == []
        CHANGES[name]()
        assert before.differences(World.now()) == [name]
    assert before.differences(World.now()) == []


def test_the_process_is_as_it_was_after_an_error():
    before = World.now()

    def change_and_fail():
        for change in CHANGES.values():
            change()
        assert before.differences(World.now()) == list(CHANGES)
        raise KeyError

    with pytest.raises(KeyError), left_alone():
        change_and_fail()
    assert before.differences(World.now()) == []


def test_the_two_states_differ_in_everything_and_from_what_a_seed_gives():
    with left_alone():
        torch.manual_seed(0)
        random.seed(0)
        reseed(0)
        seeded = World.now()
        made_telling(0)
        first = World.now()
        made_telling(1)
        second = World.now()
    generators = {"torch_generator", "numpy_generator", "python_generator"}
    assert generators <= set(seeded.differences(first))
    assert set(first.differences(second)) == set(CHANGES)
    assert (first.gradients, second.gradients) == (True, False)
    assert (first.default_dtype, second.default_dtype) == (torch.float32, torch.float64)
    assert (first.deterministic, second.deterministic) == (0, 1)
    assert min(first.threads, second.threads) > 2  # no machine's usual number


def test_numpy_generators_that_stand_at_another_place_of_one_sequence_differ():
    """Of their states the array is then the same, and only the place in it another."""
    with left_alone():
        reseed(0)
        draw()
        before = World.now()
        draw()
        after = World.now()
    assert np.array_equal(before.numpy_generator[1], after.numpy_generator[1])
    assert before.differences(after) == ["numpy_generator"]
