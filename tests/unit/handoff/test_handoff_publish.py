"""Publishing: all steps done, all results looked at, one commit that changes its folder alone; or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from handing import BRANCH, NOON, Hosts, git

from ops_core.control.people.keys import make_key
from ops_core.errors import Refused, UsageError
from ops_core.handoff import publish as publishing
from ops_core.handoff.publish import _Publish

STEP = '[[profiles.default.handoff.steps]]\nname = "{name}"\nargv = {argv}\nbudget_s = {budget_s}\n'
WRITE = "echo '{\"decision\": \"'$0'\"}' > results/day.json"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Hosts of which the producer has published once."""
    root = tmp_path_factory.mktemp("template") / "hosts"
    hosts = Hosts(root)
    hosts.published(n=1)
    return root


@pytest.fixture
def hosts(template, tmp_path):
    """Those hosts, for a test of its own."""
    shutil.copytree(template, tmp_path / "hosts", symlinks=True)
    return Hosts(tmp_path / "hosts")


def configured(hosts, more, host=None):
    """The producer with more in its table, and steps as (name, argv, budget)."""
    host = host or hosts.pc
    text = (host.root / "ops.toml").read_text()
    table, secrets = text.split("\n[profiles.default.secrets")
    host.write(f"{table}\n{more}\n[profiles.default.secrets{secrets}")


def stepped(hosts, *steps, more=""):
    told = [
        STEP.format(name=name, argv=json.dumps(["sh", "-c", line, word]), budget_s=budget_s)
        for name, line, word, budget_s in steps
    ]
    # Files are written by the clock of the machine, so this host goes by it too.
    hosts.pc.clock.instant, hosts.pc.clock.elapsed_s = hosts.pc.clock.instant, time.time() - NOON.timestamp()
    configured(hosts, "\n".join([more, *told]))


def others(hosts, commit=BRANCH):
    """Everything on the branch outside of the folder of the hand-off, as git lists it."""
    lines = git(hosts.remote, "ls-tree", "-r", commit).splitlines()
    return [line for line in lines if not line.split("\t")[1].startswith("handoff/daily/")]


def test_what_is_published_is_signed_numbered_and_taken(hosts):
    """The branch then holds the manifest and the results, and an operator takes them."""
    hosts.results(n=2)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"], receipt["attempts"]) == ("PUBLISHED", 2, 1)
    manifest = hosts.manifest()
    assert manifest.bundle_id == receipt["bundle_id"]
    assert hosts.tip() == receipt["commit"]
    assert json.loads(hosts.content("handoff/daily/files/recon_summary.json"))["n"] == 2
    oci = hosts.operator()
    assert oci.pull()["bundle_id"] == receipt["bundle_id"]
    assert oci.whole() == receipt["bundle_id"]


def test_only_the_folder_changes_and_the_checkout_not_at_all(hosts):
    """Code, programs, links and submodules of the branch stay as they are; so do index, work tree and branch here."""
    base = hosts.tip()
    lines = [
        f"commit refs/heads/{BRANCH}\ncommitter x <x@x> 1700000000 +0000\ndata 1\nx\nfrom {base}",
        "M 100755 inline run.sh\ndata 4\ntrue",
        "M 120000 inline link\ndata 6\nrun.sh",
        f"M 160000 {'1' * 40} sub",
        "M 100644 inline handoff/README.md\ndata 2\nhi",
        "M 100644 inline handoff/daily/old.json\ndata 2\n{}",
        "M 100644 inline handoff/dailyx/a\ndata 1\na",
    ]
    git(hosts.remote, "fast-import", "--quiet", stdin="\n".join([*lines, ""]))
    before = others(hosts)
    assert len(before) == 5
    git(hosts.pc.checkout, "fetch", "-q", "origin")
    git(hosts.pc.checkout, "checkout", "-q", "-B", BRANCH, "FETCH_HEAD")
    (hosts.pc.checkout / "run.sh").write_text("dirty")
    (hosts.pc.checkout / "new.txt").write_text("staged")
    git(hosts.pc.checkout, "add", "new.txt")
    git(hosts.pc.checkout, "checkout", "-q", "--detach")
    state = checkout_state(hosts.pc.checkout)
    hosts.results(n=2)
    assert hosts.pc.publish()["outcome"] == "PUBLISHED"
    assert others(hosts) == before
    assert "old.json" not in git(hosts.remote, "ls-tree", "-r", "--name-only", BRANCH)
    assert git(hosts.remote, "rev-parse", f"{BRANCH}~2") == base
    assert checkout_state(hosts.pc.checkout) == state
    assert hosts.manifest().source_revision == git(hosts.pc.checkout, "rev-parse", "HEAD")


