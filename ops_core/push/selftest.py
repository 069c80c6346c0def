"""The self test of secrets: has everything that the profile names a value here, and is that value kept to itself?

Neither a value nor its length is ever told, only its name, where it is to come from, and what is wrong.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ops_core.config import SecretMissing, SecretSource, Settings, read_secret
from ops_core.control.model.live_fire import SELF_TEST_FAIL, SELF_TEST_PASS

_PLACEHOLDERS = frozenset(
    {
        *("changeme", "change-me", "change_me", "changeit", "replaceme", "replace-me", "replace_me", "fixme", "todo"),
        *("default", "dummy", "example", "foobar", "none", "null", "placeholder", "tbd", "test", "undefined", "xxx"),
        *("password", "secret", "token", "your-secret", "your-token", "yoursecret", "yourtoken"),
    }
)
_WRAPPING = "<>[]{}()$%…. *_-\"'"


@dataclass(frozen=True, kw_only=True)
class SecretSeen:
    """One secret that the profile names: where its value comes from, and what is wrong; nothing of the value."""

    name: str
    source: str
    ok: bool
    problem: str = ""

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {"name": self.name, "source": self.source, "ok": self.ok, "problem": self.problem}


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """SELF_TEST_PASS or SELF_TEST_FAIL, with a row for each secret."""

    result: str
    rows: tuple[SecretSeen, ...]

    @property
    def seen(self) -> str:
        """In one line, for the preconditions of a live fire."""
        bad = [f"{row.name}: {row.problem}" for row in self.rows if not row.ok]
        return "; ".join(bad) if bad else f"{len(self.rows)} secrets have their values"

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "schema": "secrets_self_test_v1",
            "result": self.result,
            "rows": [row.as_dict() for row in self.rows],
        }


def self_test(settings: Settings, environ: Mapping[str, str] | None = None) -> SelfTest:
    """Look at every secret that the profile names."""
    rows = tuple(_look(settings, name, environ) for name in sorted(set(_named(settings))))
    return SelfTest(result=SELF_TEST_PASS if all(row.ok for row in rows) else SELF_TEST_FAIL, rows=rows)


def _named(settings: Settings) -> Iterator[str]:
    yield from settings.secrets
    push = settings.push
    for name in (settings.control_password, push.telegram_token, push.telegram_chat, *push.notify.values()):
        if name:
            yield name
    for target in settings.targets:
        if target.guard_secret:
            yield target.guard_secret


def _look(settings: Settings, name: str, environ: Mapping[str, str] | None) -> SecretSeen:
    source = settings.secrets.get(name, SecretSource())
    place = f"file {source.file}" if source.file is not None else f"environment variable {source.env or name}"
    try:
        value = read_secret(settings, name, environ)
    except SecretMissing:
        return SecretSeen(name=name, source=place, ok=False, problem="it has no value")
    problem = _placeholder(value) or _open_file(source)
    return SecretSeen(name=name, source=place, ok=not problem, problem=problem)


def _placeholder(value: str) -> str:
    bare = value.strip(_WRAPPING).casefold()
    doubtful = not bare or bare in _PLACEHOLDERS or len(set(bare)) == 1
    return "its value is a placeholder" if doubtful else ""


def _open_file(source: SecretSource) -> str:
    if source.file is None:
        return ""
    try:
        found = source.file.stat()
    except OSError:
        return "its file cannot be looked at"
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return f"its file is open to others (mode {mode:04o}): chmod 600 {source.file}"
    return "" if found.st_uid in {0, os.geteuid()} else "its file belongs to somebody else"
