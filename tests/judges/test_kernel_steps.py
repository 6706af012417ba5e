"""What is held against a claim of group norms, and how far a compiled step may be from the plain one."""

import itertools
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks.kernels import steps
from ramda_verify.checks.kernels.steps import laid_out, measure_group_norms, measure_kernel, with_gaps
from ramda_verify.checks.optimizer.runs import CLASSES
from ramda_verify.engine.targets import plain_target
from ramda_verify.oracles.index_sets import group_index_sets
from solvers import L1, RMDA, GroupLasso, NuclearNorm
from solvers.kernels import BACKENDS
from solvers.regularizers.members import GroupNorms
from tests.judges.cases import drawn

POINT = np.arange(1.0, 25.0)


class Claimed:
    """A psi of one's own with a claim about the memory of a tensor; none where it has gaps."""

    def __init__(self, psi, claim):
        self.psi, self.claim = psi, claim

    def value(self, w):
        return torch.tensor(self.psi, dtype=torch.float64)

    def prox(self, w, step):
        return w

    def group_norms(self, w):
        return None if max(w.stride()) > 24 or w.stride()[-1] == 2 else self.claim(w)


def norms(**changes):
    claim = GroupNorms(0.5, outer=2, groups=3, inner=2, blocks=2)._replace(**changes)
    return lambda w: claim


#: Of 24 entries in the order (2 blocks, 2, 3 groups, 2): a half of the norms of six groups of four.
PSI = 0.5 * math.fsum(
    math.sqrt(sum(POINT[12 * b + 6 * o + 2 * g + i] ** 2 for o in range(2) for i in range(2)))
    for b in range(2)
    for g in range(3)
)


def test_a_right_claim_adds_to_psi():
    assert measure_group_norms(Claimed(PSI, norms()), POINT).violation < 1e-15
    with_entries = Claimed(PSI + 0.25 * POINT.sum(), norms(entry_weight=0.25))
    assert measure_group_norms(with_entries, -POINT).violation < 1e-15
    assert measure_group_norms(Claimed(0.0, norms()), 0 * POINT).violation == 0
    assert measure_group_norms(Claimed(PSI, norms(outer=1, inner=4)), POINT).violation > 1e-3


@pytest.mark.parametrize("psi", [1.25 * PSI, PSI / 1.25])
def test_what_is_missing_is_relative_to_both_sums(psi):
    found = measure_group_norms(Claimed(psi, norms()), POINT)
    assert found.violation == pytest.approx(0.25 / 2.25)
    assert found.note.startswith(f"as it comes: psi(w) = {psi:.6g}, the norms of GroupNorms")
    assert found.note.endswith(f"add to {PSI:.6g}")
    for never in (math.nan, math.inf):
        assert measure_group_norms(Claimed(never, norms()), POINT).violation == math.inf


@pytest.mark.parametrize("change", [{"outer": 3}, {"groups": 2}, {"blocks": 1}, {"inner": 1}])
def test_a_claim_holds_all_entries(change):
    found = measure_group_norms(Claimed(PSI, norms(**change)), POINT)
    assert found.violation == math.inf
    assert "does not have the 24 entries" in found.note


STRIDES = {"as it comes": (12, 4, 2, 1), "reversed": (1, 2, 6, 12), "channels last": (12, 1, 6, 3)}


@pytest.mark.parametrize("memory", STRIDES)
def test_a_claim_is_asked_for_in_every_order_of_memory(memory):
    """Psi is the sum of the entries; twice as much is claimed in one order."""

    def claim(w):
        return GroupNorms(2.0 if w.stride() == STRIDES[memory] else 1.0, 1, 24, 1)

    found = measure_group_norms(Claimed(POINT.sum(), claim), POINT.reshape(2, 3, 2, 2))
    assert found.violation == pytest.approx(1 / 3)
    assert found.note.startswith(f"{memory}: ")


def test_an_order_without_a_claim_does_not_end_the_check():
    """Nor one of a psi of one's own, of whose groups nothing is known."""

    def claim(w):
        return None if w.stride() == STRIDES["as it comes"] else GroupNorms(2.0, 1, 24, 1)

    assert measure_group_norms(Claimed(POINT.sum(), claim), POINT.reshape(2, 3, 2, 2)).violation > 0.3
    assert measure_group_norms(Claimed(PSI, lambda w: None), POINT).violation == 0


