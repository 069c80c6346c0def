"""Publishing, pulling and rolling back, killed at random moments: what is in force is always one whole, signed bundle.

Nothing of ours says so: files are hashed, the signature is verified and the link is read here. A run prints its seed
(KILLS_SEED=… takes the same moments again); `make kills` takes all rounds.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.handing import Host, Hosts, git
from tests.operating import Site
from tests.support import ROOT

pytestmark = pytest.mark.slow
KILLS = 210 if os.environ.get("KILLS") == "all" else 12
SEED = os.environ.get("KILLS_SEED") or str(random.SystemRandom().randrange(10**9))
ACTS = ("publish", "pull", "rollback")
# Ready before the clock of the kill begins: what is killed is the act, not the start of Python.
READY = """
import sys
import ops_core.cli.app, ops_core.handoff.publish, ops_core.handoff.pull, ops_core.handoff.rollback
{planted}
print("ready", flush=True)
sys.stdin.readline()
sys.argv = ["ops", *sys.argv[1:]]
ops_core.cli.run()
"""
# The link names a bundle of which nothing lies there yet: what the harness has to notice.
PLANTED = """
import os, pathlib
from ops_core.handoff import placing
whole = placing.stage
def early(settings, manifest, content):
    folder = settings.handoff.bundles_dir
    folder.mkdir(exist_ok=True)
    (folder / "early").symlink_to(manifest.bundle_id)
    os.replace(folder / "early", folder / "current")
    os.kill(os.getpid(), 9)
placing.stage = early
"""

# The link names a whole bundle, and not the one that was to be put in force.
PLANTED_OTHER = """
import os
from ops_core.handoff import installed
right = installed.swap
def wrong(bundles, bundle_id):
    right(bundles, min(one.name for one in bundles.iterdir() if one.name[0] == "2"))
    os.kill(os.getpid(), 9)
