"""Rolling back: an earlier whole bundle comes in force, the later one is held back, and references still resolve."""

from __future__ import annotations

import json
import shutil

import pytest
from handing import BRANCH, Hosts, git

from ops_core.cli import main
from ops_core.control.people.keys import make_key
from ops_core.errors import UsageError
from ops_core.handoff import installed, placing
from ops_core.handoff.model import BundleRefused
from ops_core.handoff.references import reference_of, resolve, split_reference


class World(Hosts):
    """Hosts, and an operator who has taken the bundles 1, 2 and 3 one after the other."""

    def __init__(self, root):
        made = (root / "remote.git").exists()
        super().__init__(root)
        self.oci = self.operator()
        if not made:
            for number in (1, 2, 3):
                self.offer_bundle(self.content_of(number), sequence=number, parent=self.tip() if number > 1 else None)
                assert self.oci.pull()["outcome"] == "INSTALLED"
        self.ids = [None, *(self.signed(self.content_of(number), sequence=number).bundle_id for number in (1, 2, 3))]

    @staticmethod
    def content_of(number):
        return {"day.json": json.dumps({"day": number}).encode()}

    def day(self):
        """What the bundle in force says."""
        assert self.oci.whole()
        return json.loads((self.oci.bundles / "current/files/day.json").read_text())["day"]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return World(tmp_path_factory.mktemp("template") / "hosts").root


@pytest.fixture
def world(template, tmp_path):
    shutil.copytree(template, tmp_path / "hosts", symlinks=True)
    return World(tmp_path / "hosts")


def test_the_one_before_comes_in_force_and_the_later_one_is_held_back(world):
    """Back is further back each time; what was rolled back from is refused until a newer one comes."""
    receipt = world.oci.rollback()
    assert (receipt["outcome"], receipt["bundle_id"], receipt["held_back"]) == (
        "ROLLED_BACK",
        world.ids[2],
        world.ids[3],
    )
    assert world.day() == 2
    assert (world.oci.rollback()["bundle_id"], world.day()) == (world.ids[1], 1)
    with pytest.raises(UsageError, match="no bundle before"):
        world.oci.rollback()
    refused = world.oci.pull()
    assert (refused["outcome"], refused["code"], refused["in_force"]) == ("REFUSED", "HELD_BACK", world.ids[1])
    world.offer_bundle(world.content_of(4), sequence=4, parent=world.tip())
    assert world.oci.pull()["outcome"] == "INSTALLED"
    assert world.day() == 4


def test_held_back_is_taken_when_somebody_says_so(world):
    """With --again it comes in force again, and is not held back any more."""
    world.oci.rollback()
    assert world.oci.pull(again=True)["outcome"] == "INSTALLED"
    assert world.day() == 3
    assert world.oci.pull()["outcome"] == "UP_TO_DATE"


def test_a_bundle_that_is_older_than_what_was_taken_stays_refused_after_a_rollback(world):
    """Rolled back to 1, number 2 on the branch is a replay still: 3 was taken once."""
    world.oci.rollback(world.ids[1])
    git(world.remote, "update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~1")
    assert world.oci.pull()["code"] == "REPLAYED"


def test_it_works_while_stopped_and_says_how_the_control_plane_is(world):
    """Going back makes things safer: the stop does not hinder it, and the safety state is looked at."""
    assert world.oci.rollback()["safety"]["at_rest"]
    world.oci.plane.set_gate("REAL_ENABLED", "for the test", ttl_s=60)
    world.oci.plane.engage("for the test")
    safety = world.oci.rollback()["safety"]
    assert (safety["emergency_stop"], safety["execution_gate"], safety["real_sender_enable"]) == (
        True, "REAL_ENABLED", False,
    )  # fmt: skip
    assert not safety["at_rest"]
    assert world.day() == 1


@pytest.mark.parametrize("reference", ["HEAD~2", "main~2", "origin/main~2", "id"])
def test_back_to_what_a_commit_had(world, reference):
    """Named as git names commits, a bundle that is not kept any more is fetched, proven, and put in force."""
    shutil.rmtree(world.oci.bundles / world.ids[1])
    commit = git(world.remote, "rev-parse", f"{BRANCH}~2")
    receipt = world.oci.rollback(commit if reference == "id" else reference)
    assert (receipt["outcome"], receipt["commit"]) == ("ROLLED_BACK", commit)
    assert world.day() == 1


