"""A whole training, here of a few steps: what each step is held to, and what the end is."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.cases.recorded.plan import OPTIMIZERS
from ramda_verify.checks.kernels.watched_backends import Log, watched_backends
from ramda_verify.checks.optimizer.shadow import Fault
from ramda_verify.checks.problems import training
from ramda_verify.problems.trainings import MLP, begin
from solvers import GroupLasso, NuclearNorm, PowerSchedule, Zero
from solvers.kernels import BACKENDS
from solvers.subproblem import Status
from tests.judges.test_step_judges import EPS, step_of

NATIVE_RUNS = BACKENDS["native"].unavailable_reason() is None


@pytest.fixture
def short(monkeypatch):
    """Seven steps in four stages."""
    monkeypatch.setattr(training, "STEPS", 7)
    monkeypatch.setattr(training, "MILESTONES", [1, 3, 5])


def followed(problem, spoil=None, seed=0, **options):
    """Follow a short run; ``spoil(run, step)`` is called after each step of the optimizer."""
    optimizer, regularizer_of = training.RUNS[problem]
    cls, settings, _ = OPTIMIZERS[optimizer]
    settings = {**settings, **options}
    with watched_backends() as log:
        run = begin(
            MLP, cls, regularizer_of, milestones=training.MILESTONES, gamma=training.GAMMA, seed=seed, **settings
        )
        steps = [0]

        def counted(optimizer, *_):
            steps[0] += 1
            if spoil is not None:
                spoil(run, steps[0])

        run.optimizer.register_step_post_hook(counted)
        w_hats = training._follow(run, optimizer, log)
    return run, w_hats, steps[0]


@pytest.mark.parametrize(
    "problem", ["digits-ramda-group-lasso", "digits-ramda-nuclear-norm", "digits-proxgen-group-lasso"]
)
def test_a_right_training_is_followed_to_its_last_step(short, problem):
    run, w_hats, steps = followed(problem)
    assert steps == 7
    assert len(w_hats) == len(list(run.model.parameters()))
    if training.RUNS[problem][0] == "proxgen":
        for param, w_hat in w_hats.items():
            np.testing.assert_array_equal(w_hat, param.detach().numpy())


@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_weight_that_moves_is_found_in_its_step(short, step):
    def moves(run, now):
        if now == step:
            with torch.no_grad():
                run.optimizer.param_groups[0]["params"][0].mul_(1.001)

    with pytest.raises(Fault, match=f"^step {step}, "):
        followed("digits-ramda-group-lasso", moves)


@pytest.mark.parametrize("name", ["lr", "momentum", "eps"])
def test_a_hyperparameter_that_changes_on_its_way_is_found(short, name):
    """After the step, where a restart or the ramp has nothing to do with it."""

    def changes(run, now):
        if now == 6:
            run.optimizer.param_groups[0][name] *= 1.01

    with pytest.raises(Fault, match=r"^step 6, "):
        followed("digits-ramda-group-lasso", changes)


def test_a_step_by_another_backend_is_found(short, monkeypatch):
    """All steps are plain, and from the third on there is said to be a compiled one, which should have been taken."""
    said: list[int] = []
    native = SimpleNamespace(unavailable_reason=lambda: None if said else "not built")
    monkeypatch.setattr(training, "BACKENDS", {"native": native})

    def built_meanwhile(run, now):
        said.extend([now] * (now >= 3))

    with pytest.raises(Fault, match=r"^step 3, .*the plain backend took the step with GroupLasso"):
        followed("digits-ramda-group-lasso", built_meanwhile, backend="plain")


@pytest.mark.parametrize(
    ("regularizer", "compiled"), [(GroupLasso(1.0), NATIVE_RUNS), (NuclearNorm(1.0), False), (Zero(), NATIVE_RUNS)]
)
def test_the_compiled_step_is_taken_where_there_is_one(regularizer, compiled):
    known = step_of(regularizer=regularizer, W=[0.0])
    for found in ("native", "plain", "triton"):
        if found == ("native" if compiled else "plain"):
            training._judge_backend(found, known)
        else:
            with pytest.raises(Fault, match=f"the {found} backend took the step with "):
                training._judge_backend(found, known)


def test_where_nothing_was_compiled_plain_torch_takes_the_step(monkeypatch):
    monkeypatch.setitem(BACKENDS, "native", SimpleNamespace(unavailable_reason=lambda: "not built"))
    training._judge_backend("plain", step_of(regularizer=GroupLasso(1.0), W=[0.0]))
    with pytest.raises(Fault):
        training._judge_backend("native", step_of(regularizer=GroupLasso(1.0), W=[0.0]))


def judged_step(off=0.0, residual=0.0):
    """A step of ProxSGD by hand: from W = 2 with momentum 1 and lr 1, Ŵ = W = 2 - G = 1, and m = 1."""
    known = step_of("proxsgd", hyper={"lr": 1.0, "momentum": 1.0}, W=[2.0], G=[1.0 - residual], momentum_buffer=[3.0])
    ones = np.ones(1, dtype=np.float32)
    after = {"W": np.array([1.0 + off]), "momentum_buffer": ones - np.float32(residual)}
    block = SimpleNamespace(status=Status.CONVERGED, accepted=True, tolerance=1e-4)
    training._judge_step(known, after, block, ones)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_state_may_be_sixteen_roundings_off(sign):
    """Of 1 + 2 + 1, what W was computed from."""
    judged_step()
    judged_step(sign * 15.9 * EPS * 4)
    with pytest.raises(Fault, match=r"^W\[0\] is "):
        judged_step(sign * 16.1 * EPS * 4)
    with pytest.raises(Fault, match="W"):
        judged_step(np.nan)


def test_a_residual_is_held_against_the_criterion():
    judged_step(residual=0.5e-4)
    with pytest.raises(Fault, match=r"^accepted with residual"):
        judged_step(residual=3e-4)


def test_the_momentum_of_the_last_stage_reaches_one_in_its_last_step():
    momentum = OPTIMIZERS["ramda"].hyperparameters["momentum"]
    last = training.STEPS - training.MILESTONES[-1]
    assert momentum * math.sqrt(last - 1) < 1 <= momentum * math.sqrt(last)
    assert len(training.MILESTONES) == 2


def ended(w_hat, *, weight=None, zeros=((5, 10), (0, 10))):
    """A run at its end with two regularized parameters, which say how many structured zeros they have."""
    groups = []
    w_hats = {}
    for number, count in enumerate(zeros):
        entries = w_hat if number == 0 else [1.0]
        param = torch.nn.Parameter(torch.tensor(entries if weight is None or number else weight))
        w_hats[param] = np.array(entries, dtype=np.float32)
        psi = SimpleNamespace(sparsity=lambda w, count=count: count)
        groups.append({"params": [param], "param_names": [f"weight{number}"], "regularizer": psi})
    run = SimpleNamespace(
        optimizer=SimpleNamespace(unaccepted_steps=0, param_groups=groups),
        training=SimpleNamespace(accuracy=lambda model: 1.0),
        model=None,
    )
    training._look_at_the_end(run, w_hats)


def test_structured_zeros_of_all_regularized_parameters_are_counted_together():
    """A twentieth of all."""
    ended([1.0], zeros=((0, 60), (5, 40)))
    ended([1.0], zeros=((5, 60), (0, 40)))
    with pytest.raises(Fault, match="4 of 100 are structured zeros"):
        ended([1.0], zeros=((4, 60), (0, 40)))
    with pytest.raises(Fault, match="9 of 200 are structured zeros"):
        ended([1.0], zeros=((4, 100), (5, 100)))


def test_a_denormal_entry_of_the_structured_iterate_is_zero_in_the_weight():
    tiny = 2.0**-126
    ended([1.0, 0.5 * tiny], weight=[1.0, 0.0])
    ended([1.0, tiny, -tiny])
    for weight in ([1.0, 0.5 * tiny], [1.0, tiny]):
        with pytest.raises(Fault, match="at the end weight0 is not Ŵ"):
            ended([1.0, 0.5 * tiny], weight=weight)
    with pytest.raises(Fault, match="is not Ŵ"):
        ended([1.0, tiny], weight=[1.0, 0.0])


def test_a_training_is_measured_to_its_end(short, monkeypatch):
    """Seven steps teach a little and make no structure."""
    monkeypatch.setattr(training, "STRUCTURE", 0.0)
    monkeypatch.setattr(training, "ACCURACY", 0.0)
    assert training.measure_training("digits-proxgen-group-lasso", 0).violation == 0
    monkeypatch.setattr(training, "ACCURACY", 1.1)
    found = training.measure_training("digits-proxgen-group-lasso", 0)
    assert found.violation == np.inf
    assert found.note.startswith("at the end ")
    assert not any(type(backend).__name__ == "_Watched" for backend in BACKENDS.values())


def test_a_log_knows_who_stepped_a_parameter():
    log, param = Log(), torch.ones(2)
    assert log.backend_of(param) == "plain"
    log.add("native", [SimpleNamespace(point=param)])
    assert log.backend_of(param) == "native"
    assert log.backend_of(torch.ones(2)) == "plain"
    log.clear()
    assert log.backend_of(param) == "plain"


def test_backends_are_watched_within_the_context_alone():
    before = dict(BACKENDS)
    with watched_backends():
        assert all(BACKENDS[name] is not backend for name, backend in before.items())
        assert all(BACKENDS[name].name == name for name in before)
    assert before == BACKENDS


def test_the_tolerance_is_shared_by_the_regularized_parameters(short, monkeypatch):
    """Here by all weights but one, which has lost its regularizer."""
    optimizer, regularizer_of = training.RUNS["digits-proxgen-group-lasso"]
    cls, settings, _ = OPTIMIZERS[optimizer]
    shares = set()
    monkeypatch.setattr(training, "_judge_tolerance", lambda tolerance, t, count, name: shares.add((t, count, name)))
    monkeypatch.setattr(training, "_judge_backend", lambda found, known: None)
    with watched_backends() as log:
        run = begin(MLP, cls, regularizer_of, milestones=training.MILESTONES, gamma=training.GAMMA, **settings)
        weights = [group for group in run.optimizer.param_groups if not isinstance(group["regularizer"], Zero)]
        others = sum(len(group["params"]) for group in weights[1:])
        weights[0]["regularizer"] = Zero()
        assert 0 <= others < len(list(run.model.parameters())) - others
        training._follow(run, optimizer, log)
    assert shares == {(step, others, "proxgen") for step in range(1, 8)}


def test_the_first_tolerance_is_that_of_the_default_schedule():
    assert PowerSchedule()(1, 1.0) == training.FIRST_TOLERANCE
