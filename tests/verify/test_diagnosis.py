"""The kind of mistake, named for a prox that is wrong in one known way; and nothing said where nothing is known."""

import math
from types import SimpleNamespace

import pytest
import torch

from ramda_verify.engine import diagnosis
from ramda_verify.engine.diagnosis import GRID, INPUTS, RULES, STEPS, OneEntry, _minimiser, kind_of_mistake
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


def box(low, prox):
    """A regularizer that says it is the indicator of the entries from ``low`` to 2."""
    return SimpleNamespace(value=lambda w: 0.0 if w.min() >= low and w.max() <= 2 else math.inf, prox=prox)


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
    "shrinks by 1/(1 + step) where 1 minimises": l1(lambda w, s: soft(w, s) / (1 + s)),
    "value and prox belong to different functions": l1(lambda w, s: w * (w.abs() > (2 * s) ** 0.5)),
}


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_named(words):
    said = kind_of_mistake(MISTAKES[words], failed("prox-minimises"))
    assert said is not None
    assert words in said


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    ("sign", "regularizer"),
    [
        ("negative", l1(lambda w, s: torch.where(w > -20, right(w, s), w))),
        ("positive", l1(lambda w, s: torch.where(w < 20, right(w, s), w))),
        ("negative", box(0, lambda w, s: w.clamp(-1, 2))),
        ("positive", box(0, lambda w, s: w.clamp(0, 3))),
    ],
    ids=["far below", "far above", "lower edge", "upper edge"],
)
def test_entries_of_one_sign(sign, regularizer):
    """The projection on a set uses no step, and is not blamed for it."""
    said = str(kind_of_mistake(regularizer, failed("prox-minimises")))
    assert f"wrong for {sign} entries only" in said


@pytest.mark.usefixtures("coarse")
def test_a_projection_on_a_box_is_right_at_both_edges():
    said = str(kind_of_mistake(box(-1, lambda w, s: w.clamp(-1, 2)), failed("prox-minimises")))
    assert "right for ordinary numbers" in said


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


def told(right, prox, *names):
    """The sentence on this prox of one entry, where the other is right."""
    one = OneEntry(right, {(w, s): prox(w, s) for w in INPUTS for s in STEPS})
    found = failed("prox-minimises", *names)
    return next((said for rule in RULES if (said := rule(one, found)) is not None), None)


def shrunk(w, threshold, by=1.0):
    return math.copysign(max(abs(w) - threshold, 0.0), w) * by


DIFFERENT = "prox agrees with itself from step to step, so value and prox belong to different functions"


@pytest.mark.parametrize("factor", [0.01, 0.3, 3.0, 200.0])
def test_a_weight_is_told_over_many_sizes(factor):
    said = told(shrunk, lambda w, s: shrunk(w, factor * s))
    assert said == f"prox is that of {factor:g}*psi: a weight or the step is off by {factor:g}"


@pytest.mark.parametrize("steep", [0.0, 1e9])
def test_a_weight_is_told_where_prox_moves_and_not_to_zero(steep):
    """Negative entries, which come first, are left as they are or become zero whatever the factor is."""

    def one_sided(w, s):
        return max(w - s, 0.0) if w > 0 else min(w + steep * s, 0.0)

    assert "2*psi" in told(one_sided, lambda w, s: one_sided(w, 2 * s))


def test_no_weight_is_told_of_a_prox_that_leaves_or_zeroes_every_entry():
    """The number of nonzeros with a price of 2 for 1: of the points that are looked at, those at which it matters would
    fit other factors, too.
    """
    said = told(lambda w, s: w if w * w > 2 * s else 0.0, lambda w, s: w if w * w > 4 * s else 0.0)
    assert said is not None
    assert "psi" not in said


@pytest.mark.parametrize("step", STEPS)
def test_a_fixed_step_is_told_whichever_it_is(step):
    assert told(shrunk, lambda w, s: shrunk(w, step)) == "prox is not scaled by the step"


def elastic(weight):
    """The prox of ``|z| + weight/2 z^2``."""
    return lambda w, s: shrunk(w, s, 1 / (1 + weight * s))


