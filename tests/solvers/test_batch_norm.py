"""Ŵ with running statistics of its own, and nothing else changed: recomputation, its context, materialize."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from solvers import (
    RAMDA,
    GroupLasso,
    ProxSGD,
    batch_norm_recomputed,
    materialize,
    parameter_groups,
    recompute_batch_norm,
    structure_levels,
)
from solvers.evaluation.forward import run_forward
from solvers.networks import batch_norm_advice
from tests.solvers.test_structure_levels import Wrapper


def network(momentum=0.1, dropout=0.0):
    layers = [
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Flatten(), nn.Linear(4 * 36, 6), nn.BatchNorm1d(6, momentum=momentum), nn.Linear(6, 3)),
    ]
    return nn.Sequential(*layers)


def batches(count=5, size=16):
    return [2 * torch.randn(size, 1, 8, 8) + 1 for _ in range(count)]


def everything(model):
    """All that must not change: buffers and parameters with their identity, modes, momenta, hooks, generator."""
    return {
        "tensors": [(id(t), t.clone()) for t in (*model.buffers(), *model.parameters())],
        "modes": [module.training for module in model.modules()],
        "momenta": [getattr(module, "momentum", None) for module in model.modules()],
        "hooks": [len(module._forward_pre_hooks) for module in model.modules()],
        "generator": torch.get_rng_state(),
    }


def assert_unchanged(model, before):
    after = everything(model)
    for (identity, value), (old_identity, old) in zip(after.pop("tensors"), before["tensors"], strict=True):
        assert identity == old_identity
        assert value.view(-1).view(torch.uint8).equal(old.view(-1).view(torch.uint8))
    assert torch.equal(after.pop("generator"), before["generator"])
    assert after == {key: before[key] for key in after}


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_statistics_are_those_of_torch(momentum):
    model, data = network(momentum), batches()
    model(data[0])
    expected = copy.deepcopy(model)
    update_bn(data, expected)
    assert recompute_batch_norm(model, data) == 2
    for (name, found), right in zip(model.named_buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-6, atol=1e-7, msg=name)
    assert [layer.momentum for layer in model if hasattr(layer, "momentum")] == [momentum] * 2


def test_statistics_are_plain_averages():
    layer, data = nn.BatchNorm1d(3), [torch.randn(7, 3) for _ in range(4)]
    recompute_batch_norm(layer, iter(data))
    torch.testing.assert_close(layer.running_mean, torch.stack([x.mean(0) for x in data]).mean(0))
    torch.testing.assert_close(layer.running_var, torch.stack([x.var(0) for x in data]).mean(0))
    assert layer.num_batches_tracked == 4


def test_instance_norm_that_keeps_statistics():
    layer, data = nn.InstanceNorm1d(2, track_running_stats=True), [torch.randn(5, 2, 9) for _ in range(3)]
    assert recompute_batch_norm(layer, data) == 1
    torch.testing.assert_close(layer.running_mean, torch.stack([x.mean((0, 2)) for x in data]).mean(0))


def test_a_layer_that_is_called_twice_counts_every_call():
    layer, x = nn.BatchNorm1d(2), torch.randn(6, 2)
    model = nn.Sequential(layer, nn.Linear(2, 2), layer)
    recompute_batch_norm(model, [x])
    with torch.no_grad():
        inner = model[1](nn.functional.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(layer.running_mean, (x.mean(0) + inner.mean(0)) / 2)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_context_leaves_no_trace(training, momentum):
    model, data = network(momentum, dropout=0.5), batches()
    model(data[0])
    model.train(training)
    model[1].eval()  # one layer in another mode than the rest
    before = everything(model)
    means = model[1].running_mean.clone()
    with batch_norm_recomputed(model, data):
        assert not torch.equal(model[1].running_mean, means)
        assert [module.training for module in model.modules()] == before["modes"]
        assert torch.equal(torch.get_rng_state(), before["generator"])
    assert_unchanged(model, before)


def test_the_context_restores_after_an_exception():
    model, data = network(), batches()
    before = everything(model)
    with pytest.raises(ZeroDivisionError), batch_norm_recomputed(model, data):
        raise ZeroDivisionError
    assert_unchanged(model, before)


class _Failing(nn.Module):
    def forward(self, x):
        if x.mean() > 50:
            raise ZeroDivisionError
        return x


@pytest.mark.parametrize("do", [recompute_batch_norm, lambda *a: batch_norm_recomputed(*a).__enter__()])
def test_a_forward_pass_that_fails_leaves_no_trace(do):
    # Dropout draws before the failure, which comes whatever it drew: the mean behind the norm is its bias.
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2), _Failing())
    model[1].running_var.fill_(3e-39)  # a denormal, and what arithmetic would lose
    model[1].running_mean.fill_(float("nan"))
    with torch.no_grad():
        model[1].bias.fill_(100.0)
    data = [torch.randn(4, 2)]
    before = everything(model)
    with pytest.raises(ZeroDivisionError):
        do(model, data)
    assert_unchanged(model, before)


def test_only_running_statistics_change():
    class Counting(nn.Module):
        calls: torch.Tensor

        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls = self.calls + 1
            return x

    model = nn.Sequential(Counting(), nn.BatchNorm1d(2))
    calls = model[0].calls
    recompute_batch_norm(model, [torch.randn(4, 2)])
    assert model[0].calls is calls
    assert calls == 0
    assert model[1].num_batches_tracked == 1


def test_a_layer_that_no_batch_reaches_keeps_its_own():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.BatchNorm1d(2), nn.BatchNorm1d(2)

        def forward(self, x):
            return self.used(x)

    model = Branch()
    model.unused.running_mean.fill_(7.0)
    assert recompute_batch_norm(model, [torch.randn(4, 2)]) == 1
    assert model.unused.running_mean.tolist() == [7.0, 7.0]


def test_infinite_statistics_are_forgotten():
    layer = nn.BatchNorm1d(2)
    layer.running_mean.fill_(float("nan"))
    recompute_batch_norm(layer, [torch.randn(4, 2)])
    assert layer.running_mean.isfinite().all()


@pytest.mark.parametrize("kind", ["tensor", "tuple", "list", "mapping", "own"])
def test_kinds_of_batches(kind):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

        def forward(self, features):
            return self.norm(features)

    model, data = Model(), [torch.randn(5, 2) for _ in range(3)]
    wrapped = {
        "tensor": data,
        "tuple": [(x, torch.zeros(5)) for x in data],
        "list": [[x, "labels"] for x in data],
        "mapping": [{"features": x} for x in data],
        "own": [{"x": x, "y": None} for x in data],
    }[kind]
    options = {"forward": lambda model, batch: model(batch["x"])} if kind == "own" else {}
    recompute_batch_norm(model, wrapped, **options)
    torch.testing.assert_close(model.norm.running_mean, torch.stack([x.mean(0) for x in data]).mean(0))


@pytest.mark.parametrize("given", [torch.ones(3, 4), (torch.ones(3, 4), "target"), {"input": torch.ones(3, 4)}])
@pytest.mark.parametrize("layer", [nn.Linear(4, 2), nn.BatchNorm1d(4, affine=False)], ids=["parameter", "buffer"])
def test_a_batch_goes_to_the_device_of_the_network(given, layer):
    found = run_forward(layer.to("meta"), given)
    assert isinstance(found, torch.Tensor)
    assert found.device.type == "meta"


def test_a_network_without_tensors_takes_a_batch_as_it_is():
    assert torch.equal(run_forward(nn.ReLU(), [-torch.ones(2)]), torch.zeros(2))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "batches must hold at least one batch"),
        ([()], ValueError, "got an empty tuple"),
        (torch.randn(4, 1, 8, 8), TypeError, "batches must be an iterable of batches, got one Tensor"),
        ({"input": torch.randn(4, 1, 8, 8)}, TypeError, "batches must be an iterable of batches, got one dict"),
    ],
    ids=["none", "empty", "tensor", "mapping"],
)
def test_bad_batches(given, error, message):
    model = network()
    before = everything(model)
    optimizer = RAMDA(model.parameters())
    for do in (recompute_batch_norm, lambda *a: materialize(a[0], optimizer, a[1])):
        with pytest.raises(error, match=message):
            do(model, given)
        assert_unchanged(model, before)


def test_networks_without_statistics_need_no_batches():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False), nn.LayerNorm(2))
    assert batch_norm_advice(model) is None
    assert recompute_batch_norm(model, []) == 0
    with batch_norm_recomputed(model, []), warnings.catch_warnings():
        warnings.simplefilter("error")
        materialize(model, RAMDA(model.parameters()))


@pytest.mark.parametrize(("count", "counted"), [(1, "1 normalisation layer are"), (2, "2 normalisation layers are")])
def test_the_advice_counts_the_layers(count, counted):
    assert counted in batch_norm_advice(nn.Sequential(*(nn.BatchNorm1d(2) for _ in range(count))))


def test_a_lazy_layer_needs_a_forward_pass():
    with pytest.raises(ValueError, match=r"statistics of 0 have no shape yet.* forward pass first"):
        recompute_batch_norm(nn.Sequential(nn.LazyBatchNorm1d()), [torch.randn(4, 2)])


def training_set():
    """Images of three classes, whose mean and size are far from those that BatchNorm begins with."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (384,), generator=generator)
    patterns = torch.randn(3, 1, 8, 8, generator=generator)
    return 5 + 3 * (patterns[labels] + 0.7 * torch.randn(384, 1, 8, 8, generator=generator)), labels