def test_memory_with_gaps_has_no_norms():
    class Everywhere(Claimed):
        def group_norms(self, w):
            return self.claim(w)

    found = measure_group_norms(Everywhere(PSI, norms()), POINT)
    assert found.violation == math.inf
    assert found.note.endswith("for memory with gaps, where None is asked for")
    alone = Everywhere(3.0, lambda w: GroupNorms(1.0, 1, 1, 1))
    assert measure_group_norms(alone, np.array([[3.0]])).violation == 0


def test_a_tensor_with_gaps_is_every_second_entry_of_a_larger_one():
    values = torch.arange(6.0).reshape(2, 3)
    found = with_gaps(values)
    assert torch.equal(found, values)
    assert found.stride() == (6, 2)
    assert found.as_strided((12,), (1,))[1::2].isnan().all()


class NeverClaims(GroupLasso):
    """A psi of ours without its group norms."""

    def group_norms(self, w):
        return None


def test_norms_of_a_known_psi_are_claimed_where_there_are_any():
    found = measure_group_norms(NeverClaims(1.0), np.ones((2, 3)))
    assert found.violation == math.inf
    assert found.note == "no group norms for a tensor without gaps, strides (3, 1)"


@pytest.mark.parametrize(
    ("memory", "strides"),
    [("as it comes", (24, 8, 4, 1)), ("reversed", (1, 2, 6, 12)), ("channels last", (24, 1, 6, 3))],
)
def test_a_tensor_is_laid_out_with_its_axes_in_another_order(memory, strides):
    values = torch.arange(48.0).reshape(2, 3, 2, 4)
    found = laid_out(values, memory)
    assert torch.equal(found, values)
    assert (
        found.stride()
        == {
            "as it comes": (24, 8, 4, 1),
            "reversed": (1, 2, 6, 12),
            "channels last": (24, 1, 12, 3),
        }[memory]
    )
    scattered = laid_out(values.permute(1, 0, 2, 3), "as it comes")
    assert scattered.is_contiguous()
    assert laid_out(values[0], "channels last").stride() == (8, 4, 1)


def is_one_array(labels):
    """Whether equal labels, in the order of memory, are the first and third axis of some array, by trying all."""
    size = len(labels)
    for blocks, outer, groups in itertools.product(range(1, size + 1), repeat=3):
        if size % (blocks * outer * groups):
            continue
        array = labels.reshape(blocks, outer, groups, -1)
        alike = (array == array[:, :1, :, :1]).all()
        if alike and len(set(array[:, 0, :, 0].ravel())) == blocks * groups:
            return True
    return False


def test_groups_are_an_array_in_some_orders_of_memory_and_in_others_not():
    found = set()
    for shape, blocks in (((2, 3), 1), ((1, 4), 1), ((4, 1), 1), ((4, 3), 2), ((4, 2, 2), 2), ((4, 2, 1, 3), 2)):
        for grouping, layout in itertools.product(("input", "output"), ("out_in", "in_out")):
            regularizer = GroupLasso(1.0, grouping, layout, blocks)
            labels = np.empty(math.prod(shape), dtype=int)
            for number, indices in enumerate(group_index_sets(shape, grouping, layout, blocks)):
                labels[indices] = number
            for axes in itertools.permutations(range(len(shape))):
                point = torch.zeros([shape[a] for a in axes], dtype=torch.float64)
                point = point.permute([axes.index(a) for a in range(len(shape))])
                in_memory = labels.reshape(shape).transpose(axes).ravel()
                expected = is_one_array(in_memory)
                assert steps._is_one_array(regularizer, point) == expected, (regularizer, shape, axes)
                found.add(expected)
    assert found == {True, False}
    assert steps._is_one_array(L1(1.0), torch.zeros(2, 3))
    assert not steps._is_one_array(NuclearNorm(1.0), torch.zeros(2, 3))


