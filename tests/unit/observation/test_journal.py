"""What is seen is on disk as soon as it is seen, in whole lines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ops_core.evidence import EvidenceRecord, ValueEvidence
from ops_core.observation.journal import Journal, write_atomically


def record(one: str) -> EvidenceRecord:
    return EvidenceRecord(
        id=one, probe=one, target=None, seen=True, kind="ValueEvidence", evidence=ValueEvidence(value=1)
    )


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    """Head, evidence, end; each whole before the next."""
    path = tmp_path / "a" / "b.jsonl"
    journal = Journal(path, {"run_id": "r"})
    assert lines(path) == [{"type": "run", "run_id": "r"}]
    journal.evidence(record("one"))
    assert lines(path)[1]["id"] == "one"
    assert lines(path)[1]["evidence"] == {"value": 1}
    journal.end("complete")
    assert lines(path)[2] == {"type": "end", "how": "complete"}
    journal.evidence(record("late"))
    journal.end("again")
    assert len(lines(path)) == 3
    assert path.stat().st_mode & 0o777 == 0o600


def test_processes_of_one_run_share_a_journal(tmp_path: Path) -> None:
    """The first writes the head."""
    one, other = Journal(tmp_path / "j", {"run_id": "r"}), Journal(tmp_path / "j", {"run_id": "r"})
    other.evidence(record("b"))
    one.evidence(record("a"))
    one.end("x")
    other.end("y")
    assert [line["type"] for line in lines(tmp_path / "j")] == ["run", "evidence", "evidence", "end", "end"]


def test_text_that_is_no_utf8_does_not_break_a_line(tmp_path: Path) -> None:
    """Also in keys and in how the run ended."""
    journal = Journal(tmp_path / "j", {"lone \udcff": "\ud800"})
    journal.end("by \udcff")
    assert lines(tmp_path / "j") == [{"type": "run", "lone ?": "?"}, {"type": "end", "how": "by ?"}]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """Told to whoever opens it."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        Journal(tmp_path / "file" / "j", {})


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader sees the old or the new one; nothing is left when writing fails."""
    path = tmp_path / "a" / "x.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "newest")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_that_lies_in_wait_is_not_written_to(tmp_path: Path) -> None:
    """Whoever may write in the folder can foresee no name of ours, and an old journal is never one of somebody else."""
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (tmp_path / f".report.json.{os.getpid()}.part").symlink_to(victim)
    write_atomically(tmp_path / "report.json", "{}")
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == "{}"
    (tmp_path / "run.jsonl").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        Journal(tmp_path / "run.jsonl", {"run_id": "r"})
    assert victim.read_text(encoding="utf-8") == "mine"