installed.swap = wrong
"""


class NotWhole(AssertionError):
    """What is in force, or what the remote holds, is not one whole bundle, or not one of those that it may be."""


def told_by(folder: Path, read: dict[str, bytes], public: str) -> str:
    """The id of a bundle that is given as its files by path, proven by itself alone."""
    if "manifest.json" not in read:
        raise NotWhole(f"{folder} has no manifest")
    told = json.loads(read["manifest.json"])
    signature = bytes.fromhex(told.pop("signature"))
    content = json.dumps(told, sort_keys=True, separators=(",", ":")).encode("ascii")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, b"ops bundle v1\n" + content)
    except InvalidSignature:
        raise NotWhole(f"{folder} is not signed") from None
    named = {f"files/{one['path']}": one["sha256"] for one in told["files"]}
    found = {path: hashlib.sha256(data).hexdigest() for path, data in read.items() if path != "manifest.json"}
    if found != named:
        raise NotWhole(f"{folder} holds {found}, and its manifest names {named}")
    return str(told["bundle_id"])


def in_force(host: Host, public: str) -> str:
    """The id of what the link names; empty while nothing ever was."""
    link = host.root / "bundles" / "current"
    if not link.is_symlink():
        return ""
    folder = link.parent / link.readlink()
    if not folder.is_dir():
        raise NotWhole(f"{link} names {folder.name}, which is not there")
    read = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    identity = told_by(folder, read, public)
    if identity != folder.name:
        raise NotWhole(f"{folder} says that it is {identity}")
    return identity


def handed_over(hosts: Hosts) -> str:
    """The id of what the branch holds; empty before anything was published."""
    if not git(hosts.remote, "for-each-ref", "refs/heads/main"):
        return ""
    names = git(hosts.remote, "ls-tree", "-r", "--name-only", "main", "handoff/daily/").splitlines()
    read = {name.removeprefix("handoff/daily/"): hosts.content(name) for name in names}
    return told_by(hosts.remote, read, hosts.public)


def back_from(host: Host, ever: set[str]) -> str:
    """The bundle that a rollback goes to: of those that were ever in force the newest one before the one that is."""
    numbers = {}
    for path in (host.root / "bundles").iterdir():
        if path.is_symlink() or path.name in ever:
            numbers[path.name] = int(json.loads((path / "manifest.json").read_bytes())["sequence"])
    here = numbers.pop("current")
    return max((name for name in numbers if numbers[name] < here), key=lambda name: numbers[name])


def hold(site: Site, found: str, allowed: set[str]) -> None:
    """Hold what is in force after an act against what may be, and what `status` says against what is."""
    if found not in allowed:
        raise NotWhole(f"{found} is in force, and it may be one of {sorted(allowed)}")
    told = site.ops("handoff", "status", "--json", code=None)
    here = told.json()["in_force"]
    if (here["bundle_id"], here["problem"]) != (found, ""):
        raise NotWhole(f"{found} is in force, and status says {here}")


def act(host: Host, *words: str, after_s: float | None, planted: str = "") -> tuple[bool, float]:
    """Carry an act out and kill it after that many seconds; whether it was killed, and how long it ran."""
    process = subprocess.Popen(
        [sys.executable, "-c", READY.format(planted=planted), "handoff", *words],
        cwd=host.root,
        env={**Site(host.root).environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        begun = time.monotonic()
        process.stdin.write("\n")
        process.stdin.flush()
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        process.kill()
        process.communicate()
    return process.returncode == -signal.SIGKILL, time.monotonic() - begun


def test_the_harness_notices_a_link_that_comes_too_early(tmp_path: Path) -> None:
    """With a planted mistake, a link that is set before its bundle lies there, the harness says so."""
    hosts = Hosts.at_present(tmp_path / "hosts")
    hosts.published()
    oci = hosts.operator()
    assert act(oci, "pull", after_s=None, planted=PLANTED)[0]
    with pytest.raises(NotWhole, match="which is not there"):
        in_force(oci, hosts.public)


def test_the_harness_notices_another_bundle_than_the_one_that_was_to_be_placed(tmp_path: Path) -> None:
    """With a planted mistake, a link that names an older whole bundle, the harness says so; and so does the status."""
    hosts = Hosts.at_present(tmp_path / "hosts")
    oci = hosts.operator()
    ids = []
    for number in range(3):
        # Each a second later, so that their names are in their order.
        hosts.pc.wait(1 / 3600)
        ids.append(str(hosts.published(n=number)["bundle_id"]))
        if number < 2:
            oci.pull()
    assert act(oci, "pull", after_s=None, planted=PLANTED_OTHER)[0]
    found, site = in_force(oci, hosts.public), Site(oci.root)
    assert found == ids[0]
    with pytest.raises(NotWhole, match="may be one of"):
        hold(site, found, set(ids[1:]))
    with pytest.raises(NotWhole, match="status says"):
        hold(site, found, set(ids))


def test_killed_at_any_moment_there_is_one_whole_bundle(tmp_path: Path) -> None:
    """After every kill both sides hold one whole bundle, the old one or the one that was placed; status says which it is."""
    print(f"\nseed {SEED}")
    draw = random.Random(SEED)
    hosts = Hosts.at_present(tmp_path / "hosts")
    oci = hosts.operator()
    sites = {"publish": Site(hosts.pc.root), "pull": Site(oci.root), "rollback": Site(oci.root)}
    kills: Counter[str] = Counter()
    ever: set[str] = set()
    for decision in ("FIRST", "SECOND"):
        hosts.results(decision=decision)
        sites["publish"].ops("handoff", "publish")
        sites["pull"].ops("handoff", "pull")
        ever.add(in_force(oci, hosts.public))
    # How long each takes, so that the moments of the kills lie within.
    hosts.results(decision="THIRD")
    lasts = {}
    for name in ACTS:
        lasts[name] = act(hosts.pc if name == "publish" else oci, name, after_s=None)[1]
        ever.add(in_force(oci, hosts.public))
    tries = 0
    while kills.total() < KILLS:
        tries += 1
        assert tries < 4 * KILLS, f"too few were killed: {kills}, seed {SEED}"
        name = draw.choice(ACTS)
        if name != "rollback":
            hosts.results(decision=f"D{tries}")
        if name == "pull":
            sites["publish"].ops("handoff", "publish")
        before = in_force(oci, hosts.public)
        placed = {"publish": before, "pull": handed_over(hosts), "rollback": back_from(oci, ever)}[name]
        killed, _ = act(hosts.pc if name == "publish" else oci, name, after_s=draw.uniform(0, lasts[name]))
        kills[name] += killed
        after, offered = in_force(oci, hosts.public), handed_over(hosts)
        ever.add(after)
        if name == "publish":
            assert after == before
            assert sites[name].ops("handoff", "status", "--json").json()["in_force"] is None
            # What was killed is finished or begun anew; nothing of it is lost.
            sites["publish"].ops("handoff", "publish")
            offered = handed_over(hosts)
            manifest = json.loads(hosts.content("handoff/daily/manifest.json"))
            assert manifest["bundle_id"] == offered
            assert hosts.content("handoff/daily/files/recon_summary.json").find(f"D{tries}".encode()) > 0
        else:
            hold(sites[name], after, {before, placed} if killed else {placed})
        sites["pull"].ops("handoff", "pull", "--again")
        assert in_force(oci, hosts.public) == offered, f"the newest did not arrive after {name}"
        ever.add(offered)
    print(f"{kills.total()} kills in {tries} tries: {dict(kills)}")
