"""Every step with group norms, the group LASSO and what adds to it, is stationary: any scale, dtype and build.

B and D are put into the state as they are wanted, one step is taken, and the residual of every group is recomputed in
float64. A backend may give a group up where its dtype cannot hold the solution, if it counts it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases import compiled
from ramda_verify.checks.helpers import Array, norm, tensor
from ramda_verify.checks.kernels.steps import device_of
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.oracles import float_subproblem
from ramda_verify.oracles.atoms import Norm, Scalar
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.group_residuals import relative_residuals, zeroing_factor
from ramda_verify.oracles.psi import atoms_of, priced_entries
from solvers import RAMDA
from solvers.kernels import BACKENDS
from solvers.kernels.native import Native, machine_builds
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.members import Regularizer

#: What a group that is given up keeps.
KEPT = 7.0

EPS = 1e-30

#: Shapes, and grouping, layout and conv_groups. Long groups, many groups, one longer than the compiled kernel holds at
#: a time; depthwise and grouped convolutions, small blocks of which a thread takes several and large ones.
Layout = tuple[tuple[int, ...], tuple[str, str, int]]

INPUT, OUTPUT = ("input", "out_in", 1), ("output", "out_in", 1)

SMALL_SHAPES: tuple[Layout, ...] = (
    *((shape, kind) for shape in ((2, 3), (1, 5), (7, 40), (40, 7), (5, 4, 3, 3)) for kind in (INPUT, OUTPUT)),
    *(((6, 4, 3, 3), ("channel", "out_in", 2)), ((12, 5), ("filter", "in_out", 3))),
    ((9, 1, 3, 3), ("channel", "out_in", 9)),
)

#: Those of which some group leaves the range, where entries may.
MANY_SHAPES = tuple(layout for layout in SMALL_SHAPES if math.prod(layout[0]) >= 60)

LARGE_SHAPES: tuple[Layout, ...] = (
    *(((4099, 2), kind) for kind in (INPUT, OUTPUT)),
    *(((300, 64), kind) for kind in (INPUT, OUTPUT)),
    *(((1, 300_001), OUTPUT), ((2, 4099), OUTPUT)),
    *(((256, 20, 3, 3), ("channel", "out_in", 32)), ((600, 64), ("filter", "in_out", 2))),
)


@contextmanager
def chosen(backend: str, scratch: int) -> Iterator[str]:
    """The name to give an optimizer for ``backend``: "native:avx2" is that build of the compiled library alone.

    ``scratch``: how many entries a thread of it may hold at a time, 0 for as many as it likes.
    """
    name, _, build = backend.partition(":")
    if name != "native":
        yield name
        return
    right = BACKENDS[name]
    BACKENDS[name] = Native((build,) if build else None, scratch)
    try:
        yield name
    finally:
        BACKENDS[name] = right


@check(
    "float32-residual",
    claim="A step with group norms and float32 sums is stationary to 5e-6 ||B||, entries 1e-30 to 1e30, or says "
    "that it is not.",
    source="definition of the subproblem, residual recomputed in float64",
    kind="problem",
    problems=("group-lasso-step",),
    tolerance=tolerances.FLOAT32_RESIDUAL,
    cases=lambda target: _cases("float32", "float32", "bfloat16"),
    cost=2,
)
@check(
    "float64-residual",
    claim="So is one with float64 sums, to 2e-14 ||B||.",
    source="as float32-residual",
    kind="problem",
    problems=("group-lasso-step",),
    tolerance=tolerances.FLOAT64_RESIDUAL,
    cases=lambda target: _cases("float64"),
    share=0.5,
)
def measure_residual(
    backend: str,
    regularizer: Regularizer,
    shape: tuple[int, ...],
    seed: int,
    b: float,
    d: float,
    share: float,
    dtype: str = "float32",
    scratch: int = 0,
) -> Measurement:
    """Largest ||residual of a group|| / ||B of the group|| of Ŵ of one step, recomputed in float64.

    ``b`` and ``d`` are how many powers of ten the entries of B and D spread over, ``share`` is lam in units of the
    weight at which the middle group turns zero. Infinite where a group is given up for no reason or without a word.
    """
    held: torch.dtype = getattr(torch, dtype)
    sums, kind = accumulation_dtype(torch.empty(0, dtype=held)), torch.finfo(held)
    rng = np.random.default_rng(seed)
    B = tensor(rng.standard_normal(shape) * 10 ** rng.uniform(-b / 2, b / 2, shape), sums)
    D = tensor(10 ** rng.uniform(-d / 2, d / 2, shape), sums)
    psi = priced_entries(atoms_of(regularizer, shape), math.prod(shape))
    if psi is None:
        raise TypeError(f"psi must be a sum of norms of groups and of entries, got {regularizer!r}")
    terms, exact_B = psi.norms, B.double().numpy()
    by_length = sorted(terms, key=lambda term: norm(exact_B.ravel()[term[1]]) / term[0])
    price, middle = by_length[len(by_length) // 2]
    lam = share * zeroing_factor(exact_B.ravel()[middle], price, psi.entry_price)
    with chosen(backend, scratch) as name:
        w, w_hat, exact_D, said = _step(B, D, lam, regularizer, held, name)
    if not (np.abs(w - w_hat) <= kind.eps * np.abs(w_hat) + kind.tiny).all():
        return Measurement(np.inf, "W is not Ŵ after a step with momentum 1")
    prices, groups = [lam * price for price, _ in terms], [indices for _, indices in terms]
    residuals = relative_residuals(w_hat, exact_B, exact_D, prices, groups, lam * psi.entry_price)
    # Where the solution is denormal, the dtype has no digits to give.
    tiny = float(torch.finfo(sums).tiny)
    given_up = np.array([bool((w_hat.ravel()[indices] == KEPT).all()) for indices in groups])
    if said != given_up.any():
        return Measurement(np.inf, f"{given_up.sum()} groups are given up, and this is {'' if said else 'not '}counted")
    for index in np.flatnonzero(given_up):
        bs, ds = exact_B.ravel()[groups[index]], exact_D.ravel()[groups[index]]
        here = np.arange(len(bs))
        alone = [Norm(terms[index][0], here), Scalar(psi.entry_price, here, ABS)]
        fits = norm(float_subproblem.solve(bs, ds, lam, alone)) <= float(kind.max)
        residuals[index] = np.inf if fits else 0.0
    for index in np.flatnonzero(residuals > tolerances.FLOAT64_RESIDUAL.value):
        size = norm(exact_B.ravel()[groups[index]]) or 1.0
        residuals[index] = max(0.0, residuals[index] - tiny * norm(exact_D.ravel()[groups[index]]) / size)
    worst = int(np.argmax(residuals))
    size = norm(exact_B.ravel()[groups[worst]])
    fate = "given up" if given_up[worst] else "written"
    note = f"group {worst} of {len(groups)} is {fate}, ||B|| {size:.3g}, lam {lam:.3g}"
    return Measurement(float(residuals[worst]), note, problems=len(groups))


def _step(
    B: torch.Tensor, D: torch.Tensor, lam: float, regularizer: Regularizer, dtype: torch.dtype, backend: str
) -> tuple[Array, Array, Array, bool]:
    """W and Ŵ of a step with such B, D and lam; D as its formula has it in float64; whether a group was given up."""
    device = device_of(backend) if backend in BACKENDS else "cpu"
    param = torch.nn.Parameter(torch.zeros(B.shape, dtype=dtype, device=device))
    made = RAMDA([param], lr=1e-300, momentum=1.0, eps=EPS, regularizer=regularizer, backend=backend)
    param.grad = torch.zeros_like(param)
    made.step()
    # With W0 = 0 and no gradient, B = -V and D = cbrt(U) + eps; U is rounded, and D is what it then is.
    state = made.state[param]
    state["grad_sum"].copy_(-B)
    state["grad_sq_sum"].copy_(D.double() ** 3)
    state["weight_sum"].fill_(lam)
    param.detach().fill_(KEPT)
    found: list[torch.Tensor] = []
    made.observers.append(lambda _, w_hat: found.append(w_hat.cpu().double()))
    before = made.unaccepted_steps
    made.step()
    exact_D = np.cbrt(state["grad_sq_sum"].cpu().double().numpy()) + EPS
    return param.detach().cpu().double().numpy(), found[0].numpy(), exact_D, made.unaccepted_steps > before


#: Powers of ten that the entries of B and of D spread over, as a step has them and as the dtype does not hold them.
COMMON = ((0.0, 4.0, 20.0, 60.0), (0.0, 4.0, 8.0, 16.0, 24.0))

EXTREME = {"float32": ((70.0,), (24.0,)), "float64": ((600.0,), (60.0,))}

#: What ``share`` may be: around the threshold and far from it, and where about half of the groups are nonzero.
SHARES, MIDDLING = (0.5, 0.9, 1e-3, 1.1, 1e-9, 1e9, 1 - 1e-6, 1 + 1e-6), (0.5, 0.9, 1 - 1e-6)


def _spreads(
    dtypes: Sequence[str],
    backends: Sequence[str],
    layouts: Sequence[Layout],
    spreads: tuple[Sequence[float], Sequence[float]] = COMMON,
    shares: Sequence[float] = SHARES,
) -> st.SearchStrategy[Case]:
    def of(layout: Layout) -> st.SearchStrategy[Case]:
        shape, kind = layout
        return st.fixed_dictionaries(
            {
                "backend": st.sampled_from(backends),
                "regularizer": st.sampled_from(compiled.grouped_as(*kind)),
                "shape": st.just(shape),
                "seed": st.integers(0, 2**16),
                "b": st.sampled_from(spreads[0]),
                "d": st.sampled_from(spreads[1]),
                "share": st.sampled_from(shares),
                "dtype": st.sampled_from(dtypes),
                "scratch": st.sampled_from([0, 0, 64, 4096]),
            }
        )

    return st.sampled_from(layouts).flatmap(of)


def backends_here() -> list[str]:
    """Plain torch and every build of the compiled library that runs here."""
    builds = [build for build in machine_builds() if Native((build,)).unavailable_reason() is None]
    return ["plain", *(f"native:{build}" for build in builds)]


def _cases(*dtypes: str) -> st.SearchStrategy[Case]:
    """Of eleven cases three are large, two out of range and one is the Triton kernel's, small where it is interpreted.
    With float32 sums there is one of float16, which the compiled library does not take.
    """
    device = device_of("triton")
    kinds = [_spreads(dtypes, backends_here(), SMALL_SHAPES)] * 5
    kinds += [_spreads(dtypes, backends_here(), LARGE_SHAPES)] * 3
    kinds += [_spreads(dtypes, backends_here(), MANY_SHAPES, EXTREME[dtypes[0]], MIDDLING)] * 2
    others = ["plain"]
    if BACKENDS["triton"].unavailable_reason() is None:
        others.append("triton")
        kinds.append(_spreads(dtypes, ["triton"], SMALL_SHAPES if device == "cpu" else SMALL_SHAPES + LARGE_SHAPES))
    if "float32" in dtypes:
        kinds.append(_spreads(["float16"], others, SMALL_SHAPES, (COMMON[0][:3], COMMON[1])))
    return st.sampled_from(range(len(kinds))).flatmap(lambda kind: kinds[kind])
