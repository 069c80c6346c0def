"""Manifests that somebody made to do harm: refused with a code, nothing outside the bundles touched.

Most are as a producer with its key could make them: spelled right, with the right id and signature. Trees beside a manifest
that is good, and references, have a fuzz of their own. EXAMPLES=… takes as
many as wanted (`make fuzz` takes thousands), EXAMPLES_SEED=… the same ones again.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ops_core.handoff import model
from ops_core.handoff.judge import judge
from ops_core.handoff.model import BundleRefused, RefusalCode, parse_manifest
from tests.handing import NOON, Hosts, everything_outside

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("EXAMPLES", "400"))
SEED = os.environ.get("EXAMPLES_SEED") or str(random.SystemRandom().randrange(10**9))
PULLS_EVERY = 40  # of that many, one goes the whole way: through git, into a pull
PATHS = (
    *("../x", "a/../../x", "/etc/passwd", "~/x", "a//b", "./a", "a/.", "", ".", "..", ".git/config", "a/.GIT/hooks/x"),
    *("a\0b", "a\nb", "a\\..\\b", "C:\\x", "a b", " a", "a.", "-x", "x" * 300, "a/" * 120 + "b", "ｘ", "a\u202eb"),
    *("\u2024\u2024/x", "%2e%2e/x", "a\x1b[2J", "manifest.json/../../x", "файл", "é", "e\u0301", "\ud800"),
)
WRONG: dict[str, tuple[Any, ...]] = {
    "producer": ("", "pc ", "../pc", None, 5, "PC", "x" * 99, ["pc"]),
    "sequence": (0, -1, True, 1.5, "2", None, 10**30, float(3)),
    "created_at": ("", "now", "2026-13-01T00:00:00.000Z", "2026-01-01T00:00:00Z", "9999-01-01T00:00:00.000Z", 5, None),
    "source_revision": ("x", "../..", "HEAD", 7, None, "a" * 41),
    "fresh_hours": (0.0, -1.0, 1e9, "26", None, True, 26),
    "schema": ("bundle_manifest_v2", "", None, 1, ["bundle_manifest_v1"]),
    "files": ([], {}, None, "x", [None], [[]], [{}], [{"path": "a"}]),
}


def spelled(told: dict[str, Any], key: Any) -> bytes:
    """A manifest of that content as a producer with this key can make it, whatever the content is."""
    content = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    instant = "".join(c for c in str(told.get("created_at"))[:19] if c.isdigit() or c == "T")
    whole = {**told, "bundle_id": f"{instant}Z-{content[:16]}"}
    signed = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    whole["signature"] = key.sign(b"ops bundle v1\n" + signed).hex()
    return (json.dumps(whole, sort_keys=True, indent=1) + "\n").encode()


def content_of(draw: random.Random) -> dict[str, Any]:
    """The content of a manifest that would be taken."""
    files = [
        {"path": f"{name}.json", "size": draw.randrange(100), "sha256": draw.randbytes(32).hex()}
        for name in sorted({draw.choice("abcdefgh") for _ in range(3)})
    ]
    return {
        "schema": "bundle_manifest_v1",
        "producer": "pc",
        "sequence": draw.randrange(2, 1000),
        "created_at": NOON.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "source_revision": "",
        "fresh_hours": 26.0,
        "files": files,
    }


def hostile(draw: random.Random, key: Any) -> bytes:
    """One manifest that must not be taken."""
    told = content_of(draw)
    kind = draw.randrange(6)
    if kind == 0:
        field = draw.choice(sorted(WRONG))
        return spelled({**told, field: draw.choice(WRONG[field])}, key)
    if kind == 1:
        draw.choice(told["files"])["path"] = draw.choice(PATHS)
        return spelled(told, key)
    if kind == 2:
        one = draw.choice(told["files"])
        twin = {**one, "path": one["path"].upper() if draw.random() < 0.5 else one["path"]}
        told["files"] = [*told["files"], twin, *([{**one, "path": one["path"] + "/x"}] if draw.random() < 0.3 else [])]
        return spelled(told, key)
    if kind == 3:
        one = draw.choice(told["files"])
        one |= draw.choice(
            [{"size": -1}, {"size": 10**12}, {"size": True}, {"size": "1"}, {"sha256": "0"}, {"sha256": "A" * 64}]
        )
        return spelled(told, key)
    if kind == 4:
        return spelled({**told, draw.choice(["extra", "run", "__class__", "files "]): draw.choice([1, "x", None])}, key)
    raw = bytearray(spelled(told, key))
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(raw))
        old = raw[at]
        while raw[at] == old:
            raw[at] = draw.randrange(256)
    cut = draw.random() < 0.2
    return bytes(raw[: draw.randrange(len(raw))] if cut else raw)


def test_nothing_that_was_made_to_do_harm_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is refused with one of our codes; of those that are pulled, nothing is left and the old one stays in force."""
    draw = random.Random(SEED)
    hosts = Hosts(tmp_path / "hosts")
    good = hosts.published()["bundle_id"]
    oci = hosts.operator()
    oci.pull()
    key = load_pem_private_key(hosts.key_file.read_bytes(), None)
    tip, before = hosts.tip(), everything_outside(tmp_path, oci)
    inside = sorted(path.name for path in oci.bundles.iterdir())
    codes: Counter[str] = Counter()
    for number in range(EXAMPLES):
        raw = hostile(draw, key)
        refusal = None
        try:
            refusal = judge(
                parse_manifest(raw), handoff=oci.settings.handoff, accepted=None, held=frozenset(), now=NOON
            )
        except BundleRefused as error:
            refusal = error.refusal
        assert refusal is not None, (number, SEED, raw)
        assert refusal.code in RefusalCode
        codes[refusal.code.value] += 1
        if number % PULLS_EVERY == 0:
            other = draw.choice([{}, {"files/a.json": b"{}"}, {"files/a.json": ("120000", b"/etc/passwd")}])
            hosts.offer({"manifest.json": raw, **other}, parent=tip)
            receipt = oci.pull()
            assert receipt["outcome"] == "REFUSED", (number, SEED, receipt)
            assert oci.whole() == good
    assert everything_outside(tmp_path, oci) == before
    assert sorted(path.name for path in oci.bundles.iterdir()) == inside
    with capsys.disabled():
        if EXAMPLES > 1000:
            print(f"\n{EXAMPLES} manifests, seed {SEED}: {dict(codes)}")


def test_the_fuzz_notices_a_reader_that_believes_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With paths that are no longer looked at, something hostile is taken: the fuzz can fail."""
    hosts = Hosts(tmp_path / "hosts")
    key = load_pem_private_key(hosts.key_file.read_bytes(), None)
    oci = hosts.operator()
    told = {**content_of(random.Random(1)), "files": [{"path": "../x", "size": 1, "sha256": "0" * 64}]}
    with pytest.raises(BundleRefused):
        parse_manifest(spelled(told, key))
    monkeypatch.setattr(model, "fit_path", lambda _path: True)
    manifest = parse_manifest(spelled(told, key))
    assert judge(manifest, handoff=oci.settings.handoff, accepted=None, held=frozenset(), now=NOON) is None
