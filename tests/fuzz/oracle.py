"""What an answer has to be like, and which requests may change anything: written down apart from the server's code."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.fuzz.inputs import (
    ALERTS,
    APPROVE,
    BODY_MAX,
    CYCLE,
    FIRE,
    GATE,
    LIVE,
    MARK,
    POSTMORTEM,
    REQUEST,
    REVOKE,
    SENDER,
    STOP,
    SUMMARY,
    WRITES,
    Attempt,
)

ERROR_KEYS = {"ok", "error", "where", "allowed", "next"}
HEAD_MAX = 16_384


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closed: bool

    @property
    def kind(self) -> str:
        """The media type of the body."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the store holds, read past the server: how long the history is, and what decides."""

    head: int
    version: int
    document: dict[str, Any]

    @classmethod
    def of(cls, store: Path) -> Picture:
        """Read it from the SQLite file."""
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)
        try:
            head, version, document = connection.execute(
                "SELECT (SELECT max(seq) FROM audit), version, document FROM control_state"
            ).fetchone()
        finally:
            connection.close()
        return cls(head=head, version=version, document=json.loads(document))

    def at_rest(self, now: datetime) -> bool:
        """Whether nothing is prepared for a real effect."""
        found, text = self.document, now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        sender, window = found.get("sender") or {}, found.get("window") or {}
        real = found.get("gate") == "REAL_ENABLED" and str(found.get("gate_until"))[:19] > text
        sending = bool(sender.get("enabled")) and str(sender.get("until"))[:19] > text
        asked = window.get("status") in {"REQUESTED", "ACTIVE"} and str(window.get("expires_at"))[:19] > text
        return not real and not sending and not asked


@dataclass(frozen=True, kw_only=True)
class People:
    """Who has which token, and for what it is good."""

    tokens: Mapping[str, str]
    scopes: Mapping[str, frozenset[str]]
    hosts: frozenset[str]

    def may_change(self, found: Attempt, picture: Picture, *, now: datetime) -> bool:
        """Whether this request, in this state, may change anything that is recorded.

        A request whose framing is broken is read with all goodwill: only what could not be meant in any reading is no.
        """
        if not found.framed:
            found = _with_goodwill(found)
        path = _path(found.target)
        if found.method != "POST" or path not in WRITES or not self._admitted(found):
            return False
        body = _body(found)
        if body is None or not _fits(path, body):
            return False
        scope = self._scope_needed(path, body, picture, now, sent=bool(found.header(b"authorization")))
        return not scope or scope in self._scopes_of(found)

    def _admitted(self, found: Attempt) -> bool:
        if not found.framed:
            return True
        hosts = found.header(b"host")
        origins = [value.strip().lower().decode("latin-1") for value in found.header(b"origin")]
        sites = [value.strip().lower() for value in found.header(b"sec-fetch-site")]
        return (
            len(hosts) == 1
            and hosts[0].strip().lower().decode("latin-1") in self.hosts
            and all(origin.removeprefix("http://") in self.hosts for origin in origins[:1])
            and all(site in {b"same-origin", b"none"} for site in sites[:1])
            and len(found.body) <= BODY_MAX
        )

    def _scopes_of(self, found: Attempt) -> frozenset[str]:
        sent = found.header(b"authorization")
        if len(sent) != 1:
            return frozenset()
        scheme, _, token = sent[0].strip().partition(b" ")
        name = next((name for name, text in self.tokens.items() if text.encode() == token.strip()), "")
        return self.scopes.get(name, frozenset()) if scheme.lower() == b"bearer" else frozenset()

    def _scope_needed(self, path: str, body: dict[str, Any], picture: Picture, now: datetime, *, sent: bool) -> str:
        if (path == STOP and body["enabled"]) or path in {POSTMORTEM, REVOKE}:
            return ""
        if path in {GATE, SENDER, REVOKE}:
            # What closes is refused to nobody.
            opens = body.get("mode") == "REAL_ENABLED" if path == GATE else body.get("enabled", False)
            return {GATE: "gate", SENDER: "sender", REVOKE: ""}[path] if opens else ""
        scope = {STOP: "stop", REQUEST: "window", APPROVE: "approve", CYCLE: "cycle", FIRE: "fire", ALERTS: "alert",
                 SUMMARY: "cycle", LIVE: "cycle"}[path]  # fmt: skip
        always = path in {REQUEST, APPROVE, ALERTS} or not picture.at_rest(now)
        return scope if always or sent else ""


