"""The store as a file, and the latch beside it."""

import os
import stat
import threading
from datetime import UTC, datetime

import pytest

from ops_core.control import files
from ops_core.control.problems import StoreBusy, StoreConflict, StoreMissing, StoreUnusable

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """A file that looks like a store from outside."""
    path = tmp_path / "control.db"
    files.make_private(path)
    path.write_bytes(b"x")
    return path


def test_a_private_file_of_ours_passes(store):
    """A plain file, ours, 0600, in a folder of ours."""
    files.check_store_file(store)


def test_no_file_or_no_folder_is_missing(tmp_path):
    """A file that is not there is missing, which is not the same as damaged."""
    for path in (tmp_path / "control.db", tmp_path / "none" / "control.db"):
        with pytest.raises(StoreMissing) as caught:
            files.check_store_file(path)
        assert "ops estop release" in caught.value.next_step


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o400, 0o700, 0o000, 0o4600])
def test_other_modes_are_refused(store, mode):
    """Anything but 0600 is refused with the command that mends it."""
    store.chmod(mode)
    with pytest.raises(StoreUnusable, match=f"mode is {mode:04o}") as caught:
        files.check_store_file(store)
    assert caught.value.next_step == f"chmod 600 {store}"


def test_a_link_a_folder_a_pipe_and_an_empty_file_are_refused(tmp_path, store):
    """What is no plain file is refused without being opened."""
    link, folder, pipe, empty = (tmp_path / name for name in ("link", "folder", "pipe", "empty"))
    link.symlink_to(store)
    folder.mkdir(mode=0o700)
    os.mkfifo(pipe, 0o600)
    files.make_private(empty)
    for path, word in ((link, "symbolic link"), (folder, "folder"), (pipe, "no plain file"), (empty, "empty")):
        with pytest.raises(StoreUnusable, match=word):
            files.check_store_file(path)


def test_a_folder_that_everyone_may_write_is_refused(tmp_path, store):
    """Who may replace the file may forge it; a sticky folder such as /tmp is fine."""
    tmp_path.chmod(0o777)
    with pytest.raises(StoreUnusable, match="everyone may replace"):
        files.check_store_file(store)
    tmp_path.chmod(0o1777)
    files.check_store_file(store)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(store):
    """A store that belongs to somebody else is not believed."""
    os.chown(store, 12345, -1)
    with pytest.raises(StoreUnusable, match="belongs to user 12345"):
        files.check_store_file(store)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_an_impossible_path_is_unusable(tmp_path, name):
    """A path that no file can have is told as such."""
    with pytest.raises(StoreUnusable, match="cannot be looked at"):
        files.check_store_file(tmp_path / name)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_private_files_do_not_depend_on_the_umask(tmp_path, umask):
    """0600, whatever the umask adds or takes."""
    before = os.umask(umask)
    try:
        files.make_private(tmp_path / "f")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_latch_is_written_private_and_read_back(store):
    """The latch holds reason, actor and time, and only its owner can read it."""
    files.write_latch(store, "화재", "kim", NOW)
    latch = files.read_latch(store)
    assert (latch.reason, latch.actor, latch.at) == ("화재", "kim", NOW)
    assert stat.S_IMODE(files.latch_path(store).stat().st_mode) == 0o600
    assert sorted(path.name for path in store.parent.iterdir()) == ["EMERGENCY_STOP", "control.db"]


def test_no_latch_is_none(store, tmp_path):
    """Nothing there, or not even a folder: no latch."""
    assert files.read_latch(store) is None
    assert files.read_latch(tmp_path / "none" / "control.db") is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EMERGENCY_STOP is there"),
        (b"disk on fire\nmore\n", "disk on fire"),
        (b"\xff\xfe\x00", "\ufffd"),
        (b"[1, 2]", "[1, 2]"),
        (b"{}", "EMERGENCY_STOP is there"),
        (b'{"reason": 3, "actor": null, "at": "yesterday"}', "3"),
        (b"[" * 9000, "[["),
        (b"\x1b[2Jred", "[2Jred"),
    ],
)
def test_a_latch_made_by_hand_counts(store, body, reason):
    """Whatever somebody wrote into it, it is a latch, and its first line is the reason."""
    files.latch_path(store).write_bytes(body)
    assert reason in files.read_latch(store).reason


def test_a_latch_that_is_no_file_counts(store):
    """A folder, a dangling link and a pipe of that name are latches too, and reading them does not wait."""
    path = files.latch_path(store)
    path.mkdir()
    assert "no plain file" in files.read_latch(store).reason
    path.rmdir()
    path.symlink_to("nowhere")
    assert "no plain file" in files.read_latch(store).reason
    path.unlink()
    os.mkfifo(path)
    assert "no plain file" in files.read_latch(store).reason


def test_removing_takes_only_the_latch_that_was_seen(store):
    """A latch that was set anew after releasing began stays."""
    seen = files.write_latch(store, "first", "kim", NOW)
    files.write_latch(store, "first", "kim", NOW)
    with pytest.raises(StoreConflict, match="engaged again"):
        files.remove_latch(store, seen)
    with pytest.raises(StoreConflict, match="engaged again"):
        files.remove_latch(store, None)
    files.remove_latch(store, files.read_latch(store))
    assert files.read_latch(store) is None
    files.remove_latch(store, seen)


def test_a_latch_that_cannot_be_removed_stays_and_says_so(store):
    """A folder in the latch's place has to be removed by hand."""
    files.latch_path(store).mkdir()
    with pytest.raises(StoreUnusable, match="stays engaged"):
        files.remove_latch(store, files.read_latch(store))


def test_writing_over_a_folder_still_counts(store):
    """Where the latch cannot be replaced because something bears its name already, it is engaged."""
    files.latch_path(store).mkdir()
    assert "no plain file" in files.write_latch(store, "r", "kim", NOW).reason


def test_no_place_for_a_latch_is_never_acknowledged(tmp_path):
    """Where not even a latch can be written, the caller hears that the stop was NOT recorded."""
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(StoreUnusable, match="could NOT be recorded"):
        files.write_latch(tmp_path / "state" / "control.db", "r", "kim", NOW)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_latch_that_cannot_even_be_looked_for_is_never_acknowledged(tmp_path, name):
    """Not being able to look counts as stopped for us, but others may look elsewhere: it was NOT recorded."""
    store = tmp_path / name / "control.db"
    assert "cannot be looked at" in files.read_latch(store).reason
    with pytest.raises(StoreUnusable, match="could NOT be recorded"):
        files.write_latch(store, "r", "kim", NOW)


def test_latch_makes_its_folder(tmp_path):
    """Engaging works before anything was set up."""
    store = tmp_path / "a" / "b" / "control.db"
    files.write_latch(store, "r", "kim", NOW)
    assert files.read_latch(store).reason == "r"


def test_a_held_folder_stops_releasing_but_not_engaging(store, monkeypatch):
    """A process that hangs while it holds the folder delays a stop only, and a release fails safe."""
    monkeypatch.setattr(files, "_LOCK_TRIES", 1)
    monkeypatch.setattr(files, "_LOCK_PAUSE_S", 0.0)
    held, done = threading.Event(), threading.Event()

    def hold():
        with files._folder_lock(store.parent, needed=True):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        latch = files.write_latch(store, "r", "kim", NOW)
        with pytest.raises(StoreBusy, match="stays engaged"):
            files.remove_latch(store, latch)
    finally:
        done.set()
        thread.join(10)
    assert files.read_latch(store).reason == "r"
