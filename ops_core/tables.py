"""TOML files into frozen dataclasses, with errors that name file, line, key, and what is allowed.

One small reader serves `ops.toml` and the decision table. It exists because its messages are part of the product and
because it must cost nothing: a validation library would be a quarter of the start-up of `pytest checks/ -m observe`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ops_core.errors import ConfigError

T = TypeVar("T")
MAX_FILE_BYTES = 1 << 20
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_PART = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"^\s*({_DOTTED})\s*=")


@dataclasses.dataclass(frozen=True)
class Source:
    """The text of a TOML file, able to tell on which line a key stands."""

    path: Path
    text: str

    def line_of(self, keys: tuple[str | int, ...]) -> int | None:
        """The 1-based line of a dotted key such as ("row", 2, "when"), or of the nearest table that holds it."""
        best: tuple[int, int] | None = None
        here: list[str | int] = []
        seen: dict[str, int] = {}
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := _HEADER.match(line):
                here = list(_split_key(header[2]))
                if header[1] == "[[":
                    seen[header[2]] = seen.get(header[2], -1) + 1
                    here.append(seen[header[2]])
                elif here and str(here[0]) in seen:
                    here.insert(1, seen[str(here[0])])
                found = here
            elif key := _KEY.match(line):
                found = [*here, *_split_key(key[1])]
            else:
                continue
            depth = len(found)
            if tuple(found) == keys[:depth] and (best is None or depth > best[0]):
                best = (depth, number)
        return best[1] if best else None

    def where(self, keys: tuple[str | int, ...]) -> str:
        """`ops.toml:12, profiles.live.targets.core`, for the `where` of an error."""
        line = self.line_of(keys)
        name = _join_key(keys)
        place = f"{self.path}:{line}" if line else str(self.path)
        return f"{place}, {name}" if name else place


def read_toml(path: Path) -> tuple[Source, dict[str, Any]]:
    """Read and parse a TOML file.

    Raises:
        ConfigError: the file is missing, unreadable, too large, not UTF-8 or not TOML.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path.name} does not exist", where=str(path), next_step="ops init, or name another file with --config"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path.name} is larger than {MAX_FILE_BYTES} bytes", where=str(path))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 (byte {error.start})", where=str(path)) from None
    try:
        return Source(path, text), tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Most are TOMLDecodeError; a number of five thousand digits is told by Python itself.
        raise ConfigError(f"{path.name} is not valid TOML: {error}", where=str(path)) from None


def expand(value: str, environ: Mapping[str, str], where: Callable[[], str]) -> str:
    """Replace `${NAME}` and `${NAME:-default}` from the environment.

    Raises:
        ConfigError: a variable without default is not set.
    """

    def replace(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        found = environ.get(name)
        if found:
            return found
        if default is not None:
            return default
        raise ConfigError(
            f"the environment variable {name} is not set",
            where=where(),
            allowed=f"set it, or give a default: ${{{name}:-value}}",
            next_step=f"export {name}=…",
        )

    return _VARIABLE.sub(replace, value)


def build(
    cls: type[T],
    table: object,
    source: Source,
    keys: tuple[str | int, ...] = (),
    environ: Mapping[str, str] | None = None,
    preset: Mapping[str, object] | None = None,
) -> T:
    """Build the frozen dataclass `cls` from a TOML table.

    Unknown keys, missing keys and wrong types are errors. A field's metadata may hold `check` (value -> bool) and
    `allowed` (text). Fields named in `preset` come from there and may not stand in the file.

    Raises:
        ConfigError: naming the file, the line, the key and what is allowed.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"expected a table, found {_name(table)}", where=source.where(keys))
    values: dict[str, object] = dict(preset or {})
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init and f.name not in values}  # type: ignore[arg-type]  # `cls` is one
    hints = _hints(typing.cast("Any", cls))
    for key in table:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            raise ConfigError(
                f"unknown key {key!r}",
                where=source.where((*keys, key)),
                allowed=", ".join(sorted(fields)),
                next_step=f"did you mean {close[0]!r}?" if close else "",
            )
    env = os.environ if environ is None else environ
    for name, field in fields.items():
        here = (*keys, name)
        if name not in table:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise ConfigError(f"the key {name!r} is missing", where=source.where(keys), allowed=_allowed(field))
            continue
        value = _convert(hints[name], table[name], source, here, env)
        check = field.metadata.get("check")
        if check is not None and value is not None and not check(value):
            raise ConfigError(f"{table[name]!r} is not allowed here", where=source.where(here), allowed=_allowed(field))
        values[name] = value
    return cls(**values)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    # Evaluating them takes longer than all the rest, and a thousand targets are of one class.
    return typing.get_type_hints(cls)


def _convert(hint: Any, value: object, source: Source, keys: tuple[str | int, ...], env: Mapping[str, str]) -> object:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert(next(a for a in args if a is not type(None)), value, source, keys, env)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast("type[object]", hint), value, source, keys, env)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(args[0], item, source, (*keys, i), env) for i, item in enumerate(value))
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {key: _convert(args[1], item, source, (*keys, key), env) for key, item in value.items()}
    if hint is str and isinstance(value, str):
        return expand(value, env, lambda: source.where(keys))
    if hint is Path and isinstance(value, str):
        return _path(expand(value, env, lambda: source.where(keys)), source, keys)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _float(value, source, keys)
    if hint is Any or (hint in (bool, int) and type(value) is hint):
        return expand(value, env, lambda: source.where(keys)) if isinstance(value, str) else value
    raise ConfigError(f"expected {_expected(hint)}, found {_name(value)}", where=source.where(keys))


def _path(text: str, source: Source, keys: tuple[str | int, ...]) -> Path:
    if "\0" in text:
        raise ConfigError(f"{text!r} is no path", where=source.where(keys), allowed="a path without NUL")
    return Path(text)


def _float(value: float, source: Source, keys: tuple[str | int, ...]) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ConfigError("a number that is too large", where=source.where(keys)) from None


def _split_key(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, key))


def _join_key(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        text += f"[{key + 1}]" if isinstance(key, int) else (f".{key}" if text else key)
    return text


def _allowed(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("allowed", ""))


def _name(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


def _expected(hint: Any) -> str:
    names = {str: "text", Path: "a path (text)", bool: "true or false", int: "a whole number", float: "a number"}
    return names.get(hint, "a list" if typing.get_origin(hint) is tuple else "a table")
