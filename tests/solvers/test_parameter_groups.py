"""Parameter groups of a network with every kind of layer, and how much structure it has."""

import copy
import gc
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, parameter_groups, structure_levels

LINEAR, CONVOLUTION, RECURRENT, ATTENTION = GroupLasso(1.0), GroupLasso(2.0, "channel"), L1(3.0), NuclearNorm(4.0)


class Everything(nn.Module):
    """One layer of each kind, and one weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.conv1 = nn.Conv1d(2, 3, 3)
        self.conv2 = nn.Conv2d(2, 3, 3)
        self.conv3 = nn.Conv3d(2, 3, 3)
        self.lstm = nn.LSTM(4, 5)
        self.gru = nn.GRUCell(4, 5)
        self.attention = nn.MultiheadAttention(4, 2)
        self.norm = nn.LayerNorm(4)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.head = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
        self.scale = nn.Parameter(torch.ones(()))


EXPECTED = {
    "conv1.weight": CONVOLUTION,
    "conv2.weight": CONVOLUTION,
    "conv3.weight": CONVOLUTION,
    "lstm.weight_ih_l0": RECURRENT,
    "lstm.weight_hh_l0": RECURRENT,
    "gru.weight_ih": RECURRENT,
    "gru.weight_hh": RECURRENT,
    "attention.in_proj_weight": ATTENTION,
    "attention.out_proj.weight": ATTENTION,
    "first.weight": LINEAR,
    "head.0.weight": LINEAR,
}
KINDS = {"linear": LINEAR, "convolution": CONVOLUTION, "recurrent": RECURRENT, "attention": ATTENTION}


def assigned(groups):
    return {name: group["regularizer"] for group in groups for name, _ in group["params"]}


def test_every_kind_of_layer():
    model = Everything()
    groups = parameter_groups(model, **KINDS)
    found = assigned(groups)
    assert {name: regularizer for name, regularizer in found.items() if regularizer is not None} == EXPECTED
    assert found.keys() == dict(model.named_parameters()).keys()
    assert len(groups) == 5
    assert "second.weight" not in found
    identities = [id(param) for group in groups for _, param in group["params"]]
    assert len(identities) == len(set(identities))


def test_nothing_chosen_is_one_free_group():
    groups = parameter_groups(Everything())
    assert [group["regularizer"] for group in groups] == [None]


def test_biases_norms_and_embeddings_are_free():
    found = assigned(parameter_groups(Everything(), **KINDS))
    free = {name for name, regularizer in found.items() if regularizer is None}
    assert {"embedding.weight", "norm.weight", "norm.bias", "first.bias", "lstm.bias_ih_l0", "gru.bias_hh"} <= free
    assert {"attention.in_proj_bias", "attention.out_proj.bias", "head.1.weight", "scale", "conv2.bias"} <= free


def test_first_matching_override_holds():
    overrides = {"head.0.*": None, "head.*": L1(9.0), "embedding.weight": NuclearNorm(0.5)}
    found = assigned(parameter_groups(Everything(), **KINDS, overrides=overrides))
    assert found["head.0.weight"] is None
    assert found["head.1.weight"] == L1(9.0)
    assert found["embedding.weight"] == NuclearNorm(0.5)
    assert found["first.weight"] == LINEAR


def test_summary_says_what_got_what():
    lines = str(parameter_groups(Everything(), **KINDS)).splitlines()
    assert lines[0].split() == ["parameter", "shape", "layer", "regularizer"]
    assert len(lines) == 1 + len(dict(Everything().named_parameters()))
    rows = {line.split()[0]: line for line in lines[1:]}
    assert rows["conv2.weight"].split(maxsplit=3)[1:] == ["3x2x3x3", "convolution", repr(CONVOLUTION)]
    assert rows["scale"].split() == ["scale", "scalar", "other", "-"]
    assert rows["lstm.bias_ih_l0"].split()[-1] == "-"


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
@pytest.mark.parametrize("optimizer_input", [parameter_groups], ids=["groups"])
def test_an_optimizer_takes_them(optimizer_input):
    model = Everything()
    optimizer = RAMDA(optimizer_input(model, **KINDS))
    for param in model.parameters():
        param.grad = torch.randn_like(param)
    optimizer.step()
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    assert set(structure_levels(optimizer)) == {"GroupLasso", "L1", "NuclearNorm"}


BAD = [
    pytest.param({"linear": GroupLasso}, TypeError, "linear must be a regularizer object, got the class", id="class"),
    pytest.param({"attention": 0.1}, TypeError, "attention must have the methods value", id="number"),
    pytest.param({"overrides": {"head.*": "L1"}}, TypeError, r"overrides\['head.\*'\] must have", id="override-text"),
    pytest.param(
        {"overrides": {"tail.*": None}}, ValueError, r"overrides match no parameter: 'tail.\*'", id="unmatched"
    ),
    pytest.param(
        {"overrides": {"*.bias": GroupLasso(1.0)}}, ValueError, r"parameter .*bias cannot have GroupLasso", id="vector"
    ),
    pytest.param({"embedding": "L1"}, TypeError, "embedding must have the methods value", id="embedding"),
    pytest.param(
        {"convolution": GroupLasso(1.0, "channel", "in_out")},
        ValueError,
        "parameter conv1.weight cannot have GroupLasso.*layout='in_out'",
        id="layout",
    ),
    pytest.param({"dense": L1(1.0)}, TypeError, "unexpected keyword argument 'dense'", id="unknown-kind"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        parameter_groups(Everything(), **options)


def test_module_must_be_a_network():
    with pytest.raises(TypeError, match=r"module must be .*, got list"):
        parameter_groups(list(Everything().parameters()), linear=LINEAR)


@pytest.mark.parametrize("kind", ["linear", "convolution", "recurrent", "attention", "embedding"])
def test_a_kind_that_matches_nothing_is_refused(kind):
    model = nn.ModuleDict({"fc": nn.Linear(2, 2), "table": nn.Embedding(3, 2)})
    if kind in ("linear", "embedding"):
        del model[{"linear": "fc", "embedding": "table"}[kind]]
    with pytest.raises(ValueError, match=rf"{kind}=.* matches no parameter.* has (embedding|linear)"):
        parameter_groups(model, **{kind: LINEAR})


def test_a_kind_whose_weights_are_all_overridden_is_no_error():
    model = nn.Sequential(nn.Linear(2, 2))
    groups = parameter_groups(model, linear=LINEAR, overrides={"0.weight": None})
    assert [group["regularizer"] for group in groups] == [None]


def test_names_that_begin_alike():
    """fc1 is no part of fc10, and a layer that is itself the network is one layer."""
    model = nn.ModuleDict({f"fc{i}": nn.Linear(2, 3) for i in (1, 10, 100)})
    model["attn1"], model["attn10"] = nn.MultiheadAttention(4, 2), nn.Linear(4, 4)
    found = assigned(parameter_groups(model, linear=LINEAR, attention=ATTENTION))
    assert {name for name, regularizer in found.items() if regularizer == LINEAR} == {
        *(f"fc{i}.weight" for i in (1, 10, 100)),
        "attn10.weight",
    }
    alone = parameter_groups(nn.MultiheadAttention(4, 2), attention=ATTENTION)
    assert [entry.kind for entry in alone.assignments] == ["attention", "other", "attention", "other"]


@pytest.mark.parametrize(
    "overrides",
    [{"0.*": None, "0.weight": LINEAR}, {"head.weight": L1(1.0), "table.weight": None}],
    ids=["wider-first", "two-names"],
)
def test_a_pattern_that_never_holds_is_refused(overrides):
    model = Tied(True)
    model.add_module("0", nn.Linear(2, 2))
    late = list(overrides)[1]
    with pytest.raises(ValueError, match=rf"overrides\['{late}'\] never holds"):
        parameter_groups(model, overrides=overrides)
    parameter_groups(model, overrides=dict.fromkeys(overrides))


def test_projections_of_attention_apart():
    model = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)
    names = {n for n, regularizer in assigned(parameter_groups(model, attention=LINEAR)).items() if regularizer}
    assert names == {"q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CausalSelfAttention", "attention"),
        ("FlashAttention2", "attention"),
        ("WindowAttn", "attention"),
        ("AttentionBlock", "linear"),
        ("AttentionPooling", "linear"),
        ("Inattentive", "linear"),
    ],
)
def test_linear_layers_of_a_class_called_attention(name, kind):
    layers = {"qkv": nn.Linear(2, 6), "mix": nn.Sequential(nn.Linear(2, 2)), "conv": nn.Conv1d(2, 2, 1)}
    owner = type(name, (nn.Module,), {})()
    for key, layer in layers.items():
        owner.add_module(key, layer)
    kinds = {entry.name: entry.kind for entry in parameter_groups(nn.ModuleList([owner])).assignments}
    assert kinds["0.qkv.weight"] == kinds["0.mix.0.weight"] == kind
    assert kinds["0.conv.weight"] == "convolution"


class Tied(nn.Module):
    """An embedding and an output layer with one weight, registered in either order."""

    def __init__(self, embedding_first: bool) -> None:
        super().__init__()
        table, head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        head.weight = table.weight
        for name, layer in [("table", table), ("head", head)][:: 1 if embedding_first else -1]:
            self.add_module(name, layer)
        self.body = nn.Linear(4, 4)


@pytest.mark.parametrize("first", [True, False])
def test_tied_to_an_embedding_is_free_in_either_order(first):
    groups = parameter_groups(Tied(first), linear=LINEAR)
    (tied,) = (entry for entry in groups.assignments if entry.shape == (7, 4))
    assert (tied.kind, tied.regularizer) == ("embedding", None)
    other = "head" if first else "table"
    line = str(groups).splitlines()[-1]
    assert line.startswith(f"{tied.name}: counts as embedding")
    assert f"also {other}.weight" in line


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"overrides": {"head.weight": GroupLasso(1.0, "output")}}, GroupLasso(1.0, "output")),
        ({"overrides": {"table.weight": GroupLasso(1.0, "output")}}, GroupLasso(1.0, "output")),
        ({"overrides": {"head.*": L1(1.0), "table.*": L1(1.0)}}, L1(1.0)),
        ({"overrides": {"[ht]*.weight": GroupLasso(1.0, "output")}}, GroupLasso(1.0, "output")),
        ({"embedding": GroupLasso(1.0, "output")}, GroupLasso(1.0, "output")),
    ],
    ids=["by-head", "by-table", "by-either-pattern", "by-both", "by-kind"],
)
def test_either_name_of_a_tied_weight_does(first, options, expected):
    groups = parameter_groups(Tied(first), **options)
    (tied,) = (entry for entry in groups.assignments if entry.shape == (7, 4))
    assert tied.regularizer == expected
    assert sum(param.numel() == 28 for group in groups for _, param in group["params"]) == 1


@pytest.mark.parametrize("first", [True, False])
def test_a_kind_that_only_finds_tied_weights_is_refused_with_the_reason(first):
    model: Any = Tied(first)
    model.body = nn.Identity()
    with pytest.raises(ValueError, match=r"linear=.* gives no parameter a regularizer: .*counts as embedding"):
        parameter_groups(model, linear=LINEAR)


@pytest.mark.parametrize("first", [True, False])
def test_a_weight_tied_in_two_layouts(first):
    layers = [nn.Conv2d(3, 5, 2), nn.ConvTranspose2d(5, 3, 2)]
    layers[1].weight = layers[0].weight
    model = nn.Sequential(*layers[:: 1 if first else -1])
    found = parameter_groups(model, convolution=GroupLasso(1.0, "channel")).assignments
    (tied,) = (entry for entry in found if len(entry.shape) == 4)
    assert tied.regularizer == GroupLasso(1.0, "channel", "out_in")
    assert "in_out" in tied.notes[0]


def parametrized(how: str) -> nn.Module:
    layer = nn.Linear(4, 4)
    if how.startswith("new"):
        getattr(nn.utils.parametrizations, how.removeprefix("new_"))(layer)
    elif how == "own":
        nn.utils.parametrize.register_parametrization(layer, "weight", nn.Identity())
    elif how == "prune":
        prune.l1_unstructured(layer, "weight", 0.5)
    else:
        getattr(nn.utils, how)(layer)
    return layer


HOW = ["new_weight_norm", "new_spectral_norm", "new_orthogonal", "own", "prune", "weight_norm", "spectral_norm"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("how", HOW)
def test_factors_of_a_parametrized_weight(how):
    layer = parametrized(how)
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    model = nn.ModuleDict({"odd": layer, "plain": nn.Linear(4, 4)})
    groups = parameter_groups(model, linear=LINEAR)
    assert {name for name, regularizer in assigned(groups).items() if regularizer} == {"plain.weight"}
    lines = [line for line in str(groups).splitlines() if "a factor of the parametrized weight odd.weight" in line]
    factors = [
        entry for entry in groups.assignments if entry.name.startswith("odd") and not entry.name.endswith("bias")
    ]
    assert len(lines) == len(factors) >= 1
    # Looking at the network computes no weight: the spectral norm's power iteration has not moved.
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in layer.named_buffers())

    free = parameter_groups(model, overrides={factors[0].name: None})
    assert all(regularizer is None for regularizer in assigned(free).values())
    with pytest.raises(ValueError, match=rf"gives a regularizer to {factors[-1].name}, a factor of .*odd\.weight"):
        parameter_groups(model, overrides={factors[-1].name: L1(1.0)})
    with pytest.raises(ValueError, match=r"linear=.* gives no parameter a regularizer: .*a factor of"):
        parameter_groups(layer, linear=LINEAR)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_factors_in_other_layers():
    model = nn.ModuleDict(
        {
            "conv": nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 2)),
            "lstm": nn.utils.weight_norm(nn.LSTM(2, 3), "weight_hh_l0"),
            "gru": nn.utils.parametrizations.weight_norm(nn.GRUCell(2, 3), "weight_ih"),
            "table": nn.utils.parametrizations.spectral_norm(nn.Embedding(4, 3)),
            "attention": nn.utils.parametrizations.weight_norm(nn.MultiheadAttention(4, 2), "in_proj_weight"),
        }
    )
    everything = {
        "convolution": L1(1.0),
        "recurrent": L1(1.0),
        "attention": L1(1.0),
        "overrides": {"table.*": None, "conv.*": None},
    }
    groups = parameter_groups(model, **everything)
    names = {name for name, regularizer in assigned(groups).items() if regularizer}
    assert names == {"lstm.weight_ih_l0", "gru.weight_hh", "attention.out_proj.weight"}
    factors = {entry.name: entry.kind for entry in groups.assignments if any("factor" in note for note in entry.notes)}
    assert sorted(factors.values()) == ["attention"] * 2 + ["recurrent"] * 4


def test_lazy_layers_need_a_forward_pass():
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyConv1d(2, 1))
    with pytest.raises(ValueError, match=r"parameter 0\.weight has no shape yet.* forward pass first"):
        parameter_groups(model, linear=LINEAR)
    model(torch.randn(5, 4, 7))
    assert assigned(parameter_groups(model, linear=LINEAR))["0.weight"] == LINEAR


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
@pytest.mark.parametrize(
    "regularizer", [GroupLasso(1e-4, "input"), GroupLasso(1e-4, "output"), NuclearNorm(1e-4)], ids=repr
)
def test_a_layer_without_inputs_is_no_error(regularizer):
    """As the last tail of AdaptiveLogSoftmaxWithLoss where its division rounds to nothing."""
    model = nn.Sequential(nn.Linear(0, 3), nn.Linear(3, 2))
    groups = parameter_groups(model, linear=regularizer)
    assert assigned(groups)["0.weight"] == regularizer
    optimizer = RAMDA(groups)
    nn.init.ones_(model[0].bias)
    model(torch.ones(4, 0)).sum().backward()
    optimizer.step()
    assert int(optimizer.state[model[1].weight]["step"]) == 1


def test_frozen_weights_are_marked():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    lines = str(parameter_groups(model, linear=LINEAR)).splitlines()
    assert [line.endswith("(frozen)") for line in lines[1:]] == [True, True, False, False]


def test_a_regularizer_without_layouts_is_said():
    class Rows:
        """psi of the rows of a matrix."""

        def value(self, w):
            return w.flatten(1).norm(dim=1).sum()

        def prox(self, w, step):
            return w

    swapped = nn.ConvTranspose2d(2, 3, 1)
    for psi, notes in ((Rows(), 1), (NuclearNorm(1.0), 1), (L1(1.0), 0), (GroupLasso(1.0), 0)):
        assert len(parameter_groups(swapped, convolution=psi).assignments[0].notes) == notes
        assert not parameter_groups(nn.Linear(2, 3), linear=psi).assignments[0].notes
    assert "for (out, in" in parameter_groups(swapped, convolution=Rows()).assignments[0].notes[0]


def test_groups_know_their_network_but_do_not_keep_it():
    model = Everything()
    groups = parameter_groups(model, **KINDS)
    assert groups.module is model
    assert copy.deepcopy(groups).module is None
    assert pickle.loads(pickle.dumps(groups)).assignments == groups.assignments
    del model
    gc.collect()
    assert groups.module is None
