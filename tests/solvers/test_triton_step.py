"""The Triton backend steps as plain torch does: on a GPU where there is one, else in Triton's interpreter.

And without a GPU its kernels compile.
"""

import itertools
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from solvers import L1, RAMDA, GroupLasso, SparseGroupLasso
from solvers.kernels import BACKENDS
from solvers.regularizers.base import accumulation_dtype
from tests.registry import optimizers
from tests.solvers.triton_cases import DEVICE, INTERPRETED

# The interpreter's numpy warns of infinities, which the kernels deal with.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

TRITON: Any = BACKENDS["triton"]
METHODS: dict[str, Any] = {
    **{cls.record.name: partial(cls, lr=0.1) for cls in optimizers()},
    **{f"{cls.record.name}, amsgrad": partial(cls, lr=0.1, amsgrad=True) for cls in optimizers(takes="amsgrad")},
    **{f"{cls.record.name}, decay": partial(cls, lr=0.1, weight_decay=0.1) for cls in optimizers()},
}
REGULARIZERS = {
    "input": GroupLasso(0.1, "input"),
    "output": GroupLasso(0.1, "output"),
    "channel": GroupLasso(0.1, "channel"),
    "filter": GroupLasso(0.1, "filter"),
    "sparse groups": SparseGroupLasso(0.05, 0.2, "input"),
    "sparse filters": SparseGroupLasso(0.05, 0.2, "filter"),
    "l1": L1(0.3),
    "none": None,
}
#: Relative to the largest entry. Units of rounding of float32: the plain cube root alone errs by 16.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 64 * 2.0**-23, torch.bfloat16: 2 * 2.0**-7, torch.float16: 2.0**-9}


def both(method: str, points: list[Tensor], regularizer: Any, steps: int = 2, **options: Any) -> tuple[Any, Any]:
    """Two optimizers after the same gradients: by plain torch and by Triton."""
    generator = torch.Generator().manual_seed(1)
    gradients = [
        [torch.randn(point.shape, generator=generator).to(point.dtype) for point in points] for _ in range(steps)
    ]
    made = []
    for backend in ("plain", "triton"):
        params = [torch.nn.Parameter(point.clone(memory_format=torch.preserve_format).to(DEVICE)) for point in points]
        optimizer = METHODS[method](params, regularizer=regularizer, backend=backend, **options)
        for row in gradients:
            for param, gradient in zip(params, row, strict=True):
                param.grad = torch.empty_like(param).copy_(gradient)
            optimizer.step()
        made.append(optimizer)
    return made[0], made[1]


def parameters(optimizer: Any) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def assert_close(found: Tensor, wanted: Tensor, tolerance: float, what: str) -> None:
    found, wanted = found.detach().double(), wanted.detach().double()
    error = (found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-300)
    assert error <= tolerance, f"{what}: {float(error):.2e} against {tolerance:.2e}"