def checkout_state(folder):
    shown = git(folder, "status", "--porcelain=v2", "--branch")
    return shown, git(folder, "for-each-ref"), (folder / ".git/index").read_bytes(), (folder / ".git/HEAD").read_text()


def test_no_program_that_a_checkout_names_is_run(hosts, monkeypatch, tmp_path):
    """Hooks, filters, helpers and aliases of a hostile checkout, and hooks that are configured for all, do nothing."""
    mark, evil = tmp_path / "ran", tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {mark}\n")
    evil.chmod(0o755)
    checkout = hosts.pc.checkout
    hooks = tmp_path / "hooks"
    for folder, names in (
        (checkout / ".git/hooks", ("pre-push", "reference-transaction", "post-index-change", "pre-commit")),
        # No others: the remote lies on this machine, and its side of a push is its own business.
        (hooks, ("pre-push", "fsmonitor-watchman")),
    ):
        folder.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(evil, folder / name)
    settings = ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "diff.external", "core.gitProxy")
    for name in (*settings, "filter.x.clean", "credential.helper", "uploadpack.packObjectsHook", "gpg.program"):
        git(checkout, "config", name, str(evil))
    git(checkout, "config", "alias.fetch", f"!{evil}")
    (tmp_path / "global").write_text(f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {evil}\n[push]\n\tgpgSign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "global"))
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    hosts.results(n=2)
    assert hosts.pc.publish()["outcome"] == "PUBLISHED"
    assert not mark.exists()
    assert not (tmp_path / "index").exists()
    git(checkout, "remote", "set-url", "origin", f"ext::{evil}")
    with pytest.raises(UsageError, match="address"):
        hosts.pc.publish()
    assert not mark.exists()


def test_steps_run_in_their_order_each_with_a_log_without_secrets(hosts, monkeypatch):
    """What they make is handed over; what they say is kept, with no secret and without the key that signs."""
    monkeypatch.setenv("API_TOKEN", "sesame-open-4711")
    monkeypatch.setenv("SIGNING_KEY", "x")
    stepped(
        hosts,
        ("backtest", 'echo "one $0 $API_TOKEN"; echo one > order', "sesame-open-4711", 10),
        ("reports", f"cat order; echo two >> order; {WRITE}", "BUY", 10),
    )
    text = (hosts.pc.root / "ops.toml").read_text()
    hosts.pc.write(text + '\n[profiles.default.secrets.API_TOKEN]\nenv = "API_TOKEN"\n')
    earlier = hosts.now.timestamp() - 60
    os.utime(hosts.pc.root / "results" / "recon_summary.json", (earlier, earlier))
    receipt = hosts.pc.publish()
    assert receipt["outcome"] == "PUBLISHED", receipt
    assert [(step["name"], step["exit_code"]) for step in receipt["steps"]] == [("backtest", 0), ("reports", 0)]
    assert (hosts.pc.root / "order").read_text() == "one\ntwo\n"
    assert receipt["not_written"] == ["recon_summary.json"]
    assert json.loads(hosts.content("handoff/daily/files/day.json")) == {"decision": "BUY"}
    logs = [(hosts.pc.root / step["log"]).read_text() for step in receipt["steps"]]
    assert "one [redacted] [redacted]" in logs[0]
    assert "sesame" not in logs[0] + json.dumps(receipt)
    assert "done" in logs[1]


