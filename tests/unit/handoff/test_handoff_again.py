"""The same results again: they are handed over already only where operators take what lies there."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from handing import Hosts, git

from ops_core.handoff.git import Exchange
from ops_core.handoff.git_run import GitFailed


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Hosts with two bundles published, of the same name and another content, and both taken."""
    root = tmp_path_factory.mktemp("template") / "hosts"
    hosts = Hosts(root)
    oci = hosts.operator()
    for content in ("X", "Y"):
        hosts.published(n=content)
        assert oci.pull()["outcome"] == "INSTALLED"
    return root


@pytest.fixture
def hosts(template, tmp_path):
    """Those hosts, for a test of its own."""
    shutil.copytree(template, tmp_path / "hosts", symlinks=True)
    return Hosts(tmp_path / "hosts")


def pushed_again(hosts, commit, *, force):
    """What the folder held at a commit is pushed by somebody once more; or the branch is put back to it."""
    if force:
        git(hosts.remote, "update-ref", "refs/heads/main", commit)
        return
    tree = git(hosts.remote, "rev-parse", f"{commit}^{{tree}}")
    again = git(hosts.remote, "commit-tree", tree, "-p", hosts.tip(), "-m", "once more")
    git(hosts.remote, "update-ref", "refs/heads/main", again)


@pytest.mark.parametrize("force", [False, True], ids=["pushed", "put back"])
def test_an_older_bundle_that_was_pushed_again_is_not_the_same(hosts, force):
    """Operators refuse it as replayed: the very same results are published anew, and taken."""
    oci = hosts.operator()
    pushed_again(hosts, hosts.tip() + "~1", force=force)
    assert oci.pull()["code"] == "REPLAYED"
    hosts.results(n="X")
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"]) == ("PUBLISHED", 3)
    assert oci.pull()["outcome"] == "INSTALLED"
    assert hosts.pc.publish()["outcome"] == "UNCHANGED"


def test_what_was_made_by_a_clock_that_was_ahead_is_published_anew(hosts):
    """Operators refuse what is from the future: once the clock is right, the same results get another date."""
    oci = hosts.operator()
    hosts.pc.clock.instant += timedelta(hours=2)
    assert hosts.published(n="Z")["sequence"] == 3
    assert oci.pull()["code"] == "FROM_THE_FUTURE"
    hosts.pc.clock.instant -= timedelta(hours=2)
    hosts.results(n="Z")
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"]) == ("PUBLISHED", 4)
    assert oci.pull()["outcome"] == "INSTALLED"
    assert hosts.pc.publish()["outcome"] == "UNCHANGED"


def test_what_is_past_its_time_is_not_the_same(hosts):
    """What was published for an hour, and is asked for after two, is published anew for as long as is configured now."""
    toml = (hosts.pc.root / "ops.toml").read_text()
    hosts.pc.write(toml.replace("fresh_hours = 26", "fresh_hours = 1"))
    assert hosts.published(n="Z")["sequence"] == 3
    hosts.pc.write(toml)
    for host in (hosts.pc, oci := hosts.operator()):
        host.wait(2)
    assert oci.pull()["code"] == "STALE"
    assert hosts.pc.publish()["sequence"] == 4
    assert oci.pull()["outcome"] == "INSTALLED"


def test_another_host_with_the_same_name_and_key_is_one_and_the_same(hosts):
    """What it published is found to be the same, however often it is asked for."""
    other = hosts.producer("pc2", more="# the same one\n")
    other.write((other.root / "ops.toml").read_text().replace('"pc2"', '"pc"'))
    hosts.results(other, n="Z")
    assert other.publish()["sequence"] == 3
    hosts.results(n="Z")
    for _ in range(2):
        assert hosts.pc.publish()["outcome"] == "UNCHANGED"


def test_a_number_whose_answer_was_lost_is_not_used_for_another_bundle(hosts, monkeypatch):
    """Taken by the remote, by operators, and then unheard of: whatever follows has a higher number."""

    def lost(exchange, commit, push=Exchange.push):
        push(exchange, commit)
        hosts.remote.rename(hosts.root / "away")
        raise GitFailed("the connection was lost")

    oci, before = hosts.operator(), hosts.tip()
    hosts.results(n="Z")
    with monkeypatch.context() as broken:
        broken.setattr(Exchange, "push", lost)
        assert hosts.pc.publish()["outcome"] == "FAILED"
    (hosts.root / "away").rename(hosts.remote)
    assert oci.pull()["sequence"] == 3
    pushed_again(hosts, before, force=True)
    hosts.results(n="Y")
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"]) == ("PUBLISHED", 4)
    assert oci.pull()["outcome"] == "INSTALLED"
