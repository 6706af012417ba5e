"""Saving and loading as torch's battery tries it: copies, older states, states of others, hooks."""

import copy
import io
import pickle

import pytest
import torch

from tests.registry import OPTIMIZERS, advance, built, good_settings

each = pytest.mark.parametrize("row", OPTIMIZERS, ids=lambda row: row.cls.__name__)
every = pytest.mark.parametrize(("cls", "settings"), list(good_settings()))


def same_state(one, other):
    for mine, theirs in zip(one.state.values(), other.state.values(), strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) and mine[key].dtype == theirs[key].dtype for key in mine)


@every
@pytest.mark.parametrize("how", ["state_dict", "weights_only", "deepcopy", "pickle"])
def test_continues_bit_for_bit(cls, settings, how):
    params, optimizer = built(cls, settings)
    advance(params, optimizer)
    if how in ("state_dict", "weights_only"):
        saved = optimizer.state_dict()
        if how == "weights_only":
            file = io.BytesIO()
            torch.save(saved, file)
            file.seek(0)
            saved = torch.load(file, weights_only=True)
        others, other = built(cls, settings)
        for mine, theirs in zip(params, others, strict=True):
            theirs.data.copy_(mine)
        other.load_state_dict(saved)
    elif how == "deepcopy":
        others, other = copy.deepcopy((params, optimizer))
    else:
        others, other = pickle.loads(pickle.dumps((params, optimizer)))
    same_state(optimizer, other)
    advance(params, optimizer, seed=2)
    advance(others, other, seed=2)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(params, others, strict=True))
    same_state(optimizer, other)


@each
@pytest.mark.parametrize("lacking", ["maximize", "weight_decay", "reg_warmup", "stage_factor"])
def test_an_older_state_without_an_option(row, lacking):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    saved = optimizer.state_dict()
    for group in saved["param_groups"]:
        del group[lacking]
    optimizer.load_state_dict(saved)
    advance(params, optimizer)
    assert lacking in optimizer.param_groups[0]


@each
def test_an_older_pickle_without_an_option(row):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    state = optimizer.__getstate__()
    for group in state["param_groups"]:
        del group["maximize"]
    other = row.cls.__new__(row.cls)
    other.__setstate__(state)
    advance(params, other)
    assert other.param_groups[0]["maximize"] is False


@each
@pytest.mark.parametrize("number", [3, 3.0])
def test_a_saved_step_that_is_no_tensor(row, number):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    saved = optimizer.state_dict()
    for state in saved["state"].values():
        state["step"] = number
    optimizer.load_state_dict(saved)
    assert optimizer.state[params[0]]["step"].dtype == torch.int64
    advance(params, optimizer, 1)
    assert int(optimizer.state[params[0]]["step"]) == 4


@each
def test_the_state_of_another_method_is_refused(row):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    strangers = [other.cls for other in OPTIMIZERS if other.cls is not row.cls]
    for stranger in (*strangers, torch.optim.AdamW, torch.optim.SGD):
        others = [torch.nn.Parameter(param.detach().clone()) for param in params]
        made = stranger(others)
        advance(others, made)
        with pytest.raises(ValueError, match=r"param_groups\[0\] was saved by"):
            optimizer.load_state_dict(made.state_dict())
    assert str(optimizer.state_dict()) == str(before)


@each
def test_a_state_that_lacks_a_tensor_or_has_another_shape_is_refused(row):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    saved = copy.deepcopy(optimizer.state_dict())
    del saved["state"][1][row.sums]
    with pytest.raises(ValueError, match=f"parameter 1 .*lacks.*{row.sums}"):
        optimizer.load_state_dict(saved)
    saved = copy.deepcopy(optimizer.state_dict())
    saved["state"][1][row.sums] = torch.zeros(7)
    with pytest.raises(ValueError, match=rf"{row.sums} .*\(7,\).*\(4, 3\)"):
        optimizer.load_state_dict(saved)


@each
@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "lacks"), ("text", "lacks"), (0.5, "lacks"), (torch.tensor(0.5), r"\(\).*\(4, 3\)")],
    ids=["None", "text", "number", "0-d"],
)
def test_a_state_with_something_else_in_place_of_a_tensor_is_refused(row, value, message):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    saved = copy.deepcopy(before)
    saved["state"][1][row.sums] = value
    with pytest.raises(ValueError, match=f"{message}.*{row.sums}" if message == "lacks" else message):
        optimizer.load_state_dict(saved)
    assert str(optimizer.state_dict()) == str(before)


@each
@pytest.mark.parametrize("prepend", [False, True])
def test_hooks_around_loading_see_and_change_the_state(row, prepend):
    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    saved = optimizer.state_dict()
    seen = []

    def doubled(made, state_dict):
        state_dict = copy.deepcopy(state_dict)
        for state in state_dict["state"].values():
            state[row.sums] = 2 * state[row.sums]
        return state_dict

    others, other = built(row.cls, {})
    other.register_load_state_dict_pre_hook(doubled, prepend=prepend)
    other.register_load_state_dict_post_hook(lambda made: seen.append(made.state[others[0]][row.sums].clone()), prepend)
    other.register_state_dict_post_hook(lambda made, state_dict: {**state_dict, "note": 1})
    other.load_state_dict(saved)
    expected = 2 * optimizer.state[params[0]][row.sums]
    assert torch.equal(other.state[others[0]][row.sums], expected)
    assert torch.equal(seen[0], expected)
    assert other.state_dict()["note"] == 1
    other.load_state_dict(other.state_dict())  # the hook is still there, ours are not there twice
    assert torch.equal(other.state[others[0]][row.sums], 2 * expected)


@each
def test_loading_by_name(row):
    """torch's documented recipe: a pre-hook puts the states where the names are."""

    def by_name(made, state_dict):
        state_dict = copy.deepcopy(state_dict)
        saved, live = state_dict["param_groups"][0], made.param_groups[0]["param_names"]
        place = dict(zip(saved["param_names"], saved["params"], strict=True))
        state = {i: state_dict["state"][place[name]] for i, name in zip(saved["params"], live, strict=True)}
        saved["param_names"] = list(live)
        return {**state_dict, "state": state}

    params, optimizer = built(row.cls, {})
    advance(params, optimizer)
    swapped = [torch.nn.Parameter(param.detach().clone()) for param in reversed(params)]
    other = row.cls(list(zip(("other", "weight"), swapped, strict=True)))
    other.register_load_state_dict_pre_hook(by_name)
    other.load_state_dict(optimizer.state_dict())
    for mine, theirs in zip(params, reversed(swapped), strict=True):
        assert torch.equal(optimizer.state[mine][row.sums], other.state[theirs][row.sums])
