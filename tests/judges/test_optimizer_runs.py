"""Short runs of one optimizer: what they are made of, and how far from a transcription or from a parent they may be."""

from fractions import Fraction
from pickle import UnpicklingError

import numpy as np
import pytest
import torch

from ramda_verify.checks.optimizer import contract, runs, steps
from ramda_verify.checks.optimizer.runs import CLASSES, gradients, has_preconditioner, settings_of
from ramda_verify.oracles import float_subproblem
from ramda_verify.oracles.transcriptions import TRANSCRIPTIONS
from solvers import L1, RMDA, GroupLasso, NuclearNorm, ProxGen, Stages, Zero
from solvers.optimizers import METHODS

CASE = {"lr": 0.1, "momentum": 0.25, "decay": 0.1, "amsgrad": True}


def test_each_method_gets_the_hyperparameters_that_it_has():
    averaging = {"weight_decay": 0.1, "lr": 0.1, "momentum": 0.25}
    assert settings_of("rmda", **CASE) == settings_of("proxsgd", **CASE) == averaging
    assert settings_of("ramda", **CASE) == {**averaging, "eps": 1e-3}
    adam = {"weight_decay": 0.1, "lr": 0.1, "betas": (0.75, 0.99), "eps": 1e-3, "amsgrad": True}
    assert settings_of("proxgen", **CASE) == adam
    assert {name: has_preconditioner(name) for name in METHODS} == {
        "ramda": True,
        "rmda": False,
        "proxsgd": False,
        "proxgen": True,
    }


def test_a_gradient_is_that_of_a_quadratic_with_another_noise_at_every_step():
    gradient, zero, ones = gradients((40, 50), 3), np.zeros((40, 50)), np.ones((40, 50))
    curvature = gradient(5, ones) - gradient(5, zero)
    assert 0.2 <= curvature.min() < 0.25 < 0.95 < curvature.max() <= 1.0
    np.testing.assert_allclose(gradient(5, 3 * ones), gradient(5, zero) + 3 * curvature, atol=1e-12)
    noise = gradient(0, zero) - gradient(1, zero)
    assert np.std(noise) == pytest.approx(0.3 * 2**0.5, rel=0.05)
    pull = -gradient(0, zero) / curvature
    assert 1 < np.std(pull) < 1.4
    assert np.array_equal(gradients((40, 50), 3)(7, ones), gradient(7, ones))
    assert np.array_equal(gradient(7 + runs.STEPS, ones), gradient(7, ones))
    assert not np.array_equal(gradient(runs.STEPS - 1, ones), gradient(0, ones))
    assert not np.array_equal(gradients((40, 50), 4)(7, ones), gradient(7, ones))


def plain_run(stages=None, dtype=torch.float64):
    param = torch.nn.Parameter(torch.full((2,), 2.0, dtype=dtype))
    made = RMDA([param], lr=0.5, momentum=0.5)
    return param, made, Stages(made, stages or [], gamma=0.5)


def test_a_trajectory_holds_what_every_step_leaves():
    param, made, stages = plain_run([3])
    W, w_hat = runs.trajectory(made, param, lambda t, W: np.array([t + 1.0, W[1]]), stages)
    assert W.shape == w_hat.shape == (runs.STEPS, 2)
    # s_1 = 0.5: Ŵ_1 = 2 - 0.5*(1, 2), and W_1 lies in the middle.
    np.testing.assert_allclose(w_hat[0], [1.5, 1.0])
    np.testing.assert_allclose(W[0], [1.75, 1.5])
    assert made.param_groups[0]["lr"] == 0.25
    assert stages.steps == runs.STEPS
    param, made, _ = plain_run()
    without, _ = runs.trajectory(made, param, lambda t, W: np.array([t + 1.0, W[1]]), None)
    np.testing.assert_array_equal(without[:3], W[:3])
    assert not np.array_equal(without[3:5], W[3:5])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_run_goes_on_through_the_given_steps(dtype):
    param, made, stages = plain_run(dtype=dtype)
    seen = []

    def gradient(t, W):
        seen.append(t)
        return np.array([1.0, W[1]])

    runs.advance(param, made, stages, gradient, range(4, 7))
    assert seen == [4, 5, 6]
    assert stages.steps == 3
    assert param.dtype == dtype
    assert (param < 2).all()


class Forgetful(RMDA):
    """Loads everything but its sum of gradients, for parameters of one dtype."""

    dtype = torch.float64

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for param, state in self.state.items():
            if param.dtype == self.dtype:
                state["grad_sum"].mul_(1.5)


RELOAD = {"regularizer": L1(0.05), "shape": (2, 3), "seed": 1, "milestones": [10, 30], **CASE}


