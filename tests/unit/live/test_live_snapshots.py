"""References: looked up by their exact text, and nothing that was not recorded is ever reached by one."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops_core.control.audit import canonical
from ops_core.live.run import run
from ops_core.live.snapshots import NoSuchSnapshot, SnapshotDamaged, resolve
from ops_core.summary.summary import regenerate
from tests.handing import Host, Hosts

FILE = "latest/notes.bin"
SEED = int(os.environ.get("SEED", "7"))
EXAMPLES = int(os.environ.get("EXAMPLES", "250"))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """An operator's host with a bundle of several kinds of files in force."""
    hosts = Hosts(tmp_path_factory.mktemp("snapshots") / "hosts")
    hosts.offer_bundle(
        {
            "a.json": b'{"decision": "HOLD"}',
            "big.txt": b"x" * ((1 << 20) + 1),
            "latest/nan.json": b'{"a": NaN}',
            "latest/inf.json": b'{"a": 1e999}',
            FILE: b"\xff\x00",
            "words.txt": "한글".encode(),
        }
    )
    found = hosts.operator(more='decision_file = "a.json"')
    assert found.pull()["outcome"] == "INSTALLED"
    return found


def test_receipts_are_found_as_they_were_recorded(host: Host) -> None:
    """By the reference that they name, with the digest over their one spelling."""
    receipt = run(host.settings, host.plane, show=lambda _: "")
    summary = regenerate(host.settings, host.plane, host.clock)
    for kind, one in (("live_cycle", receipt), ("ops_summary", summary)):
        told = resolve(host.settings, host.plane, one["snapshot_ref"])
        assert (told["kind"], told["encoding"], told["content"]) == (kind, "json", one)
        assert told["sha256"] == hashlib.sha256(canonical(one).encode()).hexdigest()


@pytest.mark.parametrize(
    ("path", "encoding", "content"),
    [
        ("a.json", "json", {"decision": "HOLD"}),
        ("words.txt", "utf-8", "한글"),
        ("latest/nan.json", "utf-8", '{"a": NaN}'),
        ("latest/inf.json", "utf-8", '{"a": 1e999}'),
        (FILE, "base64", "/wA="),
        ("big.txt", "none", None),
    ],
)
def test_files_of_a_bundle_are_told_in_what_can_hold_them(
    host: Host, path: str, encoding: str, content: object
) -> None:
    """JSON where JSON can say it, else text, else base64; what is too large is not told."""
    told = resolve(host.settings, host.plane, f"bundle/{host.whole()}/{path}")
    assert (told["kind"], told["encoding"], told["content"]) == ("bundle", encoding, content)


def hostile(host: Host) -> Iterator[str]:
    """References that lead out, name something else, or are nothing at all."""
    bundle, outside = host.whole(), host.root / "ops.toml"
    ref = run(host.settings, host.plane, show=lambda _: "")["snapshot_ref"]
    yield from (
        "",
        "/",
        ".",
        "..",
        "bundle",
        f"bundle/{bundle}",
        f"bundle/{bundle}/",
        "live_cycle/",
        "split/x",
        "x" * 9000,
    )
    yield from (
        f"bundle/{bundle}/{one}"
        for one in ("../manifest.json", "manifest.json", "./a.json", "A.JSON", "a.json/", "a.json\0")
    )
    yield from (
        f"bundle/../{outside}",
        str(outside),
        f"file://{outside}",
        f"bundle/{bundle}//a.json",
        "bundle/current/a.json",
    )
    yield from (
        ref + " ",
        ref.upper(),
        ref + "/..",
        ref + "\0",
        ref.replace("/", "//"),
        "ops_summary/" + ref.partition("/")[2],
    )
    yield from ("live_cycle/%", "live_cycle/' OR 1=1 --", "live_cycle/*", "audit/1", "live_cycle/\ud800", "번들/가")
    rng = random.Random(SEED)
    pieces = [
        "bundle",
        bundle,
        "live_cycle",
        ref.partition("/")[2],
        "..",
        ".",
        "/",
        "a.json",
        "%2e%2e",
        "\\",
        "\0",
        "\u202e",
        "~",
        "latest",
    ]
    for _ in range(EXAMPLES):
        made = "/".join(rng.choices(pieces, k=rng.randint(1, 6)))
        if made not in {ref, f"bundle/{bundle}/a.json"}:
            yield made


def test_any_other_text_names_nothing(host: Host) -> None:
    """Whatever stands in it: not found, no crash, and no file is opened that the bundle does not name."""
    (host.root / "secret.txt").write_text("nobody's business")
    count = 0
    for ref in hostile(host):
        with pytest.raises(NoSuchSnapshot, match="nothing that was recorded"):
            resolve(host.settings, host.plane, ref)
        count += 1
    assert count > EXAMPLES / 2


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    """It was recorded, and is not there any more as it was: that is told, not its content."""
    hosts = Hosts(tmp_path / "hosts")
    hosts.published()
    host = hosts.operator()
    host.pull()
    bundle = host.whole()
    file = host.bundles / bundle / "files" / "recon_summary.json"
    file.chmod(0o600)
    file.write_text("{}")
    with pytest.raises(SnapshotDamaged):
        resolve(host.settings, host.plane, f"bundle/{bundle}/recon_summary.json")
