"""reg_weight_max: closed forms, both sides of the threshold, and that the network is left as it was."""

import math

import pytest
import torch
from torch import nn

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, ProxSGD, Zero, parameter_groups, reg_weight_max
from solvers.networks.weights import RegWeightMax, WeightMax, smallest_killing_factor
from tests.registry import at_weight, weighted
from tests.solvers.test_batch_norm import assert_unchanged, everything
from tests.solvers.test_structure_levels import Wrapper

DATA = [(torch.randn(8, 6), torch.randint(0, 3, (8,))) for _ in range(3)]


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def gradient_of(model, weight):
    """The mean gradient by plain autograd over all data at once."""
    features, labels = (torch.cat(parts) for parts in zip(*DATA, strict=True))
    (gradient,) = torch.autograd.grad(loss(model, (features, labels)), weight)
    return gradient.double()


def largest(groups):
    """max over groups (the rows) of the norm over the square root of the size."""
    return float((groups.norm(dim=1) / math.sqrt(groups.shape[1])).max())


def matrix():
    return nn.Linear(6, 3, bias=False)


class Blocks(nn.Module):
    """A convolution with groups as a linear layer: 6 inputs to 4 outputs in two blocks."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 4, 1, groups=2, bias=False)

    def forward(self, x):
        return self.conv(x.unsqueeze(-1)).squeeze(-1)


CLOSED_FORMS = [
    pytest.param(matrix, L1(0.7), lambda g: g.abs().max(), id="l1"),
    pytest.param(matrix, GroupLasso(0.01, "input"), lambda g: largest(g.mT), id="columns"),
    pytest.param(matrix, GroupLasso(3.0, "output"), largest, id="rows"),
    pytest.param(matrix, NuclearNorm(0.2), lambda g: torch.linalg.matrix_norm(g, 2), id="nuclear"),
    pytest.param(matrix, L1(0.0), lambda g: g.abs().max(), id="weight-zero"),
    pytest.param(
        Blocks, GroupLasso(1.0, "channel"), lambda g: largest(g.reshape(2, 2, 3).mT.reshape(6, 2)), id="conv-groups"
    ),
]


@pytest.mark.parametrize(("build", "psi", "closed_form"), CLOSED_FORMS)
def test_closed_forms_to_a_millionth_from_above(build, psi, closed_form):
    model = build()
    (weight,) = model.parameters()
    groups = parameter_groups(model, **{"convolution" if build is Blocks else "linear": psi})
    (found,) = reg_weight_max(model, loss, DATA, groups).values()
    exact = float(closed_form(gradient_of(model, weight)))
    # The gradient is a float32 sum in another order.
    assert exact * (1 - 1e-6) <= found <= exact * (1 + 3e-6)


@pytest.mark.parametrize("psi", [*weighted(1.0, "convex"), GroupLasso(1.0, "output")], ids=repr)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(3))
def test_a_step_from_zero_on_both_sides(psi, dtype, seed):
    torch.manual_seed(seed)
    param = nn.Parameter(torch.zeros(5, 7, dtype=dtype))
    gradient = (torch.randn(5, 7) * 10 ** torch.empty(5, 7).uniform_(-3, 3)).to(dtype)

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = param

    found = reg_weight_max(
        Holder(), lambda model, g: (model.weight * g).sum(), [gradient], [{"params": param, "regularizer": psi}]
    )
    for factor, zero in ((1.001, True), (0.999, False)):
        optimizer = ProxSGD([param], lr=0.5, momentum=1.0, regularizer=at_weight(psi, factor * found["weight"]))
        param.grad = gradient.clone()
        optimizer.step()
        assert (param == 0).all().item() == zero
        with torch.no_grad():
            param.zero_()


class Own:
    """psi(w) = 2*sum |w_i| + 1/2 sum w_i^2, with nothing but what a regularizer must have."""

    def value(self, w):
        return 2 * w.abs().sum() + 0.5 * w.square().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - 2 * step).clamp_min(0) / (1 + step)


class Ball:
    """The indicator of the unit ball around one point or another: zero is in the first and not in the second."""

    def __init__(self, centre):
        self.centre = centre

    def value(self, w):
        return w.new_zeros(())

    def prox(self, w, step):
        return torch.full_like(w, self.centre)


def test_any_regularizer_by_its_prox_alone():
    model = matrix()
    group = {"params": [model.weight], "regularizer": Own()}
    found = reg_weight_max(model, loss, DATA, [group])
    assert found["weight"] == pytest.approx(float(gradient_of(model, model.weight).abs().max()) / 2, rel=3e-6)
    assert found.rows[0].factor == found.rows[0].reg_weight
    for centre, expected in ((0.0, 0.0), (1.0, math.inf)):
        group["regularizer"] = Ball(centre)
        assert reg_weight_max(model, loss, DATA, [group])["weight"] == expected


@pytest.mark.parametrize("scale", [1e-290, 1e-30, 1.0, 1e30, 1e290])
def test_gradients_of_every_size(scale):
    param = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))
    model = nn.ParameterList([param])
    groups = [{"params": [param], "regularizer": L1(1.0)}]
    found = reg_weight_max(model, lambda model, factor: factor * 3 * model[0].sum(), [scale], groups)
    assert found["0"] == pytest.approx(3 * scale, rel=2e-6)


@pytest.mark.parametrize("gradient", [1.0, 3e-320, 1.5e-323, 5e-324, 2.3e-308])
def test_gradients_of_one_and_denormal_ones_are_weighed_in_few_steps(gradient):
    """The bisection ends where no number is left between its bounds."""

    class Counted(L1):
        calls = 0

        def prox(self, w, step):
            Counted.calls += 1
            assert Counted.calls < 1000
            return super().prox(w, step)

    assert smallest_killing_factor(Counted(1.0), torch.tensor([gradient, 0.0], dtype=torch.float64)) == gradient


def test_a_regularizer_of_one_side_is_asked_for_a_step_down_the_gradient():
    """psi(w) = sum w for w >= 0: a positive gradient makes zero anyway, a negative one from its size on."""

    class Positive:
        def value(self, w):
            return torch.where((w >= 0).all(), w.sum(), math.inf)

        def prox(self, w, step):
            return (w - step).clamp_min(0)

    assert smallest_killing_factor(Positive(), torch.tensor([2.0, 0.0])) == 0.0
    assert smallest_killing_factor(Positive(), torch.tensor([-2.0, 3.0])) == pytest.approx(2.0, rel=2e-6)


class Lost:
    """A regularizer whose weight is zero and cannot be varied."""

    reg_weight = 0.0

    def value(self, w):
        return w.new_zeros(())

    def prox(self, w, step):
        return w


def test_the_weight_of_a_row_is_its_factor_times_that_of_the_regularizer():
    model = matrix()
    for psi, weight in ((L1(0.5), 0.5), (L1(0.0), 1.0), (Own(), 1.0)):
        (row,) = reg_weight_max(model, loss, DATA, [{"params": [model.weight], "regularizer": psi}]).rows
        assert row.regularizer == (L1(1.0) if psi == L1(0.0) else psi)
        assert row.reg_weight == row.factor * weight
    (row,) = reg_weight_max(model, loss, DATA, [{"params": [model.weight], "regularizer": Lost()}]).rows
    assert row.factor == row.reg_weight == math.inf


def test_printed_form_has_the_smallest_the_median_and_the_largest():
    found = RegWeightMax([WeightMax(str(weight), L1(1.0), weight, weight) for weight in (4.0, 1.0, 8.0, 2.0, 2.5)])
    line = str(found).splitlines()[-1]
    assert "1.00e+00 (smallest), 2.50e+00 (median), 8.00e+00 (largest)" in line
    assert "start between 1e-02 and 1e-01" in line


def test_no_gradient_needs_no_weight():
    model = nn.ModuleDict({"used": nn.Linear(6, 3), "unused": nn.Linear(2, 2)})
    found = reg_weight_max(model, lambda model, batch: loss(model["used"], batch), DATA)
    assert found["unused.weight"] == 0.0
    assert found["used.weight"] > 0


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
def test_a_layer_without_inputs_needs_no_weight():
    model = nn.Sequential(nn.Linear(0, 6), nn.Linear(6, 3))
    nn.init.ones_(model[0].bias)
    data = [(torch.ones(8, 0), DATA[0][1])]
    for regularizer in (GroupLasso(1.0, "input"), NuclearNorm(1.0), L1(1.0)):
        found = reg_weight_max(model, loss, data, parameter_groups(model, linear=regularizer))
        assert found["0.weight"] == 0.0
        assert found["1.weight"] > 0
        assert min(found.start().values())[0] > 0


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[0].weight.grad = torch.full_like(model[0].weight, 0.5)
    kept = model[0].weight.grad
    model.train(training)
    before = everything(model)
    reg_weight_max(model, loss, DATA)
    assert_unchanged(model, before)
    assert model[0].weight.grad is kept
    assert kept.eq(0.5).all()
    assert model[3].weight.grad is None

    def failing(model, batch):
        raise ZeroDivisionError(model(batch[0]))

    with pytest.raises(ZeroDivisionError):
        reg_weight_max(model, failing, DATA)
    assert_unchanged(model, before)
    with torch.no_grad():
        assert len(reg_weight_max(model, loss, DATA)) == 2


def test_what_tells_of_the_regularizers():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    groups = parameter_groups(model, linear=L1(0.5), overrides={"1.weight": GroupLasso(0.2, "output")})
    optimizer = RAMDA(groups)
    expected = dict(reg_weight_max(model, loss, DATA, groups))
    assert list(expected) == ["0.weight", "1.weight"]
    for told in (list(groups), optimizer, Wrapper(optimizer, "_optimizer"), optimizer.param_groups):
        assert dict(reg_weight_max(model, loss, DATA, told)) == expected
    default = reg_weight_max(model, loss, DATA)
    assert [row.regularizer for row in default.rows] == [GroupLasso(1.0, "input")] * 2
    assert default["1.weight"] != expected["1.weight"]


def test_frozen_and_free_parameters_have_no_weight():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    model[0].weight.requires_grad_(False)
    optimizer = RAMDA([{"params": model.parameters(), "regularizer": L1(1.0)}])
    assert list(reg_weight_max(model, loss, DATA, optimizer)) == ["0.bias", "1.weight", "1.bias"]
    for nothing in (RAMDA(model.parameters()), [{"params": model.parameters(), "regularizer": Zero()}]):
        with pytest.raises(ValueError, match="groups must regularize a parameter"):
            reg_weight_max(model, loss, DATA, nothing)


def test_printed_form_has_the_range_to_start_from():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    found = reg_weight_max(model, loss, DATA)
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines] == ["0.weight", "1.weight", "GroupLasso:"]
    low, high = found.start()["GroupLasso"]
    assert f"start between {low:.0e} and {high:.0e}" in lines[-1]
    assert 0 < low < high < min(found.values())


def test_a_weight_of_zero_or_infinity_is_no_start():
    model = nn.ModuleDict({"used": nn.Linear(6, 3), "unused": nn.Linear(2, 2)})
    groups = [
        {"params": [model["used"].weight, model["unused"].weight], "regularizer": L1(1.0)},
        {"params": [model["used"].bias], "regularizer": Ball(1.0)},
    ]
    found = reg_weight_max(model, lambda model, batch: loss(model["used"], batch), DATA, groups)
    assert found.start() == {"L1": pytest.approx((0.01 * found["used.weight"], 0.1 * found["used.weight"]))}
    assert str(found).splitlines()[-1].endswith("inf (largest) on")


BAD = [
    pytest.param({"batches": []}, ValueError, "batches must hold at least one batch", id="no-batch"),
    pytest.param({"loss": 1.0}, TypeError, "loss must be a function", id="loss-number"),
    pytest.param({"loss": lambda model, b: model(b[0])}, ValueError, "loss must return a scalar", id="loss-vector"),
    pytest.param(
        {"loss": lambda model, b: torch.ones(())}, ValueError, "loss must return a scalar", id="loss-constant"
    ),
    pytest.param({"loss": lambda model, b: 1.0}, ValueError, "loss must return a scalar tensor", id="loss-float"),
    pytest.param(
        {"loss": lambda model, b: loss(model, b) / 0},
        ValueError,
        r"gradient of 0\.weight must be finite",
        id="infinite",
    ),
    pytest.param({"model": [matrix()]}, TypeError, "model must be a torch.nn.Module", id="model"),
    pytest.param({"groups": L1(1.0)}, TypeError, "optimizer must be", id="regularizer"),
    pytest.param({"groups": [{"regularizer": L1(1.0)}]}, TypeError, "groups must be parameter groups", id="no-params"),
    pytest.param({"groups": [L1(1.0)]}, TypeError, "groups must be parameter groups", id="list"),
    pytest.param(
        {"groups": [{"params": nn.Parameter(torch.ones(1)), "regularizer": L1(1.0)}]},
        ValueError,
        "groups must have parameters of model",
        id="other-network",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input(change, error, message):
    given = {"model": nn.Sequential(matrix()), "loss": loss, "batches": DATA, **change}
    with pytest.raises(error, match=message):
        reg_weight_max(**given)
