"""Pulling: everything is proven before anything is put in place; whatever is refused, the old one stays in force."""

from __future__ import annotations

import os
import random
import shutil
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from handing import BRANCH, NOON, Hosts, git

from ops_core.control.people.keys import make_key
from ops_core.errors import Refused, UsageError
from ops_core.handoff import installed, placing
from ops_core.handoff.git import Exchange
from ops_core.handoff.model import FILES_MAX, MANIFEST_MAX_BYTES, MANIFEST_NAME

GOOD = {"recon_summary.json": b'{"decision": "HOLD"}', "charts/a.json": b"[1]"}
LATER = {"recon_summary.json": b'{"decision": "SELL"}'}


class World(Hosts):
    """Hosts, and an operator on whom bundle number 10 is in force."""

    def __init__(self, root):
        made = (root / "remote.git").exists()
        super().__init__(root)
        self.oci = self.operator()
        said = {"sequence": 10, "created_at": NOON - timedelta(hours=1)}
        self.good = self.signed(GOOD, **said)
        if not made:
            self.offer_bundle(GOOD, **said)
            assert self.oci.pull()["outcome"] == "INSTALLED"
        self.base = self.tip()

    def after(self, **changes):
        """The manifest of a newer bundle that would be taken, changed."""
        return self.signed(LATER, **{"sequence": 11, **changes})

    def offer_changed(self, folder, **changes):
        """The newer bundle, with other things in its folder; None takes one away."""
        below = {
            MANIFEST_NAME: self.after(**changes).as_bytes(),
            "files/recon_summary.json": LATER["recon_summary.json"],
        }
        self.offer({path: what for path, what in {**below, **folder}.items() if what is not None}, parent=self.base)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """For what is refused: it changes nothing, so that one world does for all of it."""
    return World(tmp_path_factory.mktemp("world") / "hosts")


@pytest.fixture(scope="module")
def worn(world, tmp_path_factory):
    """For what is put right again. It is past the day on which the bundle was worth something."""
    found = copied(world, tmp_path_factory.mktemp("worn"))
    found.oci.wait(40)
    return found


@pytest.fixture
def own(world, tmp_path):
    """For a test of its own."""
    return copied(world, tmp_path)


def copied(world, folder):
    git(world.remote, "update-ref", f"refs/heads/{BRANCH}", world.base)
    shutil.copytree(world.root, folder / "hosts", symlinks=True)
    return World(folder / "hosts")


def tree(folder):
    """Everything below a folder, with the content of files and where links lead."""
    return {
        str(one.relative_to(folder)): str(one.readlink())
        if one.is_symlink()
        else one.read_bytes()
        if one.is_file()
        else ""
        for one in sorted(folder.rglob("*"))
    }


def strange_key(world):
    path = world.root / "stranger.pem"
    if not path.exists():
        make_key(path)
    return path


REFUSED = {
    "no folder": ("NOT_A_BUNDLE", lambda w: git(w.remote, "update-ref", f"refs/heads/{BRANCH}", empty_commit(w))),
    "no manifest": ("NOT_A_BUNDLE", lambda w: w.offer_changed({MANIFEST_NAME: None})),
    "half a manifest": ("NOT_A_BUNDLE", lambda w: w.offer_changed({MANIFEST_NAME: w.after().as_bytes()[:-40]})),
    "another schema": (
        "BAD_SCHEMA",
        lambda w: w.offer_changed({MANIFEST_NAME: w.after().as_bytes().replace(b"_v1", b"_v2")}),
    ),
    "manifest too large": ("TOO_LARGE", lambda w: w.offer_changed({MANIFEST_NAME: b" " * (MANIFEST_MAX_BYTES + 1)})),
    "far too many files": (
        "TOO_LARGE",
        lambda w: w.offer_changed({f"files/{'x' * 90}/{'y' * 90}/{n}": b"" for n in range(FILES_MAX * 3)}),
    ),
    "half handed over": ("INCOMPLETE", lambda w: w.offer_changed({"files/recon_summary.json": None})),
    "other content": ("TAMPERED", lambda w: w.offer_changed({"files/recon_summary.json": b'{"decision": "SELL!'})),
    "other size": ("TAMPERED", lambda w: w.offer_changed({"files/recon_summary.json": b"{}"})),
    "one file more": ("TAMPERED", lambda w: w.offer_changed({"files/more.json": b"{}"})),
    "one file beside": ("TAMPERED", lambda w: w.offer_changed({"run.sh": b"true"})),
    "a link": ("TAMPERED", lambda w: w.offer_changed({"files/recon_summary.json": ("120000", b"/etc/passwd")})),
    "a link as manifest": ("TAMPERED", lambda w: w.offer_changed({MANIFEST_NAME: ("120000", b"/etc/passwd")})),
    "a program": (
        "TAMPERED",
        lambda w: w.offer_changed({"files/recon_summary.json": ("100755", LATER["recon_summary.json"])}),
    ),
    "a submodule": ("TAMPERED", lambda w: w.offer_changed({"files/sub": ("160000", b"")})),
    "a strange name": ("TAMPERED", lambda w: w.offer_changed({"files/ev\x07il\u202e name": b""})),
    "a changed manifest": (
        "BAD_SCHEMA",
        lambda w: w.offer_changed({MANIFEST_NAME: w.after().as_bytes().replace(b'"sequence": 11', b'"sequence": 12')}),
    ),
    "unknown producer": ("WRONG_PRODUCER", lambda w: w.offer_changed({}, producer="mallory")),
    "signed by somebody else": ("BAD_SIGNATURE", lambda w: w.offer_changed({}, key_file=strange_key(w))),
    "an older number": ("REPLAYED", lambda w: w.offer_changed({}, sequence=9)),
    "the same number": ("REPLAYED", lambda w: w.offer_changed({}, sequence=10)),
    "from tomorrow": ("FROM_THE_FUTURE", lambda w: w.offer_changed({}, created_at=NOON + timedelta(days=1))),
    "from last week": ("STALE", lambda w: w.offer_changed({}, created_at=NOON - timedelta(days=7))),
    "good for a minute": (
        "STALE",
        lambda w: w.offer_changed({}, created_at=NOON - timedelta(hours=1), fresh_hours=0.01),
    ),
}