def test_without_a_remote_what_was_fetched_before_does(world):
    """The remote being away keeps nobody from going back."""
    world.remote.rename(world.root / "away")
    assert world.oci.rollback("HEAD~1")["outcome"] == "ROLLED_BACK"
    assert world.day() == 2


def test_a_commit_whose_bundle_cannot_be_believed_is_not_gone_back_to(world):
    """Who signed it and whether it is whole is asked there too; what was in force stays."""
    make_key(world.root / "stranger.pem")
    world.offer_bundle({"day.json": b"0"}, key_file=world.root / "stranger.pem", parent=world.tip())
    signed = world.signed({"day.json": b"[1]"}).as_bytes()
    world.offer({"manifest.json": signed, "files/day.json": b"[2]"}, parent=world.tip())
    world.offer({"manifest.json": b"{}"}, parent=world.tip())
    for back, code in (("HEAD", "NOT_A_BUNDLE"), ("HEAD~1", "TAMPERED"), ("HEAD~2", "BAD_SIGNATURE")):
        receipt = world.oci.rollback(back)
        assert (receipt["outcome"], receipt["code"], receipt["in_force"]) == ("FAILED", code, world.ids[3])
        assert world.day() == 3
        assert world.oci.actions()[-1] == "handoff.rollback_failed"


@pytest.mark.parametrize(
    "reference",
    ["", "-h", "--all", "HEAD~99", "no-such", "refs/../../x", "20260101T000000Z-0123456789abcdef", "HEAD:handoff", "a" * 300,
     "main@{1}", "../current", "HEAD^{tree}", "main..main", "\x00"],
)  # fmt: skip
def test_what_names_nothing_is_told(world, reference):
    """Neither an option nor a path nor anything else is made of it; nothing changes."""
    with pytest.raises(UsageError):
        world.oci.rollback(reference)
    assert world.day() == 3


def test_what_is_in_force_cannot_be_gone_back_to(world):
    """It is told that it is in force already."""
    with pytest.raises(UsageError, match="in force already"):
        world.oci.rollback(world.ids[3])


def test_a_damaged_one_is_passed_over_and_a_damaged_one_in_force_left(world):
    """Only whole bundles come in force: the newest whole one before, whatever the one in force is like."""
    for number in (3, 2):
        path = world.oci.bundles / world.ids[number] / "files/day.json"
        path.chmod(0o600)
        path.write_text("x")
    receipt = world.oci.rollback()
    assert receipt["bundle_id"] == world.ids[1]
    assert world.ids[2] in receipt["skipped"][0]
    assert world.day() == 1
    failed = world.oci.rollback(world.ids[2])
    assert (failed["outcome"], failed["code"]) == ("FAILED", "TAMPERED")
    assert world.day() == 1


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


@pytest.mark.parametrize("at", ["swap", "record"])
def test_whoever_comes_next_finishes_what_was_killed(world, monkeypatch, at):
    """Cut off before or after the swap, one whole bundle is in force and the next act records which."""

    def killed(*_args, **_kwargs):
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(*{"swap": (installed, "swap"), "record": (placing, "_recorded")}[at], killed)
        with pytest.raises(Killed):
            world.oci.rollback()
    assert world.day() == (2 if at == "record" else 3)
    assert world.oci.pull()["outcome"] == ("REFUSED" if at == "record" else "UP_TO_DATE")
    wanted = "handoff.rolled_back" if at == "record" else "handoff.rollback_failed"
    assert world.oci.actions()[-2] == wanted


def test_a_reference_is_looked_up_and_proven(world):
    """A file of a bundle that was in force is found by its reference, as long as it is what was signed."""
    reference = reference_of(world.ids[2], "day.json")
    with world.oci.plane.snapshot() as found:
        here = resolve(world.oci.settings, found, reference)
        assert json.loads(here.content) == {"day": 2}
        assert (here.manifest.sequence, here.reference) == (2, reference)
        path = world.oci.bundles / world.ids[2] / "files/day.json"
        path.chmod(0o600)
        path.write_text('{"day":9}')
        with pytest.raises(BundleRefused, match=r"day\.json"):
            resolve(world.oci.settings, found, reference)


