"""Contestants take turns fairly, threads come back, memory is counted to the byte."""

from functools import partial
from itertools import pairwise

import pytest
import torch

from experiments.bench.memory import Extra, extra_memory
from experiments.bench.timing import Contestant, Effort, take_turns
from ramda_verify.engine.threads import threads

CPU = torch.device("cpu")
FLOATS = 3_000_000


def turns(names, effort):
    seen: list[str] = []
    contestants = {name: Contestant(partial(seen.append, name)) for name in names}
    return take_turns(contestants, device=CPU, effort=effort), seen


def test_everyone_goes_once_a_round_and_nobody_always_first():
    samples, seen = turns("abc", Effort(0.0, fewest=12, warm_up=0))
    assert {name: len(times) for name, times in samples.items()} == dict.fromkeys("abc", 12)
    rounds = [seen[start : start + 3] for start in range(0, 36, 3)]
    assert all(sorted(order) == list("abc") for order in rounds)
    assert {order[0] for order in rounds} == set("abc")
    followers = {(first, second) for order in rounds for first, second in pairwise(order)}
    assert len(followers) == 6


def test_effort_bounds_the_rounds():
    assert len(turns("a", Effort(60.0, fewest=2, most=7))[0]["a"]) == 7
    assert len(turns("a", Effort(0.0, fewest=3, most=7))[0]["a"]) == 3


def test_preparation_comes_first_every_time():
    seen = []
    contestant = Contestant(lambda: seen.append("run"), lambda: seen.append("prepare"))
    take_turns({"a": contestant}, device=CPU, effort=Effort(0.0, fewest=2, warm_up=1))
    assert seen == ["prepare", "run"] * 3


def fail_with_two_threads():
    with threads(2):
        assert torch.get_num_threads() == 2
        raise KeyError


def test_threads_come_back():
    before = torch.get_num_threads()
    with pytest.raises(KeyError):
        fail_with_two_threads()
    assert torch.get_num_threads() == before


def test_peak_of_an_action():
    start = torch.zeros(FLOATS)

    def action():
        first = start + 1
        second = first + 1
        del first
        third = second + 1
        return third.sum()

    # Two tensors at once, three in all; a sum is a number.
    assert 2 * 4 * FLOATS <= extra_memory(action, CPU).allocated < 2 * 4 * FLOATS + 10_000


def test_in_place_work_needs_nothing():
    start = torch.zeros(FLOATS)
    assert extra_memory(lambda: start.add_(1), CPU).peak < 10_000


@pytest.mark.parametrize(
    ("allocated", "resident", "peak"),
    [
        (100, None, 100),
        (100, 2**20, 100),  # noise
        (50 * 2**20, 90 * 2**20, 50 * 2**20),  # freed blocks that the C library keeps
        (0, 64 * 2**20, 64 * 2**20),  # native code that torch does not see
    ],
)
def test_which_number_counts(allocated, resident, peak):
    assert Extra(allocated, resident).peak == peak
