"""The compiled steps at their edges: bounds, refusals, numbers that do not fit, threads. What they compute is the
suite's business (kernel-step, float32-residual)."""

import subprocess
import sys
import warnings
from typing import Any

import pytest
import torch

from solvers import L1, RAMDA, GroupLasso
from solvers.kernels import BACKENDS
from solvers.kernels.native import Native
from tests.registry import optimizers

NATIVE: Any = BACKENDS["native"]
pytestmark = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)
ALL = optimizers()


def stepped(param: torch.Tensor, cls=RAMDA, steps: int = 2, **settings) -> torch.Tensor:
    made = cls([("weight", param)], **settings)
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        param.grad = torch.empty_like(param).copy_(torch.randn(param.shape, generator=generator))
        made.step()
    return param.detach()


# A tensor ends where a page ends, and the next page may not be touched: a read or write beyond it kills the process.
AT_THE_EDGE = """
import ctypes, mmap, sys
import torch
from solvers import GroupLasso, L1, Zero
from solvers.optimizers import METHODS

libc, PAGE, keep = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE, []

def guarded(source):
    size = source.numel() * source.element_size()
    pages = -(-size // PAGE)
    area = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for forbidden in (start, start + (pages + 1) * PAGE):
        assert libc.mprotect(ctypes.c_void_p(forbidden), PAGE, 0) == 0
    offset = ((pages + 1) * PAGE - size) if BACK else PAGE
    flat = torch.frombuffer(area, dtype=source.dtype, count=source.numel(), offset=offset)
    keep.append(area)
    return flat.view(source.shape).copy_(source)

for BACK in (True, False):
    for shape in (
        *((1, 1), (3, 1), (1, 3), (5, 7), (17, 33), (129, 3), (3, 129), (2, 3, 3, 3), (40, 2, 1, 1), (33, 17)),
        (12, 4, 3, 3),
    ):
        grouped = [GroupLasso(0.1, "channel", conv_groups=number) for number in (3, 20) if shape[0] % number == 0]
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            for cls in METHODS.values():
                for regularizer in (GroupLasso(0.1, "input"), GroupLasso(0.1, "output"), *grouped, L1(0.1), Zero()):
                    param = torch.nn.Parameter(guarded(torch.randn(shape).to(dtype)))
                    made = cls([param], regularizer=regularizer, backend="native")
                    param.grad = guarded(torch.randn(shape).to(dtype))
                    made.step()
                    state = made.state[param]
                    state.update({key: guarded(value) for key, value in state.items() if value.ndim})
                    gradient = param.grad.clone()
                    made.step()
                    assert torch.equal(param.grad, gradient)
                    made.structured_iterate()
print("stayed within")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pages are protected by Linux's mprotect")
def test_nothing_is_touched_beyond_a_tensor():
    done = subprocess.run([sys.executable, "-c", AT_THE_EDGE], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "stayed within", f"exit {done.returncode}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("build", NATIVE.builds)
@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_build_takes_the_step(build, cls, dtype, monkeypatch):
    """The suite sees the best build alone; the others must agree with it to rounding."""
    alone = Native((build,))
    assert alone.unavailable_reason() is None
    grouped = [GroupLasso(0.05, "channel", conv_groups=number) for number in (3, 11)]
    for regularizer in (GroupLasso(0.05, "input"), GroupLasso(0.05, "output"), *grouped, L1(0.05), None):
        results = []
        for backend in (NATIVE, alone):
            monkeypatch.setitem(BACKENDS, "native", backend)
            torch.manual_seed(0)
            results.append(stepped(torch.nn.Parameter(torch.randn(33, 17).to(dtype)), cls, regularizer=regularizer))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("regularizer", [GroupLasso(0.01, "input"), GroupLasso(0.01, "output"), L1(0.01)], ids=repr)
def test_threads_do_not_change_a_bit(cls, regularizer):
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            results.append(stepped(torch.nn.Parameter(torch.randn(300, 700)), cls, regularizer=regularizer))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_other_parameters_do_not_change_a_bit():
    torch.manual_seed(0)
    start = [torch.randn(shape) for shape in ((20, 30), (5,), (4, 3, 3, 3))]
    gradients = [torch.randn_like(value) for value in start]
    together = [torch.nn.Parameter(value.clone()) for value in start]
    groups = [{"params": [p], "regularizer": GroupLasso(0.1) if p.ndim > 1 else None} for p in together]
    made = RAMDA(groups)
    for param, gradient in zip(together, gradients, strict=True):
        param.grad = gradient
    made.step()
    for value, gradient, group, param in zip(start, gradients, groups, together, strict=True):
        alone = torch.nn.Parameter(value.clone())
        alone.grad = gradient
        RAMDA([alone], regularizer=group["regularizer"]).step()
        assert torch.equal(alone, param)


def test_float16_falls_back_with_one_line(log, plain_steps):
    stepped(torch.nn.Parameter(torch.randn(3, 4).half()), regularizer=GroupLasso(0.1))
    assert plain_steps == ["weight", "weight"]
    assert log() == ["the native kernel is not used: parameters of torch.float16; plain torch takes the step"]


def test_gaps_in_memory_fall_back_with_one_line(log, plain_steps):
    wide = torch.randn(3, 8)
    result = stepped(torch.nn.Parameter(wide[:, ::2]), regularizer=GroupLasso(0.1))
    assert plain_steps == ["weight", "weight"]
    (line,) = log()
    assert "memory has gaps" in line
    torch.manual_seed(0)
    dense = torch.nn.Parameter(torch.empty(3, 4).copy_(result))
    assert dense.is_contiguous()


class Squared(GroupLasso):
    """Another prox, and the parent's group_norms."""

    def prox(self, w, step):
        return super().prox(w, step * step)


