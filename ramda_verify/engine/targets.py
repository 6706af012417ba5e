"""What is checked: the known regularizers, a regularizer of the user's, the optimizers, problems with known answers."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from ramda_verify.engine.construction import construction
from ramda_verify.engine.plug_in_path import look_in
from solvers.regularizers.base import offers, require_regularizer
from solvers.regularizers.members import Regularizer

ENTRY_POINT_GROUP = "ramda_verify.regularizers"


class TargetError(Exception):
    """A target that cannot be used; the message says which, why, and what is allowed."""


@dataclass(frozen=True)
class Target:
    """``kind`` is "regularizer", "optimizer" or "problem".

    ``instances`` draws regularizers of this target, see ``strategies.Instances``; ``example`` is one of them;
    ``import_lines(regularizer)`` makes one in a snippet. ``traced`` targets appear in the report's pictures.
    ``dtypes`` and ``devices`` are the only ones to try, by name; where they are empty, all that a check knows.
    """

    name: str
    kind: str
    example: Any
    instances: Any
    import_lines: Callable[[Any], list[str]]
    traced: bool = True
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    def probe(self, question: Callable[[Any], str | None]) -> str | None:
        """Ask a question of a regularizer of this target: None, or the reason why a check does not apply."""
        return question(self.example)


def regularizer_target(specification: str) -> Target:
    """The target of ``package.module:Name`` or ``path/file.py:Name``, an instance or a class, which is called without
    arguments or, where it needs some, gives the first of its ``examples``.

    Raises TargetError where it cannot be imported, found, built, or is no regularizer.
    """
    found = load_regularizer(specification)
    module, _, name = specification.rpartition(":")
    lines = ["from ramda_verify.engine.targets import load_regularizer"]
    if module.endswith(".py"):
        lines.append(f"regularizer = load_regularizer({f'{Path(module).resolve()}:{name}'!r})")
    else:
        lines += ["import sys", f"sys.path.append({str(Path.cwd())!r})"]
        lines.append(f"regularizer = load_regularizer({specification!r})")
    return Target(specification, "regularizer", found, st.just(found), lambda regularizer: lines, traced=False)


def why_refused(specification: str) -> str | None:
    """The message by which ``specification`` is refused; None where it names a regularizer."""
    try:
        load_regularizer(specification)
    except TargetError as error:
        return str(error)
    return None


def load_regularizer(specification: str) -> Any:
    """Import the object that ``specification`` names and make an instance of it. Raises TargetError."""
    module_name, separator, name = specification.rpartition(":")
    if not separator or not module_name or not name:
        raise TargetError(f"TARGET must be package.module:Name or path/file.py:Name, got {specification!r}")
    module = _load_module(module_name, specification)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            offered = ", ".join(sorted(n for n in vars(module) if not n.startswith("_"))) or "nothing"
            raise TargetError(f"{specification!r}: no {name!r} in {module_name}, which has {offered}")
        found = getattr(found, part)
    if isinstance(found, type):
        try:
            found = _plainest(found)
        except (Exception, SystemExit) as error:
            raise TargetError(
                f"{specification!r}: {name}() raised {type(error).__name__}: {error}; "
                "name an instance, give every argument a default, or offer examples"
            ) from error
    try:
        require_regularizer(specification, found)
    except TypeError as error:
        raise TargetError(str(error)) from error
    return found


def _plainest(cls: type) -> Any:
    """The instance without arguments; where some are needed, the first of ``examples``."""
    described: Any = cls
    try:
        return cls()
    except TypeError:
        if not offers(cls, "examples"):
            raise
        return next(iter(described.examples()))


def _load_module(name: str, specification: str) -> ModuleType:
    try:
        if name.endswith(".py"):
            path = Path(name)
            if not path.is_file():
                raise TargetError(f"{specification!r}: there is no file {name}")
            spec = importlib.util.spec_from_file_location(f"_ramda_verify_target_{path.stem}", path)
            # Of a name that ends in .py there always is one.
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            look_in(path.parent)
            # Dataclasses and pickling look their module up by name.
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            return module
        return importlib.import_module(name)
    except TargetError:
        raise
    except (Exception, SystemExit) as error:  # a script that ends itself would end the verdict with it
        raise TargetError(f"{specification!r}: importing {name} raised {type(error).__name__}: {error}") from error


def known_regularizers() -> dict[str, type]:
    """Regularizer classes by name: our own and those that other packages register as entry points."""
    return {entry.name: entry.load() for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name)}


def known_target(name: str) -> Target:
    """The target of a registered regularizer: over the range of its parameters where it offers ``examples``, else as
    its class builds it.
    """
    from ramda_verify.cases.strategies import instances

    classes = known_regularizers()
    if name not in classes:
        raise TargetError(f"no regularizer {name!r} is registered; known are {', '.join(classes)}")
    cls: Any = classes[name]
    described = offers(cls, "examples")
    examples = tuple(cls.examples()) if described else (load_regularizer(f"{cls.__module__}:{cls.__qualname__}"),)

    def import_lines(regularizer: Regularizer) -> list[str]:
        if is_dataclass(regularizer):
            return construction(regularizer)
        # Other objects are drawn as the class has made them.
        place = next(i for i, example in enumerate(examples) if example is regularizer)
        made = f"{cls.__qualname__}.examples()[{place}]" if described else f"{cls.__qualname__}()"
        return [f"from {cls.__module__} import {cls.__qualname__}", f"regularizer = {made}"]

    return Target(name, "regularizer", examples[0], instances(examples), import_lines, traced=described)


def plain_target(name: str, kind: str) -> Target:
    """A target without a regularizer to draw, an optimizer or a problem; a case may still name one of ours."""
    return Target(name, kind, None, st.nothing(), construction)