@pytest.mark.parametrize("optimizer", METHODS)
def test_a_run_that_goes_on_after_a_break_is_the_same(optimizer):
    assert contract.measure_reload(optimizer, **RELOAD).violation == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_run_that_forgets_something_in_one_dtype_is_another(monkeypatch, dtype):
    monkeypatch.setitem(CLASSES, "rmda", type("Forgets", (Forgetful,), {"dtype": dtype}))
    found = contract.measure_reload("rmda", **RELOAD)
    assert found.violation == 1
    assert found.note.startswith(f"{dtype}: differs by ")
    assert float(found.note.split()[3]) > 1e-3


def test_a_break_is_in_the_middle_and_the_stages_are_saved_too(monkeypatch):
    """The steps before the break are made once, those after it twice, from the same weights and with other momenta."""
    seen = []

    def observed(param, optimizer, stages, gradient, span):
        seen.append((span, stages.steps, param.dtype))
        return advance(param, optimizer, stages, gradient, span)

    advance = contract.advance
    monkeypatch.setattr(contract, "advance", observed)
    contract.measure_reload("rmda", **RELOAD)
    half, rest = range(runs.STEPS // 2), range(runs.STEPS // 2, runs.STEPS)
    assert [(span, count) for span, count, _ in seen[:3]] == [(half, 0), (rest, len(half)), (rest, len(half))]
    assert [dtype for *_, dtype in seen] == [
        d for d in (torch.float64, torch.float32, torch.bfloat16) for _ in range(3)
    ]


class Opaque(RMDA):
    """Saves, beside its state, an object that no one who loads numbers alone can read."""

    def state_dict(self):
        return {**super().state_dict(), "opaque": Fraction(1, 2)}

    def load_state_dict(self, state_dict):
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "opaque"})


def test_what_was_saved_holds_nothing_but_numbers(monkeypatch):
    monkeypatch.setitem(CLASSES, "rmda", Opaque)
    with pytest.raises(UnpicklingError, match="Fraction"):
        contract.measure_reload("rmda", **RELOAD)


def test_weights_that_are_not_numbers_are_a_finding(monkeypatch):
    class Lost(RMDA):
        def step(self, closure=None):
            super().step(closure)
            self.param_groups[0]["params"][0].detach().view(-1)[0] = torch.nan

    monkeypatch.setitem(CLASSES, "rmda", Lost)
    with pytest.raises((ArithmeticError, ValueError)):
        contract.measure_reload("rmda", **{**RELOAD, "milestones": []})


class Swapped(RMDA):
    """In one step the structured iterate is off by ``by``, as shown or as swapped in, or W stays changed."""

    at, fault, by = 3, "", 0.0

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.count = 0
        self.observers.append(self.look)

    def look(self, param, w_hat):
        if self.fault == "shown" and self.count == self.at - 1:
            w_hat.view(-1)[-1] += self.by

    def step(self, closure=None):
        super().step(closure)
        self.count += 1

    def structured_iterate_swapped_in(self):
        return Inside(self, super().structured_iterate_swapped_in())


class Inside:
    def __init__(self, optimizer, context):
        self.optimizer, self.context = optimizer, context
        self.now = optimizer.count == optimizer.at
        self.param = optimizer.param_groups[0]["params"][0].detach().view(-1)

    def __enter__(self):
        self.context.__enter__()
        if self.now and self.optimizer.fault == "recomputed":
            self.param[-1] += self.optimizer.by

    def __exit__(self, *error):
        self.context.__exit__(*error)
        if self.now and self.optimizer.fault == "W":
            self.param[-1] += self.optimizer.by


ITERATE = {"regularizer": GroupLasso(0.02), "shape": (3, 4), "seed": 1, "milestones": [], **CASE}


@pytest.mark.parametrize("optimizer", METHODS)
def test_a_structured_iterate_is_that_of_the_transcription(optimizer):
    assert contract.measure_structured_iterate(optimizer, **ITERATE).violation < 1e-13


@pytest.mark.parametrize("at", [1, 4, 10])
@pytest.mark.parametrize("fault", ["shown", "recomputed"])
def test_a_structured_iterate_is_off_relative_to_its_size(monkeypatch, at, fault):
    """Or to that of W, where that is larger."""
    monkeypatch.setitem(CLASSES, "rmda", type("Off", (Swapped,), {"at": at, "fault": fault, "by": 1e-3}))
    found = contract.measure_structured_iterate("rmda", **ITERATE)
    literal = TRANSCRIPTIONS["rmda"](
        np.random.default_rng(1).standard_normal((3, 4)),
        **settings_of("rmda", **CASE),
        solve=lambda B, D, lam: float_subproblem.solve(B, D, lam, GroupLasso(0.02)),
    )
    for t in range(at):
        literal.step(gradients((3, 4), 1)(t, literal.W))
    scale = max(np.abs(literal.structured).max(), np.abs(literal.W).max())
    assert found.violation == pytest.approx(1e-3 / scale, rel=1e-6)
    assert found.note == f"Ŵ {fault} is 0.001 off at step {at}"


