"""The residual of a step with group norms: what is given to it, and what is held against what comes back."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ramda_verify.checks.kernels import residual
from ramda_verify.checks.kernels.residual import KEPT, chosen, measure_residual
from solvers import GroupLasso, NuclearNorm, SparseGroupLasso
from solvers.kernels import BACKENDS
from tests.judges.cases import drawn

TINY = np.finfo(np.float64).tiny
COLUMNS = GroupLasso(1.0)


def solution(B, D, lam, price):
    """Of columns with a constant D each: the group keeps its direction and loses lam*price of its length."""
    length = np.hypot.reduce(B, axis=0)
    return B * np.maximum(1 - lam * price / length, 0) / D


def measured(monkeypatch, changed=lambda z, B, D, lam: z, said=False, w_of=lambda z: z, **case):
    """The measurement of a step that gives what ``changed`` makes of the right answer, and what it was asked.

    D is one in every entry unless the case spreads it.
    """
    asked: dict[str, Any] = {}

    def step(B, D, lam, regularizer, dtype, backend):
        asked.update(B=B, D=D, lam=lam, dtype=dtype, backend=backend)
        b, d = B.double().numpy(), D.double().numpy()
        with np.errstate(all="ignore"):
            z = changed(solution(b, d, lam, b.shape[0] ** 0.5), b, d, lam)
        return w_of(z), z, d, said

    monkeypatch.setattr(residual, "_step", step)
    given_case = {
        "regularizer": COLUMNS,
        "shape": (2, 5),
        "seed": 0,
        "b": 0.0,
        "d": 0.0,
        "share": 0.5,
        "dtype": "float64",
        **case,
    }
    return measure_residual("plain", **given_case), asked


def test_a_right_step_has_no_residual_and_counts_its_groups(monkeypatch):
    found, asked = measured(monkeypatch)
    assert 0 <= found.violation < 1e-15
    assert found.problems == 5
    assert "of 5 is written" in found.note
    assert asked["backend"] == "plain"
    assert asked["B"].dtype == asked["D"].dtype == asked["dtype"] == torch.float64
    assert (asked["D"] == 1).all()


@pytest.mark.parametrize(("dtype", "sums"), [("bfloat16", torch.float32), ("float16", torch.float32)])
def test_sums_are_wider_than_a_narrow_parameter(monkeypatch, dtype, sums):
    found, asked = measured(monkeypatch, dtype=dtype)
    assert (asked["B"].dtype, asked["D"].dtype, asked["dtype"]) == (sums, sums, getattr(torch, dtype))
    assert found.violation < 1e-6


@pytest.mark.parametrize("share", [0.5, 1.0, 7.0])
@pytest.mark.parametrize("groups", [4, 5])
def test_lam_is_a_share_of_what_turns_the_middle_group_to_zero(monkeypatch, share, groups):
    _, asked = measured(monkeypatch, share=share, shape=(2, groups))
    lengths = sorted(asked["B"].norm(dim=0).tolist())
    assert asked["lam"] == pytest.approx(share * lengths[groups // 2] / 2**0.5)
    # Of a price of each entry, too: half of the middle group's entries may be zero before.
    _, asked = measured(monkeypatch, share=share, shape=(2, groups), regularizer=SparseGroupLasso(1.0, 1.0))
    left = np.maximum(asked["B"].abs().numpy() - asked["lam"] / share, 0)
    assert np.sort(np.linalg.norm(left, axis=0)).tolist() != [0.0] * groups
    assert np.abs(np.linalg.norm(left, axis=0) - 2**0.5 * asked["lam"] / share).min() < 1e-9


def test_the_groups_are_ordered_by_what_their_own_price_turns_to_zero(monkeypatch):
    """A regularizer whose groups have different prices, as atoms of the oracles."""
    from ramda_verify.oracles.atoms import Norm

    atoms = [Norm(price, np.array([index])) for index, price in enumerate((1.0, 100.0, 1e-2))]
    _, asked = measured(monkeypatch, shape=(1, 3), share=1.0, regularizer=atoms)
    thresholds = np.abs(asked["B"].numpy().ravel()) / [1.0, 100.0, 1e-2]
    assert asked["lam"] == pytest.approx(float(np.median(thresholds)))


@pytest.mark.parametrize("spread", [4.0, 20.0])
def test_entries_spread_over_as_many_powers_of_ten_as_asked_for(monkeypatch, spread):
    _, asked = measured(monkeypatch, shape=(2, 2000), b=spread, d=spread)
    powers = np.log10(asked["D"].numpy())
    assert -spread / 2 <= powers.min() < -0.49 * spread < 0.49 * spread < powers.max() <= spread / 2
    assert abs(np.median(powers)) < 0.1 * spread
    of_b = np.log10(np.abs(asked["B"].numpy()))
    assert -spread / 2 - 3.5 < np.percentile(of_b, 1) < -0.45 * spread
    assert 0.45 * spread < np.percentile(of_b, 99.5) < spread / 2 + 1
    _, again = measured(monkeypatch, shape=(2, 2000), b=spread, d=spread, seed=1)
    assert not torch.equal(asked["B"], again["B"])


@pytest.mark.parametrize("place", range(5))
def test_a_group_is_judged_by_its_own_length(monkeypatch, place):
    """One group too long by a share h: the residual is h*||Z||, relative to ||B||."""

    def changed(z, B, D, lam):
        z[:, place] *= 1 + 1e-3
        return z

    found, asked = measured(monkeypatch, changed, share=1e-3, b=6.0)
    b = np.linalg.norm(asked["B"].numpy()[:, place])
    assert found.violation == pytest.approx(1e-3 * max(1 - 2**0.5 * asked["lam"] / b, 0), rel=1e-6)
    assert found.note == f"group {place} of 5 is written, ||B|| {b:.3g}, lam {asked['lam']:.3g}"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("off", "fails"), [(0.97, False), (-0.97, False), (1.03, True), (np.nan, True)])
def test_the_weight_is_the_structured_iterate_but_for_a_rounding(monkeypatch, dtype, off, fails):
    kind = torch.finfo(getattr(torch, dtype))
    for at, allowed in ((1.0, kind.eps), (0.0, kind.tiny)):

        def w_of(z, at=at, allowed=allowed):
            w = z.copy()
            place = np.flatnonzero(z if at else z == 0)[0]
            w.flat[place] += off * allowed * (abs(z.flat[place]) if at else 1.0)
            return w

        found, _ = measured(monkeypatch, w_of=w_of, dtype=dtype, share=1.0)
        assert (found.violation == np.inf) == fails
        assert not fails or found.note == "W is not Ŵ after a step with momentum 1"


def give_up(*places):
    def changed(z, B, D, lam):
        z[:, list(places)] = KEPT
        return z

    return changed


def test_a_group_is_given_up_only_with_a_word(monkeypatch):
    assert measured(monkeypatch, said=True)[0].note == "0 groups are given up, and this is counted"
    assert measured(monkeypatch, said=True)[0].violation == np.inf
    found, _ = measured(monkeypatch, give_up(1, 3))
    assert (found.violation, found.note) == (np.inf, "2 groups are given up, and this is not counted")


def test_a_group_is_given_up_only_where_its_solution_does_not_fit(monkeypatch):
    """In float16, up to 65504."""
    found, asked = measured(monkeypatch, give_up(2), said=True, dtype="float16")
    assert found.violation == np.inf
    assert found.note.startswith("group 2 of 5 is given up")

    def unfit(z, B, D, lam):
        z[:, np.linalg.norm(z, axis=0) > 65504] = KEPT
        return z

    found, asked = measured(monkeypatch, unfit, said=True, dtype="float16", b=20.0, shape=(1, 40))
    assert 0 < int((np.abs(solution(asked["B"].double().numpy(), 1.0, asked["lam"], 1.0)) > 65504).sum()) < 40
    assert found.violation < 1e-6

    def one_too_many(z, B, D, lam):
        z = unfit(z, B, D, lam)
        z[:, np.argmax(np.where((z == KEPT) | (np.abs(z) > 65504), 0, np.abs(z)))] = KEPT
        return z

    found, _ = measured(monkeypatch, one_too_many, said=True, dtype="float16", b=20.0, shape=(1, 40))
    assert found.violation == np.inf
    assert "is given up" in found.note


def test_an_entry_with_the_kept_number_is_no_group_given_up(monkeypatch):
    def changed(z, B, D, lam):
        z[0, 1] = KEPT
        return z

    found, _ = measured(monkeypatch, changed)
    assert 0.1 < found.violation < np.inf


@pytest.mark.parametrize(("lam_of_entries", "violation"), [(2.0, np.inf), (0.5, 0.0)])
def test_a_price_of_entries_counts_where_a_group_is_given_up(monkeypatch, lam_of_entries, violation):
    """An answer that is zero because of the price of entries fits; one beyond it, B/D in the main, does not."""

    def changed(z, B, D, lam):
        assert lam * 1e3 == pytest.approx(0.9 * np.sort(np.abs(B).ravel())[30], rel=1e-5)
        z = np.sign(B) * np.maximum(np.abs(B) - lam * (1e3 + 1e-3), 0) / D
        huge = np.abs(B) / D > 1e6
        given_up = np.abs(z) > 65504
        if lam_of_entries > 1:
            given_up = given_up | (huge & (z == 0))
            assert (huge & (z == 0)).any()
        return np.where(given_up, KEPT, z)

    case = {"dtype": "float16", "b": 4.0, "d": 24.0, "shape": (1, 60), "share": 0.9}
    found, _ = measured(monkeypatch, changed, said=True, regularizer=SparseGroupLasso(1e-3, 1e3), **case)
    assert found.violation == pytest.approx(violation, abs=1e-6)


@pytest.mark.parametrize(("off", "violation"), [(0.9, 0.0), (3.0, 2.0)])
def test_a_denormal_solution_may_be_off_by_what_its_dtype_does_not_hold(monkeypatch, off, violation):
    """The residual of a group may be as large as the smallest normal number times ||D||."""
    place: list[int] = []

    def changed(z, B, D, lam):
        place[:] = [int(np.argmax(D / np.abs(B)))]
        z[0, place] += off * TINY * np.sign(B[0, place])
        return z

    found, asked = measured(monkeypatch, changed, shape=(1, 400), b=600.0, d=10.0, share=0.0)
    B, D = asked["B"].numpy()[0, place[0]], asked["D"].numpy()[0, place[0]]
    share = TINY * D / abs(B)
    assert share > 1e-9
    assert found.violation == pytest.approx(violation * share, rel=1e-6, abs=2e-14)


def test_a_group_without_a_right_hand_side_is_zero(monkeypatch):
    """An entry below the range of float32: any answer but zero is infinitely wrong."""

    def changed(z, B, D, lam):
        assert (B == 0).sum() == 1
        return np.where(B == 0, wrong, np.where(np.abs(B) > lam, 1 - lam / np.abs(B), 0) * B)

    case = {"shape": (1, 3), "dtype": "float32", "b": 94.0, "share": 1e-3, "seed": 49}
    wrong = 0.0
    assert measured(monkeypatch, changed, **case)[0].violation < 1e-6
    wrong = 1.0
    found, _ = measured(monkeypatch, changed, **case)
    assert found.violation == np.inf
    assert "||B|| 0," in found.note


def test_other_regularizers_are_refused(monkeypatch):
    with pytest.raises(TypeError, match="NuclearNorm"):
        measured(monkeypatch, regularizer=NuclearNorm(1.0))


@pytest.mark.parametrize("sums", [torch.float64, torch.float32])
def test_a_step_solves_the_subproblem_that_it_is_given(sums):
    """Columns with a constant D each, one of them zero; the answer of plain torch in closed form."""
    eps = torch.finfo(sums).eps
    B = torch.tensor([[3.0, 1e-12, 0.1], [4.0, 0.0, 0.1]], dtype=sums)
    D = torch.tensor([[2.0, 1e-9, 1.0]] * 2, dtype=sums)
    w, w_hat, exact_D, said = residual._step(B, D, 0.5, COLUMNS, sums, "plain")
    assert not said
    np.testing.assert_allclose(exact_D, D.numpy(), rtol=8 * eps)
    expected = solution(B.double().numpy(), exact_D, 0.5, 2**0.5)
    np.testing.assert_allclose(w_hat, expected, rtol=64 * eps)
    np.testing.assert_array_equal(w, w_hat)
    assert (expected[:, 1:] == 0).all()


def test_a_step_says_that_it_gave_a_group_up_and_keeps_it():
    B = torch.tensor([[3e30, 3.0], [4e30, 4.0]], dtype=torch.float32)
    D = torch.tensor([[1e-15, 1.0]] * 2, dtype=torch.float32)
    with pytest.warns(RuntimeWarning, match="not accepted"):
        w, w_hat, _, said = residual._step(B, D, 0.5, COLUMNS, torch.float32, "plain")
    assert said
    assert (w[:, 0] == KEPT).all()
    assert (w_hat[:, 0] == KEPT).all()
    np.testing.assert_allclose(w[:, 1], w_hat[:, 1])


def test_the_spread_of_D_may_be_as_small_as_the_dtype():
    B, D = torch.full((1, 2), 1e-20, dtype=torch.float64), torch.tensor([[1e-28, 1e28]], dtype=torch.float64)
    _, w_hat, exact_D, _ = residual._step(B, D, 1e-30, COLUMNS, torch.float64, "plain")
    np.testing.assert_allclose(exact_D, [[1e-28 + 1e-30, 1e28]], rtol=1e-14)
    np.testing.assert_allclose(w_hat, 1e-20 / exact_D, rtol=1e-9)


def test_a_build_of_the_compiled_library_takes_its_place_and_goes():
    backends: dict[str, Any] = BACKENDS
    right = backends["native"]
    with chosen("native:some_build", 64) as name:
        assert name == "native"
        assert backends[name] is not right
        assert (backends[name].builds, backends[name].scratch_entries) == (("some_build",), 64)
    assert backends["native"] is right
    with chosen("native", 0):
        assert (backends["native"].builds, backends["native"].scratch_entries) == (right.builds, 0)
    with pytest.raises(ValueError, match="within"), chosen("native:some_build", 0):
        raise ValueError("within")
    assert backends["native"] is right


@pytest.mark.parametrize("name", ["plain", "triton"])
def test_other_backends_stay_as_they_are(name):
    before = dict(BACKENDS)
    with chosen(name, 64) as found:
        assert found == name
        assert before == BACKENDS


@pytest.mark.parametrize("dtypes", [("float32", "bfloat16"), ("float64",)])
def test_cases_are_of_every_kind(dtypes):
    found = drawn(residual._cases(*dtypes), 80)
    entries = [math.prod(case["shape"]) for case in found]
    assert 0.1 < np.mean([size > 5000 for size in entries]) < 0.5
    assert {case["dtype"] for case in found} == {*dtypes} | ({"float16"} if "float32" in dtypes else set())
    backends = {case["backend"] for case in found}
    assert backends >= set(residual.backends_here())
    out_of_range = [case for case in found if case["b"] > 60]
    assert 0.05 < len(out_of_range) / len(found) < 0.4
    assert all(math.prod(case["shape"]) >= 60 for case in out_of_range)
    assert all(case["dtype"] != "float16" or case["b"] <= 20 for case in found)
    narrow = [case for case in found if case["dtype"] == "float16"]
    assert all(not case["backend"].startswith("native") for case in narrow)


def test_layouts_fit_their_groupings_and_some_are_grouped_or_depthwise():
    for shape, (grouping, layout, blocks) in residual.SMALL_SHAPES + residual.LARGE_SHAPES:
        GroupLasso(1.0, grouping, layout, blocks).check_shape(shape)
    grouped = [(shape, kind[2]) for shape, kind in residual.SMALL_SHAPES if kind[2] > 1]
    assert any(shape[0] == blocks and shape[1] == 1 for shape, blocks in grouped)
    assert any(1 < blocks < shape[0] and shape[1] > 1 for shape, blocks in grouped)
    assert set(residual.MANY_SHAPES) < set(residual.SMALL_SHAPES)


def test_spreads_reach_as_far_as_claimed_and_shares_lie_around_the_threshold():
    """Entries of B from 1e-30 to 1e30; a weight that zeroes the middle group, or almost, or by far."""
    assert max(residual.COMMON[0]) / 2 == 30
    assert all(min(spreads) == 0 for spreads in residual.COMMON)
    shares = sorted(residual.SHARES)
    assert 0 < shares[0] < 1e-6
    assert shares[-1] > 1e6
    assert sum(0 < abs(share - 1) < 1e-5 for share in shares) == 2
    assert any(0.4 < share < 0.95 for share in shares)
    assert any(1.05 < share < 2 for share in shares)
    assert 1 not in shares
    assert all(0.4 < share < 1 for share in residual.MIDDLING)


def test_every_build_that_runs_here_is_tried():
    found = residual.backends_here()
    assert found[0] == "plain"
    assert all(name.startswith("native:") for name in found[1:])
    assert (len(found) > 1) == (BACKENDS["native"].unavailable_reason() is None)


@pytest.mark.parametrize("reason", [None, "not installed"])
def test_triton_is_tried_where_it_runs(reason, monkeypatch):
    """Everything else that runs here as well; float16 by all but the native builds."""
    monkeypatch.setitem(BACKENDS, "triton", SimpleNamespace(unavailable_reason=lambda: reason))
    monkeypatch.setattr(residual, "device_of", lambda name: "cpu")
    cases = drawn(residual._cases("float32", "bfloat16"), 200)
    others = {"plain", *(["triton"] if reason is None else [])}
    assert {case["backend"] for case in cases} == others | set(residual.backends_here())
    assert {case["backend"] for case in cases if case["dtype"] == "float16"} == others
    assert {case["dtype"] for case in cases} == {"float32", "bfloat16", "float16"}
    sizes = {math.prod(case["shape"]) for case in cases if case["backend"] == "triton"}
    assert max(sizes, default=0) <= 300
    assert {case["dtype"] for case in drawn(residual._cases("float64"), 60)} == {"float64"}
