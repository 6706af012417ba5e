"""A recorded step and the file that holds many: one compressed NumPy archive, read without pickle."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

import solvers
from ramda_verify.output.documents import Document, Number, Record, from_json, number, to_json
from ramda_verify.output.writing import write_whole
from solvers import Regularizer

#: The entry of the archive that holds everything but the arrays, as JSON.
METADATA = "metadata"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class RecordedStep:
    """One step of one parameter of a training, cut down to some of its groups.

    Groups are kept whole, so that the subproblem of what is kept is a part of the true one: it has the same solution
    there. A slice of a tensor with the nuclear norm is the whole tensor, of one with L1 any of its entries.

    Attributes:
        name: unique, ``training-optimizer-psi-moment-parameter`` and the dtype where it is not float32.
        training, optimizer, parameter: which; the optimizer as the command line names it.
        moment: "first", "middle", "restart" (the first step after one), "ramp" (in the last stage) or "last".
        dtype: of the parameter, "float32" or "bfloat16".
        step: t of the step, counted from the last restart.
        hyper: the hyperparameters of the parameter's group in this step, numbers only.
        counters: the entries of the state that are one number, before the step.
        lam: the weight of psi in the subproblem of the step.
        arrays: float32 of one shape. "W" and "G", parameter and gradient before the step (bfloat16 values are float32
            numbers); the tensors of the state before the step by their names; "B" and "D" of the subproblem.
    """

    name: str
    training: str
    optimizer: str
    parameter: str
    moment: str
    dtype: str
    regularizer: Regularizer
    step: int
    hyper: dict[str, Any]
    counters: dict[str, float]
    lam: float
    arrays: dict[str, Array]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.arrays["W"].shape

    @property
    def state(self) -> dict[str, Array]:
        """The tensors of the state before the step."""
        return {key: value for key, value in self.arrays.items() if key not in ("W", "G", "B", "D")}

    @property
    def prox_step(self) -> float:
        """Step size of proximal gradient times the weight of psi, theta*lam with theta = 1/max D."""
        return self.lam / float(self.D.max())

    @property
    def prox_point(self) -> NDArray[np.float64]:
        """Where proximal gradient evaluates its first prox, ``W - theta*(D*W - B)``."""
        return self.W - (self.D * self.W - self.B) / self.D.max()

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        """``W``, ``G``, ``B``, ``D`` and the tensors of the state in float64."""
        arrays = self.__dict__.get("arrays", {})
        if name not in arrays:
            raise AttributeError(f"a recorded step has no {name!r}")
        return arrays[name].astype(np.float64)


@dataclass(frozen=True)
class Recording:
    """All of a file: the steps, and how they were made (``made``: date, command, seed, versions)."""

    steps: list[RecordedStep]
    made: dict[str, Any]


class WrittenStep(Record, frozen=True, kw_only=True):
    """See ``RecordedStep``: the names of its arrays in the order in which they are stacked, and psi as the name of its
    class and its attributes.
    """

    name: str
    training: str
    optimizer: str
    parameter: str
    moment: str
    dtype: str
    regularizer: dict[str, Any]
    step: int
    hyper: dict[str, Any]
    counters: dict[str, Number]
    lam: Number
    arrays: list[str]


class Metadata(Document, frozen=True, kw_only=True):
    """What the archive holds beside its arrays, schema 1."""

    made: dict[str, Any]
    steps: list[WrittenStep]


def write(path: Path, recording: Recording) -> None:
    """Write the archive. Raises OSError."""
    entries: dict[str, Any] = {}
    described = []
    for index, step in enumerate(recording.steps):
        entries[f"step{index}"] = np.stack(list(step.arrays.values()))
        psi = {"class": type(step.regularizer).__name__, **vars(step.regularizer)}
        described.append(WrittenStep(**{**asdict(step), "arrays": list(step.arrays), "regularizer": psi}))
    metadata = Metadata(schema=Metadata.VERSION, made=recording.made, steps=described)
    entries[METADATA] = np.array(to_json(metadata, indent=None))
    write_whole(path, lambda file: np.savez_compressed(file, **entries))


def read(path: Path) -> Recording:
    """Read an archive. Raises ValueError, naming the file and what is wrong, on anything that ``write`` did not make,
    and OSError where it cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            metadata = from_json(str(archive[METADATA]), Metadata, f"its entry {METADATA!r}")
            steps = [_step(entry, archive[f"step{index}"]) for index, entry in enumerate(metadata.steps)]
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ValueError(f"{str(path)!r} must be an archive of recorded steps: {error}") from error
    return Recording(steps, metadata.made)


def _step(entry: WrittenStep, stacked: Array) -> RecordedStep:
    psi = dict(entry.regularizer)
    name = psi.pop("class")
    if name not in solvers.__all__:
        raise ValueError(f"the regularizer of {entry.name!r} must be a class of solvers, got {name!r}")
    regularizer = getattr(solvers, name)(**psi)
    if len(stacked) != len(entry.arrays) or stacked.dtype != np.float32:
        raise ValueError(f"the arrays of {entry.name!r} are {stacked.dtype} of shape {stacked.shape}")
    more = {
        "regularizer": regularizer,
        "counters": {key: number(value) for key, value in entry.counters.items()},
        "lam": number(entry.lam),
        "arrays": dict(zip(entry.arrays, stacked, strict=True)),
    }
    return RecordedStep(**{**msgspec.structs.asdict(entry), **more})