def test_groups_that_are_no_array_in_memory_fall_back_with_one_line(log, plain_steps):
    # Kernel axes slowest, then the blocks: every block lies in four pieces.
    apart = torch.randn(2, 2, 4, 3).permute(2, 3, 0, 1)
    stepped(torch.nn.Parameter(apart), regularizer=GroupLasso(0.1, "channel", conv_groups=2))
    assert plain_steps == ["weight", "weight"]
    (line,) = log()
    assert "GroupLasso" in line
    assert "(4, 3, 2, 2)" in line
    assert "gaps" not in line


def test_a_prox_of_its_own_falls_back_with_one_line(log, plain_steps):
    stepped(torch.nn.Parameter(torch.randn(3, 4)), regularizer=Squared(0.1))
    assert plain_steps == ["weight", "weight"]
    (line,) = log()
    assert "Squared" in line
    assert "gaps" not in line


def test_gradient_laid_out_otherwise_falls_back_with_one_line(log):
    results = []
    for turned in (False, True):
        torch.manual_seed(0)
        param = torch.nn.Parameter(torch.randn(3, 4))
        made = RAMDA([param], regularizer=GroupLasso(0.1))
        gradient = torch.randn(3, 4)
        param.grad = gradient.t().contiguous().t() if turned else gradient
        made.step()
        results.append(param.detach())
    torch.testing.assert_close(*results)
    assert log() == ["the native kernel is not used: strides (1, 3) beside (4, 1); plain torch takes the step"]


def test_a_missing_library_falls_back_with_one_line(log, plain_steps, monkeypatch):
    monkeypatch.setattr(type(NATIVE), "unavailable_reason", lambda self: "it was not built")
    stepped(torch.nn.Parameter(torch.randn(3, 4)), regularizer=GroupLasso(0.1))
    assert plain_steps == ["weight", "weight"]
    assert log() == ["the native kernel is not used: it was not built; plain torch takes the step"]


@pytest.mark.parametrize("backend", ["auto", "native"])
def test_the_kernel_is_used_without_a_word(backend, log, plain_steps):
    stepped(torch.nn.Parameter(torch.randn(3, 4)), regularizer=GroupLasso(0.1), backend=backend)
    assert (plain_steps, log()) == ([], [])


