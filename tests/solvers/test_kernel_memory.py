"""Tensors whose memory is not their value never reach a kernel, and one pass over memory finds what is not finite."""

from typing import Any

import pytest
import torch
from torch import Tensor

from solvers import RAMDA, GroupLasso, Subproblem, solve
from solvers.kernels import BACKENDS, all_finite, plain_memory, subproblem_by_kernel
from solvers.kernels.native import Native
from tests.registry import optimizers, weighted

NATIVE: Any = BACKENDS["native"]
pytestmark = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)


class Doubled(Tensor):
    """What its memory holds, twice: a subclass may mean anything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        plain = [2 * arg.as_subclass(Tensor) if isinstance(arg, Doubled) else arg for arg in args]
        return function(*plain, **(kwargs or {}))


def fake() -> Tensor:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(4, 3)


OTHERS = {
    "negative bit": lambda: torch._neg_view(torch.ones(4, 3)),
    "imaginary part of a conjugate": lambda: torch.ones(4, 3, dtype=torch.complex64).conj().imag,
    "conjugate bit": lambda: torch.ones(4, 3, dtype=torch.complex64).conj(),
    "zero without memory": lambda: torch._efficientzerotensor((4, 3)),
    "subclass": lambda: torch.ones(4, 3).as_subclass(Doubled),
    "fake": fake,
    "functional": lambda: torch._to_functional_tensor(torch.ones(4, 3)),
    "sparse": lambda: torch.ones(4, 3).to_sparse(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_memory_that_is_not_the_value(name):
    assert plain_memory(OTHERS[name]()) is not None
    assert all_finite([torch.ones(3), OTHERS[name]()]) is None


def test_memory_that_is_the_value():
    tensors = [torch.ones(4, 3), torch.ones(4, 3).t(), torch.ones(4, 3)[:, ::2], torch.nn.Parameter(torch.ones(2))]
    assert [plain_memory(tensor) for tensor in (*tensors, torch.nn.Buffer(torch.ones(2)))] == [None] * 5
    assert plain_memory(torch._neg_view(torch.ones(3)).resolve_neg()) is None


def test_tensors_of_torch_func():
    seen = []

    def noted(w):
        seen.append(plain_memory(w))
        return w

    torch.vmap(noted)(torch.ones(4, 3))
    torch.func.grad(lambda w: noted(w).sum())(torch.ones(3))
    assert len(seen) == 2
    assert None not in seen


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *((name, "gradient") for name in ("negative bit", "imaginary part of a conjugate", "subclass")),
        *((name, "parameter") for name in ("negative bit", "imaginary part of a conjugate")),
    ],
)
def test_a_step_goes_the_way_that_plain_torch_goes(name, role, log):
    points = []
    for backend in ("plain", "native"):
        other = OTHERS[name]()
        if role == "gradient":
            param, gradient = torch.nn.Parameter(torch.zeros(4, 3)), other
        else:
            param, gradient = torch.nn.Parameter(other), torch.full((4, 3), 0.5)
        made = RAMDA([param], lr=0.1, backend=backend)
        param.grad = gradient
        made.step()
        made.step()
        points.append(param.detach().resolve_neg().as_subclass(Tensor).clone())
    assert torch.equal(*points)
    assert log()


def stepped(wrap, cls, regularizer, check_finite):
    """The parameter after two steps whose tensors are what ``wrap`` makes of them."""
    param = torch.nn.Parameter(wrap(torch.arange(12.0).reshape(4, 3) / 6 - 1))
    optimizer = cls([param], lr=0.1, regularizer=regularizer, check_finite=check_finite)
    for _ in range(2):
        param.grad = wrap(torch.arange(12.0).reshape(3, 4).T.contiguous() / 10)
        optimizer.step()
    return param.detach()


@pytest.mark.parametrize("check_finite", [True, False])
@pytest.mark.parametrize("regularizer", [None, *weighted(0.01)], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("cls", optimizers(takes="eps"))
def test_a_wrapper_of_other_tensors_is_stepped_as_they_are(cls, regularizer, check_finite):
    """Whose memory is nothing, and which refuses tolist: torch's TwoTensor, and a step inside functionalize."""
    from torch.testing._internal.two_tensor import TwoTensor

    right = stepped(lambda w: w, cls, regularizer, check_finite)
    both = stepped(lambda w: TwoTensor(w.clone(), w.clone()), cls, regularizer, check_finite)
    functional = torch.func.functionalize(
        lambda scale: stepped(lambda w: w.to(scale.device) * scale, cls, regularizer, check_finite)
    )(torch.ones(()))
    for found in (both.a, both.b, functional):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("where", ["B", "D"])
def test_a_subproblem_goes_the_way_that_plain_torch_goes(where):
    B, D = torch.randn(4, 3, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64) + 1
    turned = {"B": B, "D": D}
    turned[where] = torch._neg_view(-turned[where])
    regularizer = GroupLasso(0.1, "input")
    assert subproblem_by_kernel(**turned, lam=1.0, regularizer=regularizer) is None
    found, right = (
        solve(Subproblem(*pair, 1.0, regularizer), tolerance=1e-12).point
        for pair in ((turned["B"], turned["D"]), (B, D))
    )
    torch.testing.assert_close(found, right, rtol=1e-12, atol=0)


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("build", NATIVE.builds)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 5, 63, 64, 65, 127, 1000, 70_001])
def test_every_place_is_looked_at(build, dtype, size, monkeypatch):
    monkeypatch.setitem(BACKENDS, "native", Native((build,)))
    largest = torch.finfo(dtype).max
    right = torch.full((size,), largest, dtype=dtype)
    right[::2] = -largest
    assert all_finite([right, right[:0], right]) == [True, True, True]
    for place in sorted({0, size // 3, size // 2, size - 1}):
        for bad in (torch.nan, -torch.nan, torch.inf, -torch.inf):
            wrong = right.clone()
            wrong[place] = bad
            assert all_finite([right, wrong, right[:3], wrong]) == [True, False, True, False]


def test_many_tensors_of_many_kinds():
    tensors = [torch.randn(7, 5).to(dtype) for dtype in DTYPES * 3]
    tensors += [torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last), torch.randn(6, 4).t(), torch.tensor(1.0)]
    expected = [True] * len(tensors)
    assert all_finite(tensors) == expected
    for place, tensor in enumerate(tensors):
        tensor[(-1,) * tensor.ndim] = torch.inf
        expected[place] = False
        assert all_finite(tensors) == expected
    assert all_finite([]) == []


def test_threads_find_the_same():
    before = torch.get_num_threads()
    tensors = [torch.randn(90_001) for _ in range(5)]
    tensors[3][70_000] = torch.nan
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            assert all_finite(tensors) == [True, True, True, False, True]
    finally:
        torch.set_num_threads(before)


def test_what_the_library_cannot_look_at(monkeypatch):
    assert all_finite([torch.ones(3), torch.ones(8)[::2]]) is None
    assert all_finite([torch.ones(3, dtype=torch.int64)]) is None
    assert all_finite([torch.ones(3, device="meta")]) is None
    monkeypatch.setitem(BACKENDS, "native", Native(()))
    assert all_finite([torch.ones(3)]) is None