@pytest.mark.parametrize(("code", "attack"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_the_old_one_in_force(world, code, attack):
    """Each kind of bad bundle is refused with its code, and not one byte of the operator's tree differs afterwards."""
    attack(world)
    before = tree(world.oci.bundles)
    receipt = world.oci.pull()
    assert (receipt["outcome"], receipt["code"]) == ("REFUSED", code), receipt
    assert receipt["in_force"] == world.good.bundle_id
    assert receipt["reason"].isprintable()
    assert tree(world.oci.bundles) == before
    assert world.oci.whole() == world.good.bundle_id
    assert world.oci.actions()[-1] == "handoff.refused"


def empty_commit(world):
    nothing = git(world.remote, "hash-object", "-t", "tree", "-w", "--stdin")
    return git(world.remote, "commit-tree", nothing, "-p", world.base, "-m", "nothing left")


def forced(world, *names):
    """Have the branch hold a folder with files of these names, which git itself would not write."""
    blob = bytes.fromhex(git(world.remote, "hash-object", "-w", "--stdin", stdin="evil"))
    raw = b"".join(b"100644 " + name + b"\0" + blob for name in names)
    evil = git(world.remote, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    for level in ("files", "daily", "handoff"):
        above = f"40000 {level}".encode() + b"\0" + bytes.fromhex(evil)
        evil = git(world.remote, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=above)
    git(world.remote, "update-ref", f"refs/heads/{BRANCH}", git(world.remote, "commit-tree", evil, "-m", "x"))


@pytest.mark.parametrize("names", [(b"..",), (b".git",), (b"a/b",), (b".",), (b"a", b"a"), (b"b", b"a")])
def test_a_tree_that_git_itself_would_not_write_is_refused(world, names):
    """Names that lead elsewhere, or stand there twice, put into a tree by force: no outage, and nothing is touched."""
    forced(world, *names)
    before = tree(world.oci.bundles)
    receipt = world.oci.pull()
    assert (receipt["outcome"], receipt["code"], receipt["in_force"]) == ("REFUSED", "MALFORMED", world.good.bundle_id)
    assert "git itself does not take over" in receipt["reason"]
    assert tree(world.oci.bundles) == before
    assert world.oci.whole() == world.good.bundle_id


def test_what_git_does_not_take_over_keeps_from_publishing_and_not_from_going_back(own):
    """Who publishes is told; the operator goes back by what was fetched before, and takes what comes once it is gone."""
    own.offer_bundle(LATER, sequence=11, parent=own.tip())
    assert own.oci.pull()["outcome"] == "INSTALLED"
    good = own.tip()
    forced(own, b"..")
    evil = own.tip()
    own.results(n=1)
    receipt = own.pc.publish()
    assert (receipt["outcome"], "does not take over" in receipt["reason"], own.tip()) == ("FAILED", True, evil)
    assert "last good commit" in receipt["next"]
    assert own.oci.rollback("HEAD~1")["outcome"] == "ROLLED_BACK"
    git(own.remote, "update-ref", f"refs/heads/{BRANCH}", good)
    assert own.pc.publish()["sequence"] == 12
    assert own.oci.pull()["outcome"] == "INSTALLED"


def test_a_remote_that_is_damaged_or_breaks_off_is_no_refusal(own, monkeypatch):
    """A line that is cut in the middle of a pack, and a disk that rots, are failures of the way and not of a bundle."""
    own.offer_bundle({"a.json": random.Random(1).randbytes(40_000)}, sequence=11, parent=own.tip())
    way = own.root / "ssh"
    way.write_text(f"#!/bin/sh\ngit-upload-pack '{own.remote}' | dd bs=1 count=20000 2>/dev/null\n")
    way.chmod(0o755)
    git(own.oci.checkout, "remote", "set-url", "origin", f"ssh://away{own.remote}")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(way))
    cut = own.oci.pull()
    assert (cut["outcome"], cut["code"]) == ("FAILED", None), cut
    assert "early EOF" in cut["reason"]
    git(own.oci.checkout, "remote", "set-url", "origin", str(own.remote))
    for file in (*own.remote.glob("objects/pack/*.pack"), *own.remote.glob("objects/??/*")):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-30])
    rotten = own.oci.pull()
    assert (rotten["outcome"], rotten["code"]) == ("FAILED", None), rotten
    assert own.oci.whole() == own.good.bundle_id


