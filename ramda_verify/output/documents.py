"""JSON documents as records of msgspec: written with a version, read strictly.

What is refused names the file, the place in it and what is allowed there.
"""

import json
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import inspect

from ramda_verify.output.jsonable import jsonable

#: A number in a document: NaN and infinities, which JSON lacks, are text.
Number = float | Literal["nan", "inf", "-inf"]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a document. A field of another name or type than the class has is an error."""


class Document(Record, frozen=True, kw_only=True):
    """A whole document; ``schema`` is the version of its fields, and VERSION the only one that is read.

    A class whose files were written before they had a version gives ``schema`` a default.
    """

    VERSION: ClassVar[int] = 1
    schema: int


class DocumentError(ValueError):
    """A text is no such document."""


Kind = TypeVar("Kind", bound=Record)


def to_json(record: Record, indent: int | None = 1) -> str:
    """The record as ASCII text; a number that is not finite is written as text.

    Arguments:
        record: fields of numbers, texts, lists, mappings, dataclasses and records; arrays and tensors become lists.
        indent: spaces for each level; None for one line.

    Raises:
        DocumentError: a field is not of the type that the class states, so that the text could not be read back.
    """
    written = jsonable(msgspec.to_builtins(record, enc_hook=jsonable))
    try:
        msgspec.convert(written, type(record))
    except msgspec.ValidationError as error:
        raise DocumentError(f"{type(record).__name__} cannot be written: {error}") from error
    return json.dumps(written, indent=indent, allow_nan=False)


def from_json(text: str, kind: type[Kind], source: str) -> Kind:
    """The record that the text holds.

    Arguments:
        text: JSON.
        kind: the class of the record.
        source: what the text is, with the name of its file, for the message.

    Raises:
        DocumentError: the text is no JSON, is of another version, or a field is missing, unknown or of another type.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"{source} must be JSON: {error}") from error
    if issubclass(kind, Document):
        _require_version(found, kind, source)
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{source}: {error}{_allowed(kind, str(error), found)}") from error


def plain(record: Record) -> dict[str, Any]:
    """The record as a mapping whose numbers are numbers, those that are not finite too."""
    found: dict[str, Any] = _numbers(msgspec.to_builtins(record))
    return found


def number(value: Number) -> float:
    """The number that a document holds."""
    return float(value)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return float(value) if isinstance(value, str) and value in ("nan", "inf", "-inf") else value


def _require_version(found: Any, kind: type[Document], source: str) -> None:
    default = next(field.default for field in msgspec.structs.fields(kind) if field.name == "schema")
    missing = None if default is msgspec.NODEFAULT else default
    version = found.get("schema", missing) if isinstance(found, dict) else None
    if version != kind.VERSION or isinstance(version, bool):
        raise DocumentError(f"{source} must be of schema {kind.VERSION}, got schema {version!r}")


def _allowed(kind: type[Record], message: str, found: Any) -> str:
    """What msgspec leaves out where it refuses a text: the value that was found, and those that are allowed."""
    if "Invalid enum value" not in message or " - at `$" not in message:
        return ""
    allowed: Any = inspect.type_info(kind)
    for part in message.rsplit("`$", 1)[1].rstrip("`").replace("[", ".[").split(".")[1:]:
        allowed = _at(allowed, part)
    return f", allowed are {', '.join(map(str, sorted(_texts(allowed))))}" if allowed is not None else ""


def _at(info: Any, part: str) -> Any:
    """The type of a part: of a field of a record, or of the entries of a list or mapping."""
    if isinstance(info, inspect.UnionType):
        return next((deeper for each in info.types if (deeper := _at(each, part)) is not None), None)
    if part.startswith("["):
        return getattr(info, "item_type", None) or getattr(info, "value_type", None)
    return next((field.type for field in getattr(info, "fields", ()) if field.encode_name == part), None)


def _texts(info: Any) -> set[str]:
    if isinstance(info, inspect.UnionType):
        return set().union(*(_texts(each) for each in info.types))
    if isinstance(info, inspect.LiteralType):
        return set(map(repr, info.values))
    if isinstance(info, inspect.EnumType):
        return {repr(member.value) for member in info.cls}
    return {type(info).__name__.removesuffix("Type").lower()}
