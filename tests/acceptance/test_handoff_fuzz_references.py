"""References that somebody made to lead elsewhere: nothing but what was recorded is found, and nothing breaks.

They are resolved in process by the thousand and over HTTP by the hundred, with what is true among them. EXAMPLES=… takes as
many as wanted (`make fuzz` takes thousands), EXAMPLES_SEED=… the same ones again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops_core.handoff import references
from ops_core.live.snapshots import NoSuchSnapshot, resolve
from tests.handing import Host, Hosts, everything_outside
from tests.operating import Site

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("EXAMPLES", "400"))
OVER_HTTP = EXAMPLES // 10
SEED = os.environ.get("EXAMPLES_SEED") or str(random.SystemRandom().randrange(10**9))
ROUTE = "/api/snapshots/resolve"
NAMES = (
    *("bundle", "Bundle", "live_cycle", "ops_summary", "split", "current", "manifest.json", "files", "ops.toml"),
    *("recon_summary.json", "RECON_SUMMARY.JSON", "secret.json", "etc/passwd", "control/control.sqlite", ".incoming-1"),
    *("..", ".", "", "/", "//", "~", "*", "\\", "..\\", "%2e%2e", "%2F", "%00", "\0", "\n", "\x1b[2J", "\u202e"),
    *("\uff0e\uff0e", "\u2215", "\ud800", "é", "' OR 1=1 --", "{}", "${HOME}", "$(id)", "x" * 500),
)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An operator's host on which something was recorded, and what each true reference names, by its digest."""

    root: Path
    host: Host
    bundle_id: str
    truths: Mapping[str, str]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A bundle in force, a live cycle and a summary; and beside them what nobody may get at."""
    root = tmp_path_factory.mktemp("references")
    hosts = Hosts.at_present(root / "hosts")
    bundle_id = str(hosts.published()["bundle_id"])
    host = hosts.operator(more='decision_file = "recon_summary.json"')
    host.pull()
    (host.root / "secret.json").write_text("{}", encoding="utf-8")
    (host.bundles / "secret.json").write_text("{}", encoding="utf-8")
    site = Site(host.root)
    told = [site.ops(*words, "--json").json() for words in (("live", "run"), ("summary", "regenerate"))]
    refs = [f"bundle/{bundle_id}/recon_summary.json", *(str(one["snapshot_ref"]) for one in told)]
    truths = {ref: resolve(host.settings, host.plane, ref)["sha256"] for ref in refs}
    content = (host.bundles / bundle_id / "files" / "recon_summary.json").read_bytes()
    assert truths[refs[0]] == hashlib.sha256(content).hexdigest()
    return Recorded(root=root, host=host, bundle_id=bundle_id, truths=truths)


def made(draw: random.Random, recorded: Recorded) -> str:
    """One reference: names in any order, or a true one that was changed a little, now and then not at all."""
    names = (*NAMES, recorded.bundle_id, recorded.bundle_id.upper(), recorded.bundle_id[:-1], f"{recorded.bundle_id} ")
    true = draw.choice(sorted(recorded.truths))
    kind = draw.randrange(5)
    if kind == 0:
        return "/".join(draw.choice(names) for _ in range(draw.randrange(6)))
    if kind == 1:
        return f"bundle/{recorded.bundle_id}/" + "/".join(draw.choice(names) for _ in range(draw.randrange(5)))
    parts = true.split("/")
    if kind == 2:
        steps = draw.choice([["."], [""], ["files"], ["..", parts[-1]], ["x", ".."], [".."] * draw.randrange(1, 9)])
        at = draw.randrange(1, len(parts) + 1)
        return "/".join([*parts[:at], *steps, *parts[at:]])
    if kind == 3:
        parts[draw.randrange(len(parts))] = draw.choice(names)
        return "/".join(parts)
    letters = list(true)
    for _ in range(draw.randrange(3)):
        letters[draw.randrange(len(letters))] = chr(
            draw.choice([draw.randrange(0x250), draw.randrange(0xD000, 0x10FFFF)])
        )
    return "".join(letters)


def found_wrongly(recorded: Recorded, refs: list[str]) -> tuple[list[str], Counter[str]]:
    """Resolve each; what should not have been found or was found to be something else, and how many were what."""
    wrongly, seen = [], Counter[str]()
    for ref in refs:
        try:
            told = resolve(recorded.host.settings, recorded.host.plane, ref)
        except NoSuchSnapshot:
            seen["refused"] += 1
            if ref in recorded.truths:
                wrongly.append(f"{ref!r} is not found")
            continue
        seen["found"] += 1
        if recorded.truths.get(ref) != told["sha256"]:
            wrongly.append(f"{ref!r} leads to {told['content']!r}"[:300])
    return wrongly, seen


def answered_wrongly(
    recorded: Recorded, url: str, draw: random.Random, refs: list[str]
) -> tuple[list[str], Counter[int]]:
    """Ask a server for each, encoded as it should be or less; what was answered wrongly, and with which statuses."""
    wrongly, seen = [], Counter[int]()
    address = urllib.parse.urlsplit(url)
    for ref in refs:
        # What is not encoded is decoded by the server all the same: then it is asked for that.
        safe = "" if draw.random() < 0.7 else "/%"
        query = urllib.parse.quote_from_bytes(ref.encode("utf-8", "surrogatepass"), safe=safe)
        asked = urllib.parse.unquote(query)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        try:
            connection.request("GET", f"{ROUTE}?ref={query}")
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        seen[answer.status] += 1
        if answer.status not in {200, 400, 404, 414, 422, 431}:
            wrongly.append(f"{query}: {answer.status}")
        elif (answer.status == 200) != (asked in recorded.truths):
            wrongly.append(f"{query}: {answer.status} {body[:200]!r}")
        elif answer.status == 200 and json.loads(body)["sha256"] != recorded.truths[asked]:
            wrongly.append(f"{query}: leads to {body[:200]!r}")
    return wrongly, seen


def test_no_reference_leads_anywhere_but_to_what_was_recorded(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    """In process: what is true is found, all else is not, whatever it is made of; nothing else is raised."""
    draw = random.Random(SEED)
    before = everything_outside(recorded.root, recorded.host)
    wrongly, seen = found_wrongly(recorded, [*recorded.truths, *(made(draw, recorded) for _ in range(EXAMPLES))])
    assert not wrongly, (SEED, wrongly[:5])
    assert seen["found"] >= len(recorded.truths)
    assert seen["refused"] > EXAMPLES // 2
    assert everything_outside(recorded.root, recorded.host) == before
    with capsys.disabled():
        if EXAMPLES > 1000:
            print(f"\n{EXAMPLES} references, seed {SEED}: {dict(seen)}")


def test_over_http_it_is_the_same(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked of the server, also with what is not encoded: found or refused, and never an error of the server's."""
    draw = random.Random(SEED)
    refs = [*recorded.truths, *(made(draw, recorded) for _ in range(OVER_HTTP))]
    with Site(recorded.host.root).serving() as served:
        wrongly, seen = answered_wrongly(recorded, served.url, draw, refs)
    assert not wrongly, (SEED, wrongly[:5])
    assert seen[200] >= len(recorded.truths)
    assert seen[404] > OVER_HTTP // 3
    with capsys.disabled():
        if EXAMPLES > 1000:
            print(f"\n{OVER_HTTP} references over HTTP, seed {SEED}: {dict(seen)}")