@pytest.mark.parametrize(
    ("line", "budget_s", "why"),
    [
        ("echo broken; exit 3", 10, "exit code 3"),
        ("sleep 60", 0.3, "not done within 0.3 s"),
        ("kill -9 $$", 10, "exit code 137"),
    ],
    ids=["fails", "hangs", "is killed"],
)
def test_a_step_that_fails_publishes_nothing(hosts, line, budget_s, why):
    """The steps behind it do not run, the branch stays as it was, and the receipt names log and reason."""
    stepped(
        hosts, ("backtest", f"(sleep 300 & echo $! > left); {line}", "x", budget_s), ("reports", "touch ran", "x", 10)
    )
    before = hosts.tip()
    hosts.results(n=2)
    receipt = hosts.pc.publish()
    assert receipt["outcome"] == "FAILED"
    assert why in receipt["reason"]
    assert [step["name"] for step in receipt["steps"]] == ["backtest"]
    assert (hosts.pc.root / receipt["steps"][0]["log"]).exists()
    assert hosts.tip() == before
    assert not (hosts.pc.root / "ran").exists()
    left = int((hosts.pc.root / "left").read_text())
    assert not Path(f"/proc/{left}").exists() or Path(f"/proc/{left}/stat").read_text().split()[2] == "Z"
    assert hosts.pc.actions()[-1] == "handoff.publish_failed"


def test_a_program_that_is_not_there_is_a_step_that_failed(hosts):
    """It is told like any other failure."""
    configured(hosts, STEP.format(name="backtest", argv='["no-such-program-at-all"]', budget_s=5))
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["steps"][0]["exit_code"]) == ("FAILED", 127)


BAD = {
    "none": (lambda r: (r / "recon_summary.json").unlink(), "", "there are no results"),
    "empty": (lambda r: (r / "recon_summary.json").write_text(""), "", "is empty"),
    "half": (lambda r: (r / "recon_summary.json").write_text('{"schema": "rec'), "", "no whole JSON"),
    "not a number": (lambda r: (r / "recon_summary.json").write_text('{"x": NaN}'), "", "no whole JSON"),
    "deep": (lambda r: (r / "recon_summary.json").write_text("[" * 100_000), "", "no whole JSON"),
    "nothing in it": (lambda r: (r / "recon_summary.json").write_text("{}"), "", "says nothing"),
    "another schema": (lambda r: None, 'schemas = { "recon_summary.json" = "recon_summary_v2" }', "not of the schema"),
    "one is missing": (lambda r: None, 'schemas = { "other.json" = "x_v1" }', "other.json is not among"),
    "no decision": (
        lambda r: None,
        'decision_file = "recon_summary.json"\ndecision_key = "order"',
        "says nothing under",
    ),
    "a link": (lambda r: (r / "b.json").symlink_to("/etc/passwd"), "", "symbolic link"),
    "a linked folder": (lambda r: (r / "b.json").symlink_to("/etc"), "", "symbolic link"),
    "a pipe": (lambda r: os.mkfifo(r / "b.json"), "", "no plain file"),
    "a name": (lambda r: (r / "b c.json").write_text("[1]"), "", "cannot be handed over"),
    "a clash": (lambda r: (r / "RECON_summary.json").write_text("[1]"), "", "cannot lie beside"),
    "old": (lambda r: os.utime(r / "recon_summary.json", (1, 1)), "", "nobody wrote any"),
}


@pytest.mark.parametrize(("spoil", "more", "words"), BAD.values(), ids=BAD)
def test_results_that_are_not_what_they_have_to_be_publish_nothing(hosts, spoil, more, words):
    """Each is told by name, and the branch stays as it was."""
    before = hosts.tip()
    hosts.results(n=2)
    if more:
        configured(hosts, more)
    spoil(hosts.pc.root / "results")
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt.get("bundle_id", "")) == ("FAILED", "")
    assert words in receipt["reason"]
    assert hosts.tip() == before


def test_steps_that_wrote_nothing_publish_nothing(hosts):
    """Yesterday's results are not handed over as those of today."""
    hosts.results(n=2)
    stepped(hosts, ("backtest", "true", "x", 10))
    os.utime(hosts.pc.root / "results/recon_summary.json", (time.time() - 3600,) * 2)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], "wrote none of the results" in receipt["reason"]) == ("FAILED", True)