def assert_same(plain: Any, fused: Any) -> None:
    """State, parameters and Ŵ agree to rounding, and both see the same zeros."""
    for expected, param in zip(parameters(plain), parameters(fused), strict=True):
        narrow, wide = TOLERANCES[param.dtype], TOLERANCES[accumulation_dtype(param)]
        assert_close(param, expected, narrow, "the parameter")
        for name, wanted in plain.state[expected].items():
            # The sums of ProxSGD and ProxGen do not depend on the parameter, so its rounding does not show here.
            assert_close(fused.state[param][name], wanted, wide, name)
        wanted, found = plain.structured_iterate()[expected], fused.structured_iterate()[param]
        assert_close(found, wanted, narrow, "Ŵ")
        assert torch.equal(found == 0, wanted == 0)
    assert plain.unaccepted_steps == fused.unaccepted_steps == 0


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape).to(dtype)


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_and_grouping(method: str, regularizer: str):
    matrix = regularizer in ("input", "output")
    points = [drawn(33, 17), drawn(1, 5), drawn(7, 1)] if matrix else [drawn(9, 7, 3, 3), drawn(5, 4, 3)]
    assert_same(*both(method, points, REGULARIZERS[regularizer]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_every_dtype(method: str, dtype: torch.dtype):
    assert_same(*both(method, [drawn(70, 20, dtype=dtype)], REGULARIZERS["input"], steps=1))


@pytest.mark.parametrize(
    ("grouping", "shape"),
    [
        *itertools.product(("input", "output"), ((1, 1), (300, 20), (600, 3))),
        ("output", (3, 1100)),
        ("output", (2, 4100)),
        ("channel", (150, 9, 3, 3)),
        ("channel", (5, 4, 5, 3, 5)),
        ("channel", (3, 4, 7, 11)),
        ("filter", (70, 3, 3, 3)),
        ("filter", (2, 3, 4, 5, 6)),
    ],
    ids=str,
)
def test_every_shape_of_tile(grouping: str, shape: tuple[int, ...]):
    assert_same(*both("ramda", [drawn(*shape)], GroupLasso(0.03, grouping), steps=1))


@pytest.mark.parametrize("grouping", ["channel", "filter"])
def test_other_orders_of_memory(grouping: str):
    point = drawn(9, 7, 3, 3)
    points = [point.to(memory_format=torch.channels_last), point.transpose(0, 1), drawn(6, 5, 4).permute(2, 0, 1)]
    assert_same(*both("ramda", points, GroupLasso(0.03, grouping)))


def test_one_launch_takes_many_tensors():
    points = [drawn(8 + size, 16) for size in range(6)]
    plain, fused = both("ramda", points, REGULARIZERS["input"], steps=1)
    assert_same(plain, fused)
    plans = [plan for plan in TRITON._plans.values() if len(plan.shapes) == len(points)]
    assert all(len(plan.launches) == 1 for plan in plans)


def test_mix_one_gives_the_structured_iterate():
    _, fused = both("ramda", [drawn(40, 20)], GroupLasso(2.4, "input"), momentum=1.0)
    (param,) = parameters(fused)
    w_hat = fused.structured_iterate()[param]
    assert torch.equal(param, w_hat)
    assert 0 < (w_hat == 0).all(0).sum() < 20


def test_restart_then_steps():
    plain, fused = both("ramda", [drawn(20, 30)], REGULARIZERS["output"])
    for optimizer in (plain, fused):
        optimizer.restart(0.5)
        for param in parameters(optimizer):
            param.grad = torch.ones_like(param)
        optimizer.step()
    assert_same(plain, fused)


def test_entries_that_decay_become_zero():
    plain, fused = both(
        "ramda", [torch.full((8, 4), 2e-38, dtype=torch.float32)], GroupLasso(1e9, "input"), momentum=0.5
    )
    assert all(bool((param == 0).all()) for param in parameters(fused))
    assert_same(plain, fused)


@pytest.mark.parametrize("method", ["ramda", "rmda", "proxgen"])
def test_capturable_counters(method: str):
    made = []
    for capturable in (False, True):
        torch.manual_seed(0)
        params = [torch.nn.Parameter(point.to(DEVICE)) for point in (drawn(20, 12), drawn(6, 7))]
        optimizer = METHODS[method](
            params, regularizer=REGULARIZERS["input"], backend="triton", capturable=capturable, check_finite=False
        )
        for _ in range(2):
            for param in params:
                param.grad = drawn(*param.shape).to(DEVICE)
            optimizer.step()
        made.append(params)
    assert all(state["step"].is_floating_point() for state in optimizer.state.values())
    for param, expected in zip(*made, strict=True):
        assert_close(param, expected, 1e-14, "the parameter")


COMPILE = """
import torch, triton, triton.language as tl
from dataclasses import replace
from triton.backends.compiler import GPUTarget
from solvers.kernels.gpu import plan
from solvers.kernels.gpu.spec import KernelSpec
from solvers.optimizers import METHODS

class Absent:
    get_current_target = lambda self: GPUTarget("cuda", 80, 32)
    get_current_device = get_current_stream = lambda self, *_: 0

triton.runtime.driver.set_active(Absent())
# Smaller tiles than are used compile faster.
shared = replace(plan.CHANNELS, rows=32, split=True)
long = replace(plan.COLUMNS[1], rows=64, split=True, looped=True)
broken = replace(plan.RUNS[1], rows=4, broken=True)
for name, kernel, tile, dtype, index in (
    ("ramda", plan.step_entries, replace(plan.ENTRIES, columns=256), tl.float64, tl.int64),
    ("ramda", plan.step_groups, shared, tl.float32, tl.int32),
    ("proxgen_amsgrad", plan.step_groups, long, tl.bfloat16, tl.int64),
    ("proxsgd", plan.step_groups, broken, tl.float16, tl.int32),
    ("rmda", plan.step_groups, replace(plan.COLUMNS[0], rows=16), tl.float32, tl.int32),
):
    recurrence = METHODS[name.split("_")[0]].record.recurrence
    states, numbers = len(recurrence.state) + name.endswith("amsgrad"), recurrence.coefficients
    sums = tl.float64 if dtype == tl.float64 else tl.float32
    aligned = not (tile.segmented or tile.broken)
    (largest,) = (torch.finfo(kind).max for kind, its in plan.DTYPES.items() if its == dtype)
    spec = KernelSpec(name, states, 2 + numbers, dtype, largest, sums, index, True, True, True, False, aligned)
    launch = plan.Launch(kernel, spec, tile, torch.zeros(3, 4, dtype=torch.int32))
    whole, real = torch.zeros(9, dtype=torch.int64), torch.zeros(9, dtype=torch.float64)
    tables = (launch.units, whole, whole, whole, real, real, whole, real, 1, 2)
    assert len(kernel.warmup(*tables, spec, tile, grid=(1,), **launch.options).asm["ptx"]) > 1000
"""


def test_kernels_compile_without_a_gpu(tmp_path: Path):
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", COMPILE], env=environment, cwd=root, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("interpreted", "cuda", "missing"),
    [("0", False, True), ("1", False, False), ("0", True, False), ("1", True, False)],
)
def test_a_device_or_the_interpreter_is_enough(interpreted, cuda, missing, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", interpreted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert (type(TRITON)().unavailable_reason() == "there is no CUDA device") == missing


CHOSEN_LATE = """
import os, triton
from solvers.kernels import BACKENDS
os.environ["TRITON_INTERPRET"] = "1"
print(BACKENDS["triton"].unavailable_reason())
"""


def test_a_triton_that_was_imported_to_compile_does_not_interpret():
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    found = subprocess.run([sys.executable, "-c", CHOSEN_LATE], env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == "triton was imported before TRITON_INTERPRET was set", found.stderr


@pytest.mark.skipif(INTERPRETED, reason="a CUDA graph is captured on a GPU, and there is none")
def test_graph_capture():
    torch.manual_seed(0)
    points = [drawn(300, 70, dtype=torch.float32), drawn(9000, 16, dtype=torch.float32), drawn(50, dtype=torch.float32)]
    made = []
    for captured in (False, True):
        params = [torch.nn.Parameter(point.cuda()) for point in points]
        groups = [{"params": params[:2], "regularizer": REGULARIZERS["input"]}, {"params": params[2:]}]
        optimizer = RAMDA(groups, lr=0.1, backend="triton", capturable=True, check_finite=False)
        gradients = [torch.full_like(param, 0.1) for param in params]
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                optimizer.step()
        torch.cuda.current_stream().wait_stream(stream)
        if captured:
            # Other tensors for the gradients, as a captured backward pass would bring them.
            for param in params:
                param.grad = torch.full_like(param, 0.1)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                optimizer.step()
            for _ in range(4):
                graph.replay()
        else:
            for _ in range(4):
                optimizer.step()
        torch.cuda.synchronize()
        made.append(params)
    for eager, replayed in zip(*made, strict=True):
        assert torch.equal(eager, replayed)


@pytest.mark.skipif(INTERPRETED, reason="without a GPU all tests of these files run in the interpreter already")
def test_the_interpreter_too_where_there_is_a_gpu():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    files = [Path(__file__).with_name(name) for name in ("test_triton_step.py", "test_triton_groups.py")]
    subprocess.run([sys.executable, "-m", "pytest", *files], env=environment, check=True)