def accuracy(model, images, labels):
    modes = [module.training for module in model.modules()]
    model.eval()
    with torch.no_grad():
        found = (model(images).argmax(1) == labels).float().mean().item()
    for module, training in zip(model.modules(), modes, strict=True):
        module.training = training
    return found


def trained():
    """A network with BatchNorm in the middle of training, where W is an average that lags behind Ŵ."""
    torch.manual_seed(0)
    model, (images, labels) = network(), training_set()
    groups = parameter_groups(model, linear=GroupLasso(1e-3), convolution=GroupLasso(1e-3, "channel"))
    optimizer = RAMDA(groups, lr=0.03, momentum=0.003)
    for _ in range(8):
        for batch in torch.randperm(384).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model, optimizer, images, labels


@pytest.fixture(scope="module")
def mid_training():
    """The same, once it has given its advice."""
    found = trained()
    with pytest.warns(UserWarning, match="recompute_batch_norm"), found[1].structured_iterate_swapped_in():
        pass
    return found


def test_w_hat_is_good_with_statistics_of_its_own(mid_training):
    model, optimizer, images, labels = mid_training
    before = everything(model)
    with optimizer.structured_iterate_swapped_in():
        borrowed = accuracy(model, images, labels)
        with batch_norm_recomputed(model, [(images[i : i + 64], labels[i : i + 64]) for i in range(0, 384, 64)]):
            own = accuracy(model, images, labels)
        assert accuracy(model, images, labels) == borrowed
    assert_unchanged(model, before)
    assert borrowed < 0.75
    assert own > 0.9


