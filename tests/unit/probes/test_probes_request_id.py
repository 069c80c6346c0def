"""A request keeps its id: on the answer and in the log, seen on a real server and a real file."""

import os

import pytest
from serving import Service

from ops_core.probes import request_id


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "service.log"
    path.write_text("what was before\n")
    return path


@pytest.fixture
def asked(look, serve, log, monkeypatch):
    """Look at a service that behaves so; what never comes is not waited for long."""
    monkeypatch.setattr(request_id, "WITHIN_S", 0.2)

    def ask(behaviour, log_file=log):
        return look("request_id", live_url=serve(behaviour).url("/health/live"), log_file=log_file)

    return ask


def test_an_id_that_is_kept_is_seen_on_the_answer_and_in_the_log(asked, log):
    """Ours, and another one each time."""
    service = Service(log=log)
    first, second = asked(service), asked(service)
    assert (first.echoed, first.logged, first.waited_s) == (first.request_id, True, 0.0)
    assert first.request_id != second.request_id
    assert f"X-Request-Id: {first.request_id}" in service.heads[0]


def test_an_id_that_is_lost_is_seen_to_be_lost(asked, log):
    """Not on the answer, another one, or not in the log; what was in the log before does not count."""
    assert asked(Service(log=log, echo=lambda _: None)).echoed is None
    other = asked(Service(log=log, echo=lambda _: "of-its-own"))
    assert (other.echoed, other.logged) == ("of-its-own", True)
    unlogged = asked(Service())
    assert (unlogged.echoed, unlogged.logged, unlogged.waited_s) == (unlogged.request_id, False, 0.2)
    assert "came back, not in" in unlogged.explain()


def test_a_log_that_is_rotated_meanwhile_is_followed(asked, log):
    """The new file is read from its beginning, also where it is longer already than the old one was."""

    def rotating(sent_id):
        log.rename(log.with_suffix(".1"))
        log.write_text(f"{sent_id}\n{'what came behind it' * 100}\n")
        return sent_id

    assert asked(Service(echo=rotating)).logged


def test_a_log_that_cannot_be_read_leaves_what_the_answer_carries(asked, tmp_path):
    """No file, a folder, a pipe that nobody writes to: the echo is seen, the log is not."""
    os.mkfifo(tmp_path / "pipe")
    for path, problem in ((tmp_path / "none.log", "No such file"), (tmp_path, "not an ordinary"),
                          (tmp_path / "pipe", "not an ordinary")):  # fmt: skip
        seen = asked(Service(), path)
        assert (seen.echoed, seen.logged) == (seen.request_id, None)
        assert problem in seen.log_problem
        assert seen.log_problem in seen.explain()


def test_a_log_that_grows_without_end_is_left(asked, log, monkeypatch):
    """Reading is bounded: then nobody knows whether the id is in it."""
    monkeypatch.setattr("ops_core.probes.instruments.files.FOLLOWED_MAX_BYTES", 1000)

    def flooding(sent_id):
        with log.open("a") as file:
            file.write("x" * 5000)
        return sent_id

    seen = asked(Service(echo=flooding))
    assert seen.logged is None
    assert "grows too quickly" in seen.log_problem


def test_an_id_that_lies_across_two_reads_is_found(asked, log, monkeypatch):
    """Wherever the pieces of the file are cut."""
    monkeypatch.setattr("ops_core.probes.instruments.files.READ_BYTES", 7)
    assert asked(Service(log=log)).logged
