"""The document of the interface, /openapi.json: what each route answers, who may ask, and an example of everything.

The routes answer with what the floors below return, so the shapes are written down here, and the fuzz holds all answers
of a running server against them. What is named is there always; more may come with time.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
INSTANT: Schema = {"type": ["string", "null"], "description": "ISO 8601 in UTC"}
OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
TEXTS: Schema = {"type": "array", "items": TEXT}
GATES: Schema = {"enum": ["MOCK_ONLY", "DRY_RUN", "REAL_ENABLED"]}
CHANNELS: Schema = {"enum": ["CONSOLE_ONLY", "TELEGRAM_ONLY", "NOTIFY_ONLY"]}
AT = "2026-11-30T00:05:00.000Z"


def _object(**properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


_MODES = {
    "emergency_stop": FLAG,
    "execution_gate": GATES,
    "delivery_policy": CHANNELS,
    "real_sender_enable": FLAG,
    "external_send": TEXT,
}
_MODES_SHOWN = {
    "emergency_stop": False,
    "execution_gate": "DRY_RUN",
    "delivery_policy": "CONSOLE_ONLY",
    "real_sender_enable": False,
    "external_send": "FORBIDDEN",
}
_STOP = {"enabled": FLAG, "reason": TEXT, "by": TEXT, "at": INSTANT, "problem": TEXT, "next": TEXT}
_STOP_SHOWN = {"enabled": True, "reason": "orders look wrong", "by": "api", "at": AT, "problem": "", "next": ""}
_GATE = _object(mode=GATES, set=GATES, reason=TEXT, by=TEXT, at=INSTANT, until=INSTANT, problem=TEXT)
_GATE_SHOWN = {"mode": "DRY_RUN", "set": "DRY_RUN", "reason": "done for today", "by": "api", "at": AT, "until": None,
               "problem": ""}  # fmt: skip
_SENDER = _object(enabled=FLAG, channel=CHANNELS, reason=TEXT, by=TEXT, at=INSTANT, until=INSTANT, problem=TEXT)
_SENDER_SHOWN = {"enabled": False, "channel": "CONSOLE_ONLY", "reason": "default", "by": "unknown", "at": None,
                 "until": None, "problem": ""}  # fmt: skip
_STATUSES: Schema = {"enum": ["NONE", "REQUESTED", "ACTIVE", "CONSUMED", "EXPIRED", "REVOKED"]}
_WINDOW = _object(status=_STATUSES, active=FLAG, consumed=FLAG, ttl_s=WHOLE, problem=TEXT)
_WINDOW_SHOWN = {"status": "NONE", "active": False, "consumed": False, "ttl_s": 0, "problem": ""}
_APPROVALS = _object(
    status={"enum": ["APPROVED", "PENDING", "NONE"]}, keys={"type": "array"}, keys_needed=WHOLE, problem=TEXT
)
_APPROVALS_SHOWN = {"status": "NONE", "keys": [], "keys_needed": 2, "problem": ""}
_RECEIPT: Schema = {
    "type": "object",
    "description": "the receipt's own fields with `status` ready and itself in `rows`; or `no_data`",
    "required": ["status", "rows"],
    "properties": {"status": {"enum": ["ready", "no_data"]}, "rows": OBJECTS},
}
_NO_DATA = {"status": "no_data", "rows": []}
_POSTMORTEM: Schema = {"type": "object", "description": "the postmortem; `status` is `no_data` where there is none"}
_RUN = _object(schema=TEXT, run_id={"type": ["string", "null"]})
_CYCLE_SHOWN = {"schema": "ops_cycle_receipt_v1", "run_id": "20261130T000500Z-3f9a1c", "result": "OK"}
_LIVE_CYCLE = _object(
    schema=TEXT,
    run_id=TEXT,
    result={"enum": ["OK", "WARN", "BLOCKED", "FAILED"]},
    decision=TEXT,
    reason=TEXT,
    snapshot_ref={"type": ["string", "null"]},
    push={"type": "object", "required": ["delivery_actual", "reason", "lines"]},
)
_LIVE_CYCLE_SHOWN = {
    "schema": "live_cycle_receipt_v1",
    "run_id": "20261130T000500Z-000042",
    "result": "OK",
    "decision": "REBALANCE",
    "reason": "the bundle in force is whole and fresh",
    "snapshot_ref": "live_cycle/20261130T000500Z-000042",
    "push": {"delivery_actual": "CONSOLE", "reason": "the bundle in force is whole and fresh", "lines": []},
}
_SUMMARY = _object(
    schema=TEXT,
    run_id=TEXT,
    asof=TEXT,
    overall_status={"enum": ["OK", "WARN", "BLOCKED", "FAIL"]},
    top_risks=OBJECTS,
    snapshot_ref={"type": ["string", "null"]},
    recorded=FLAG,
)
_SUMMARY_SHOWN = {
    "schema": "ops_summary_v1",
    "run_id": "20261130T000502Z-000041",
    "asof": AT,
    "overall_status": "OK",
    "top_risks": [],
    "snapshot_ref": "ops_summary/20261130T000502Z-000041",
    "recorded": True,
}
_SNAPSHOT = _object(
    schema=TEXT,
    ref=TEXT,
    kind={"enum": ["live_cycle", "ops_summary", "split", "bundle"]},
    sha256=TEXT,
    size_bytes=WHOLE,
    encoding={"enum": ["json", "utf-8", "base64", "none"]},
    content={},
)
_SNAPSHOT_SHOWN = {
    "schema": "snapshot_v1",
    "ref": "bundle/20261130T000000Z-0123456789abcdef/latest/signal.json",
    "kind": "bundle",
    "sha256": "00" * 32,
    "size_bytes": 25,
    "encoding": "json",
    "content": {"decision": "REBALANCE"},
}
_PREVIEW = _object(
    schema=TEXT,
    asof=TEXT,
    channel={"const": "CONSOLE"},
    decision=TEXT,
    bundle_id={"type": ["string", "null"]},
    result=TEXT,
    would_deliver=FLAG,
    reason=TEXT,
    lines=TEXTS,
)
_PREVIEW_SHOWN: Schema = {
    "schema": "alert_preview_v1",
    "asof": AT,
    "channel": "CONSOLE",
    "decision": "NONE",
    "bundle_id": None,
    "result": "FAILED",
    "would_deliver": False,
    "reason": "no bundle is in force: there is nothing to operate on",
    "lines": [],
}
_FIRE_SHOWN = {"schema": "live_fire_receipt_v1", "run_id": "20261130T000500Z-3f9a1c", "outcome": "BLOCKED"}

# By method and path: the shape of the answer, and an example of it.
ANSWERS: dict[tuple[str, str], tuple[Schema, Any]] = {
    ("get", "/api/status"): (
        _object(
            status={"enum": ["OK", "STOPPED"]}, asof=TEXT, profile=TEXT, drill=FLAG, **_MODES, problem=TEXT, next=TEXT
        ),
        {"status": "OK", "asof": AT, "profile": "site", "drill": False, **_MODES_SHOWN, "problem": "", "next": ""},
    ),
    ("get", "/api/secrets/self_test"): (
        _object(schema=TEXT, result={"enum": ["SELF_TEST_PASS", "SELF_TEST_FAIL"]}, rows=OBJECTS),
        {"schema": "secrets_self_test_v1", "result": "SELF_TEST_PASS", "rows": []},
    ),
    ("get", "/api/emergency_stop"): (_object(**_STOP, running=OBJECTS), {**_STOP_SHOWN, "running": []}),
    ("post", "/api/emergency_stop"): (
        {
            **_object(**_STOP),
            "properties": {**_STOP, "acknowledged": FLAG, "ended": OBJECTS, "left": OBJECTS},
            "description": "`acknowledged`, `ended` and `left` when it was engaged",
        },
        {**_STOP_SHOWN, "acknowledged": True, "ended": [], "left": []},
    ),
    ("get", "/api/execution_gate"): (_GATE, _GATE_SHOWN),
    ("post", "/api/execution_gate"): (_GATE, _GATE_SHOWN),
    ("get", "/api/real_enable_window/latest"): (_WINDOW, _WINDOW_SHOWN),
    ("post", "/api/real_enable_window/request"): (_WINDOW, _WINDOW_SHOWN),
    ("post", "/api/real_enable_window/revoke"): (_WINDOW, _WINDOW_SHOWN),
    ("get", "/api/approvals/real_enable/latest"): (_APPROVALS, _APPROVALS_SHOWN),
    ("post", "/api/approvals/real_enable/approve"): (_APPROVALS, _APPROVALS_SHOWN),
    ("get", "/api/real_sender_enable"): (_SENDER, _SENDER_SHOWN),
    ("post", "/api/real_sender_enable"): (_SENDER, _SENDER_SHOWN),
    ("get", "/api/ops/health"): (
        _object(
            status={"enum": ["OK", "WARN", "STOPPED"]},
            asof=TEXT,
            **_MODES,
            last_cycle={"type": ["object", "null"]},
            missed=TEXTS,
            problem=TEXT,
        ),
        {"status": "OK", "asof": AT, **_MODES_SHOWN, "last_cycle": None, "missed": [], "problem": ""},
    ),
    ("get", "/api/ops/scheduler/latest"): (_RECEIPT, _NO_DATA),
    ("get", "/api/ops/daily"): (_RECEIPT, _NO_DATA),
    ("post", "/api/ops/cycle/run"): (_RUN, _CYCLE_SHOWN),
    ("post", "/api/ops/push/live_fire/run"): (_RUN, _FIRE_SHOWN),
    ("post", "/api/ops/alerts/alertmanager"): (
        _object(
            schema=TEXT,
            status={"enum": ["taken", "known"]},
            incident={"type": ["string", "null"]},
            opened=FLAG,
            firing=WHOLE,
            resolved=WHOLE,
            known=WHOLE,
            left_out=WHOLE,
            look={"enum": ["queued", "waits", "off", "none"]},
            notes=TEXTS,
        ),
        {
            "schema": "alerts_taken_v1",
            "status": "taken",
            "incident": "20261130T000501Z-3f9a1c",
            "opened": True,
            "firing": 1,
            "resolved": 0,
            "known": 0,
            "left_out": 0,
            "look": "queued",
            "notes": [],
        },
    ),
    ("get", "/api/ops/push/live_fire/latest"): (_RECEIPT, _NO_DATA),
    ("get", "/api/ops/push/postmortem/latest"): (_POSTMORTEM, _NO_DATA),
    ("get", "/api/ops/push/postmortem/regenerate"): (_POSTMORTEM, _NO_DATA),
    ("post", "/api/ops/push/postmortem/regenerate"): (_POSTMORTEM, _NO_DATA),
    ("post", "/api/ops/summary/regenerate"): (_SUMMARY, _SUMMARY_SHOWN),
    ("get", "/api/ops/summary/latest"): (_RECEIPT, _NO_DATA),
    ("post", "/api/live/cycle/run"): (_LIVE_CYCLE, _LIVE_CYCLE_SHOWN),
    ("get", "/api/live/cycle/latest"): (_RECEIPT, _NO_DATA),
    ("get", "/api/live/alerts/preview"): (_PREVIEW, _PREVIEW_SHOWN),
    ("get", "/api/snapshots/resolve"): (_SNAPSHOT, _SNAPSHOT_SHOWN),
}
METRICS = ("get", "/metrics")
# What needs a token from whatever state; elsewhere it depends on the state and on what is asked for.
ALWAYS = {
    ("post", "/api/real_enable_window/request"),
    ("post", "/api/approvals/real_enable/approve"),
    ("post", "/api/ops/alerts/alertmanager"),
}
# What goes on behind the answer.
ACCEPTED = {("post", "/api/ops/alerts/alertmanager")}
_MEANINGS = {
    400: "not a request of this interface",
    401: "needs an operator's token",
    403: "the token has not the scope, or a page of another origin asks",
    405: "this path does not take this method; `Allow` says which it takes",
    408: "the request, or its body, did not arrive in time",
    409: "refused by a guard, or somebody else changes the same",
    413: "the body is too large",
    415: "the body is not JSON",
    421: "not this server's name",
    422: "a value that is not allowed",
    429: "too many requests",
    503: "the control store cannot be used: everything counts as stopped",
}
_OF_POSTS = {401, 409, 415, 422}
# What else a path answers.
_MORE = {
    ("get", "/api/snapshots/resolve"): {
        404: "nothing that was recorded has this reference",
        409: "it was recorded, and is not there any more as it was",
        422: "no reference was given",
    },
}
_ERROR = {
    **_object(ok={"const": False}, error=TEXT, where=TEXT, allowed=TEXT, next=TEXT),
    "additionalProperties": False,
}
_ERROR_SHOWN = {
    "ok": False,
    "error": "what is wrong",
    "where": "body.reason",
    "allowed": "what is",
    "next": "what to do",
}
_RETRY = {"Retry-After": {"description": "seconds", "schema": TEXT}}
_HEADERS = {
    401: {"WWW-Authenticate": {"description": "Bearer", "schema": TEXT, "required": True}},
    405: {"Allow": {"description": "the methods", "schema": TEXT, "required": True}},
    429: _RETRY,
    503: _RETRY,
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document, with the answers and the security of each route in place of what it guesses."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    document["components"] = {
        "schemas": schemas,
        "securitySchemes": {
            "operator": {
                "type": "http",
                "scheme": "bearer",
                "description": "an operator's token: ops operator add NAME, ops operator token NAME",
            }
        },
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            key = (method, path)
            operation["responses"] = _responses(key)
            if method == "post":
                operation["security"] = [{"operator": []}] if key in ALWAYS else [{}, {"operator": []}]
    return document


def _responses(key: tuple[str, str]) -> dict[str, Any]:
    if key == METRICS:
        good: dict[str, Any] = {"text/plain": {"schema": TEXT, "example": "ops_emergency_stop 0.0\n"}}
    else:
        schema, shown = ANSWERS[key]
        good = {"application/json": {"schema": schema, "example": shown}}
    code, meaning = ("202", "it is taken, and goes on") if key in ACCEPTED else ("200", "it is so, or it is done")
    found: dict[str, Any] = {code: {"description": meaning, "content": good}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": _ERROR_SHOWN}}
    meant = {status: told for status, told in _MEANINGS.items() if key[0] == "post" or status not in _OF_POSTS}
    for status, meaning in {**meant, **_MORE.get(key, {})}.items():
        headers = _HEADERS.get(status)
        found[str(status)] = {"description": meaning, "content": error, **({"headers": headers} if headers else {})}
    return found