def joined(bundles: Path, reference: str) -> bytes | None:
    """What a resolver would find that takes a reference for a path."""
    try:
        return (bundles / reference.removeprefix("bundle/")).read_bytes()
    except (OSError, ValueError):
        return None


def test_the_fuzz_notices_a_resolver_that_joins_paths(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a planted mistake, something is found that nobody recorded, also with as few as CI takes."""

    def careless(settings: Any, _found: Any, reference: str) -> Any:
        content = joined(settings.handoff.bundles_dir, reference)
        return None if content is None else SimpleNamespace(content=content)

    draw = random.Random(1)
    refs = [made(draw, recorded) for _ in range(400)]
    with monkeypatch.context() as broken:
        broken.setattr(references, "resolve", careless)
        wrongly, _ = found_wrongly(recorded, refs)
    assert [one for one in wrongly if "leads to" in one]


@contextmanager
def careless_server(bundles: Path) -> Iterator[str]:
    """A server that takes a reference for a path, and breaks at what cannot be one."""

    class Careless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reference = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("ref", [""])[0]
            content = joined(bundles, reference)
            status = 500 if "\0" in reference else 404 if content is None else 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"sha256": hashlib.sha256(content or b"").hexdigest()}).encode())

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_fuzz_over_http_notices_a_server_that_joins_paths(recorded: Recorded) -> None:
    """Both what it finds and where it breaks are told."""
    draw = random.Random(1)
    refs = [made(draw, recorded) for _ in range(400)]
    with careless_server(recorded.host.bundles) as url:
        wrongly, _ = answered_wrongly(recorded, url, draw, refs)
    assert [one for one in wrongly if ": 200 " in one]
    assert [one for one in wrongly if one.endswith(": 500")]