def test_a_weight_that_stays_changed_is_found(monkeypatch):
    monkeypatch.setitem(CLASSES, "rmda", type("Off", (Swapped,), {"fault": "W", "by": 1e-15}))
    found = contract.measure_structured_iterate("rmda", **ITERATE)
    assert (found.violation, found.note) == (np.inf, "W changed at step 3")


class Nudged(RMDA):
    """Moves W, or what is shown of Ŵ, in one step at the end of which nothing follows from it."""

    at, what, by = runs.STEPS, "W", 0.0
    #: The largest weight after each step, where a list is given.
    sizes: list[float] | None = None

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.count = 0
        self.observers.append(self.look)

    def look(self, param, w_hat):
        self.count += 1
        if self.what == "Ŵ" and self.count == self.at:
            w_hat.view(-1)[-1] += self.by

    def step(self, closure=None):
        super().step(closure)
        if self.what == "W" and self.count == self.at:
            self.param_groups[0]["params"][0].detach().view(-1)[-1] += self.by
        if self.sizes is not None:
            self.sizes.append(float(self.param_groups[0]["params"][0].detach().abs().max()))


TRANSCRIBED = {"regularizer": GroupLasso(0.02), "shape": (3, 4), "seed": 1, "milestones": [10, 30], **CASE}


@pytest.mark.parametrize("optimizer", METHODS)
def test_a_run_follows_its_transcription(optimizer):
    assert 0 < steps.measure_transcription(optimizer, **TRANSCRIBED).violation < 1e-12


def test_a_run_with_the_nuclear_norm_follows_its_transcription():
    case = {**TRANSCRIBED, "regularizer": NuclearNorm(0.05), "shape": (3, 2), "milestones": []}
    assert steps.measure_transcription("rmda", **case).violation < 1e-10


@pytest.mark.parametrize("what", ["W", "Ŵ"])
def test_a_deviation_from_the_transcription_is_relative_to_the_largest_weight(monkeypatch, what):
    seen: list[float] = []
    monkeypatch.setitem(CLASSES, "rmda", type("Off", (Nudged,), {"what": what, "by": 1e-2, "sizes": seen}))
    found = steps.measure_transcription("rmda", **TRANSCRIBED)
    start = np.abs(np.random.default_rng(2).standard_normal((3, 4))).max()
    assert max(seen) <= start  # W begins farthest from zero
    assert found.violation == pytest.approx(1e-2 / start, rel=1e-9)
    assert found.note == "largest deviation 0.01 at step 50"


def test_a_run_that_is_not_a_number_does_not_follow(monkeypatch):
    monkeypatch.setitem(CLASSES, "rmda", type("Off", (Nudged,), {"by": np.nan}))
    assert steps.measure_transcription("rmda", **TRANSCRIBED).violation == np.inf
    assert steps.measure_parent("rmda", (2, 3), 1, **CASE).violation == np.inf


@pytest.mark.parametrize("optimizer", METHODS)
@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_a_method_without_a_regularizer_is_its_parent(optimizer, shape):
    assert steps.measure_parent(optimizer, shape, 1, **CASE).violation < 1e-12


@pytest.mark.parametrize("at", [1, runs.STEPS])
def test_a_deviation_from_the_parent_is_relative_to_the_largest_weight(monkeypatch, at):
    """Of a step with momentum 1, which keeps nothing of the weight before: the move shows in its step alone."""
    largest: list[float] = []
    monkeypatch.setitem(CLASSES, "rmda", type("Off", (Nudged,), {"at": at, "by": 10.0, "sizes": largest}))
    monkeypatch.setattr(steps, "gradients", lambda shape, seed: lambda t, W: np.full(shape, 1e-3 * (t + 1)))
    found = steps.measure_parent("rmda", (2, 3), 1, lr=0.1, momentum=1.0, decay=0.0, amsgrad=False)
    assert found.violation == pytest.approx(10 / max(largest), rel=1e-9)
    assert found.note == f"largest deviation 10 at step {at}"


def test_a_decay_is_compared_where_the_parent_has_one(monkeypatch):
    """Of ProxGen, whose parent is AdamW; a ProxGen that forgets it is found."""

    class WithoutDecay(ProxGen):
        def __init__(self, params, weight_decay, **settings):
            super().__init__(params, **settings)

    monkeypatch.setitem(CLASSES, "proxgen", WithoutDecay)
    assert steps.measure_parent("proxgen", (2, 3), 1, **CASE).violation > 1e-3
    assert steps.measure_parent("proxgen", (2, 3), 1, **{**CASE, "decay": 0.0}).violation < 1e-12


def test_an_entry_alone_has_a_transcription():
    case = {**TRANSCRIBED, "regularizer": Zero(), "shape": (1,), "milestones": [1]}
    assert steps.measure_transcription("ramda", **case).violation < 1e-12
