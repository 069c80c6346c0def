"""Disks that are really full, on either host and at the remote: it fails with the reason, and goes on once there is room.

Each is a small file system of its own, in memory.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops_core.control.people.keys import make_key
from ops_core.drill import small_disk
from tests.handing import BRANCH, Hosts, git
from tests.operating import Site

pytestmark = pytest.mark.slow
FULL = "No space left on device"
STORE_FULL = "the disk is full"
# Which folder is on the disk that is full, and what is told: where the record cannot be written either, no more than that.
PULLS = {"oci/bundles": FULL, "oci/state": FULL, "oci": STORE_FULL}
PUBLISHES = {"pc/state": FULL, "remote.git": FULL, "pc": STORE_FULL}


@pytest.fixture
def mounted() -> Iterator[Callable[[Path], Path]]:
    """Mounts a small disk at a folder, until the test ends, however it does."""
    if why := small_disk.lacking():
        pytest.skip(why)
    with contextlib.ExitStack() as open_until_then:

        def mount(folder: Path) -> Path:
            folder.mkdir(parents=True, exist_ok=True)
            keeper = open_until_then.enter_context(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "ops_core.drill.small_disk", str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert keeper.stdout.readline() == small_disk.READY
            return folder

        yield mount


def hosts_with(disk: str, root: Path, mounted: Callable[[Path], Path]) -> tuple[Hosts, Path]:
    """Hosts of which one folder is on a disk of its own, and that disk."""
    folder = mounted(root / disk)
    if disk == "remote.git":
        # Made by hand: the hosts make none where there is one already.
        git(root, "init", "-q", "--bare", "-b", BRANCH, str(folder))
        make_key(root / "pc.pem")
    return Hosts.at_present(root), folder


def fill(disk: Path) -> Path:
    """Write until there is not one byte left; the file that does it."""
    filler = disk / "grown.log"
    with filler.open("ab", buffering=0) as file:
        for piece in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * piece)
    assert os.statvfs(disk).f_bavail == 0
    return filler


def results(hosts: Hosts, number: int) -> None:
    """Results that no disk squeezes into what is left."""
    hosts.results(n=number, pad=random.Random(number).randbytes(60_000).hex())


@pytest.mark.parametrize("disk", PULLS)
def test_a_pull_onto_a_full_disk_fails_and_goes_on_once_there_is_room(
    tmp_path: Path, mounted: Callable[[Path], Path], disk: str
) -> None:
    """The old bundle is whole and in force, nothing half lies beside it, and the status answers; then the new one comes."""
    hosts, folder = hosts_with(disk, tmp_path / "hosts", mounted)
    oci = hosts.operator()
    site = Site(oci.root)
    results(hosts, 1)
    old = hosts.pc.publish()["bundle_id"]
    assert site.ops("handoff", "pull", "--json").json()["outcome"] == "INSTALLED"
    results(hosts, 2)
    new = hosts.pc.publish()["bundle_id"]
    filler = fill(folder)
    failed = site.ops("handoff", "pull", "--json", code=3)
    told = failed.json()
    assert PULLS[disk] in (told["error"] if disk == "oci" else told["reason"]), told
    assert told.get("outcome", "FAILED") == "FAILED"
    assert "Traceback" not in failed.err
    assert oci.whole() == old
    assert {path.name for path in oci.bundles.iterdir()} - {filler.name} == {"current", old}
    assert site.ops("handoff", "status", "--json").json()["in_force"]["bundle_id"] == old
    filler.unlink()
    assert site.ops("handoff", "pull", "--json").json()["outcome"] == "INSTALLED"
    assert oci.whole() == new


@pytest.mark.parametrize("disk", PUBLISHES)
def test_a_publish_with_a_full_disk_fails_and_goes_on_once_there_is_room(
    tmp_path: Path, mounted: Callable[[Path], Path], disk: str
) -> None:
    """The branch stays as it was, on this side and at the remote, and is pulled from; then the new results are handed over."""
    hosts, folder = hosts_with(disk, tmp_path / "hosts", mounted)
    site = Site(hosts.pc.root)
    results(hosts, 1)
    old = site.ops("handoff", "publish", "--json").json()["bundle_id"]
    results(hosts, 2)
    before, filler = hosts.tip(), fill(folder)
    failed = site.ops("handoff", "publish", "--json", code=3)
    told = failed.json()
    assert PUBLISHES[disk] in (told["error"] if disk == "pc" else told["reason"]), told
    assert told.get("outcome", "FAILED") == "FAILED"
    assert "Traceback" not in failed.err
    assert hosts.tip() == before
    oci = hosts.operator()
    assert (oci.pull()["outcome"], oci.whole()) == ("INSTALLED", old)
    filler.unlink()
    new = site.ops("handoff", "publish", "--json").json()
    assert new["outcome"] == "PUBLISHED"
    assert (oci.pull()["outcome"], oci.whole()) == ("INSTALLED", new["bundle_id"])
