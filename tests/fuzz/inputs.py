"""Hostile requests, made from a seed: a sane request, then things done to its target, headers, body, framing and bytes.

What a request would be, taken at its word, stays with it (`Attempt`), for an oracle that shares nothing with the server.
"""

# ruff: noqa: PLW0108, UP031 - a body is only made when it is chosen; percent signs, because JSON is full of braces
from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MARK = "ZQXMARKZQX"  # stands in everything that is sent; no answer may hold it
NEUTRAL = "plainwords"  # stands in its place where what is sent is to be recorded and shown
BODY_MAX = 65_536
READS = (
    "/api/status", "/api/secrets/self_test", "/api/emergency_stop", "/api/execution_gate",
    "/api/real_enable_window/latest", "/api/approvals/real_enable/latest", "/api/real_sender_enable", "/api/ops/health",
    "/api/ops/scheduler/latest", "/api/ops/daily", "/api/ops/push/live_fire/latest", "/api/ops/push/postmortem/latest",
    "/api/ops/push/postmortem/regenerate", "/api/ops/summary/latest", "/api/live/cycle/latest", "/api/live/alerts/preview",
    "/metrics", "/openapi.json",
)  # fmt: skip
STOP, GATE, SENDER = "/api/emergency_stop", "/api/execution_gate", "/api/real_sender_enable"
REQUEST, REVOKE = "/api/real_enable_window/request", "/api/real_enable_window/revoke"
APPROVE = "/api/approvals/real_enable/approve"
CYCLE, FIRE = "/api/ops/cycle/run", "/api/ops/push/live_fire/run"
POSTMORTEM = "/api/ops/push/postmortem/regenerate"
ALERTS = "/api/ops/alerts/alertmanager"
# Without the confirmation they change nothing.
SUMMARY, LIVE = "/api/ops/summary/regenerate?confirm=true", "/api/live/cycle/run?confirm=true"
WRITES = (STOP, GATE, SENDER, REQUEST, REVOKE, APPROVE, CYCLE, FIRE, POSTMORTEM, ALERTS, SUMMARY, LIVE)
METHODS = (
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "PoSt",
    MARK,
    "P" * 300,
)
Pair = tuple[bytes, bytes]
ALERT_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"runbook_target": "this-host", "runbook_suite": "daily", "runbook_severity": "SEV-1"},
    {"runbook_target": "../../" + MARK, "runbook_suite": MARK, "runbook_severity": MARK},
    {"runbook_suite": "../integrity", MARK: "x" * 3000},
)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request, in parts and as bytes; `framed`: its framing is whole, so exactly one answer is due.

    `body` is what the server gets as the body when it is framed; `done` is for whoever reads a failure.
    """

    method: str
    target: bytes
    version: bytes = b"HTTP/1.1"
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    framed: bool = True
    token: str = ""
    done: tuple[str, ...] = ()
    bytes_instead: bytes | None = None
    half: bool = False

    def header(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def raw(self) -> bytes:
        """What goes over the wire."""
        if self.bytes_instead is not None:
            return self.bytes_instead
        lines = [self.method.encode("latin-1") + b" " + self.target + b" " + self.version]
        lines += [key + b": " + value for key, value in self.headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body

    def but(self, done: str, **changes: Any) -> Attempt:
        """The same, with something done to it."""
        return replace(self, done=(*self.done, done), **changes)

    def neutral(self) -> Attempt:
        """The same with plain words for the mark, as long as it."""
        old, new = MARK.encode(), NEUTRAL.encode()
        return replace(
            self,
            target=self.target.replace(old, new),
            headers=tuple((key, value.replace(old, new)) for key, value in self.headers),
            body=self.body.replace(old, new),
            bytes_instead=self.bytes_instead and self.bytes_instead.replace(old, new),
        )


def sane_body(rng: random.Random, path: str) -> dict[str, Any]:
    """A body that the route takes."""
    reason = f"{MARK} {rng.randrange(10**6)}"
    return {
        STOP: lambda: {"enabled": rng.random() < 0.4, "reason": reason},
        GATE: lambda: {"mode": rng.choice(["DRY_RUN", "MOCK_ONLY", "REAL_ENABLED"]), "reason": reason},
        SENDER: lambda: {"enabled": rng.random() < 0.5, "reason": reason, "channel": "CONSOLE_ONLY"},
        REQUEST: lambda: {"reason": reason, "duration_minutes": rng.randint(1, 480)},
        REVOKE: lambda: {"reason": reason},
        APPROVE: lambda: {"digest": "%064x" % rng.getrandbits(256), "signature": "%0128x" % rng.getrandbits(512)},
        ALERTS: lambda: sane_alerts(rng),
    }.get(path, dict)()


def sane_alerts(rng: random.Random) -> dict[str, Any]:
    """A webhook of Alertmanager: one or a few alerts of a few groups, new ones and known ones, firing and over."""
    alerts = [
        {
            "status": rng.choice(["firing", "firing", "resolved"]),
            "labels": {"alertname": rng.choice(["A", "B", MARK]), **rng.choice(ALERT_LABELS)},
            "annotations": {"summary": f"{MARK} {rng.randrange(10**6)}"},
            "startsAt": f"2026-11-{rng.randint(1, 28):02d}T00:00:00.{rng.randrange(10**9):09d}Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://" + MARK,
            "fingerprint": MARK,
        }
        for _ in range(rng.choice([1, 1, 2, 3, 40]))
    ]
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{rng.randrange(3)}}}",
        "truncatedAlerts": rng.choice([0, 0, 7]),
        "status": "firing",
        "receiver": MARK,
        "alerts": alerts,
        **rng.choice([{}, {"commonLabels": {MARK: MARK}, "externalURL": MARK}]),
    }


def odd_values(rng: random.Random) -> Any:
    """A JSON value that hardly anybody expects."""
    return rng.choice(
        [None, True, 0, -1, 1, 2**31, 2**63, 2**64 + 1, 10**400, 1.5, 1e308, -0.0, "", " ", MARK, MARK * 200, "true",
         "REAL_ENABLED\n", "real_enabled", "\x00" + MARK, MARK + "\n" + MARK, "\u202e" + MARK, "é" * 500, "😀" * 501,
         [], [[]], {}, {"a": MARK}, [MARK], ["x"] * 5000, {MARK: 1}, "../../" + MARK, "'; DROP TABLE audit;--" + MARK,
         "${jndi:ldap://" + MARK + "}", "{{7*7}}" + MARK, "OPS_CYCLE", "now"]
    )  # fmt: skip


def odd_bodies(rng: random.Random, path: str) -> bytes:
    """A body that is wrong, or just unusual."""
    sane = sane_body(rng, path)
    text = json.dumps(sane)
    key = rng.choice([*sane, "reason", "enabled"])
    other = json.dumps({**sane, key: odd_values(rng)})
    depth = rng.choice([15, 20, 21, 30, 2_000, 30_000])
    choices: tuple[Callable[[], bytes], ...] = (
        lambda: other.encode(),
        lambda: other.encode(),
        lambda: json.dumps({name: value for name, value in sane.items() if name != key}).encode(),
        lambda: json.dumps({**sane, MARK: odd_values(rng)}).encode(),
        lambda: json.dumps({**sane, rng.choice(["__proto__", "actor", "token", "Enabled", "é"]): MARK}).encode(),
        lambda: text.replace(
            ": ", ": " + rng.choice(["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999"]) + ', "x": ', 1
        ).encode(),
        lambda: (
            '{"%s": %s}' % (key, rng.choice(["NaN", "1e999", "-Infinity", "9" * 5000, "0x10", "01", "1_0", "+1"]))
        ).encode(),
        lambda: ('{"reason": "\\ud800%s"}' % MARK).encode(),
        lambda: ('{"\\udfff%s": 1}' % MARK).encode(),
        lambda: (
            b'{"reason": "' + MARK.encode() + rng.choice([b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\x80"]) + b'"}'
        ),
        lambda: ("[" * depth + "]" * depth).encode(),
        lambda: ('{"a":' * depth + "1" + "}" * depth).encode(),
        lambda: ("[" * depth).encode(),
        lambda: (text[:-1] + ', "%s": "%s"}' % (key, MARK)).encode(),
        lambda: b'{"reason": NaN}',
        lambda: text[: rng.randrange(len(text) + 1)].encode(),
        lambda: text.encode() + rng.choice([b"x", b"{}", b"\x00", b",", MARK.encode()]),
        lambda: b"\xef\xbb\xbf" + text.encode(),
        lambda: text.encode(rng.choice(["utf-16", "utf-32", "utf-16-le"])),
        lambda: gzip.compress(text.encode(), mtime=0),
        lambda: rng.randbytes(rng.randrange(200)),
        lambda: b" " * rng.choice([BODY_MAX - 1, BODY_MAX, BODY_MAX + 1]),
        lambda: text.encode().ljust(rng.choice([BODY_MAX - 1, BODY_MAX, BODY_MAX + 1])),
        lambda: b"x" * rng.choice([BODY_MAX + 1, 2 * BODY_MAX]),
        lambda: rng.choice([b"", b"null", b"true", b"0", b"[]", b'"' + MARK.encode() + b'"', b"{}", b"[{}]", b"''"]),
        lambda: ("enabled=true&reason=" + MARK).encode(),
        lambda: ('{"a":1,"a":%s}' % json.dumps(MARK)).encode(),
        lambda: odd_alerts(rng, sane_alerts(rng)) if path == ALERTS else other.encode(),
        lambda: odd_alerts(rng, sane_alerts(rng)) if path == ALERTS else other.encode(),
    )
    return rng.choice(choices)()


def odd_alerts(rng: random.Random, sane: dict[str, Any]) -> bytes:
    """A webhook with something odd deep inside, or with thousands of alerts."""
    one = dict(sane["alerts"][0])
    name = rng.choice(["status", "labels", "annotations", "startsAt"])
    one[name] = rng.choice([odd_values(rng), {MARK: odd_values(rng)}, {str(n): MARK for n in range(200)}])
    several = [one] if rng.random() < 0.7 else [{"status": "firing", "labels": {}, "startsAt": ""}] * 5000
    odd = {**sane, "alerts": several, "version": rng.choice(["4", "4", "4", "3", 4, "", MARK, None])}
    return json.dumps(odd).encode()


@dataclass
class Inputs:
    """Makes attempts, the same ones for the same seed and the same tokens' names.

    Args:
        rng: where chance comes from.
        host: the Host that the server answers to.
        tokens: by name; their text goes into requests, their names into what is told of them.
    """

    rng: random.Random
    host: str
    tokens: Mapping[str, str]
    kinds: dict[str, int] = field(default_factory=dict)

    def sane(self, path: str | None = None) -> Attempt:
        """A request that is as it should be, by somebody who may or may not."""
        rng = self.rng
        if path is None:
            path = rng.choice(WRITES if rng.random() < 0.75 else READS)
        post = path in WRITES and (path not in READS or rng.random() < 0.8)
        body = json.dumps(sane_body(rng, path)).encode() if post else b""
        headers: list[Pair] = [(b"Host", self.host.encode())]
        token = rng.choice(list(self.tokens)) if rng.random() < 0.5 else ""
        if path == ALERTS and rng.random() < 0.5:
            token = "only-alert"
        if token:
            headers.append((b"Authorization", b"Bearer " + self.tokens[token].encode()))
        if post:
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(body)).encode())]
        return Attempt(
            method="POST" if post else "GET", target=path.encode(), headers=tuple(headers), body=body, token=token
        )

    def attempt(self) -> Attempt:
        """The next one: one to three things done to a sane request, or none."""
        rng = self.rng
        found = self.sane()
        for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 2, 3])):
            act = rng.choice(ACTS)
            found = act(self, found)
        if found.framed and rng.random() < 0.08:
            found = rng.choice(BREAKS)(self, found)
        for name in found.done:
            self.kinds[name] = self.kinds.get(name, 0) + 1
        return found

    # Things that are done to a request and leave its framing whole.

    def odd_body(self, found: Attempt) -> Attempt:
        """Another body, its length told rightly."""
        body = odd_bodies(self.rng, found.target.decode("latin-1"))
        return self._with_body(found, body).but("body")

    def odd_method(self, found: Attempt) -> Attempt:
        """Another method. CONNECT and HEAD answer in other ways, so nothing else may follow on the connection."""
        return found.but("method", method=self.rng.choice(METHODS))

    def odd_target(self, found: Attempt) -> Attempt:
        """Another path or a query."""
        path, mark = found.target, MARK.encode()
        choices = (
            path + b"/", path + b"//", b"//" + path, b"/." + path, b"/x/.." + path, path + b"%00", path + b"%2e%2e/" + mark,
            path + b"?" + mark, path + b"?enabled=true", path + b"?token=" + mark, path + b"?", path + b"??a=%00", path + b";" + mark,
            path.replace(b"/", b"%2f"), path.replace(b"a", b"%61"), path.upper(), path + b"/" + mark, b"/" + mark, b"/",
            b"/%ff%fe" + mark, b"/%c0%ae%c0%ae/" + mark, b"/" + b"a" * 4000 + mark, b"/" + b"a/" * 3000, b"*", mark,
            b"http://" + self.host.encode() + path, b"http://evil.example" + path, b"https://" + mark + b"/", path + b"#" + mark,
            b"/api/../api/status", b"/api/%2e%2e/metrics", b"/docs", b"/redoc", b"/favicon.ico", b"/static/../../etc/passwd",
            b"/%", b"/%zz" + mark, b"/{x}", b"/api/ops/cycle/run%0d%0aX-Injected:%20" + mark, path + b"%20", b"/\xe9" + mark,
        )  # fmt: skip
        return found.but("target", target=self.rng.choice(choices))

    def odd_host(self, found: Attempt) -> Attempt:
        """Another Host, two, or none."""
        host = self.host.encode()
        name, port = self.host.split(":")
        value = self.rng.choice(
            [b"evil.example", MARK.encode(), host + b"." + MARK.encode(), name.encode(), b"", host + b",evil.example",
             b"localhost:" + port.encode(), b"[::1]:" + port.encode(), b"user@" + host, b"0.0.0.0:" + port.encode(),
             b"127.1:" + port.encode(), host + b"\x00", "ö.example".encode(), host.upper(), b"h" * 5000]
        )  # fmt: skip
        rest = tuple(pair for pair in found.headers if pair[0] != b"Host")
        how = self.rng.random()
        if how < 0.15:
            return found.but("host", headers=rest)
        if how < 0.3:
            return found.but("host", headers=(*found.headers, (b"host", value)))
        return found.but("host", headers=((b"Host", value), *rest))

    def odd_origin(self, found: Attempt) -> Attempt:
        """Headers that browsers add."""
        mark = MARK.encode()
        pair = self.rng.choice(
            [(b"Origin", b"null"), (b"Origin", b"https://evil.example"), (b"Origin", b"http://" + self.host.encode()),
             (b"Origin", b"http://" + mark), (b"Origin", b""), (b"Origin", b"HTTP://" + self.host.encode()),
             (b"Origin", b"http://http://" + self.host.encode()), (b"Origin", self.host.encode()),
             (b"Sec-Fetch-Site", b"cross-site"), (b"Sec-Fetch-Site", b"same-site"), (b"Sec-Fetch-Site", b"none"),
             (b"Sec-Fetch-Site", b"same-origin"), (b"Sec-Fetch-Site", mark), (b"Sec-Fetch-Site", b"Same-Origin"),
             (b"Access-Control-Request-Method", b"POST")]
        )  # fmt: skip
        more: tuple[Pair, ...] = (pair,) if self.rng.random() < 0.8 else (pair, (pair[0], b"none"))
        return found.but("origin", headers=(*found.headers, *more))

    def odd_token(self, found: Attempt) -> Attempt:
        """Another Authorization, two, or one that is none."""
        rng, mark = self.rng, MARK.encode()
        name = rng.choice(list(self.tokens))
        token = self.tokens[name].encode()
        rest = tuple(pair for pair in found.headers if pair[0].lower() != b"authorization")
        values = (
            b"Bearer", b"Bearer ", b"Basic " + token, token, b"Bearer  " + token + b" ", b"bearer " + token,
            b"Bearer " + token + b" " + mark, b"Bearer " + token[:-1], b"Bearer " + token + b"=", b"Bearer " + token.upper(),
            b"Bearer ops_" + b"x" * 43, b"Bearer ops_" + mark, b"Bearer " + b"y" * 9000, b"Bearer \xff\xfe" + mark,
            b"Bearer " + "ops_é".encode() + mark, b"Digest " + mark, b"Bearer ' OR 1=1--", b"Bearer null", b"",
        )  # fmt: skip
        value = rng.choice(values)
        pairs: tuple[Pair, ...] = ((b"Authorization", value),)
        if rng.random() < 0.2:
            pairs = ((b"Authorization", b"Bearer " + token), *pairs)
        return found.but("token", headers=(*rest, *pairs), token="odd")

    def odd_header(self, found: Attempt) -> Attempt:
        """One header more, or many, or a type that is not JSON."""
        rng, mark = self.rng, MARK.encode()
        if rng.random() < 0.3:
            kind = rng.choice([b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=" + mark,
                               b"application/json; charset=utf-16", b"application/json;" + mark, b"", b"application/jsonx",
                               b"APPLICATION/JSON", mark, b"application/json, text/plain"])  # fmt: skip
            rest = tuple(pair for pair in found.headers if pair[0] != b"Content-Type")
            return found.but("type", headers=(*rest, (b"Content-Type", kind)))
        more = rng.choice(
            [((b"X-" + mark, mark),), ((b"X-Forwarded-For", b"10.0.0.1, " + mark), (b"X-Forwarded-Proto", b"https")),
             ((b"X-Forwarded-Host", mark),), ((b"X-HTTP-Method-Override", b"POST"),), ((b"Accept", b"text/html," + mark),),
             ((b"Accept-Encoding", b"gzip, br"),), ((b"Content-Encoding", b"gzip"),), ((b"Cookie", b"token=" + mark),),
             ((b"Range", b"bytes=0-1"),), ((b"If-None-Match", b"*"),), ((b"X-Huge", b"h" * 9000),),
             tuple((b"X-%d" % number, mark) for number in range(120)), ((b"X-Odd", b"\xff\xfe\x80" + mark),),
             ((b"Forwarded", b"for=" + mark),), ((b"TE", b"trailers"),), ((b"Accept-Language", b"\xe9" * 100),),
             ((b"X-Original-URL", CYCLE.encode()),), ((b"Referer", b"https://" + mark),), ((b"User-Agent", mark * 50),)]
        )  # fmt: skip
        return found.but("header", headers=(*found.headers, *more))

    def chunked(self, found: Attempt) -> Attempt:
        """The same body in chunks."""
        rest = tuple(pair for pair in found.headers if pair[0] != b"Content-Length")
        if found.bytes_instead is not None or not found.body:
            return found
        at = found.body.find(MARK.encode())  # the mark stays in one piece, so that plain words can take its place
        cut = self.rng.randrange(1, (at if at > 0 else len(found.body)) + 1)
        parts = [part for part in (found.body[:cut], found.body[cut:]) if part]
        wire = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        headers = (*rest, (b"Transfer-Encoding", b"chunked"))
        whole = replace(found, headers=headers, body=wire).raw()
        return found.but("chunked", headers=headers, bytes_instead=whole)

    def close(self, found: Attempt) -> Attempt:
        """The connection is to end, or the client is an old one."""
        if found.bytes_instead is None and self.rng.random() < 0.5:
            return found.but("old", version=b"HTTP/1.0")
        return found if found.bytes_instead else found.but("close", headers=(*found.headers, (b"Connection", b"close")))

    # Things after which there is no telling where the request ends.

    def lie(self, found: Attempt) -> Attempt:
        """A length that is not so."""
        rng = self.rng
        value = rng.choice(
            [b"-1", b"0", b"1", b"99999999", b"9" * 30, b"abc", b"+5", b"0x5", b" ", b"1e2", b"65537", MARK.encode()]
        )
        rest = tuple(pair for pair in found.headers if pair[0] != b"Content-Length")
        more: tuple[Pair, ...] = ((b"Content-Length", value),)
        if rng.random() < 0.3:
            more = (*more, (b"Content-Length", b"7"))
        return found.but("length", headers=(*rest, *more), framed=False, bytes_instead=None)

    def broken_chunks(self, found: Attempt) -> Attempt:
        """Chunks that are none, with or without a length beside them."""
        rng = self.rng
        body = rng.choice([b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{}\r\n0\r\n\r\n", b"-1\r\n", b"2\r\n{}", b"ffffffffffffffff\r\n{}",
                           b"2;" + MARK.encode() + b"\r\n{}\r\n0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"2\n{}\n0\n\n", b"",
                           b"2\r\n{}\r\n0\r\n" + MARK.encode()])  # fmt: skip
        kind = rng.choice(
            [b"chunked", b"chunked, chunked", b"gzip, chunked", b"identity", b"xchunked", b"chunked\x0b", MARK.encode()]
        )
        rest = found.headers if rng.random() < 0.3 else tuple(p for p in found.headers if p[0] != b"Content-Length")
        headers = (*rest, (b"Transfer-Encoding", kind))
        return found.but("chunks", headers=headers, body=body, framed=False, bytes_instead=None)

    def broken_head(self, found: Attempt) -> Attempt:
        """Lines that are no header lines, or no request line."""
        rng, raw, mark = self.rng, found.raw(), MARK.encode()
        line, _, rest = raw.partition(b"\r\n")
        choices = (
            line + b"\r\n " + mark + b"\r\n" + rest, line + b"\r\nX: a\r\n\tb " + mark + b"\r\n" + rest,
            line + b"\r\nX\x00Y: " + mark + b"\r\n" + rest, line + b"\r\nX: \x00" + mark + b"\r\n" + rest,
            line + b"\r\n: " + mark + b"\r\n" + rest, line + b"\r\n" + mark + b"\r\n" + rest,
            line + b"\r\nX : " + mark + b"\r\n" + rest, line + b"\n" + rest, line + b"\r" + rest,
            line.replace(b"HTTP/1", b"HTTP/" + rng.choice([b"0", b"2", b"9", mark])) + b"\r\n" + rest,
            mark + b"\r\n" + raw, b"\r\n\r\n" + raw, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + raw,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b" " + raw, b"\x00" * 20 + raw, line + b"\r\nX-Big: " + b"b" * 70_000 + b"\r\n" + rest,
            line.replace(b" ", b"  ", 1) + b"\r\n" + rest, line + b" x\r\n" + rest, b"GET\r\n\r\n", b"GET /" + b"a" * 100_000,
            rng.randbytes(300), line + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n" + rest,
            line + b"\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n" + rest,
            line + b"\r\nExpect: 100-continue\r\n" + rest, line + b"\r\nExpect: " + mark + b"\r\n" + rest,
        )  # fmt: skip
        return found.but("head", framed=False, bytes_instead=rng.choice(choices))

    def half_sent(self, found: Attempt) -> Attempt:
        """A part of it, and then nothing."""
        raw = found.raw()
        return found.but("half", framed=False, half=True, bytes_instead=raw[: self.rng.randrange(1, len(raw))])

    def flipped(self, found: Attempt) -> Attempt:
        """A few bytes changed."""
        raw = bytearray(found.raw())
        for _ in range(self.rng.randint(1, 4)):
            raw[self.rng.randrange(min(len(raw), 400))] = self.rng.randrange(256)
        return found.but("bytes", framed=False, bytes_instead=bytes(raw))

    def _with_body(self, found: Attempt, body: bytes) -> Attempt:
        headers = tuple(
            (key, str(len(body)).encode() if key == b"Content-Length" else value)
            for key, value in found.headers
            if key != b"Transfer-Encoding"
        )
        if not found.header(b"content-length"):
            headers = (*headers, (b"Content-Length", str(len(body)).encode()))
        return replace(found, headers=headers, body=body, bytes_instead=None)


Act = Callable[[Inputs, Attempt], Attempt]
ACTS: tuple[Act, ...] = (
    Inputs.odd_body, Inputs.odd_body, Inputs.odd_body, Inputs.odd_method, Inputs.odd_target, Inputs.odd_host,
    Inputs.odd_origin, Inputs.odd_token, Inputs.odd_token, Inputs.odd_header, Inputs.close,
)  # fmt: skip
BREAKS: tuple[Act, ...] = (
    Inputs.lie, Inputs.broken_chunks, Inputs.broken_head, Inputs.half_sent, Inputs.flipped, Inputs.chunked, Inputs.chunked,
)  # fmt: skip
