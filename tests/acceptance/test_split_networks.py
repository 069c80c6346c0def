"""Two hosts that really are two: each in a network namespace of its own, the repository served by git's own daemon."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.handing import Host, Hosts, git
from tests.operating import OPS, Site
from tests.support import eventually, need_program

pytestmark = pytest.mark.slow
PRODUCER, OPERATOR = "10.77.0.1", "10.77.0.2"
NOT_PERMITTED = "this machine permits no network namespaces"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A namespace, and what is run in it."""

    name: str

    def argv(self, *words: str) -> list[str]:
        """The argument list that runs something in it."""
        return ["ip", "netns", "exec", self.name, *words]

    def ops(self, host: Host, *words: str, code: int = 0) -> str:
        """Type `ops …` on a host that is in it."""
        done = subprocess.run(
            self.argv(*OPS, *words),
            cwd=host.root,
            env=Site(host.root).environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def running(
        self, *words: str, folder: Path, environ: dict[str, str], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Something that runs in it until the block ends, and says what it says in a file."""
        with log.open("wb") as said:
            process = subprocess.Popen(
                self.argv(*words), cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()
                process.wait()

    def down(self, *, down: bool) -> None:
        """Take its line to the other one away, or bring it back."""
        subprocess.run(["ip", "-n", self.name, "link", "set", "eth0", "down" if down else "up"], check=True)


def where_it_listens(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that a server tells in its first lines, once they are whole; fails when none come in time."""

    def told() -> bool:
        said = log.read_text(encoding="utf-8")
        assert process.poll() is None, f"ops serve ended with {process.returncode}: {said}"
        return "\n}\n" in said

    eventually(told, "ops serve does not say where it listens", 60)
    said = log.read_text(encoding="utf-8")
    return str(json.JSONDecoder().raw_decode(said, said.index("{"))[0]["url"])


@pytest.fixture
def networks() -> Iterator[tuple[Network, Network]]:
    """Two namespaces with a line between them; removed with everything in them."""
    need_program("ip")
    one, other = (Network(name=f"ops-{os.getpid()}-{letter}") for letter in "ab")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    made = subprocess.run(["ip", "netns", "add", one.name], capture_output=True, check=False)
    if b"not permitted" in made.stderr:
        pytest.skip(NOT_PERMITTED)
    assert made.returncode == 0, made.stderr
    try:
        ip("netns", "add", other.name)
        ip("-n", one.name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", other.name)
        for network, address in ((one, PRODUCER), (other, OPERATOR)):
            ip("-n", network.name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", network.name, "link", "set", "eth0", "up")
            ip("-n", network.name, "link", "set", "lo", "up")
        yield one, other
    finally:
        for network in (one, other):
            subprocess.run(["ip", "netns", "delete", network.name], capture_output=True, check=False)


def test_a_day_across_two_networks(networks: tuple[Network, Network], tmp_path: Path) -> None:
    """Results go over the line and are decided on; with the line away the old ones stay, and the day fails in time."""
    here, there = networks
    hosts = Hosts.at_present(tmp_path / "hosts")
    oci = hosts.operator(more='decision_file = "recon_summary.json"')
    for host in (hosts.pc, oci):
        git(host.checkout, "remote", "set-url", "origin", f"git://{PRODUCER}/remote.git")
    toml = (oci.root / "ops.toml").read_text(encoding="utf-8").replace("git_budget_s = 30", "git_budget_s = 3")
    daemon = (
        "git",
        "daemon",
        f"--base-path={hosts.root}",
        "--export-all",
        "--enable=receive-pack",
        f"--listen={PRODUCER}",
    )
    environ, log = Site(oci.root).environ, tmp_path / "served"
    with (
        here.running(*daemon, str(hosts.root), folder=hosts.root, environ=dict(os.environ), log=tmp_path / "daemon"),
        there.running(*OPS, "serve", "--port", "0", "--json", folder=oci.root, environ=environ, log=log) as served,
    ):
        url = where_it_listens(served, log)
        oci.write(f'{toml}\n[profiles.default.split]\nbackend_url = "{url}"\n')
        asking = there.argv("git", "ls-remote", f"git://{PRODUCER}/remote.git")
        eventually(
            lambda: subprocess.run(asking, capture_output=True, check=False).returncode == 0,
            "the remote does not answer",
        )
        for decision in ("HOLD", "REBALANCE"):
            hosts.results(decision=decision)
            published = json.loads(here.ops(hosts.pc, "handoff", "publish", "--json"))
            assert published["outcome"] == "PUBLISHED"
            told = json.loads(there.ops(oci, "daily", "--split", "--json"))
            assert told["verdict"] in {"COMPLETED", "WARN"}
            assert oci.whole() == published["bundle_id"]
            latest = json.loads(there.ops(oci, "live", "latest", "--json"))
            assert (latest["result"], latest["decision"]) == ("OK", decision)
        there.down(down=True)
        told = json.loads(there.ops(oci, "daily", "--split", "--json", code=3))
        assert [one["state"] for one in told["steps"]] == ["FAILED", *["not reached"] * 4]
        assert oci.whole() == published["bundle_id"]
        there.down(down=False)
        assert json.loads(there.ops(oci, "daily", "--split", "--json"))["verdict"] in {"COMPLETED", "WARN"}
