"""What is drawn for a check of prox and value is what its measure takes, and right regularizers pass on it."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer import prox, prox_homotopy, prox_rays, search, tensors
from ramda_verify.engine.property import checks_of
from ramda_verify.engine.targets import known_target
from tests.judges.cases import drawn

CHECKS = {check.id: check for check in checks_of(prox, prox_homotopy, prox_rays, search, tensors)}


def test_every_claim_of_prox_and_value_is_checked():
    assert set(CHECKS) == {
        "prox-minimises",
        "prox-optimality",
        "prox-firmly-nonexpansive",
        "prox-limits",
        "value-consistency",
        "prox-homotopy",
        "prox-rays",
        "prox-search",
        "metric-prox-search",
        "layout-invariance",
        "dtype-agreement",
    }


@pytest.mark.parametrize("name", CHECKS)
def test_a_drawn_case_is_what_the_measure_takes(name):
    check, target = CHECKS[name], known_target("l1")
    cases = drawn(check.cases(target), 6)
    taken = set(inspect.signature(check.measure).parameters) - {"dtypes", "devices"}
    assert all(set(case) == taken for case in cases)
    for key in taken & {"seed", "factor", "scale", "stretch", "other", "move", "w", "step"}:
        assert len({str(case[key]) for case in cases}) > 1
    for case in cases[:2]:
        if np.any(case.get("w", 1.0)):
            assert check.measure(**case).violation <= check.tolerance.value


@pytest.mark.parametrize("name", CHECKS)
def test_a_claim_on_convex_psi_and_one_on_a_metric_are_made_of_those_that_offer_them(name):
    class Plain:
        def value(self, w):
            return w.new_zeros(())

        def prox(self, w, step):
            return w

    member = {"prox-optimality": "convex", "prox-firmly-nonexpansive": "convex", "metric-prox-search": "metric_prox"}
    assert CHECKS[name].applies(known_target("group_lasso")) is None
    reason = CHECKS[name].applies(replace(known_target("l1"), example=Plain()))
    assert (reason is None) == (name not in member)
    assert reason is None or member[name] in reason


def test_the_pair_of_a_case_has_one_shape():
    for name, key in (("prox-firmly-nonexpansive", "other"), ("value-consistency", "move")):
        assert all(case[key].shape == case["w"].shape for case in drawn(CHECKS[name].cases(known_target("l1")), 5))


def test_the_multiple_of_a_step_is_more_than_one_and_scales_are_powers_of_ten():
    factors = [case["factor"] for case in drawn(CHECKS["prox-limits"].cases(known_target("l1")), 20)]
    assert min(factors) > 1
    assert max(factors) > 10
    for key in ("scale", "stretch"):
        exponents = [np.log10(case[key]) for case in drawn(CHECKS["prox-homotopy"].cases(known_target("l1")), 50)]
        assert all(abs(exponent - round(exponent)) < 1e-9 for exponent in exponents)
        rounded = [round(exponent) for exponent in exponents]
        assert rounded.count(0) > len(rounded) / 4
        assert min(rounded) < 0
        assert max(rounded) > 3


def test_a_target_says_which_dtypes_and_devices_are_tried():
    check, target = CHECKS["dtype-agreement"], known_target("l1")
    chosen = replace(target, dtypes=("bfloat16",), devices=("cpu",))
    for case in drawn(check.cases(chosen), 3):
        assert case["dtypes"] == ("bfloat16",)
        assert case["devices"] == ("cpu",)
    assert all(set(case) == {"regularizer", "w", "step"} for case in drawn(check.cases(target), 3))
    assert check.scope(chosen) == "bfloat16 on cpu"
    everywhere = "cpu and cuda" if torch.cuda.is_available() else "cpu"
    assert check.scope(target) == f"float32, bfloat16, float16 on {everywhere}"

    class WideOnly:
        dtypes = (torch.float64,)

    assert check.scope(replace(target, example=WideOnly())) == f"no narrower dtype on {everywhere}"