def test_a_good_one_is_put_in_force_and_the_old_one_kept(own):
    """The link names the new one, its files are those that were signed, and the one before lies beside it."""
    own.offer_changed({})
    receipt = own.oci.pull()
    assert (receipt["outcome"], receipt["previous"]) == ("INSTALLED", own.good.bundle_id)
    here = own.oci.in_force()
    assert here.bundle_id == own.after().bundle_id == str((own.oci.bundles / "current").readlink())
    assert here.content(here.manifest.files[0]) == LATER["recon_summary.json"]
    assert (own.oci.bundles / "current/files/recon_summary.json").read_bytes() == LATER["recon_summary.json"]
    assert (own.oci.bundles / own.good.bundle_id / "files/charts/a.json").read_bytes() == b"[1]"
    assert own.oci.pull()["outcome"] == "UP_TO_DATE"


def test_a_day_without_a_push_is_up_to_date_and_says_that_it_is_stale(own):
    """Nothing new is no refusal; that what is in force is too old is told."""
    own.oci.wait(30)
    receipt = own.oci.pull()
    assert (receipt["outcome"], receipt["fresh"]) == ("UP_TO_DATE", False)
    assert not own.oci.in_force().is_fresh(own.oci.clock.now())


def test_a_rewritten_history_is_told_and_the_bundle_judged_as_always(own):
    """Force-pushed: what is newer is taken, what is older is not, and the receipt says that history was rewritten."""
    own.offer_bundle(LATER, sequence=11)
    receipt = own.oci.pull()
    assert (receipt["outcome"], receipt["history"]) == ("INSTALLED", "rewritten")
    own.offer_bundle(GOOD, sequence=10, created_at=NOON - timedelta(hours=1))
    receipt = own.oci.pull()
    assert (receipt["code"], receipt["history"]) == ("REPLAYED", "rewritten")
    assert own.oci.pull()["history"] == "unchanged"


def test_a_remote_that_is_away_or_lost_its_branch_changes_nothing(own):
    """A remote that is not there is a failure, one without the branch a refusal; then all is well again."""
    own.remote.rename(own.root / "away")
    receipt = own.oci.pull()
    assert (receipt["outcome"], receipt["code"]) == ("FAILED", None)
    assert "origin" in receipt["reason"]
    (own.root / "away").rename(own.remote)
    tip = own.tip()
    git(own.remote, "update-ref", "-d", f"refs/heads/{BRANCH}")
    assert (own.oci.pull()["code"]) == "NOT_A_BUNDLE"
    git(own.remote, "update-ref", f"refs/heads/{BRANCH}", tip)
    assert own.oci.pull()["outcome"] == "UP_TO_DATE"
    assert own.oci.whole() == own.good.bundle_id


