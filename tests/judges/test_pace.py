"""How many cases there are of a slow prox, and what becomes of a time limit where the system has no alarm."""

import signal

import numpy as np
import pytest
import torch

from ramda_verify.engine import limits
from ramda_verify.engine.limits import FAST, FEWEST, DidNotReturn, limited, pace_of, share_of_cases


class Timed:
    """A prox that takes these seconds, one after the other, by the clock that it turns."""

    def __init__(self, *seconds, ends_with=None, shapes=((2, 3),)):
        self.seconds, self.ends_with, self.now, self.inputs, self.shapes = [*seconds], ends_with, 100.0, [], shapes

    def value(self, w):
        return w.sum()

    def prox(self, w, step):
        self.inputs.append((w.clone(), step))
        w.fill_(7.0)
        if not self.seconds and self.ends_with is not None:
            raise self.ends_with
        self.now += self.seconds.pop(0)
        return w


def paced(regularizer, monkeypatch, shape=(2, 3)):
    with monkeypatch.context() as patched:
        patched.setattr(limits.time, "perf_counter", lambda: regularizer.now)
        return share_of_cases(regularizer, shape)


@pytest.mark.parametrize(
    ("seconds", "best", "share"),
    [
        ([FAST, 9 * FAST, 9 * FAST], FAST, 1.0),
        ([9 * FAST, 9 * FAST, 3 * FAST], 3 * FAST, 1 / 3),
        ([9 * FAST, 4 * FAST, 5 * FAST], 4 * FAST, 1 / 4),
        ([0.0, 0.0, 0.0], 0.0, 1.0),
        ([FEWEST * FAST * 1.01], FEWEST * FAST * 1.01, 1 / FEWEST),
        ([FEWEST * FAST * 0.99, 2 * FAST, 2 * FAST], 2 * FAST, 1 / 2),
        ([100.0], 100.0, 1 / FEWEST),
    ],
)
def test_the_shortest_of_a_few_calls_is_the_pace(seconds, best, share, monkeypatch):
    """One call is enough of a prox that is slow whatever a second call would take."""
    regularizer = Timed(*seconds)
    assert paced(regularizer, monkeypatch) == (pytest.approx(share), pytest.approx(best))
    assert regularizer.seconds == []
    for w, step in regularizer.inputs:
        assert w.numpy() == pytest.approx(np.linspace(-2, 3, 6).reshape(2, 3))
        assert (w.dtype, step) == (torch.float64, 1.0)


@pytest.mark.parametrize("error", [RuntimeError("no"), DidNotReturn("late")])
def test_a_prox_that_fails_is_not_slow(error, monkeypatch):
    assert paced(Timed(5 * FAST, ends_with=error), monkeypatch) == (1.0, 0.0)


def test_a_tensor_without_axes_or_entries_has_a_pace(monkeypatch):
    for shape in ((), (0, 3)):
        regularizer = Timed(0.0, 0.0, 0.0)
        assert paced(regularizer, monkeypatch, shape) == (1.0, 0.0)
        assert regularizer.inputs[0][0].shape == shape


def test_the_pace_is_that_of_the_largest_shape():
    regularizer = Timed(0.0, 0.0, 0.0, shapes=((5,), (2, 4), (7,), (3, 2)))
    found = pace_of(regularizer)
    assert (found.shape, found.share) == ((2, 4), 1.0)
    assert 0 <= found.seconds < 1
    assert regularizer.inputs[0][0].shape == (2, 4)


def test_without_an_alarm_calls_take_as_long_as_they_do(monkeypatch):
    monkeypatch.delattr(signal, "SIGALRM", raising=False)
    regularizer = Timed(0.0)
    member = Timed.prox
    with limited(regularizer, 1e-9):
        assert Timed.prox is member
        regularizer.prox(torch.zeros(2), 1.0)
    assert regularizer.seconds == []
