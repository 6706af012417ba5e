"""What a parameter is in networks that are written in unusual ways, and what is said of it."""

from typing import Any

import pytest
import torch
from torch import nn

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, StructureLevel, parameter_groups, structure_levels


class Holder(nn.Module):
    """A module with a weight of 2 times 3 and any other attributes; its class is called ``name``."""

    def __new__(cls, name: str = "Holder", **_: object) -> "Holder":
        return super().__new__(type(name, (cls,), {}))

    def __init__(self, name: str = "Holder", weight: nn.Parameter | None = None, **attributes: object) -> None:
        super().__init__()
        for key, value in attributes.items():
            setattr(self, key, value)
        self.weight = nn.Parameter(torch.randn(2, 3)) if weight is None else weight


def kind_of(module: nn.Module) -> str:
    return {entry.name: entry.kind for entry in parameter_groups(module).assignments}["weight"]


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (Holder("Conv1D", nf=3), "linear"),
        (Holder("Conv1D"), "other"),
        (Holder("Linear", nf=3), "other"),
        (Holder(in_features=3, out_features=2), "linear"),
        (Holder(in_features=3), "other"),
        (Holder(out_features=2), "other"),
        (Holder(in_features="3", out_features=2), "other"),
        (Holder(in_features=3, out_features=2, weight=nn.Parameter(torch.ones(2))), "other"),
        (Holder(in_features=3, out_features=2, weight=nn.Parameter(torch.ones(()))), "other"),
    ],
    ids=["gpt2", "no-outputs", "no-name", "sizes", "inputs", "outputs", "text", "vector", "scalar"],
)
def test_a_layer_is_what_it_declares_in_full(module, kind):
    assert kind_of(module) == kind


def test_a_parameter_behind_one_that_is_missing_has_its_role():
    class BiasFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_features, self.out_features = 3, 2
            self.register_parameter("bias", None)
            self.weight = nn.Parameter(torch.randn(2, 3))

    assert kind_of(BiasFirst()) == "linear"


@pytest.mark.parametrize("attribute", [{"mask": torch.ones(3)}, {"weigh": torch.ones(3)}], ids=str)
def test_a_tensor_of_another_name_computes_no_weight(attribute):
    layer = Holder(in_features=3, out_features=2, **attribute)
    assert parameter_groups(layer, linear=L1(1.0)).assignments[0].regularizer == L1(1.0)


def test_an_attribute_that_is_no_tensor_computes_no_weight():
    layer: Any = nn.MultiheadAttention(4, 2)
    layer.in_proj = "fused"  # and in_proj_weight begins with its name
    found = {entry.name: entry.regularizer for entry in parameter_groups(layer, attention=L1(1.0)).assignments}
    assert found["in_proj_weight"] == L1(1.0)


def test_a_layer_that_stands_in_two_places_has_both_names():
    layer = nn.Linear(3, 2)
    model = nn.ModuleDict({"one": layer, "other": layer})
    groups = parameter_groups(model, overrides={"other.weight": L1(1.0)})
    assert groups.assignments[0].name == "one.weight"
    assert groups.assignments[0].regularizer == L1(1.0)


def test_a_kind_whose_only_weight_counts_as_another_is_refused_although_it_is_regularized():
    model = nn.ModuleDict({"table": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["table"].weight
    with pytest.raises(ValueError, match=r"linear=.* gives no parameter a regularizer: .*counts as embedding"):
        parameter_groups(model, linear=GroupLasso(1.0), embedding=L1(1.0))


@pytest.mark.parametrize(("groups", "said"), [(1, ""), (2, " in 2 blocks of channels")])
def test_the_blocks_of_a_convolution_are_told_where_there_are_any(groups, said):
    layer = nn.ConvTranspose2d(4, 6, 1, groups=groups)
    (note, *_) = parameter_groups(layer, convolution=NuclearNorm(1.0)).assignments[0].notes
    assert f"(in, out, ...){said}, for (out, in, ...)" in note


def test_a_regularizer_that_counts_nothing_hides_no_other():
    class Plain:
        """psi = 0 with nothing but what a regularizer must have."""

        def value(self, w: torch.Tensor) -> torch.Tensor:
            return w.new_zeros(())

        def prox(self, w: torch.Tensor, step: float) -> torch.Tensor:
            return w

    params = [nn.Parameter(torch.zeros(2, 2)) for _ in range(2)]
    groups = [{"params": params[:1], "regularizer": Plain()}, {"params": params[1:], "regularizer": L1(1.0)}]
    assert structure_levels(RAMDA(groups)) == {"L1": StructureLevel(4, 4)}
