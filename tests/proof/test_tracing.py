"""Ways through a code, what no graph can follow, and the line of the user's code that is named."""

import inspect
import logging
import math
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional

from ramda_verify.proof import tracing
from ramda_verify.proof.tracing import NotTraceable, trace

W = [torch.tensor([0.5, 1.5], dtype=torch.float64)]


def answers(function, examples=W):
    return sorted(path.answers for path in trace(function, examples))


def line_of(function, offset=1) -> str:
    """The words for a line of a function of this file, counted from its first."""
    return f"test_tracing.py line {inspect.getsourcelines(function)[1] + offset}"


def three_ways(w):
    if (w > 0).all():
        return w if w.sum() > 3 else 2 * w
    return -w


def one_way(w):
    return w + 1


def test_every_way_is_followed_once():
    assert answers(one_way) == [()]
    assert answers(three_ways) == [(False,), (True, False), (True, True)]
    assert all(path.error is None for path in trace(three_ways, W))


def branching(w):
    """Three answers in each way."""
    return sum((w if w.sum() > place else -w) for place in range(3))


def test_ways_are_followed_up_to_a_number(monkeypatch):
    monkeypatch.setattr(tracing, "MAX_PATHS", 8)
    assert len(trace(branching, W)) == 8
    monkeypatch.setattr(tracing, "MAX_PATHS", 7)
    with pytest.raises(NotTraceable, match="more than 7 ways"):
        trace(branching, W)


def test_branches_of_one_way_are_followed_up_to_a_number(monkeypatch):
    monkeypatch.setattr(tracing, "MAX_BRANCHES", 3)
    assert len(trace(branching, W)) == 8
    monkeypatch.setattr(tracing, "MAX_BRANCHES", 2)
    with pytest.raises(NotTraceable, match=f"more than 2 branches.*, {line_of(branching, 2)}$"):
        trace(branching, W)


def raises_on_one_way(w):
    if w.sum() > 1:
        raise ValueError("too large\nby far")
    return w


def raises_without_words(w):
    raise KeyError


def raises_in_torch(w):
    return functional.interpolate(w, size=3)


def test_what_the_code_raises_is_a_way_that_names_the_line():
    by_answer = {path.answers: path.error for path in trace(raises_on_one_way, W)}
    assert by_answer == {(False,): None, (True,): f"ValueError: too large, {line_of(raises_on_one_way, 2)}"}
    (path,) = trace(raises_without_words, W)
    assert path.error == f"KeyError, {line_of(raises_without_words)}"
    # Torch raises it in Python lines of its own.
    (path,) = trace(raises_in_torch, W)
    assert path.error is not None
    assert path.error.endswith(f", {line_of(raises_in_torch)}")


def test_the_line_is_one_of_a_file():
    """What a dataclass or ``exec`` makes has none."""
    made: dict = {}
    exec(compile("def fails(w):\n    raise ValueError('here')", "<made>", "exec"), made)

    def calls(w):
        return made["fails"](w)

    (path,) = trace(calls, W)
    assert path.error == f"ValueError: here, {line_of(calls)}"


def to_float(w):
    return w * float(w.sum())


def to_array(w):
    return torch.from_numpy(np.asarray(w))


def to_list(w):
    return w * w.tolist()[0]


def made_anew(w):
    return torch.tensor([w[0], w[1]])


def nested(w):
    return torch.nested.nested_tensor([w, w])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (to_float, r"^it turns a tensor into a Python number \(float\)"),
        (to_list, r"^it turns a tensor into a Python number \(tolist\)"),
        (to_array, r"^it turns a tensor into a Python number \(array\)"),
        (made_anew, "^RuntimeError: .*allocated"),
        (nested, "^UnsupportedOperatorException: .*nested"),
    ],
)
def test_what_leaves_the_tensors_is_not_followed(function, words):
    with pytest.raises(NotTraceable, match=words) as caught:
        trace(function, W)
    assert str(caught.value).endswith(f", {line_of(function)}")


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_a_result_that_no_graph_returns_is_not_followed():
    kept = torch.eye(2).to_sparse_csr()
    with pytest.raises(NotTraceable, match=r"^RuntimeError: .*CSR"):
        trace(lambda w: kept, W)


def test_a_tensor_that_a_class_keeps_is_a_constant():
    kept = torch.tensor([2.0, 3.0], dtype=torch.float64)
    (path,) = trace(lambda w: w * kept, W)
    found, _ = path.graph(*W)
    assert found.tolist() == [1.0, 4.5]


def test_a_number_is_a_result():
    (path,) = trace(lambda w: 3, W)
    found, conditions = path.graph(*W)
    assert (found.item(), found.dtype, conditions) == (3.0, torch.float64, [])


def test_gradients_are_not_asked_for():
    (path,) = trace(lambda w: w.clone().requires_grad_().detach() * 2, W)
    assert path.graph(*W)[0].tolist() == [1.0, 3.0]


def test_python_is_as_before_a_trace():
    """Also after one that fails; in a trace nothing is logged, nor warned of."""

    def loud(w):
        warnings.warn("in the trace", stacklevel=1)
        logging.getLogger("loud").critical("in the trace")
        return math.sqrt(w.sum()) + math.sqrt(4.0)

    before = {name: getattr(math, name) for name in dir(math)}
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record):
            heard.append(record.getMessage())

    logging.getLogger("loud").addHandler(Listener())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        (path,) = trace(loud, W)
        assert math.isclose(path.graph(*W)[0].item(), math.sqrt(2) + 2)
        with pytest.raises(NotTraceable):
            trace(to_float, W)
    assert (warned, heard) == ([], [])
    assert {name: getattr(math, name) for name in dir(math)} == before
    logging.getLogger("loud").critical("after it")
    assert heard == ["after it"]