def test_patterns_choose_what_goes_along(hosts):
    """A star stays in its folder, two stars go through folders; what no pattern names stays here."""
    results = hosts.pc.root / "results"
    for name in ("a.csv", "deep/b.json", "deep/er/c.json", "deep/er/d.txt"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("[1]")
    configured(hosts, 'files = ["*.csv", "deep/**/*.json"]')
    receipt = hosts.pc.publish()
    assert [one["path"] for one in receipt["files"]] == ["a.csv", "deep/b.json", "deep/er/c.json"]


def test_the_same_results_are_published_once_while_they_are_fresh(hosts):
    """Unchanged: nothing is handed over, until half of their time is over and they were made again."""
    stepped(hosts, ("reports", WRITE, "BUY", 10))
    first = hosts.pc.publish()
    assert first["outcome"] == "PUBLISHED"
    again = hosts.pc.publish()
    assert (again["outcome"], again["bundle_id"]) == ("UNCHANGED", first["bundle_id"])
    assert hosts.tip() == first["commit"]
    hosts.pc.wait(14)
    stepped_results = hosts.pc.root / "results"
    (stepped_results / "recon_summary.json").unlink()
    at = hosts.pc.clock.now().timestamp()
    configured_touch(hosts, at)
    renewed = hosts.pc.publish()
    assert (renewed["outcome"], renewed["sequence"]) == ("PUBLISHED", 3)


def configured_touch(hosts, at):
    """Steps whose files are as late as the host's clock, which has gone ahead of the machine's."""
    text = (hosts.pc.root / "ops.toml").read_text()
    hosts.pc.write(text.replace("> results/day.json", f"> results/day.json; touch -d @{at + 60:.0f} results/day.json"))


@pytest.mark.parametrize("harm", ["changed", "missing", "added"])
def test_the_same_results_are_handed_over_anew_where_the_remotes_were_changed(hosts, harm):
    """A manifest of ours beside other files is none of ours: publishing again is what puts the branch right."""
    oci = hosts.operator()
    first = hosts.published(n=2)
    assert oci.pull()["outcome"] == "INSTALLED"

    def change(folder):
        file = folder / "files" / "recon_summary.json"
        if harm == "changed":
            file.write_bytes(file.read_bytes().replace(b"HOLD", b"SELL"))
        elif harm == "missing":
            file.unlink()
        else:
            (folder / "files" / "more.json").write_text("{}", encoding="utf-8")

    hosts.tampered(change)
    assert oci.pull()["outcome"] == "REFUSED"
    again = hosts.pc.publish()
    assert (again["outcome"], again["sequence"]) == ("PUBLISHED", first["sequence"] + 1)
    assert oci.pull()["outcome"] == "INSTALLED"
    assert oci.whole() == again["bundle_id"]


def test_what_somebody_else_signed_is_not_the_same(hosts):
    """The same results under our name with another signature are replaced, because no operator would take them."""
    make_key(hosts.root / "stranger.pem")
    files = {"recon_summary.json": hosts.content("handoff/daily/files/recon_summary.json")}
    hosts.offer_bundle(files, key_file=hosts.root / "stranger.pem", sequence=9, parent=hosts.tip())
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"]) == ("PUBLISHED", 10)
    assert hosts.operator().pull()["outcome"] == "INSTALLED"


def test_made_by_hand_they_are_as_old_as_they_are(hosts):
    """Without steps the bundle is as old as its newest file, however late somebody publishes it."""
    hosts.results(n=2)
    hosts.pc.wait(3)
    receipt = hosts.pc.publish()
    assert receipt["outcome"] == "PUBLISHED"
    assert hosts.manifest().created == NOON
    assert hosts.pc.publish()["outcome"] == "UNCHANGED"


def test_somebody_who_was_quicker_is_followed_on_a_fresh_base(hosts):
    """A race is lost once and won on what lies there then; both bundles are in the history, numbered in order."""
    other = hosts.producer("pc2")
    hosts.results(other, n="other")
    hosts.results(n=2)

    def say(line):
        if line.startswith("push") and not other.said:
            assert other.publish()["outcome"] == "PUBLISHED"

    hosts.pc.said = type("Said", (list,), {"append": lambda _, line: say(line)})()
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["attempts"], receipt["sequence"]) == ("PUBLISHED", 2, 3)
    numbers = [hosts.manifest(f"{BRANCH}~{back}").sequence for back in range(3)]
    assert numbers == [3, 2, 1]