def test_a_changed_formula_leaves_the_kernel_behind(plain_steps):
    class Doubled(RAMDA):
        def normal_form(self, point, state, group):
            form = super().normal_form(point, state, group)
            return form._replace(lam=2 * form.lam)

    class OwnWeights(RAMDA):
        def step_weight(self, step, group):
            return group["lr"]

    class OwnProx(GroupLasso):
        def metric_prox(self, B, D, lam):
            return super().metric_prox(B, D, 2 * lam)

    class OwnWeight(GroupLasso):
        def group_weight(self, w):
            return 2 * super().group_weight(w)

    for cls, regularizer, plain in [
        (Doubled, GroupLasso(0.1), True),
        (OwnWeights, GroupLasso(0.1), False),
        (RAMDA, OwnProx(0.1), True),
        (RAMDA, OwnWeight(0.1), False),
    ]:
        plain_steps.clear()
        results = []
        for backend in ("auto", "plain"):
            torch.manual_seed(0)
            results.append(
                stepped(torch.nn.Parameter(torch.randn(3, 4)), cls, regularizer=regularizer, backend=backend)
            )
        torch.testing.assert_close(*results)
        assert len(plain_steps) == (4 if plain else 2), (cls, regularizer)


@pytest.mark.parametrize("backend", ["plain", "native"])
def test_a_solution_that_does_not_fit_keeps_its_group_and_is_said(backend):
    param = torch.nn.Parameter(torch.ones(4, 3))
    made = RAMDA([("weight", param)], eps=1e-30, momentum=1.0, regularizer=GroupLasso(1e-3), backend=backend)
    param.grad = torch.zeros(4, 3)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # all of it is zero for a step
        made.step()
    # B/D is 1e50 in the middle group.
    made.state[param]["grad_sum"][:, 1] = 1e20
    param.detach().fill_(1.0)
    with pytest.warns(RuntimeWarning, match="parameter weight was not accepted, . of its groups or entries have no"):
        made.step()
    assert made.unaccepted_steps == 1
    assert bool(torch.isfinite(param).all())
    assert param[:, 1].eq(1).all()


@pytest.mark.parametrize("backend", ["plain", "native"])
def test_entries_of_1e30_keep_their_group_and_are_said(backend):
    """s*G*G overflows; neither is anything but the group that it hits touched, nor is it silent."""
    param = torch.nn.Parameter(torch.ones(4, 3))
    made = RAMDA([param], regularizer=GroupLasso(1e-3), backend=backend)
    param.grad = torch.ones(4, 3)
    param.grad[2, 1] = 1e30
    with pytest.warns(RuntimeWarning, match="was not accepted, [14] of its groups or entries"):
        made.step()
    torch.testing.assert_close(param[:, 1], torch.ones(4), rtol=2e-7, atol=0)
    assert bool(torch.isfinite(param).all())
    assert param[:, 0].ne(1).all()


def test_looking_at_what_touches_nothing():
    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(6, 5, dtype=torch.bfloat16))
    made = RAMDA([param], regularizer=GroupLasso(0.1))
    for _ in range(3):
        param.grad = torch.randn_like(param)
        made.step()
    state = {key: value.clone() for key, value in made.state[param].items()}
    point = param.detach().clone()
    assert made.structured_iterate()[param].dtype == torch.bfloat16
    assert torch.equal(param, point)
    assert all(torch.equal(value, made.state[param][key]) for key, value in state.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "cuda"}, "backend must be one of 'auto', 'plain', 'native', 'triton', got 'cuda'"),
        ({"capturable": True}, "capturable=True needs check_finite=False"),
        ({"capturable": True, "check_finite": False, "backend": "plain"}, "capturable=True needs"),
        ({"capturable": True, "check_finite": False, "backend": "native"}, "capturable=True needs"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        RAMDA([torch.nn.Parameter(torch.ones(2, 2))], **options)


def test_a_plain_step_cannot_be_captured():
    param = torch.nn.Parameter(torch.ones(2, 2))
    made = RAMDA([param], capturable=True, check_finite=False)
    param.grad = torch.ones(2, 2)
    made.method = "proximal_gradient"
    with pytest.raises(RuntimeError, match=r"params\[0\] .* has no kernel, and a plain step cannot be captured"):
        made.step()
