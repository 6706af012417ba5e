"""Group LASSOs that are wrong only for weights that are not (out, in): layouts and blocks of convolutions forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify.cases.strategies import reg_weights
from solvers import GroupLasso
from solvers.regularizers import Grouping, WeightLayout
from tests.mutants.mutant import Mutant, regularizer_target_of


@dataclass(frozen=True)
class BlocksIgnored(GroupLasso):
    """Reads the groups off the axes: input channel j of every block of a convolution counts as one."""

    @property
    def groups(self) -> Grouping:
        return Grouping(self.grouping, self.layout)

    def check_shape(self, shape: Sequence[int]) -> None:
        GroupLasso(self.reg_weight, self.grouping, self.layout, self.conv_groups).check_shape(shape)


@dataclass(frozen=True)
class OrderIgnored(GroupLasso):
    """Takes every weight for (out, in)."""

    @property
    def groups(self) -> Grouping:
        return Grouping(self.grouping, "out_in", self.conv_groups)


class _EveryFewChannels(WeightLayout):
    """Takes every conv_groups-th output channel for a block, where a block is a run of neighbours."""

    def blocks(self, w: Tensor) -> Tensor:
        return w.unflatten(0, (-1, self.conv_groups)).transpose(0, 1)


class _Interleaved(Grouping):
    @property
    def weight_layout(self) -> WeightLayout:
        return _EveryFewChannels(self.layout, self.conv_groups)


@dataclass(frozen=True)
class BlocksInterleaved(GroupLasso):
    """Groups of the wrong blocks of channels."""

    @property
    def groups(self) -> Grouping:
        return _Interleaved(self.grouping, self.layout, self.conv_groups)


class _Repeating(Grouping):
    def flat(self, per_group: Tensor) -> Tensor:
        return per_group.reshape(-1)


@dataclass(frozen=True)
class GroupsRepeated(GroupLasso):
    """Counts a group of a convolution with groups once for each of its outputs."""

    @property
    def groups(self) -> Grouping:
        return _Repeating(self.grouping, self.layout, self.conv_groups)


@dataclass(frozen=True)
class ProxIgnoresBlocks(GroupLasso):
    """psi knows the blocks, prox does not."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return GroupLasso(self.reg_weight, self.grouping, self.layout).prox(w, step)


@dataclass(frozen=True)
class MemoryIgnoresBlocks(GroupLasso):
    """Tells the kernels the groups of the axes."""

    def group_norms(self, w: Tensor) -> Any:
        return GroupLasso(self.reg_weight, self.grouping, self.layout).group_norms(w)


@dataclass(frozen=True)
class NeverInMemory(GroupLasso):
    """Denies that its groups are an array in memory, where they are."""

    def group_norms(self, w: Tensor) -> Any:
        return None


@dataclass(frozen=True)
class LayoutRefused(GroupLasso):
    """for_layout returns the regularizer for (out, in) whatever the layout."""

    def for_layout(self, layout: WeightLayout, shape: Sequence[int]) -> GroupLasso:
        return self


@dataclass(frozen=True)
class NanInAnotherLayout(GroupLasso):
    """value is NaN where the weight lies (in, out)."""

    def value(self, w: Tensor) -> Tensor:
        return super().value(w) * (torch.nan if self.layout == "in_out" else 1.0)


def _wrong(cls: type, *checks: str, kinds: Sequence[tuple[str, str, int]]) -> Mutant:
    instances = st.builds(lambda weight, kind: cls(weight, *kind), reg_weights(), st.sampled_from(list(kinds)))
    return Mutant(cls.__name__, replace(regularizer_target_of(cls), instances=instances), checks)


#: Groups that are pairs (block, index), and the two orders of plain groups.
PAIRS = (("channel", "out_in", 2), ("filter", "in_out", 2))
ORDERS = (("input", "out_in", 1), ("input", "in_out", 1), ("output", "in_out", 1))

MUTANTS = [
    _wrong(BlocksIgnored, "cvxpy-value", "subproblem-oracle", "prox-search", kinds=PAIRS),
    _wrong(OrderIgnored, "cvxpy-value", "subproblem-oracle", "layout-claim", kinds=ORDERS),
    _wrong(BlocksInterleaved, "cvxpy-value", kinds=PAIRS),
    _wrong(GroupsRepeated, "prox-minimises", "cvxpy-value", kinds=PAIRS),
    _wrong(ProxIgnoresBlocks, "prox-minimises", kinds=PAIRS),
    _wrong(MemoryIgnoresBlocks, "group-norms-claim", kinds=PAIRS),
    _wrong(NeverInMemory, "group-norms-claim", kinds=[*ORDERS, *PAIRS]),
    _wrong(LayoutRefused, "layout-claim", kinds=ORDERS),
    _wrong(NanInAnotherLayout, "layout-claim", kinds=ORDERS),
]
