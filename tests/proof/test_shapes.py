"""Which tensors of one entry, or of one group, a class is read on."""

from types import SimpleNamespace

import pytest
import torch

from ramda_verify.proof.shapes import allowed_shapes, example, refusal

ONE_AXIS: dict[int, list[tuple[int, ...]]] = {
    1: [(4,)],
    2: [(4, 1), (1, 4)],
    3: [(4, 1, 1), (1, 4, 1)],
    4: [(4, 1, 1, 1), (1, 4, 1, 1)],
    5: [(4, 1, 1, 1, 1), (1, 4, 1, 1, 1)],
}


def taking(*dimensions: int, **members):
    """A class that takes tensors of these numbers of dimensions."""

    def value(w):
        if w.ndim not in dimensions:
            raise ValueError(f"w must have {dimensions} dimensions, got {w.ndim}")
        return w.abs().sum()

    return SimpleNamespace(value=value, prox=lambda w, step: w.clone(), **members)


@pytest.mark.parametrize("dimensions", [(1,), (2,), (3,), (4,), (5,), (1, 2), (2, 4), (1, 5)])
def test_the_plainest_tensors_that_a_class_takes_are_tried(dimensions):
    """Three at most, the long axis first or second."""
    assert allowed_shapes(taking(*dimensions), 4) == [shape for n in dimensions for shape in ONE_AXIS[n]][:3]


def test_tensors_of_one_entry_are_tried_once():
    assert allowed_shapes(taking(1, 2, 3, 4, 5), 1) == [(1,), (1, 1), (1, 1, 1)]


def test_only_dimensions_that_a_class_names_are_tried():
    named = taking(1, 2, 3, shapes=[(3, 2, 2), (5, 5, 5)])
    assert allowed_shapes(named, 4) == ONE_AXIS[3]


@pytest.mark.parametrize("member", ["value", "prox", "check_shape"])
def test_a_refusal_is_told_whoever_raises_it(member):
    def raises(*arguments):
        raise ValueError("not this one")

    assert refusal(taking(2), (3, 1)) is None
    changed = SimpleNamespace(**{**vars(taking(2)), member: raises})
    assert refusal(changed, (3, 1)) == "ValueError: not this one"


def test_a_class_may_refuse_steps_that_are_not_positive():
    def prox(w, step):
        if not step > 0:
            raise ValueError("step")
        return w / (1 + step)

    changed = SimpleNamespace(**{**vars(taking(2)), "prox": prox})
    assert refusal(changed, (3, 1)) is None
    assert allowed_shapes(changed, 3) == [(3, 1), (1, 3)]


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3), (1, 4, 1)])
def test_entries_of_an_example_are_positive_and_differ(shape):
    entries = example(shape)
    assert entries.shape == shape
    assert bool((entries > 0).all())
    assert len(torch.unique(entries)) == entries.numel()