def test_a_reference_that_no_record_knows_is_not_found(world):
    """Whatever it looks like: it is compared with what was recorded, and never made a path."""
    secret = world.oci.bundles.parent / "secret.json"
    secret.write_text("{}")
    never = world.oci.bundles / "20200101T000000Z-0123456789abcdef"
    shutil.copytree(world.oci.bundles / world.ids[2], never)
    strange = [
        f"bundle/{never.name}/day.json",
        f"bundle/{world.ids[2]}/../../../secret.json",
        f"bundle/{world.ids[2]}/%2e%2e/secret.json",
        f"bundle/{world.ids[2]}//day.json",
        f"bundle/{world.ids[2]}/other.json",
        f"bundle/{world.ids[2]}/",
        f"bundle/{world.ids[2]}",
        f"Bundle/{world.ids[2]}/day.json",
        "bundle/current/day.json",
        "bundle/../secret.json",
        "/etc/passwd",
        "",
        "\x00",
        "bundle/" * 1000,
    ]
    with world.oci.plane.snapshot() as found:
        assert [resolve(world.oci.settings, found, one) for one in strange] == [None] * len(strange)
    assert split_reference(strange[1]) is None


def run(capsys, monkeypatch, host, *arguments):
    monkeypatch.chdir(host.root)
    code = main(["handoff", *arguments])
    return code, capsys.readouterr().out


def test_what_is_typed_tells_what_holds(world, capsys, monkeypatch):
    """Status, rollback, a refused pull and a usage error: aligned rows, the verdict last, the exit codes of all commands."""
    code, said = run(capsys, monkeypatch, world.oci, "status")
    assert code == 0
    assert f"in force      {world.ids[3]}  number 3 of pc\n" in said
    assert f"kept          {world.ids[2]}  number 2 of pc\n" in said
    assert said.endswith("handoff       FRESH\n")
    code, said = run(capsys, monkeypatch, world.oci, "rollback")
    assert code == 0
    assert "safety        emergency stop released, gate DRY_RUN, sender off\n" in said
    assert said.endswith("handoff       ROLLED_BACK\n")
    code, said = run(capsys, monkeypatch, world.oci, "pull")
    assert (code, said.splitlines()[-1]) == (3, "handoff       REFUSED (HELD_BACK): unchanged")
    assert "ops handoff pull --again" in said
    code, said = run(capsys, monkeypatch, world.oci, "pull", "--again", "--json")
    told = json.loads(said)
    assert (code, told["exit_code"], told["outcome"], told["bundle_id"]) == (0, 0, "INSTALLED", world.ids[3])
    assert run(capsys, monkeypatch, world.oci, "rollback", "--to", "nothing")[0] == 64
    world.oci.plane.engage("for the test")
    assert run(capsys, monkeypatch, world.oci, "pull")[0] == 2
    code, said = run(capsys, monkeypatch, world.oci, "status", "--json")
    told = json.loads(said)
    assert (told["standing"], told["in_force"]["sequence"], told["held_back"]) == ("FRESH", 3, [])
    assert told["last_refusal"]["code"] == "HELD_BACK"


def test_what_is_typed_on_the_producers_host(world, capsys, monkeypatch):
    """Publish, the same again, nothing to publish, and a new key with what to write where."""
    world.results(n=4)
    code, said = run(capsys, monkeypatch, world.pc, "publish")
    assert (code, said.splitlines()[-1]) == (0, "handoff       PUBLISHED")
    assert "number 4 of pc" in said
    code, said = run(capsys, monkeypatch, world.pc, "publish", "--json")
    assert (code, json.loads(said)["outcome"]) == (0, "UNCHANGED")
    (world.pc.root / "results/recon_summary.json").unlink()
    code, said = run(capsys, monkeypatch, world.pc, "publish")
    assert (code, said.splitlines()[-1]) == (3, "handoff       FAILED: nothing was handed over")
    code, said = run(capsys, monkeypatch, world.pc, "status")
    assert f"public key    {world.public}\n" in said
    code, said = run(capsys, monkeypatch, world.pc, "key", "new.pem", "--json")
    told = json.loads(said)
    assert (code, (world.pc.root / "new.pem").stat().st_mode & 0o777) == (0, 0o600)
    assert told["public_key"] in told["operator"][1]
    assert "PRIVATE" not in said
    assert run(capsys, monkeypatch, world.pc, "key", "new.pem")[0] == 64