@pytest.mark.parametrize(
    ("rates", "weight", "said"),
    [
        ((1.02, 1.02, 1.02), 1.0, "1/(1 + 1.02 step) where 1/(1 + step)"),
        ((0.98, 0.98, 0.98), 1.0, "1/(1 + 0.98 step) where 1/(1 + step)"),
        ((1.005, 1.005, 1.005), 1.0, None),  # as good as the right one
        ((0.995, 0.995, 0.995), 1.0, None),
        ((1.992, 2.0, 2.008), 1.0, "1/(1 + 2 step) where 1/(1 + step)"),  # the same at all steps, up to 1 %
        ((1.985, 2.0, 2.015), 1.0, None),
        ((2.0, 2.0, 5.0), 1.0, None),
        ((5.0, 2.0, 2.0), 1.0, None),
        ((0.00497, 0.005, 0.00503), 0.001, "1/(1 + 0.005 step) where 1/(1 + 0.001 step)"),
        ((0.00492, 0.005, 0.00508), 0.001, None),
        ((0.0, 0.0, 0.0), 1.0, None),
        ((-1e-7, -1e-7, -1e-7), 1.0, None),
        ((0.5, 0.5, 0.5), 0.0, "1/(1 + 0.5 step) where 1 minimises"),
    ],
)
def test_a_shrinkage_is_told_where_it_is_one_and_another(rates, weight, said):
    by_step = dict(zip(STEPS, (*rates, rates[0]), strict=True))
    found = told(elastic(weight), lambda w, s: shrunk(w, s, 1 / (1 + by_step[s] * s)))
    assert found == (DIFFERENT if said is None else f"prox shrinks by {said.removesuffix(' minimises')} minimises")


@pytest.mark.parametrize(
    "prox",
    [
        lambda w, s: min(max(w, -s), s) / 2,  # the same for all large entries
        lambda w, s: -w / (1 + s),
        lambda w, s: (1.01 + 0.1 * s) * w,
        lambda w, s: shrunk(w, s + 0.07),  # not shrunk at all, up to rounding
        lambda w, s: shrunk(w, s + 0.1 * w * w),
    ],
)
def test_nothing_but_a_shrinkage_is_told_as_one(prox):
    assert told(shrunk, prox) == DIFFERENT
    assert told(shrunk, prox, "prox-homotopy") is None


@pytest.mark.parametrize(
    ("words", "is_wrong"),
    [
        ("for negative entries only", lambda w, s: w < 0),
        ("for positive entries only", lambda w, s: w > 0),
        ("for small steps only", lambda w, s: s <= 0.3),
        ("for large steps only", lambda w, s: s > 1),
        ("for large entries only", lambda w, s: abs(w) >= 4),
        ("for small entries only", lambda w, s: abs(w) < 2),
        (None, lambda w, s: True),
        (None, lambda w, s: (w < 0) == (abs(w) < 2)),
        (None, lambda w, s: w != 4 or s > 1),
        (None, lambda w, s: s in (0.3, 1.7)),
    ],
)
def test_where_prox_is_wrong_is_told(words, is_wrong):
    """Where it is, the entry that comes out is beyond the one that went in, by an amount that follows no rule."""
    said = told(shrunk, lambda w, s: w + math.sin(w * s) + 1.5 if is_wrong(w, s) else shrunk(w, s))
    assert said == (DIFFERENT if words is None else f"wrong {words}, as far as single entries show")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("w", "z"), [(100.0, 50.0), (50.0, 100.0)])
@pytest.mark.parametrize(("off", "fits"), [(0.0099, True), (0.0101, False), (math.nan, False)])
def test_two_functions_are_one_up_to_a_share_of_what_goes_in_or_comes_out(sign, w, z, off, fits):
    """A ten thousandth of the larger."""
    one = OneEntry(lambda w, s: z, {(1.0, 1.0): z, (sign * w, 1.0): sign * z})
    assert one.fits(lambda x, s: z if x == 1.0 else sign * (z + off)) == fits
    assert list(one.misses(lambda x, s: z if x == 1.0 else sign * (z - off))) == ([] if fits else [(sign * w, 1.0)])


@pytest.mark.usefixtures("coarse")
def test_failures_without_a_counterexample_tell_no_size():
    found = failed("prox-minimises")
    found[0].counterexample = None
    assert "beside a threshold" in str(kind_of_mistake(l1(right), found))
    assert "wrong for some of 20 entries" in str(kind_of_mistake(l1(right), found + failed("prox-rays", entries=20)))


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_valley_that_is_steep_on_one_side_is_found_beyond_the_best_point_of_the_grid(side, share):
    """Its bottom lies between two points of the grid; the one on the flat side is always the better one."""
    spacing = 2.0 / (GRID - 1)
    at = side * (10 + share) * spacing

    def objective(z):
        return max(100 * (z - at) * side, -0.01 * (z - at) * side)

    assert _minimiser(objective, 0.0) == pytest.approx(at, abs=1e-9)


def test_the_smallest_tensor_that_psi_takes_is_looked_at():
    shapes = []

    class Sized:
        shapes = ((3, 2), (1, 4), (5,))

        def value(self, w):
            shapes.append(tuple(w.shape))
            return w.abs().sum()

        def prox(self, w, s):
            assert (w.reshape(-1)[1:] == 0).all()
            return soft(w, s)

    one = OneEntry.of(Sized())
    assert one.right(1.0, 0.25) == pytest.approx(0.75, abs=1e-6)
    assert set(shapes) == {(1, 4)}