def test_a_remote_that_takes_the_connection_and_says_nothing_costs_one_budget(own):
    """A black hole is a failure when its budget ends."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"git://127.0.0.1:{hole.getsockname()[1]}/x"
        git(own.oci.checkout, "remote", "set-url", "origin", url)
        own.oci.write((own.oci.root / "ops.toml").read_text().replace("git_budget_s = 30", "git_budget_s = 0.7"))
        receipt = own.oci.pull()
    assert receipt["outcome"] == "FAILED"
    assert "not done within 0.7 s" in receipt["reason"]


def test_no_hook_that_is_configured_for_all_runs_in_our_repository(own, monkeypatch, tmp_path):
    """What runs whenever a reference changes is not run for ours."""
    hook = tmp_path / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    (tmp_path / "global").write_text(f"[core]\n\thooksPath = {tmp_path}\n")
    own.offer_changed({})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "global"))
    assert own.oci.pull()["outcome"] == "INSTALLED"
    assert not (tmp_path / "ran").exists()


def test_the_emergency_stop_keeps_from_pulling(own):
    """Engaged, nothing is fetched and nothing is put in force."""
    own.offer_changed({})
    own.oci.plane.engage("for the test")
    before = own.oci.actions()
    with pytest.raises(Refused, match="for the test"):
        own.oci.pull()
    assert own.oci.whole() == own.good.bundle_id
    assert own.oci.actions() == before


def test_a_stop_that_comes_while_it_is_staged_keeps_it_from_being_put_in_force(own):
    """The last question is asked in the transaction that arms."""
    own.offer_changed({})

    def say(line):
        if line.startswith("proven whole"):
            own.oci.plane.engage("meanwhile")

    own.oci.said = type("Said", (list,), {"append": lambda _, line: say(line)})()
    with pytest.raises(Refused, match="meanwhile"):
        own.oci.pull()
    assert own.oci.whole() == own.good.bundle_id


def test_without_a_producer_nothing_is_pulled(tmp_path):
    """Whose bundles are taken has to be said."""
    hosts = Hosts(tmp_path)
    with pytest.raises(UsageError, match="whose bundles"):
        hosts.operator(producers={}).pull()


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda b, i: rewrite(b / i / "files/charts/a.json", b"[2]"), "TAMPERED"),
        (lambda b, i: rewrite(b / i / "files/charts/a.json", b"[1, 2]"), "TAMPERED"),
        (lambda b, i: (b / i / "files/charts/a.json").unlink(), "INCOMPLETE"),
        (lambda b, i: (b / i / "files/charts/b.json").write_bytes(b"[]"), "TAMPERED"),
        (lambda b, i: (b / i / "files/charts/l").symlink_to("/etc/passwd"), "TAMPERED"),
        (lambda b, i: os.mkfifo(b / i / "files/charts/p"), "TAMPERED"),
        (lambda b, i: relink(b / i / "files/charts/a.json", b / "a.json"), "TAMPERED"),
        (lambda b, i: rewrite(b / i / MANIFEST_NAME, b"{}"), "NOT_A_BUNDLE"),
        (lambda b, i: (b / i / MANIFEST_NAME).unlink(), "NOT_A_BUNDLE"),
        (lambda b, i: shutil.rmtree(b / i), "INCOMPLETE"),
        (lambda b, i: (b / "current").unlink(), "TAMPERED"),
        (lambda b, i: relink(b / "current", b / "elsewhere"), "TAMPERED"),
        (lambda b, i: (b / "current").replace(b / "gone") and (b / "current").write_text("x"), "TAMPERED"),
    ],
)
def test_what_was_changed_on_the_disk_is_found_and_put_right(worn, damage, code):
    """Whatever somebody did to the bundle in force shows at once, and the next pull brings it anew, even a stale one."""
    damage(worn.oci.bundles, worn.good.bundle_id)
    here = worn.oci.in_force()
    assert here.problem
    assert here.code == code
    assert not here.is_fresh(worn.oci.clock.now())
    receipt = worn.oci.pull()
    assert (receipt["outcome"], receipt["repaired"]) == ("INSTALLED", True), receipt
    assert worn.oci.whole() == worn.good.bundle_id


def rewrite(path, data):
    path.chmod(0o600)
    path.write_bytes(data)


def relink(path, to):
    to.write_bytes(path.read_bytes() if path.is_file() else b"")
    path.unlink()
    path.symlink_to(to)


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


@pytest.mark.parametrize("at", ["stage", "arm", "swap", "record"])
def test_whoever_comes_next_finishes_what_was_killed(own, monkeypatch, at):
    """Cut off anywhere, one whole bundle is in force; the next pull records what became of it and goes on."""

    def killed(*_args, **_kwargs):
        raise Killed

    own.offer_changed({})
    with monkeypatch.context() as broken:
        if at == "stage":
            broken.setattr(placing, "_take_the_name", killed)
            broken.setattr(placing, "_remove", lambda _: None)
        elif at == "arm":
            broken.setattr(placing, "put_in_force", killed)
        elif at == "swap":
            broken.setattr(installed, "swap", killed)
        else:
            broken.setattr(placing, "_recorded", killed)
        with pytest.raises(Killed):
            own.oci.pull()
    assert own.oci.whole() == (own.after() if at == "record" else own.good).bundle_id
    receipt = own.oci.pull()
    assert receipt["outcome"] == ("UP_TO_DATE" if at == "record" else "INSTALLED")
    assert own.oci.whole() == own.after().bundle_id
    wanted = {"swap": ["handoff.pull_failed", "handoff.armed"], "record": ["handoff.installed"]}.get(
        at, ["handoff.armed"]
    )
    assert own.oci.actions()[-len(wanted) - 1 : -1] == wanted
    left = {one.name for one in own.oci.bundles.iterdir()}
    assert left == {"current", own.good.bundle_id, own.after().bundle_id}


def test_a_disk_that_is_full_changes_nothing(own, monkeypatch):
    """Half a bundle is never put in force, and nothing of it is left lying around."""
    from ops_core.handoff import folder

    def full(path, _pieces):
        raise OSError(28, "No space left on device", str(path))

    own.offer_changed({})
    before = tree(own.oci.bundles)
    with monkeypatch.context() as broken:
        broken.setattr(folder, "write_file", full)
        receipt = own.oci.pull()
    assert receipt["outcome"] == "FAILED"
    assert "No space left" in receipt["reason"]
    assert tree(own.oci.bundles) == before
    assert own.oci.pull()["outcome"] == "INSTALLED"


def test_a_broken_repository_of_our_own_is_made_anew(own):
    """It is a cache: damaged or half gone, the next pull does without what was in it."""
    own.offer_changed({})
    exchange = Exchange(own.oci.settings).folder
    for pack in exchange.glob("objects/pack/*"):
        pack.chmod(0o600)
        pack.write_bytes(b"damaged")
    (exchange / "refs/heads/main.lock").write_text("left by a killed git")
    assert own.oci.pull()["outcome"] == "INSTALLED"
    (exchange / "HEAD").unlink()
    assert own.oci.pull()["outcome"] == "UP_TO_DATE"
    shutil.rmtree(exchange)
    Path(exchange).write_text("somebody's file")
    assert own.oci.pull()["outcome"] == "UP_TO_DATE"


def test_only_so_many_are_kept(own, monkeypatch):
    """The one in force and those before it, as many as are kept; what is older, or never was in force, is removed."""
    monkeypatch.setattr(placing, "KEEP", 1)
    shutil.copytree(own.oci.bundles / own.good.bundle_id, own.oci.bundles / f"{own.good.bundle_id[:-1]}x")
    shutil.copytree(own.oci.bundles / own.good.bundle_id, own.oci.bundles / f"20200101T000000Z-{'0' * 16}")
    for number in (11, 12):
        own.offer_bundle({"a.json": str(number).encode()}, sequence=number, parent=own.tip())
        assert own.oci.pull()["outcome"] == "INSTALLED"
    names = {one.name for one in own.oci.bundles.iterdir()}
    kept = names - {"current", f"{own.good.bundle_id[:-1]}x"}
    assert sorted(installed.proven(own.oci.settings, name).sequence for name in kept) == [11, 12]
    assert len(names) == 4


def test_a_look_while_another_one_comes_in_force_is_taken_again(own, monkeypatch):
    """What did not fit together, because the record was read before the link changed, is no finding."""
    stale, look = installed.in_force(own.oci.settings), installed._in_force
    looks = []

    def crossed(settings, found):
        looks.append(found)
        here = look(settings, found)
        return replace(stale, problem="the link names another one") if len(looks) == 1 else here

    monkeypatch.setattr(installed, "_in_force", crossed)
    with own.oci.plane.snapshot() as found:
        assert not installed.in_force(own.oci.settings, found).problem
    assert len(looks) == 2
    monkeypatch.setattr(installed, "_in_force", lambda *_: replace(stale, problem="damaged"))
    assert own.oci.in_force().problem == "damaged"


def test_where_the_store_cannot_be_read_nothing_is_proven(own):
    """The link is there, and nobody can say what it ought to name: that is a problem, and no traceback."""
    own.oci.plane.path.write_bytes(b"no store")
    here = own.oci.in_force()
    assert (here.bundle_id, "cannot be read" in here.problem) == (own.good.bundle_id, True)
    with pytest.raises(Refused):
        own.oci.pull()