def test_one_who_is_always_quicker_ends_it_after_so_many_times(hosts, monkeypatch):
    """Bounded: nothing is handed over, and the receipt says why."""
    monkeypatch.setattr(publishing, "ATTEMPTS_MAX", 2)
    hosts.results(n=2)

    def say(line):
        if line.startswith("push"):
            commit = git(hosts.remote, "commit-tree", f"{BRANCH}^{{tree}}", "-p", BRANCH, "-m", "quick")
            git(hosts.remote, "update-ref", f"refs/heads/{BRANCH}", commit)

    hosts.pc.said = type("Said", (list,), {"append": lambda _, line: say(line)})()
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["attempts"]) == ("FAILED", 2)
    assert "quicker 2 times" in receipt["reason"]


def test_two_publishers_at_the_same_time_both_arrive(hosts):
    """Two processes on two checkouts, started together: one history with both, each number once."""
    keys = {"pc": hosts.key_file, "pc2": hosts.root / "pc2.pem"}
    make_key(keys["pc2"])
    pair = [hosts.pc, hosts.producer("pc2", key_file=keys["pc2"])]
    for host in pair:
        hosts.results(host, n=host.root.name)
    argv = [sys.executable, "-m", "ops_core.cli", "handoff", "publish", "--json"]
    started = [subprocess.Popen(argv, cwd=host.root, stdout=subprocess.PIPE) for host in pair]
    told = [json.loads(one.communicate(timeout=120)[0]) for one in started]
    assert [one["outcome"] for one in told] == ["PUBLISHED", "PUBLISHED"], told
    assert sorted(one["sequence"] for one in told) == [2, 3]
    assert hosts.manifest().sequence == 3
    assert hosts.manifest(f"{BRANCH}~1").sequence == 2


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


@pytest.mark.parametrize("at", ["commit", "push", "record"])
def test_whoever_comes_next_finishes_what_was_killed(hosts, monkeypatch, at):
    """Cut off anywhere, the branch holds one whole bundle; the next publish records what became of it."""
    from ops_core.handoff.git import Exchange

    def killed(*_args, **_kwargs):
        raise Killed

    hosts.results(n=2)
    where = {"commit": (_Publish, "_arm"), "push": (Exchange, "push"), "record": (_Publish, "_ended")}[at]
    with monkeypatch.context() as broken:
        broken.setattr(*where, killed)
        with pytest.raises(Killed):
            hosts.pc.publish()
    assert hosts.operator().pull()["sequence"] == (2 if at == "record" else 1)
    receipt = hosts.pc.publish()
    # A number that was armed is not used again.
    wanted = {"commit": ("PUBLISHED", 2), "push": ("PUBLISHED", 3), "record": ("UNCHANGED", 2)}[at]
    assert (receipt["outcome"], receipt["sequence"]) == wanted
    tail = {
        "commit": ["handoff.armed", "handoff.published"],
        "push": ["handoff.armed", "handoff.publish_failed", "handoff.armed", "handoff.published"],
        "record": ["handoff.armed", "handoff.published", "handoff.published"],
    }[at]
    assert hosts.pc.actions()[-len(tail) :] == tail


def test_the_answer_that_was_lost_is_looked_for(hosts, monkeypatch):
    """Pushed, and then the connection died: it arrived, so it is published."""
    from ops_core.handoff.git import Exchange, GitFailed

    def lost(exchange, commit, push=Exchange.push):
        push(exchange, commit)
        raise GitFailed("the connection was lost")

    hosts.results(n=2)
    monkeypatch.setattr(Exchange, "push", lost)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["attempts"]) == ("PUBLISHED", 1)
    assert hosts.tip() == receipt["commit"]


def test_a_remote_that_says_no_is_quoted_and_left_alone(hosts):
    """A hook of the server refuses: nothing was handed over, and its reason is told without steering the terminal."""
    hook = hosts.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nprintf 'not \\033[31mtoday\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = hosts.tip()
    hosts.results(n=2)
    receipt = hosts.pc.publish()
    assert receipt["outcome"] == "FAILED"
    assert "pre-receive hook declined" in receipt["reason"]
    assert receipt["reason"].isprintable()
    assert hosts.tip() == before
    hook.unlink()
    # The number that was offered is not used again: a remote that says no may have handed it on all the same.
    assert hosts.pc.publish()["sequence"] == 3


