"""When an optimizer hears of tensors that died: at once on the CPU, every so many steps elsewhere."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from solvers import L1
from solvers.optimizers.acceptance_log import LOOK_EVERY, AcceptanceLog


class Elsewhere(torch.Tensor):
    """Numbers of another device, reading which would wait for it."""

    @property
    def device(self):
        return torch.device("cuda")


def slot(step: int = 1):
    param = torch.nn.Parameter(torch.ones(4))
    return SimpleNamespace(param=param, name="weight", state={"step": step}, settings={"regularizer": L1(1.0)})


def heard(log: AcceptanceLog) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log.warn()
    return [str(warning.message) for warning in caught]


def test_a_tensor_that_died_elsewhere_is_looked_for_every_so_many_steps():
    log, dead, zeros = AcceptanceLog("RAMDA"), slot(), torch.tensor([4]).as_subclass(Elsewhere)
    for step in range(1, LOOK_EVERY):
        log.record_zeros([dead], zeros, [4], step)
        assert heard(log) == []
    log.record_zeros([dead], zeros, [4], LOOK_EVERY)
    assert ["parameter weight" in text for text in heard(log)] == [True]
    log.record_zeros([dead], zeros, [4], 2 * LOOK_EVERY)
    assert heard(log) == []  # once each


@pytest.mark.parametrize("zeros", [[4], torch.tensor([4])], ids=["list", "tensor"])
def test_a_tensor_that_died_here_is_named_at_once(zeros):
    log = AcceptanceLog("RAMDA")
    log.record_zeros([slot()], zeros, [4], 1)
    assert len(heard(log)) == 1


@pytest.mark.parametrize(("zeros", "dies"), [(3, False), (4, True), (5, True)])
def test_a_tensor_died_where_all_of_it_is_zero(zeros, dies):
    log = AcceptanceLog("RAMDA")
    log.record_zeros([slot()], [zeros], [4], 1)
    assert bool(heard(log)) == dies


def test_a_tensor_that_was_zero_from_the_start_cannot_die():
    log, zero = AcceptanceLog("RAMDA"), slot()
    with torch.no_grad():
        zero.param.zero_()
    log.record_start(zero)
    log.record_zeros([zero], [4], [4], 1)
    assert heard(log) == []
    log.record_zeros([zero], [3], [4], 2)  # it has come alive
    log.record_zeros([zero], [4], [4], 3)
    assert len(heard(log)) == 1