def problems(found: Attempt, reply: Reply, secrets: Mapping[str, str]) -> list[str]:
    """What is wrong with an answer, whatever was asked."""
    told: list[str] = []
    if reply.status >= 500:
        told.append(f"answers {reply.status}")
    whole = json.dumps(dict(reply.headers)).encode() + reply.body
    if MARK.encode() in whole or MARK.lower().encode() in whole:
        told.append("repeats what was sent")
    told += [f"tells the {name}" for name, text in secrets.items() if text.encode() in whole]
    if b"Traceback" in whole:
        told.append("shows a traceback")
    if reply.headers.get("cache-control") != "no-store" or reply.headers.get("x-content-type-options") != "nosniff":
        told.append("lacks the headers of every answer")
    if found.method != "HEAD":
        told += _of_its_shape(found, reply)
    return told


def _of_its_shape(found: Attempt, reply: Reply) -> list[str]:
    told: list[str] = []
    if reply.status == 200 and _path(found.target.partition(b"?")[0]) == "/metrics":
        return told if reply.kind == "text/plain" else [*told, "metrics are not in their format"]
    if reply.kind != "application/json":
        return [*told, f"is {reply.kind or 'of no kind'}, not JSON"]
    try:
        document = json.loads(reply.body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return [*told, "is not JSON"]
    if not isinstance(document, dict):
        return [*told, "is not an object"]
    if reply.status >= 300 and (set(document) != ERROR_KEYS or document["ok"] is not False or not document["error"]):
        told.append("is an error of another shape")
    if reply.status == 405 and not reply.headers.get("allow"):
        told.append("does not say which method it takes")
    return told


def _no_number(_text: str) -> Any:
    raise ValueError("no number")


def _path(target: bytes) -> str:
    """The path alone, or with the confirmation that two of them need; empty where the query is anything else."""
    path, _, query = target.partition(b"?")
    whole = unquote_to_bytes(target if query else path).decode("utf-8", "replace")
    return whole if whole in WRITES or not query else ""


def _with_goodwill(found: Attempt) -> Attempt:
    path = unquote_to_bytes(found.target).decode("latin-1")
    near = next((known for known in sorted(WRITES, key=len, reverse=True) if known in path), path)
    return replace(found, method="POST", target=near.encode("latin-1", "replace"))


def _body(found: Attempt) -> dict[str, Any] | None:
    if not found.body or not found.framed:
        # Where the framing is broken, the body may be taken for none.
        known = _read(found.body) if found.body else None
        return known if isinstance(known, dict) else {}
    kinds = found.header(b"content-type")
    if not kinds or kinds[0].partition(b";")[0].strip().lower() != b"application/json":
        return None
    known = _read(found.body)
    return known if isinstance(known, dict) else None


def _read(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _is_int(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and value.is_integer())


def _fits(path: str, body: dict[str, Any]) -> bool:
    """Whether these are the fields of that route, each of its kind."""
    if path == ALERTS:
        return _is_webhook(body)
    minutes = body.get("duration_minutes")
    given = "duration_minutes" in body and not (minutes is None and path == GATE)
    if given and (path not in {GATE, REQUEST} or not _is_int(minutes) or not 1 <= minutes <= 480):
        return False
    allowed = {STOP: {"enabled", "reason"}, GATE: {"mode", "reason", "duration_minutes"},
               SENDER: {"enabled", "reason", "channel"}, REQUEST: {"reason", "duration_minutes"}, REVOKE: {"reason"},
               APPROVE: {"digest", "signature"}, CYCLE: {"slot", "request_types"}, FIRE: set(), POSTMORTEM: set(),
               SUMMARY: set(), LIVE: set()}[path]  # fmt: skip
    if not set(body) <= allowed:
        return False
    if path in {STOP, SENDER} and not isinstance(body.get("enabled"), bool):
        return False
    if path == GATE and body.get("mode") not in ("MOCK_ONLY", "DRY_RUN", "REAL_ENABLED"):
        return False
    if path == SENDER and body.get("channel", "CONSOLE_ONLY") not in ("CONSOLE_ONLY", "TELEGRAM_ONLY", "NOTIFY_ONLY"):
        return False
    if path == APPROVE:
        return all(re.fullmatch(r"[0-9a-fA-F]+", str(body.get(key, ""))) for key in allowed)
    if path in {STOP, GATE, SENDER, REQUEST, REVOKE}:
        reason = body.get("reason", "")
        needed = not (path == STOP and body["enabled"])
        return isinstance(reason, str) and (not needed or (len(reason) <= 500 and bool(reason.strip())))
    return True


def _is_webhook(body: dict[str, Any]) -> bool:
    """Whether it is version 4 of Alertmanager's webhook; what else there is in it is nobody's business."""
    alerts, group = body.get("alerts"), body.get("groupKey")
    if body.get("version") != "4" or not isinstance(group, str) or not group or not isinstance(alerts, list):
        return False
    return 0 < len(alerts) <= 200 and all(
        isinstance(one, dict)
        and one.get("status") in ("firing", "resolved")
        and all(isinstance(one.get(name, {}), dict) for name in ("labels", "annotations"))
        and isinstance(one.get("startsAt"), str)
        and "labels" in one
        for one in alerts
    )
