"""What is tried of what could be: the chosen dtypes and devices, and fewer cases of a slow prox."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from ramda_verify.checks import BY_ID, measure
from ramda_verify.checks.regularizer.tensors import devices_here, dtypes_of
from ramda_verify.engine import limits
from ramda_verify.engine.limits import FAST, FEWEST, pace_of, share_of_cases
from ramda_verify.engine.property import run_check
from ramda_verify.engine.record import Pace, Verdict
from ramda_verify.engine.runner import run_jobs
from ramda_verify.engine.scope import DTYPES
from ramda_verify.engine.suite import check_jobs
from ramda_verify.engine.targets import Target
from ramda_verify.output.verdict import PARTS, pace_in_words

AGREEMENT = BY_ID["dtype-agreement"]


class Ridge:
    """Right in all dtypes but those of ``wrong_in``, in which it forgets to shrink."""

    wrong_in: tuple[torch.dtype, ...] = ()

    def value(self, w: torch.Tensor) -> torch.Tensor:
        return 0.5 * w.square().sum()

    def prox(self, w: torch.Tensor, step: float) -> torch.Tensor:
        return w.clone() if w.dtype in self.wrong_in else w / (1 + step)


class WrongInFloat16(Ridge):
    wrong_in = (torch.float16,)


class NamesItsOwn(Ridge):
    dtypes = (torch.float64, torch.float32)


def target(regularizer: Ridge, *dtypes: str, devices: tuple[str, ...] = ()) -> Target:
    return Target("Mine", "regularizer", regularizer, st.just(regularizer), lambda r: [], False, dtypes, devices)


@pytest.mark.parametrize(
    ("dtypes", "status"),
    [
        ((), Verdict.FAIL),
        (("float16",), Verdict.FAIL),
        (("bfloat16", "float16"), Verdict.FAIL),
        (("float32", "bfloat16"), Verdict.PASS),
    ],
)
def test_only_the_chosen_dtypes_are_tried(dtypes, status):
    result = run_check(AGREEMENT, target(WrongInFloat16(), *dtypes), seed=1, max_examples=20)
    assert result.status is status
    assert result.scope == f"{', '.join(dtypes or DTYPES)} on {' and '.join(devices_here())}"
    if result.counterexample is not None:
        # The snippet tries what was tried.
        assert ("dtypes = " in result.counterexample.snippet) == bool(dtypes)


def test_a_choice_goes_before_what_a_class_names():
    assert dtypes_of(NamesItsOwn()) == ("float32",)
    assert dtypes_of(Ridge()) == DTYPES
    chosen = target(NamesItsOwn(), "bfloat16", devices=("cpu",))
    assert run_check(AGREEMENT, chosen, seed=1, max_examples=3).scope == "bfloat16 on cpu"


def test_devices_of_a_case():
    """The device ``meta`` has no numbers to compare: whoever chooses it gets to see it."""
    case = {"regularizer": Ridge(), "w": np.ones(3), "step": 1.0}
    assert measure(AGREEMENT.id, **case, devices=("cpu",)).violation <= AGREEMENT.tolerance.value
    with pytest.raises(Exception, match=r"meta|item"):
        measure(AGREEMENT.id, **case, devices=("meta",))


def test_a_choice_reaches_the_workers(folder):
    (job,) = check_jobs("good.py:Ridge", ["dtype-agreement"], dtypes=("float16",), devices=("cpu",))
    (result,) = run_jobs([job], seed=1, examples=3, workers=1)
    assert (result.status, result.scope) == (Verdict.PASS, "float16 on cpu")


class Clock:
    """A clock by which every call of prox takes ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def perf_counter(self) -> float:
        self.now += self.seconds / 2
        return self.now


@pytest.mark.parametrize(
    ("factor", "share"), [(0.0, 1), (1.0, 1), (1.4, 1), (1.6, 1 / 2), (3.0, 1 / 3), (19.9, 1 / 20), (1e6, 1 / FEWEST)]
)
def test_the_slower_a_prox_the_fewer_cases(factor, share, monkeypatch):
    monkeypatch.setattr(limits.time, "perf_counter", Clock(2 * FAST * factor).perf_counter)
    found, seconds = share_of_cases(Ridge(), (2, 3))
    assert found == pytest.approx(share)
    assert seconds == pytest.approx(factor * FAST)


def test_a_prox_that_raises_is_left_to_the_checks():
    class Raises(Ridge):
        def prox(self, w, step):
            raise RuntimeError("no")

    assert share_of_cases(Raises(), (2,)) == (1.0, 0.0)
    assert pace_of(Ridge()).share == 1.0


def test_fewer_cases_of_every_check_after_the_first(folder, monkeypatch):
    """The pace is measured where the first check runs; this module sees to it that nothing is fast there."""
    monkeypatch.setattr(limits, "FAST", limits.FAST)  # as it is, and so again afterwards
    slow = "from good import Ridge\nfrom ramda_verify.engine import limits\n\nlimits.FAST = 1e-12\n"
    (folder / "slow.py").write_text(slow)
    jobs = [job for job in check_jobs("slow.py:Ridge") if job.check in ("contract", "value-consistency")]
    first, other = run_jobs(jobs, seed=1, examples=60, workers=1)
    assert (first.pace.share, first.check) == (1 / FEWEST, "contract")
    (full,) = run_jobs(jobs[-1:], seed=1, examples=60, workers=1)
    assert 0 < other.cases < full.cases / 4


@pytest.mark.parametrize(("part", "words"), [(2, "half"), (3, "a third"), (11, "an eleventh"), (20, "a twentieth")])
def test_pace_in_words(part, words):
    said = pace_in_words(Pace(0.2, (3, 4), 1 / part))
    assert said == f"prox takes 0.2 s on a (3, 4) tensor: {words} of the cases."
    assert len(PARTS) == FEWEST - 1
