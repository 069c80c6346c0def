"""Whatever a target does on the network, the run ends in time with a judgement for it: bad where that was seen, else unknown."""

from __future__ import annotations

from collections.abc import Callable

import hostile
import pytest
from faults_expecting import assert_ended_in_time
from hostile import HostileServer
from observing import Project

from ops_core.verdict import Judged, Verdict

Serve = Callable[..., HostileServer]

GOOD, BAD, UNKNOWN = Judged.GOOD, Judged.BAD, Judged.UNKNOWN

HTTP_BEHAVIOURS = {
    "healthy": (GOOD, ""),
    "endless_body": (GOOD, ""),
    "unavailable": (BAD, "503"),
    "redirects": (BAD, "302"),
    "endless_headers": (BAD, "not valid HTTP"),
    "endless_header_line": (BAD, "not valid HTTP"),
    "resets": (BAD, "connection reset"),
    "resets_in_body": (BAD, "200"),
    "garbage": (BAD, "not valid HTTP"),
    "closes_at_once": (BAD, "closed without an answer|connection reset"),
    "closes_after_request": (BAD, "closed without an answer"),
    "continues_for_ever": (BAD, "not valid HTTP"),
    "body_too_short": (BAD, "200"),
    "content_length_not_a_number": (BAD, "not valid HTTP"),
    "bad_chunks": (BAD, "200"),
    "never_answers": (UNKNOWN, "no answer within the budget of 2 s"),
    "never_reads": (UNKNOWN, "no answer within the budget of 2 s"),
    "drips_headers": (UNKNOWN, "no answer within the budget of 2 s"),
    "drips_body": (UNKNOWN, "saw status 200 and"),
}


def test_every_http_fault_is_seen_bad_or_not_seen_and_neighbours_are_good(project: Project, serve: Serve) -> None:
    """One run over all of them: each gets its judgement, with the reason, and none delays the end."""
    project.suites, project.budgets = ("observe",), {"total_s": 4, "health": 2}
    for name in HTTP_BEHAVIOURS:
        project.target(name, health_url=serve(getattr(hostile, name)).url())
    project.target("refused", health_url=f"http://127.0.0.1:{hostile.free_port()}/")
    with hostile.black_hole() as port:
        project.target("black-hole", health_url=f"http://127.0.0.1:{port}/")
        ran = project.run("-m", "observe", "-k", "answers_200")
    expected = {**HTTP_BEHAVIOURS, "refused": (BAD, "connection refused"), "black-hole": (UNKNOWN, "no answer within")}
    assert_ended_in_time(ran)
    assert ran.judged("check_health_answers_200") == {name: judged for name, (judged, _) in expected.items()}
    for name, (_, seen) in expected.items():
        told = ran.judgement("check_health_answers_200", name).seen
        assert any(part in told for part in seen.split("|")), f"{name}: {told}"
        assert "Traceback" not in told
    assert ran.observation.verdict is Verdict.UNHEALTHY
    assert ran.exit_code == 1


def test_every_tls_fault_is_seen_bad(project: Project, serve: Serve, certificates) -> None:
    """Certificates that are expired, foreign or for another name, and garbage instead of TLS, are things seen."""
    project.suites, project.budgets = ("observe",), {"total_s": 6, "health": 3}
    project.profile["ca_file"] = certificates.authority
    expected = {
        "good": (GOOD, ""),
        "expired": (BAD, "certificate refused (certificate has expired)"),
        "self-signed": (BAD, "certificate refused (self"),
        "other-name": (BAD, "certificate refused (IP address mismatch"),
        "garbage": (BAD, "TLS failed"),
        "plain-http": (BAD, "TLS failed"),
        "closes": (BAD, "closed|reset|TLS failed"),
        "silent": (UNKNOWN, "no answer within the budget"),
    }
    for name in ("good", "expired", "self-signed", "other-name"):
        context = getattr(certificates, name.replace("-", "_"))
        project.target(name, health_url=serve(hostile.healthy, context).url())

    def garbage(c: hostile.Connection) -> None:
        c.socket.recv(1)
        c.send(b"\xff\x00 no handshake at all" * 10)
        c.pause(3600)

    def plain_http(c: hostile.Connection) -> None:
        c.socket.recv(1)
        c.send(hostile.OK)

    others = {
        "garbage": garbage,
        "plain-http": plain_http,
        "closes": hostile.closes_at_once,
        "silent": hostile.never_reads,
    }
    for name, behaviour in others.items():
        project.target(name, health_url=serve(behaviour).url().replace("http:", "https:"))
    ran = project.run("-m", "observe", "-k", "answers_200")
    assert_ended_in_time(ran)
    assert ran.judged("check_health_answers_200") == {name: judged for name, (judged, _) in expected.items()}, (
        ran.output
    )
    for name, (_, seen) in expected.items():
        told = ran.judgement("check_health_answers_200", name).seen
        assert any(part in told for part in seen.split("|")), f"{name}: {told}"


