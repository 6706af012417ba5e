"""A file of recorded steps: read as it was written, and refused by name where it is anything else."""

import json
import math

import numpy as np
import pytest

from ramda_verify.cases.recorded.store import METADATA, RecordedStep, Recording, read, write
from solvers import L1

STEP = RecordedStep(
    name="mlp-ramda-l1-last-weight",
    training="mlp",
    optimizer="ramda",
    parameter="weight",
    moment="last",
    dtype="bfloat16",
    regularizer=L1(0.25),
    step=7,
    hyper={"lr": 0.5, "betas": [0.9, 0.99]},
    counters={"step": 6.0, "weight_sum": math.inf},
    lam=0.125,
    arrays={
        name: np.array(values, dtype=np.float32)
        for name, values in {"W": [1.0, -2.0], "G": [0.5, 0.0], "grad_sum": [3.0, 4.0], "B": [8.0, 6.0]}.items()
    }
    | {"D": np.array([2.0, 4.0], dtype=np.float32)},
)


def changed(path, arrays=None, **fields):
    """The file of one step, with other fields of the step, or with other ``arrays`` instead of its own."""
    write(path, Recording([STEP], {"seed": 3}))
    with np.load(path) as archive:
        metadata, stacked = json.loads(str(archive[METADATA])), archive["step0"]
    metadata["steps"][0].update(fields)
    entries = {"step0": stacked if arrays is None else arrays}
    np.savez(path, **{METADATA: np.array(json.dumps(metadata)), **entries})
    return stacked


def test_a_step_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "steps.npz"
    write(path, Recording([STEP], {"seed": 3}))
    found = read(path)
    (step,) = found.steps
    assert found.made == {"seed": 3}
    for name in ("name", "training", "optimizer", "parameter", "moment", "dtype", "regularizer", "step", "lam"):
        assert getattr(step, name) == getattr(STEP, name)
    assert (step.hyper, step.counters) == (STEP.hyper, STEP.counters)
    assert list(step.arrays) == list(STEP.arrays)
    assert all(np.array_equal(step.arrays[key], STEP.arrays[key]) for key in STEP.arrays)
    assert {array.dtype for array in step.arrays.values()} == {np.dtype(np.float32)}


def test_what_a_step_says_of_itself():
    """theta = 1/max D = 1/4; W - theta*(D*W - B) = (1 - (2 - 8)/4, -2 - (-8 - 6)/4)."""
    assert STEP.shape == (2,)
    assert list(STEP.state) == ["grad_sum"]
    assert STEP.prox_step == 0.125 / 4
    assert STEP.prox_point.tolist() == [2.5, 1.5]
    assert (STEP.grad_sum.dtype, STEP.grad_sum.tolist()) == (np.dtype(np.float64), [3.0, 4.0])
    with pytest.raises(AttributeError, match="'exp_avg'"):
        _ = STEP.exp_avg


ARRAYS = np.zeros((5, 2), dtype=np.float32)


@pytest.mark.parametrize(
    ("arrays", "fields", "said"),
    [
        (ARRAYS[:4], {}, r"arrays of 'mlp-ramda-l1-last-weight' are float32 of shape \(4, 2\)"),
        (ARRAYS.astype(np.float64), {}, r"arrays of 'mlp-ramda-l1-last-weight' are float64 of shape \(5, 2\)"),
        (None, {"regularizer": {"class": "L3"}}, "regularizer of 'mlp-ramda-l1-last-weight' .*'L3'"),
        (None, {"regularizer": {"reg_weight": 1.0}}, "class"),
        (None, {"regularizer": {"class": "L1", "grouping": "input"}}, "grouping"),
        (None, {"regularizer": {"class": "L1", "reg_weight": -1.0}}, "-1.0"),
        (None, {"lam": "much"}, "much"),
        (None, {"more": 1}, "more"),
    ],
    ids=["an array less", "float64", "no class", "no name of one", "no argument", "bad weight", "no number", "a field"],
)
def test_a_step_that_was_not_written_so_is_refused(arrays, fields, said, tmp_path):
    path = tmp_path / "mine.npz"
    changed(path, arrays, **fields)
    with pytest.raises(ValueError, match=rf"mine\.npz.*{said}"):
        read(path)


def test_a_file_without_the_arrays_of_a_step_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    changed(path)
    with np.load(path) as archive:
        kept = archive[METADATA]
    np.savez(path, **{METADATA: kept, "step1": ARRAYS})
    with pytest.raises(ValueError, match=r"mine\.npz.*step0"):
        read(path)


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["empty", "cut off"])
def test_a_file_that_was_not_written_to_its_end_is_refused(share, tmp_path):
    path = tmp_path / "mine.npz"
    write(path, Recording([STEP], {}))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"mine\.npz.* must be an archive of recorded steps"):
        read(path)


def test_a_file_with_a_pickle_for_an_array_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    changed(path, np.array([object()] * 5))
    with pytest.raises(ValueError, match=r"mine\.npz.*allow_pickle"):
        read(path)
