"""Regularizers of which the oracles have a line of atoms and the checks nothing: right ones pass, wrong ones fail."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from ramda_verify.cases import strategies
from ramda_verify.checks import ALL_CHECKS, BY_ID
from ramda_verify.checks.regularizer.proof import ID, proof_result
from ramda_verify.engine.property import run_check
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.targets import Target
from solvers import GroupLasso
from solvers.regularizers.base import shrink

OURS = "solvers.regularizers.somewhere"


@dataclass(frozen=True)
class SparseGroupLasso:
    """``entry_weight*||w||_1`` and a group LASSO: atoms that share all their entries."""

    __module__ = OURS

    entry_weight: float
    reg_weight: float
    grouping: str = "input"
    layout: ClassVar[str] = "out_in"
    conv_groups: ClassVar[int] = 1
    convex: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> "Sequence[SparseGroupLasso]":
        return [cls(1.0, 1.0, grouping) for grouping in ("input", "output")]

    @property
    def groups(self) -> GroupLasso:
        return GroupLasso(self.reg_weight, self.grouping)

    def check_shape(self, shape: Sequence[int]) -> None:
        self.groups.check_shape(shape)

    def value(self, w: Tensor) -> Tensor:
        return self.entry_weight * w.abs().sum() + self.groups.value(w)

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return self.groups.prox(shrink(w, step * self.entry_weight), step)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Any:
        return self.groups.metric_prox(shrink(B, lam * self.entry_weight), D, lam)

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return self.groups.zero_mask(shrink(B, lam * self.entry_weight), lam)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        # At a zero entry of a nonzero group the norm has slope zero; at a zero group its ball comes after the box.
        threshold = lam * self.entry_weight
        nonzero = self.groups.groups.norm(point) > 0
        smooth = gradient + lam * self.groups.group_weight(point) * point / self.groups.groups.norm(point)
        there = torch.where(point != 0, smooth + threshold * torch.sign(point), shrink(gradient, threshold))
        at_zero = self.groups.subgradient_residual(point, shrink(gradient, threshold), lam)
        return torch.where(nonzero, there, at_zero).to(point.dtype)


@dataclass(frozen=True)
class ElasticNet:
    """``reg_weight*||w||_1 + square_weight*||w||^2``: not positively homogeneous."""

    __module__ = OURS

    reg_weight: float
    square_weight: float
    convex: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> "Sequence[ElasticNet]":
        return [cls(1.0, 1.0)]

    def value(self, w: Tensor) -> Tensor:
        return self.reg_weight * w.abs().sum() + self.square_weight * w.square().sum()

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(w, step * self.reg_weight) / (1 + 2 * step * self.square_weight)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return shrink(B, lam * self.reg_weight) / (D + 2 * lam * self.square_weight)


@dataclass(frozen=True)
class L0:
    """``reg_weight`` times the number of nonzeros: not convex."""

    __module__ = OURS

    reg_weight: float

    @classmethod
    def examples(cls) -> "Sequence[L0]":
        return [cls(1.0)]

    def value(self, w: Tensor) -> Tensor:
        return self.reg_weight * torch.count_nonzero(w).to(w.dtype)

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return self.metric_prox(w, torch.ones_like(w), step)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        # Of a square that underflows, nothing could be said.
        return torch.where(B.abs() > (2 * D * lam * self.reg_weight).sqrt(), B / D, 0.0)


class NormsFirst(SparseGroupLasso):
    """The two thresholds in the wrong order."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(self.groups.prox(w, step), step * self.entry_weight)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Any:
        found = self.groups.metric_prox(B, D, lam)
        return found._replace(point=shrink(D * found.point, lam * self.entry_weight) / D)


