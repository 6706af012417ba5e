"""The kind of mistake, named for a prox that is wrong in one known way; and nothing said where nothing is known."""

from types import SimpleNamespace

import pytest
import torch

from ramda_verify.engine import diagnosis
from ramda_verify.engine.diagnosis import GRID, OneEntry, _minimiser, kind_of_mistake
from ramda_verify.engine.record import Verdict


@pytest.fixture
def coarse(monkeypatch):
    """A tenth of the grid, which is fine enough for functions of one valley or two."""
    monkeypatch.setattr(diagnosis, "GRID", 81)


def soft(w, threshold):
    return torch.sign(w) * (w.abs() - threshold).clamp_min(0)


def l1(prox):
    """A regularizer that says it is the norm l1, with this prox."""
    return SimpleNamespace(value=lambda w: w.abs().sum(), prox=prox)


def ridge(prox):
    return SimpleNamespace(value=lambda w: w.square().sum() / 2, prox=prox)


def failed(*names: str, entries: int | None = 1):
    return [
        SimpleNamespace(check=name, status=Verdict.FAIL, counterexample=SimpleNamespace(entries=entries))
        for name in names
    ]


def where(chosen, right, wrong):
    return lambda w, s: torch.where(chosen(w, s), right(w, s), wrong(w, s))


def right(w, s):
    return soft(w, s)


def twice(w, s):
    return soft(w, 2 * s)


MISTAKES = {
    "2*psi: a weight or the step is off by 2": l1(twice),
    "0.5*psi": l1(lambda w, s: soft(w, s / 2)),
    "the step is used twice": l1(lambda w, s: soft(w, s * s)),
    "the root of the step is used": l1(lambda w, s: soft(w, s**0.5)),
    "the step is divided by": l1(lambda w, s: soft(w, 1 / s)),
    "prox is not scaled by the step": l1(lambda w, s: soft(w, 1.7)),
    "shrinks by 1/(1 + 2 step) where 1/(1 + step) minimises": SimpleNamespace(
        value=lambda w: w.abs().sum() + w.square().sum() / 2, prox=lambda w, s: soft(w, s) / (1 + 2 * s)
    ),
    "wrong for negative entries only": l1(lambda w, s: torch.where(w > 0, right(w, s), w)),
    "wrong for positive entries only": l1(lambda w, s: torch.where(w < 0, right(w, s), w)),
    "wrong for small steps only": l1(lambda w, s: right(w, s) if s > 1 else w),
    "wrong for large steps only": l1(lambda w, s: right(w, s) if s < 1 else w),
    "wrong for large entries only": l1(lambda w, s: torch.where(w.abs() < 2, right(w, s), w)),
    "wrong for small entries only": l1(lambda w, s: torch.where(w.abs() > 2, right(w, s), w)),
    "value and prox belong to different functions": l1(lambda w, s: w * (w.abs() > (2 * s) ** 0.5)),
}


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_named(words):
    said = kind_of_mistake(MISTAKES[words], failed("prox-minimises"))
    assert said is not None
    assert words in said


@pytest.mark.usefixtures("coarse")
def test_twice_the_weight_of_a_quadratic():
    assert "2*psi" in str(kind_of_mistake(ridge(lambda w, s: w / (1 + 2 * s)), failed("prox-minimises")))


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (1, "beside a threshold or at unusual sizes"),
        (None, "beside a threshold or at unusual sizes"),
        (2, "right for a single entry, wrong where several meet"),
        (12, "right for a single entry, wrong where several meet"),
        (13, "right for small tensors, wrong for some of 13 entries"),
    ],
)
def test_a_prox_that_is_right_for_one_entry(entries, words):
    found = failed("prox-minimises", entries=entries) + failed("prox-rays", entries=entries and 70)
    assert words in str(kind_of_mistake(l1(right), found))


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("dtype-agreement",), "right in float64, wrong in a narrower dtype"),
        (("dtype-agreement", "members-in-float32"), "right in float64, wrong in a narrower dtype"),
        (("layout-invariance",), "it depends on the memory"),
        (("layout-invariance", "prox-minimises"), "the step is used twice"),
        (("dtype-agreement", "prox-minimises"), "the step is used twice"),
        (("dtype-agreement", "layout-invariance"), None),
        (("convexity",), None),
        ((), None),
    ],
)
def test_which_checks_failed_tells_where_to_look(names, words):
    said = kind_of_mistake(MISTAKES["the step is used twice"], failed(*names))
    assert said is None if words is None else words in str(said)


def test_a_check_that_passes_tells_nothing():
    passed = SimpleNamespace(check="prox-minimises", status=Verdict.PASS, counterexample=None)
    assert kind_of_mistake(l1(twice), [passed]) is None


@pytest.mark.usefixtures("coarse")
def test_a_prox_of_another_function_that_disagrees_with_itself_is_of_none():
    assert kind_of_mistake(MISTAKES["value and prox belong to different functions"], failed("prox-homotopy")) is None
    named = failed("prox-minimises", "prox-homotopy")
    assert kind_of_mistake(MISTAKES["value and prox belong to different functions"], named) is None


def test_a_regularizer_that_raises_has_no_diagnosis():
    def raises(w, s):
        raise RuntimeError("no")

    assert kind_of_mistake(l1(raises), failed("prox-minimises")) is None


@pytest.mark.parametrize("w", [0.0, 0.3, -4.0, 30.0])
@pytest.mark.parametrize("at", [-1.0, -0.5, 0.0, 0.7, 1.0])
def test_a_minimiser_is_found_within_its_reach(w, at):
    """Up to 1.2 |w| + 1 on both sides."""
    found = _minimiser(lambda z: (z - at) ** 2, w)
    assert found == pytest.approx(at, abs=1e-6)
    far = 1.2 * abs(w) + 0.9
    assert _minimiser(lambda z: abs(z + far), w) == pytest.approx(-far, abs=1e-6)


def test_a_minimiser_beside_a_jump_is_the_lower_one():
    """The number of nonzeros: zero itself, and w itself, are tried beside the grid, which holds neither."""
    assert GRID % 2 == 1
    for w, expected in ((1.3, 0.0), (1.5, 1.5), (-1.3, 0.0), (-1.5, -1.5)):

        def objective(z: float, centre: float = w) -> float:
            return float(z != 0) + 0.5 * (z - centre) ** 2

        assert _minimiser(objective, w) == expected


@pytest.mark.usefixtures("coarse")
def test_one_entry_of_the_smallest_tensor():
    one = OneEntry.of(l1(twice))
    assert one.found[4.0, 0.3] == pytest.approx(3.4)
    assert one.right(4.0, 0.3) == pytest.approx(3.7, abs=1e-6)
    assert not one.fits(one.right)
    assert one.fits(lambda w, s: one.right(w, 2 * s))