def test_materialize_writes_w_hat_for_good(mid_training):
    model, optimizer, images, labels = copy.deepcopy(mid_training)
    structured = optimizer.structured_iterate()
    dense = structure_levels(optimizer, of="parameters")["GroupLasso"]
    modes = [module.training for module in model.modules()]
    levels = materialize(model, Wrapper(optimizer, "optimizer"), images.split(64))
    assert levels == structure_levels(optimizer)
    assert levels.of == "parameters"
    assert dense.zeros == 0
    assert all(torch.equal(param, structured[param]) for param in model.parameters())
    assert accuracy(model, images, labels) > 0.9
    assert [module.training for module in model.modules()] == modes

    # Training goes on from there.
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    assert all(param.isfinite().all() for param in model.parameters())


def test_materialize_without_batches_gives_advice(mid_training):
    model, optimizer, *_ = copy.deepcopy(mid_training)
    buffers = [buffer.clone() for buffer in model.buffers()]
    with pytest.warns(UserWarning, match="running statistics of 2 normalisation layers are those of W") as caught:
        materialize(model, optimizer)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert all(torch.equal(old, new) for old, new in zip(buffers, model.buffers(), strict=True))


def test_materialize_that_fails_changes_nothing(mid_training):
    model, optimizer, images, _ = copy.deepcopy(mid_training)
    before = everything(model)

    def broken():
        yield images[:64]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        materialize(model, optimizer, broken())
    assert_unchanged(model, before)


def test_materialize_into_another_network():
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    with pytest.raises(ValueError, match="optimizer must have parameters of model"):
        materialize(other, ProxSGD(model.parameters(), lr=0.1))
    with pytest.raises(TypeError, match="model must be"):
        materialize(ProxSGD(model.parameters(), lr=0.1), model)
    with pytest.raises(TypeError, match="optimizer must be a StructuredOptimizer"):
        materialize(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_swapping_in_recomputes_and_restores():
    """The network is that of the parameter groups, or the one that is named."""
    model, optimizer, images, labels = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.warns(UserWarning, match="recompute_batch_norm"), optimizer.structured_iterate_swapped_in():
        plain = accuracy(model, images, labels)
    loader = images.split(128)
    for options in ({}, {"model": model}):
        with optimizer.structured_iterate_swapped_in(recompute_batch_norm=loader, **options):
            assert accuracy(model, images, labels) > plain + 0.1
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match="in the middle"), optimizer.structured_iterate_swapped_in(loader):
        raise RuntimeError("in the middle")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_swapping_in_needs_to_know_the_network():
    optimizer = RAMDA(network().parameters())
    with (
        pytest.raises(ValueError, match="recompute_batch_norm needs the network: pass model="),
        optimizer.structured_iterate_swapped_in(recompute_batch_norm=[torch.ones(4, 3)]),
    ):
        pass