def test_a_backend_is_checked_where_it_can_run(monkeypatch):
    target = plain_target("rmda", "optimizer")
    assert steps.device_of("native") == "cpu"
    assert steps._there_is("native")(target) is None or BACKENDS["native"].unavailable_reason() is not None
    monkeypatch.setitem(BACKENDS, "native", SimpleNamespace(unavailable_reason=lambda: "not built", device="cpu"))
    assert steps._there_is("native")(target) == "the native step cannot run here: not built"


@pytest.mark.parametrize(
    ("backend", "gpu", "device", "interpreted"),
    [
        ("native", False, "cpu", None),
        ("native", True, "cpu", None),
        ("triton", False, "cpu", "1"),
        ("triton", True, "cuda", None),
    ],
)
def test_triton_alone_is_interpreted_and_only_without_a_GPU(backend, gpu, device, interpreted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setenv("TRITON_INTERPRET", "kept")
    monkeypatch.delenv("TRITON_INTERPRET")
    steps.device_of.cache_clear()
    assert steps.device_of(backend) == device
    assert os.environ.get("TRITON_INTERPRET") == interpreted
    steps.device_of.cache_clear()


HYPER = {"lr": 0.1, "momentum": 0.5, "decay": 0.0, "amsgrad": False}
made: list = []


class Moved(RMDA):
    """Its last step is off by ``by`` in the last entry of one tensor; the exact step, the second made, is not."""

    key, by, last = "W", 0.0, 2

    def __init__(self, params, **settings):
        super().__init__(params, **settings)
        self.count, (self.param,) = 0, self.param_groups[0]["params"]
        self.start = self.param.detach().clone()
        self.first = len(made) % 2 == 0
        made.append(self)
        self.observers.append(self.look)

    def look(self, param, w_hat):
        self.w_hat = w_hat
        if self.first and self.key == "Ŵ" and self.count == self.last - 1:
            w_hat.view(-1)[-1] += self.by

    def step(self, closure=None):
        self.before = (
            self.param.detach().clone(),
            {k: v.clone() for k, v in self.state[self.param].items() if torch.is_tensor(v)},
        )
        super().step(closure)
        self.count += 1
        if self.first and self.count == self.last and self.key != "Ŵ":
            moved = self.param.detach() if self.key == "W" else self.state[self.param][self.key]
            moved.as_strided((moved.numel(),), (1,))[-1] += self.by


def measured(monkeypatch, key="W", by=0.0, **case):
    """The measurement, and the exact optimizer after its step."""
    made.clear()
    monkeypatch.setattr(Moved, "last", case.get("steps", 1) + 1)
    monkeypatch.setitem(CLASSES, "rmda", Moved)
    monkeypatch.setattr(Moved, "key", key)
    monkeypatch.setattr(Moved, "by", by)
    usual = {"shape": (2, 3), "memory": "as it comes", "dtype": "float64", "seed": 0, "spread": 0.0, "steps": 1}
    found = measure_kernel("rmda", "native", L1(0.01), hyper=HYPER, **{**usual, **case})
    return found, made[1]


def size(tensor):
    return float(tensor.double().abs().max())


def reach(exact):
    """The larger of W0 and of where the step would go without a regularizer, W0 - V/sqrt(t)."""
    state = exact.state[exact.param]
    return max(
        size(state["initial_point"]), size(state["initial_point"] - state["grad_sum"] / int(state["step"]) ** 0.5)
    )


@pytest.mark.parametrize(("dtype", "unit"), [("float64", 2.0**-52), ("float32", 2.0**-23), ("bfloat16", 2.0**-10)])
def test_a_weight_is_off_by_roundings_of_what_it_is_made_from(monkeypatch, dtype, unit):
    right, exact = measured(monkeypatch, dtype=dtype)
    assert right.violation <= 16
    by = 2.0**-3
    found, exact = measured(monkeypatch, "W", by, dtype=dtype)
    scale = max(size(exact.before[0]), reach(exact), size(exact.param.detach()))
    assert found.violation == pytest.approx(by / (unit * scale), rel=0.05)
    assert found.note == f"W is {found.violation:.3g} units of rounding from the plain step in float64"


@pytest.mark.parametrize(("dtype", "unit"), [("float64", 2.0**-52), ("float32", 2.0**-23), ("bfloat16", 2.0**-23)])
@pytest.mark.parametrize("key", ["grad_sum", "initial_point"])
def test_a_sum_is_off_by_roundings_of_its_dtype(monkeypatch, dtype, unit, key):
    by = 1e-3
    found, exact = measured(monkeypatch, key, by, dtype=dtype)
    scale = max(size(exact.before[1][key]), size(exact.state[exact.param][key]))
    assert found.violation == pytest.approx(by / (unit * scale), rel=0.01)
    assert found.note.startswith(f"{key} is ")


def test_the_structured_iterate_is_off_by_roundings_of_the_unregularized_one(monkeypatch):
    by = 1e-3
    found, exact = measured(monkeypatch, "Ŵ", by)
    scale = max(size(exact.before[0]), reach(exact))
    assert found.violation == pytest.approx(by / (2.0**-52 * scale), rel=0.01)
    assert found.note.startswith("Ŵ is ")


def test_a_step_that_is_not_a_number_is_off_without_bound(monkeypatch):
    for key in ("W", "grad_sum", "Ŵ"):
        assert measured(monkeypatch, key, math.nan)[0].violation == math.inf


@pytest.mark.parametrize("steps_before", [1, 3])
def test_the_step_is_taken_after_as_many_plain_ones(monkeypatch, steps_before):
    found, exact = measured(monkeypatch, steps=steps_before)
    assert found.violation <= 16
    ours = made[0]
    assert ours.count == steps_before + 1
    assert (exact.count, int(exact.state[exact.param]["step"])) == (1, steps_before + 1)
    assert ours.backend == "native"
    assert exact.backend == "plain"


def test_weights_are_drawn_with_more_small_entries_than_large_ones(monkeypatch):
    """Over as many powers of ten as the spread, three quarters of them below one."""
    measured(monkeypatch, shape=(50, 40), spread=6.0)
    powers = made[0].start.abs().log10().numpy()
    assert 0.7 < np.mean(powers < 0) < 0.85
    assert -7 < np.percentile(powers, 1) < -4.3
    assert 1.2 < np.percentile(powers, 99.5) < 2.2
    measured(monkeypatch, shape=(50, 40))
    assert float(made[0].start.std()) == pytest.approx(1, rel=0.05)


def test_memory_is_laid_out_as_asked(monkeypatch):
    assert measured(monkeypatch, memory="reversed")[0].violation <= 16
    assert made[0].param.stride() == (1, 2)


def test_a_method_with_every_state_is_compared():
    """ProxGen with amsgrad and decay, also where its steps are of another dtype."""
    for dtype in steps.DTYPES:
        hyper = {"lr": 0.1, "momentum": 0.5, "decay": 0.1, "amsgrad": True}
        case = {"shape": (3, 4), "memory": "reversed", "dtype": dtype, "seed": 1, "spread": 2.0, "steps": 2}
        found = measure_kernel("proxgen", "native", GroupLasso(0.1), hyper=hyper, **case)
        assert 0 <= found.violation <= 16


def test_grouped_weights_fit_their_blocks_and_some_are_depthwise():
    for shape, blocks in steps.GROUPED_SHAPES:
        assert shape[0] % blocks == 0
        assert blocks > 1
    assert any(shape[1] == 1 and shape[0] == blocks for shape, blocks in steps.GROUPED_SHAPES)
    assert any(shape[1] == 1 and shape[0] > blocks for shape, blocks in steps.GROUPED_SHAPES)


def test_cases_have_every_kind_of_group():
    target = plain_target("rmda", "optimizer")
    strategy = steps._kernel_cases(target, "native", steps._of_an_axis(), steps._of_blocks(), steps._of_entries())
    found = drawn(strategy, 60)
    assert {case["optimizer"] for case in found} == {"rmda"}
    assert {case["backend"] for case in found} == {"native"}
    assert {case["memory"] for case in found} == {"as it comes", "reversed", "channels last"}
    assert {getattr(case["regularizer"], "conv_groups", 0) > 1 for case in found} == {True, False}
    assert {hasattr(case["regularizer"], "grouping") for case in found} == {True, False}
    for case in found:
        case["regularizer"].value(torch.zeros(case["shape"]))
