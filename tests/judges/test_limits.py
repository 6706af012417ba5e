"""How long a call of a member may take."""

import signal
import threading
import time

import pytest
import torch

from ramda_verify.engine.limits import DidNotReturn, limited

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGALRM"),
    reason="the limit is an alarm of POSIX; test_pace.py says what happens on Windows, which has none",
)


@pytest.fixture(autouse=True)
def no_other_timer():
    """What runs the tests may have a timer of its own, beside which nothing would be limited."""
    kept = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.setitimer(signal.ITIMER_REAL, *kept)


class Loops:
    """The L1 norm; each member loops where ``slow`` holds its name."""

    slow: frozenset[str] = frozenset()
    convex = True

    def _maybe(self, name):
        end = time.monotonic() + 2.0
        while name in self.slow and time.monotonic() < end:
            pass

    def value(self, w):
        self._maybe("value")
        return w.abs().sum()

    def prox(self, w, step=1.0):
        self._maybe("prox")
        self.value(w)
        return w / (1 + step)

    def metric_prox(self, B, D, lam):
        self._maybe("metric_prox")
        return B / D

    def extra(self):
        self._maybe("extra")
        return "not limited"


class Inherits(Loops):
    """Brings a value of its own."""

    def value(self, w):
        return super().value(w)


def loops(*names):
    found = Inherits()
    found.slow = frozenset(names)
    return found


W = torch.tensor([1.0, -2.5], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "call", "given"),
    [
        ("value", lambda r: r.value(W), "[1.0, -2.5]"),
        ("prox", lambda r: r.prox(W, 0.5), "[1.0, -2.5], 0.5"),
        ("prox", lambda r: r.prox(torch.zeros(3, 4), step=0.5), "[[0.0, 0.0"),
        ("prox", lambda r: r.prox(torch.zeros(13), 0.25), "a tensor of shape (13,), 0.25"),
        ("metric_prox", lambda r: r.metric_prox(W, W, "lam"), "[1.0, -2.5], [1.0, -2.5], 'lam'"),
    ],
)
def test_a_member_that_does_not_return_is_stopped(name, call, given):
    with limited(loops(name), 0.05), pytest.raises(DidNotReturn) as raised:
        call(loops(name))
    assert str(raised.value).startswith(f"{name} did not return in 0.05 s for {given}")
    assert not isinstance(raised.value, Exception)


def test_a_member_that_another_calls_counts_as_part_of_it():
    """The timer is that of the outer call, and the message names it; it is not set anew within."""
    with limited(loops(), 0.05), pytest.raises(DidNotReturn, match="prox did not return"):
        loops("value").prox(W, 1.0)


class TellsTheTimer(Loops):
    """Its members note what is left on the timer while they run."""

    def __init__(self):
        self.left = []

    def _maybe(self, name):
        self.left.append(signal.getitimer(signal.ITIMER_REAL)[0])


def test_the_timer_runs_in_limited_members_and_only_there():
    """It is set to the limit in every call of a member, the inner one of two excepted, and off between them."""
    found = TellsTheTimer()
    with limited(found, 1000.0):
        for _ in range(3):
            assert found.prox(W, step=3.0).tolist() == [0.25, -0.625]
            assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
        assert found.extra() == "not limited"
    *in_members, in_extra = found.left
    assert len(in_members) == 6
    assert 900.0 < min(in_members) <= max(in_members) <= 1000.0
    assert in_extra == 0


def test_an_error_of_a_member_ends_its_time():
    with limited(loops(), 1000.0):
        with pytest.raises(AttributeError):
            loops().prox(None)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_classes_and_handler_are_as_they_were():
    before = {cls: dict(vars(cls)) for cls in (Loops, Inherits)}
    handler = signal.getsignal(signal.SIGALRM)

    def look_and_fail():
        assert Inherits.value is not before[Inherits]["value"]
        assert Loops.prox is not before[Loops]["prox"]
        assert Loops.value is before[Loops]["value"]  # hidden by that of the class itself
        assert Inherits.value.__name__ == "value"
        assert "prox" not in vars(Inherits)
        raise KeyError

    with pytest.raises(KeyError), limited(loops()):
        look_and_fail()
    assert signal.getsignal(signal.SIGALRM) is handler
    for cls, kept in before.items():
        assert all(vars(cls)[name] is member for name, member in kept.items())


def test_nothing_is_limited_beside_another_timer_or_in_another_thread():
    kept = dict(vars(Inherits))
    signal.setitimer(signal.ITIMER_REAL, 60.0)
    with limited(loops(), 0.01):
        assert vars(Inherits)["value"] is kept["value"]
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    signal.setitimer(signal.ITIMER_REAL, 0)
    found = []

    def elsewhere():
        with limited(loops(), 0.01):
            found.append(vars(Inherits)["value"] is kept["value"])

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [True]