def test_a_ca_file_that_cannot_be_used_means_not_seen(project: Project, serve: Serve) -> None:
    """Our own broken configuration accuses nobody."""
    project.suites = ("observe",)
    project.write("ca.pem", "not a certificate")
    project.profile["ca_file"] = "ca.pem"
    project.target("tls", health_url=serve(hostile.never_reads).url().replace("http:", "https:"))
    ran = project.run("-m", "observe", "-k", "answers_200")
    judgement = ran.judgement("check_health_answers_200", "tls")
    assert judgement.judged is UNKNOWN
    assert "the CA file cannot be used" in judgement.seen


@pytest.mark.slow
def test_a_hanging_name_lookup_delays_nobody(project: Project, serve: Serve) -> None:
    """Name servers that hang cost their own targets only, also the names that need a look-up and can be resolved."""
    project.suites, project.budgets = ("observe",), {"total_s": 4, "health": 1.5}
    project.write(
        "conftest.py",
        """
        import socket, threading
        real = socket.getaddrinfo
        def getaddrinfo(host, *rest, **more):
            if "hang" in str(host):
                threading.Event().wait()
            if str(host) == "known.invalid":
                host = "127.0.0.1"
            if str(host) == "nobody.invalid":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            if str(host) == "broken.invalid":
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return real(host, *rest, **more)
        socket.getaddrinfo = getaddrinfo
        """,
    )
    port = serve(hostile.healthy).port
    for number in range(300):
        project.target(f"h{number}", health_url=f"http://hang{number}.invalid/")
    for name in ("known", "nobody", "broken"):
        project.target(name, health_url=f"http://{name}.invalid:{port}/")
    ran = project.run("-m", "observe", "-k", "answers_200")
    assert_ended_in_time(ran)
    judged = ran.judged("check_health_answers_200")
    assert {judged.pop(f"h{number}") for number in range(300)} == {UNKNOWN}
    assert judged == {"known": GOOD, "nobody": BAD, "broken": UNKNOWN}


STREAMS = {
    "stream_of_heartbeats": (GOOD, ""),
    "stream_then_silent": (BAD, "0 bytes"),
    "unavailable": (BAD, "503"),
    "closes_after_request": (BAD, "closed without an answer"),
    "endless_body": (GOOD, ""),
    "never_answers": (UNKNOWN, "no answer within the budget of 3 s"),
}


def test_every_stream_fault_is_seen_bad_or_not_seen(project: Project, serve: Serve) -> None:
    """A stream that opens and says nothing is seen silent; one that never opens is not seen."""
    project.suites, project.budgets = ("observe",), {"total_s": 5, "stream": 3}
    for name in STREAMS:
        project.target(name, stream_url=serve(getattr(hostile, name)).url("/sse"), stream_window_s=1)
    ran = project.run("-m", "observe", "-k", "stream")
    assert_ended_in_time(ran)
    assert ran.judged("check_stream_says_something") == {name: judged for name, (judged, _) in STREAMS.items()}
    for name, (_, seen) in STREAMS.items():
        assert seen in ran.judgement("check_stream_says_something", name).seen


@pytest.mark.slow
def test_when_nothing_answers_the_total_budget_still_ends_the_run(project: Project, serve: Serve) -> None:
    """Budgets beyond the total, every target hanging: the total budget answers them all."""
    project.suites, project.budgets = ("observe",), {"total_s": 2}
    for number in range(20):
        project.target(
            f"t{number}", health_url=serve(hostile.never_answers).url(), stream_url=serve(hostile.drips_headers).url()
        )
    ran = project.run("-m", "observe", "-k", "answers_200 or stream")
    assert_ended_in_time(ran)
    assert set(ran.judged("check_health_answers_200").values()) == {UNKNOWN}
    assert set(ran.judged("check_stream_says_something").values()) == {UNKNOWN}
    assert ran.observation.verdict is Verdict.UNKNOWN
    assert len(ran.observation.evidence) == 40


@pytest.mark.slow
def test_a_thousand_hanging_targets_end_within_the_total_budget(project: Project, serve: Serve) -> None:
    """A thousand targets that accept and never answer, and healthy ones among them."""
    project.suites, project.budgets = ("observe",), {"total_s": 15, "health": 3}
    hanging, fine = serve(hostile.never_answers), serve(hostile.healthy)
    for number in range(1000):
        project.target(f"hang-{number}", health_url=hanging.url(f"/{number}"))
    for number in range(50):
        project.target(f"fine-{number}", health_url=fine.url(f"/{number}"))
    ran = project.run("-m", "observe", "-k", "answers_200")
    assert_ended_in_time(ran)
    judged = ran.judged("check_health_answers_200")
    assert {judged[f"hang-{number}"] for number in range(1000)} == {UNKNOWN}
    assert {judged[f"fine-{number}"] for number in range(50)} == {GOOD}