class HalfTheSquare(ElasticNet):
    """The prox of half the square, in both metrics."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return replace(self, square_weight=self.square_weight / 2)._right(w, torch.ones_like(w), step)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return replace(self, square_weight=self.square_weight / 2)._right(B, D, lam)

    def _right(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return ElasticNet.metric_prox(self, B, D, lam)


class OnePercentTooLate(L0):
    """Zero up to a threshold that is 1 % too large."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return torch.where(B.abs() > 1.01 * (2 * D * lam * self.reg_weight).sqrt(), B / D, 0.0)


def target_of(cls: Any) -> Target:
    examples = cls.examples()
    return Target(cls.__name__, "regularizer", examples[0], strategies.instances(examples), lambda r: [], traced=False)


HIGH_PRECISION = ("prox-high-precision", "subproblem-high-precision")
#: Checks of a right class that ask something of its atoms, and have to be run.
ASKED = {
    SparseGroupLasso: {*HIGH_PRECISION, "subproblem-oracle", "cvxpy-value", "minimum-norm-subgradient"},
    ElasticNet: {*HIGH_PRECISION, "subproblem-oracle", "cvxpy-value"},
    L0: {*HIGH_PRECISION, "cvxpy-value"},
}


@pytest.mark.parametrize("cls", ASKED)
def test_right_regularizer_passes_every_check(cls):
    target = target_of(cls)
    results = [
        run_check(c, target, seed=2, max_examples=6) for c in ALL_CHECKS if c.kind == "regularizer" and c.id != ID
    ]
    results.append(proof_result(target))  # of the plainest instance, as in a run: a proof may take twenty seconds
    assert [(r.check, r.detail) for r in results if not r.status.holds] == []
    assert ASKED[cls] <= {r.check for r in results if r.status is Verdict.PASS}


@pytest.mark.parametrize(
    ("cls", "checks"),
    [
        (NormsFirst, ("subproblem-high-precision", "subproblem-oracle", "prox-minimises")),
        (HalfTheSquare, ("subproblem-high-precision", "subproblem-oracle", "prox-search")),
        (OnePercentTooLate, ("subproblem-high-precision", "prox-rays")),
    ],
)
def test_wrong_regularizer_is_rejected(cls, checks):
    for check in checks:
        result = run_check(BY_ID[check], target_of(cls), seed=2, max_examples=100, shrink=False)
        assert result.status is Verdict.FAIL, check


def test_checks_that_have_no_claim_are_skipped_with_a_reason():
    for cls, check, reason in (
        (SparseGroupLasso, "group-norm-equation", "norms of disjoint groups"),
        (SparseGroupLasso, "narrow-certificate", "singular values"),
        (ElasticNet, "group-norm-equation", "norms of disjoint groups"),
        (L0, "subproblem-oracle", "not convex"),
    ):
        assert reason in BY_ID[check].applies(target_of(cls))


class Refuses:
    """No dataclass: drawn as its examples are."""

    @classmethod
    def examples(cls):
        return [cls()]


@dataclass(frozen=True)
class Positive:
    """Refuses a weight of zero."""

    reg_weight: float
    side: str = "left"

    def __post_init__(self) -> None:
        if not self.reg_weight > 0:
            raise ValueError(f"reg_weight must be > 0, got {self.reg_weight}")


def drawn_from(examples: Sequence[Any]) -> list[Any]:
    from tests.verify.test_strategies import drawn

    return drawn(strategies.instances(examples), 200)


def test_examples_are_varied_by_their_weights():
    found = drawn_from(SparseGroupLasso.examples())
    assert {r.grouping for r in found} == {"input", "output"}
    for name in ("entry_weight", "reg_weight"):
        weights = [getattr(r, name) for r in found]
        assert min(weights) == 0
        assert max(weights) > 100
        assert any(0 < weight < 1e-3 for weight in weights)
    assert any(r.entry_weight != r.reg_weight for r in found)
    assert all(r.reg_weight > 0 for r in drawn_from([Positive(1.0), Positive(1.0, "right")]))
    one = Refuses()
    assert all(r is one for r in drawn_from([one]))
