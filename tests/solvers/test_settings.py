"""Groups are judged again when something in them has changed, and only then."""

import pytest
import torch

from solvers import L1, RAMDA, GroupLasso
from solvers.optimizers.settings import Settings


@pytest.fixture
def group():
    param = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = RAMDA([param], lr=0.1, regularizer=L1(1.0))
    return optimizer.param_groups[0]


@pytest.fixture
def settings():
    return Settings(RAMDA.record.hyperparameters, on_device=False)


def test_an_unchanged_group_is_judged_once(settings, group, monkeypatch):
    first = settings.of(group, "RAMDA", ())
    monkeypatch.setattr(settings, "judged", None)
    assert settings.of(group, "RAMDA", ()) is first
    group["momentum"] = float(group["momentum"])
    group["regularizer"] = group["regularizer"]
    assert settings.of(group, "RAMDA", ()) is first


CHANGES = {
    "another number": {"momentum": 0.5},
    "a number of another kind": {"lr": 1},
    "a tensor": {"lr": torch.tensor(0.2)},
    "an equal regularizer": {"regularizer": L1(1.0)},
    "another regularizer": {"regularizer": GroupLasso(2.0)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_group_is_judged_again(settings, group, change):
    group["lr"] = 1.0
    first = settings.of(group, "RAMDA", ())
    group.update(change)
    second = settings.of(group, "RAMDA", ())
    assert second is not first
    ((name, value),) = change.items()
    assert second[name] == value
    assert type(second[name]) is type(value) or name == "lr"


def test_a_tensor_that_is_written_to_is_read_again(settings, group):
    group["lr"] = torch.tensor(0.25)
    assert settings.of(group, "RAMDA", ())["lr"] == 0.25
    group["lr"].fill_(0.5)
    assert settings.of(group, "RAMDA", ())["lr"] == 0.5


def test_bad_values_are_refused_each_time(settings, group):
    settings.of(group, "RAMDA", ())
    group["momentum"] = 2.0
    for _ in range(2):
        with pytest.raises(ValueError, match=r"momentum .* 2\.0"):
            settings.of(group, "RAMDA", ())
