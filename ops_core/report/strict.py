"""Frozen dataclasses to JSON and back, taking nothing that they did not write.

A report is written again from its record months later. A record that was edited or cut must be refused with the place
where it went wrong, not half understood.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ops_core.errors import RecordError

T = TypeVar("T")


def encode(value: object) -> Any:
    """The JSON value of a dataclass made of text, numbers, tuples, mappings with text keys and further dataclasses."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(cls: type[T], value: object, where: str) -> T:
    """The dataclass that `encode` was given.

    Args:
        cls: the dataclass to make.
        value: what was read as JSON.
        where: what to call `value` in an error.

    Raises:
        RecordError: a key is unknown or missing, or a value is of another type; it says where.
    """
    if not isinstance(value, dict):
        raise _wrong("an object", value, where)
    hints = _hints(cls)
    for key in value:
        if key not in hints:
            raise RecordError(f"unknown key {_brief(key)}", where=where, allowed=", ".join(sorted(hints)))
    for key in hints:
        if key not in value:
            raise RecordError(f"the key {key!r} is missing", where=where)
    return cls(**{key: _convert(hint, value[key], f"{where}.{key}") for key, hint in hints.items()})


def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _convert(hint: Any, value: object, where: str) -> object:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(next(a for a in args if a is not types.NoneType), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong("a list", value, where)
        return tuple(_convert(args[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _wrong("an object", value, where)
        return {str(key): _convert(args[1], item, f"{where}[{_brief(key)}]") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[object]", hint), value, where)
    if hint is float and type(value) in (int, float):
        number = _number(typing.cast("float", value))
        if number is None:
            raise _wrong("a finite number", value, where)
        return number
    if hint in (str, bool, int) and type(value) is hint:
        return value
    raise _wrong({str: "text", bool: "true or false", int: "a whole number", float: "a number"}[hint], value, where)


def _number(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _wrong(expected: str, value: object, where: str) -> RecordError:
    return RecordError(f"expected {expected}, found {_brief(value)}", where=where)


def _brief(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
