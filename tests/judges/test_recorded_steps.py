"""One step from a recorded state: which steps and backends are tried, and what is held against them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.cases.recorded import all_recorded
from ramda_verify.checks.optimizer import recorded_steps
from ramda_verify.engine.targets import plain_target
from solvers import L1, NuclearNorm
from solvers.kernels import BACKENDS
from tests.judges.cases import drawn
from tests.judges.test_step_judges import step_of

#: ProxSGD with momentum 1 and lr 1 from W = 2: m = G = 1, and W = Ŵ = 2 - 1.
KNOWN = step_of("proxsgd", hyper={"lr": 1.0, "momentum": 1.0}, W=[2.0], G=[1.0], momentum_buffer=[3.0])


def stepped(monkeypatch, *, W=1.0, m=1.0, w_hat=1.0, dtype=torch.float32, unaccepted=0, known=KNOWN):
    """The recorded step, taken to these numbers."""
    param = torch.nn.Parameter(torch.tensor([W], dtype=dtype))
    made = SimpleNamespace(state={param: {"momentum_buffer": torch.tensor([m])}}, unaccepted_steps=unaccepted)
    monkeypatch.setattr(recorded_steps, "recorded", lambda name: known)
    monkeypatch.setattr(recorded_steps, "taken", lambda step, backend: (made, param, np.array([w_hat])))


@pytest.mark.parametrize(
    ("dtype", "unit"), [(torch.float64, 2.0**-52), (torch.float32, 2.0**-23), (torch.bfloat16, 2.0**-10)]
)
def test_a_weight_is_off_in_units_of_its_dtype(monkeypatch, dtype, unit):
    """Of what it was computed from: W before, W and Ŵ, 2 + 1 + 1. The state is in units of its own."""
    stepped(monkeypatch, dtype=dtype)
    assert recorded_steps.measure_step("any", "plain").violation == 0
    off = 2.0**-7
    stepped(monkeypatch, W=1 + off, dtype=dtype)
    found = recorded_steps.measure_step("any", "plain")
    assert found.violation == pytest.approx(off / (4 * unit), rel=1e-6)
    assert found.note == "W[0] is 1.0078125, exactly 1"
    stepped(monkeypatch, m=1 + off, dtype=dtype)
    found = recorded_steps.measure_step("any", "plain")
    assert found.violation == pytest.approx(off / (4 * min(unit, 2.0**-23)), rel=1e-6)
    assert found.note.startswith("momentum_buffer[0] is ")


def test_a_step_is_judged_with_the_structured_iterate_that_it_has(monkeypatch):
    """The residual of Ŵ = 1.5, D*Ŵ - B = 0.5, relative to the size of what B is formed from, 2 + 1."""
    stepped(monkeypatch, w_hat=1.5, W=1.5)
    assert recorded_steps.measure_step("any", "plain").violation == 0
    found = recorded_steps.measure_residual("any", "plain")
    assert found.violation == pytest.approx(0.5 / 3)
    stepped(monkeypatch)
    assert abs(recorded_steps.measure_residual("any", "plain").violation) < 1e-30


def test_a_step_that_was_not_accepted_fails(monkeypatch):
    stepped(monkeypatch, unaccepted=2)
    found = recorded_steps.measure_residual("any", "plain")
    assert (found.violation, found.note) == (np.inf, "2 steps were not accepted")


#: The compiled step is among them where a compiler has built it.
RUNNING = ["plain", *(["native"] if BACKENDS["native"].unavailable_reason() is None else [])]


def name_of(optimizer, kind, dtype="float32"):
    return next(
        step.name
        for step in all_recorded().values()
        if (step.optimizer, type(step.regularizer), step.dtype) == (optimizer, kind, dtype)
    )


@pytest.mark.parametrize("backend", RUNNING)
def test_a_recorded_step_is_taken_by_the_backend(backend):
    known = all_recorded()[name_of("ramda", L1)]
    made, param, w_hat = recorded_steps.taken(known, backend)
    assert made.backend == backend
    assert made.state[param]["step"] == known.counters["step"] + 1
    assert w_hat.dtype == np.float64
    momentum = known.hyper["momentum"]
    mixed = (1 - momentum) * known.W + momentum * w_hat
    np.testing.assert_allclose(param.detach().numpy(), mixed, rtol=1e-5, atol=1e-6 * np.abs(mixed).max())
    for measure in (recorded_steps.measure_step, recorded_steps.measure_residual):
        assert 0 <= measure(known.name, backend).violation < 16


@pytest.mark.parametrize("fault", [None, "the residual is too large"])
def test_the_criterion_is_asked_about_the_report_of_the_step(monkeypatch, fault):
    def judge(known, exact, block, w_hat):
        assert known.name == name
        assert block.step == known.counters["step"] + 1
        assert w_hat.dtype == np.float32
        np.testing.assert_array_equal(exact.method.structured, w_hat)
        return fault

    name = name_of("ramda", NuclearNorm)
    assert recorded_steps.measure_criterion(name).violation == 0
    monkeypatch.setattr(recorded_steps, "criterion_fault", judge)
    found = recorded_steps.measure_criterion(name)
    assert (found.violation, found.note) == ((0.0, "") if fault is None else (np.inf, fault))


@pytest.mark.parametrize("optimizer", ["ramda", "proxgen"])
def test_the_steps_of_an_optimizer_are_tried_and_with_a_kernel_those_that_it_takes(optimizer):
    known = all_recorded()
    everything = set(drawn(recorded_steps.steps_of(optimizer, direct=False), 600))
    assert {known[name].optimizer for name in everything} == {optimizer}
    assert NuclearNorm in {type(known[name].regularizer) for name in everything}
    direct = set(drawn(recorded_steps.steps_of(optimizer, direct=True), 600))
    assert direct == {name for name in everything if not isinstance(known[name].regularizer, NuclearNorm)}


def test_backends_that_run_here_are_tried(monkeypatch):
    target = plain_target("ramda", "optimizer")

    def tried():
        return {case["backend"] for case in drawn(recorded_steps._stepped_by("plain", "native")(target), 40)}

    for reason, found in ((None, {"plain", "native"}), ("not built", {"plain"})):
        monkeypatch.setitem(BACKENDS, "native", backend_that(reason))
        assert tried() == found
        monkeypatch.setitem(BACKENDS, "triton", backend_that(reason))
        skipped = recorded_steps._needs_triton(target)
        assert skipped == (reason and "the triton step cannot run here: not built")


def backend_that(reason):
    return SimpleNamespace(unavailable_reason=lambda: reason, device="cpu")


def test_cases_name_a_step_of_the_target():
    cases = drawn(recorded_steps._alone(plain_target("rmda", "optimizer")), 20)
    assert all(all_recorded()[case["step"]].optimizer == "rmda" for case in cases)
