"""A counterexample of the solver, tried on the user's object in float64 before anybody is accused."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ramda_verify.proof.verdict import Counterexample
from ramda_verify.tolerances import DESCENT

#: Directions of a group in which a replay puts its norm; exact in decimals where they can be.
DIRECTIONS: dict[int, tuple[float, ...]] = {2: (0.6, 0.8), 3: (1 / 3, 2 / 3, 2 / 3)}


@dataclass(frozen=True)
class Replay:
    """``confirmed`` with the counterexample, or the reason why the object does not bear it out."""

    counterexample: Counterexample | None
    reason: str = ""

    @property
    def confirmed(self) -> bool:
        return self.counterexample is not None


def replay(
    build: Callable[[Mapping[str, float]], Any],
    import_lines: Callable[[Mapping[str, float]], Sequence[str]],
    shape: Sequence[int],
    values: Mapping[str, float],
    parameters: Sequence[str],
) -> Replay:
    """Compute prox and both objectives with the object that ``build`` makes of the parameters' values."""
    chosen = {name: values[name] for name in parameters}
    try:
        regularizer = build(chosen)
    except Exception as error:
        return Replay(None, f"the class refuses {_words(chosen)}: {error}")
    w, z = (point_of(shape, values[name]) for name in ("w", "z"))
    step = values["step"]
    shown = {"w": values["w"], "step": step, **chosen}
    lines = ["import torch", *import_lines(chosen), f"w = {_literal(w)}", f"step = {step!r}"]
    lines += ["p = regularizer.prox(w, step)", "print(p)"]
    try:
        p = regularizer.prox(w.clone(), step)
        value = torch.as_tensor(regularizer.value(p))
        psi_of_p = float(value)
    except Exception as error:
        note = f"prox or value raises {type(error).__name__}: {error}"
        return Replay(Counterexample(shown, note, "\n".join([*lines, "print(regularizer.value(p))"])))
    if not isinstance(p, Tensor) or p.shape != w.shape:
        return Replay(None, "prox returns no tensor of the shape of w")
    if not bool(torch.isfinite(p).all()) or math.isnan(psi_of_p):
        note = f"prox(w, step) = {_plain(p)}, where psi is {psi_of_p:g}"
        return Replay(Counterexample(shown, note, "\n".join([*lines, "print(regularizer.value(p))"])))
    try:
        psi_of_z = float(regularizer.value(z))
    except Exception as error:
        return Replay(None, f"value raises {type(error).__name__} at z = {values['z']:g}: {error}")
    best = _objective(step, psi_of_p, p, w)
    rival = _objective(step, psi_of_z, z, w)
    scale = sum(abs(term) for term in (step * psi_of_z, 0.5 * float((z - w).square().sum())))
    # A count times a Python number is a tensor of the default dtype, float32.
    narrow = torch.finfo(value.dtype).eps if value.dtype.is_floating_point else 0.0
    rounding = max(DESCENT.value, narrow) * (scale if math.isinf(best) else scale + abs(best))
    if not rival < best - rounding:
        return Replay(
            None, f"at {_words(shown)} the objective of prox is {best:.17g}, that of z = {values['z']:g} {rival:.17g}"
        )
    digits = next(count for count in range(6, 18) if f"{best:.{count}g}" != f"{rival:.{count}g}")
    note = f"prox(w, step) = {_plain(p)} has the objective {best:.{digits}g}, z = {_plain(z)} has {rival:.{digits}g}"
    lines[-1:] = [
        f"z = {_literal(z)}",
        "for point in (p, z):",
        "    print(point, step * regularizer.value(point) + 0.5 * (point - w).square().sum())",
    ]
    return Replay(Counterexample({**shown, "z": values["z"]}, note, "\n".join(lines)))


def _objective(step: float, psi: float, point: Tensor, w: Tensor) -> float:
    return step * psi + 0.5 * float((point - w).square().sum())


def point_of(shape: Sequence[int], size: float) -> Tensor:
    """One entry of this value, or a group of this norm."""
    count = math.prod(shape)
    if count == 1:
        return torch.full(tuple(shape), size, dtype=torch.float64)
    direction = DIRECTIONS.get(count, (1 / math.sqrt(count),) * count)
    return (size * torch.tensor(direction, dtype=torch.float64)).reshape(tuple(shape))


def _literal(tensor: Tensor) -> str:
    return f"torch.tensor({tensor.tolist()!r}, dtype=torch.float64)"


def _plain(tensor: Tensor) -> str:
    entries = [f"{entry:.6g}" for entry in tensor.reshape(-1).tolist()]
    return entries[0] if len(entries) == 1 else f"[{', '.join(entries)}]"


def _words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