def test_the_first_bundle_makes_the_branch_on_an_empty_remote_and_on_another_one(tmp_path):
    """No branch, no commit: the bundle is the first one. A remote with other branches keeps them."""
    hosts = Hosts(tmp_path / "hosts")
    hosts.published(n=1)
    tip = hosts.tip()
    hosts.pc.write(
        (hosts.pc.root / "ops.toml").read_text().replace("repository =", 'branch = "results/daily"\nrepository =')
    )
    hosts.results(n=2)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"]) == ("PUBLISHED", 2)
    assert hosts.tip() == tip
    assert git(hosts.remote, "ls-tree", "-r", "--name-only", "results/daily").splitlines() == [
        "handoff/daily/files/recon_summary.json",
        "handoff/daily/manifest.json",
    ]


def test_a_force_pushed_branch_is_built_upon_and_numbers_go_on(hosts):
    """History was rewritten: the receipt says so, and the number is still higher than all that were published here."""
    hosts.published(n=2)
    hosts.offer({"README.md": b"anew"})
    hosts.results(n=3)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"], receipt["history"]) == ("PUBLISHED", 3, "rewritten")


def test_a_shallow_checkout_and_a_file_in_the_way(hosts):
    """A shallow clone publishes like any other; a file where the folder should be is told."""
    shallow = hosts.root / "shallow"
    hosts.published(n=2)
    git(hosts.root, "clone", "-q", "--depth=1", f"file://{hosts.remote}", str(shallow))
    text = (hosts.pc.root / "ops.toml").read_text()
    hosts.pc.write(text.replace('repository = "checkout"', 'repository = "../shallow"'))
    hosts.results(n=3)
    assert hosts.pc.publish()["outcome"] == "PUBLISHED"
    hosts.pc.write(text.replace('folder = "handoff/daily"', 'folder = "handoff/daily/manifest.json/x"'))
    hosts.results(n=4)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], "is no folder on the branch" in receipt["reason"]) == ("FAILED", True)


def test_a_stopped_host_publishes_nothing(hosts):
    """Engaged beforehand or while it works: refused, and nothing is handed over."""
    before = hosts.tip()
    hosts.results(n=2)
    hosts.pc.said = type("Said", (list,), {"append": lambda _, line: hosts.pc.plane.engage("now")})()
    stepped(hosts, ("backtest", "true", "x", 10), ("reports", WRITE, "BUY", 10))
    for _ in range(2):
        with pytest.raises(Refused, match="stop"):
            hosts.pc.publish()
    assert hosts.tip() == before


def test_a_clock_that_went_back_a_day_still_counts_up(hosts):
    """Numbers do not come from clocks: what is published then is newer, and an operator says what it thinks of its age."""
    hosts.published(n=2)
    hosts.pc.clock.instant -= timedelta(days=1)
    hosts.results(n=3)
    receipt = hosts.pc.publish()
    assert (receipt["outcome"], receipt["sequence"]) == ("PUBLISHED", 3)
    oci = hosts.operator()
    assert oci.pull()["outcome"] == "INSTALLED"
    oci.wait(3)
    assert not oci.in_force().is_fresh(oci.clock.now())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace('producer = "pc"', ""), "producer is not set"),
        (lambda t: t.replace('signing_key = "SIGNING_KEY"', ""), "signing_key is not set"),
        (lambda t: t.replace("pc.pem", "no.pem"), "has no value"),
        (lambda t: t.replace("pc.pem", "pc/ops.toml"), "cannot be read"),
        (lambda t: t.replace("fresh_hours", f'producers = {{ pc = "{"1" * 64}" }}\nfresh_hours'), "not the one of pc"),
        (lambda t: t.replace('repository = "checkout"', 'repository = "nowhere"'), "no such folder"),
        (lambda t: t.replace('repository = "checkout"', 'remote = "upstream"\nrepository = "checkout"'), "no remote"),
        (lambda t: t.replace('repository = "checkout"', 'repository = "/"'), "no remote"),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_told(hosts, change, words):
    """What is missing is named before anything runs."""
    hosts.pc.write(change((hosts.pc.root / "ops.toml").read_text()))
    with pytest.raises(UsageError, match=words):
        hosts.pc.publish()
