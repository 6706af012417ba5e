"""Parameter groups of a network with every kind of layer, and how much structure it has."""

import pytest
import torch
from torch import nn

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, StructureLevel, parameter_groups, structure_levels

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
    pytest.param({"dense": L1(1.0)}, TypeError, "unexpected keyword argument 'dense'", id="unknown-kind"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        parameter_groups(Everything(), **options)


def test_structure_is_read_from_what():
    """W keeps an average of the start for long; Ŵ has its zeros at once."""
    param, free = torch.nn.Parameter(torch.randn(5, 4)), torch.nn.Parameter(torch.randn(5, 4))
    low = torch.nn.Parameter(torch.randn(3, 3))
    groups = [
        {"params": [param], "regularizer": GroupLasso(100.0)},
        {"params": [low], "regularizer": NuclearNorm(100.0)},
        {"params": [free]},
    ]
    optimizer = RAMDA(groups, momentum=0.1)
    assert structure_levels(optimizer)["GroupLasso"] == StructureLevel(0, 20)
    for tensor in (param, low, free):
        tensor.grad = torch.randn_like(tensor)
    with pytest.warns(RuntimeWarning, match="became zero as a whole"):
        optimizer.step()
    assert structure_levels(optimizer) == {"GroupLasso": StructureLevel(20, 20), "NuclearNorm": StructureLevel(3, 3)}
    assert param.ne(0).all()


def test_levels_add_up_over_parameters():
    params = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.ones(4, 5))]
    level = structure_levels(RAMDA(params, regularizer=GroupLasso(0.1)))["GroupLasso"]
    assert level == StructureLevel(6, 26)
    assert level.fraction == pytest.approx(6 / 26)
    assert StructureLevel(0, 0).fraction == 0.0
