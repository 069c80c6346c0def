"""No secret value is in anything that a run leaves or says, in whichever way it got there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hostile import Connection, HostileServer
from observing import Project, Ran

from ops_core.verdict import Judged

Serve = Callable[..., HostileServer]
SECRET = "c0rrect/h+rse&b@ttery=x"
FORMS = {
    "plain": SECRET,
    "quoted": quote(SECRET, safe=""),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "basic": base64.b64encode(f"user:{SECRET}".encode()).decode(),
    "hex": SECRET.encode().hex(),
    "html": SECRET.replace("&", "&amp;"),
}
# What is looked for: a part of each form that would give most of the secret away.
TELLING = {name: written[8:-4] for name, written in FORMS.items()} | {"beginning": SECRET[:8]}


def echo(c: Connection) -> None:
    """Lets in who knows the secret, and tells everybody everything."""
    head = c.read_request()
    status = b"200 OK" if SECRET.encode() in head else b"401 No"
    said = " ".join(FORMS.values()).encode() + b" " + base64.b64encode(b"x" + SECRET.encode()) + b" " + head
    c.send(b"HTTP/1.1 " + status + b"\r\nX-Echo: " + SECRET.encode() + b"\r\nConnection: close\r\n\r\n" + said)


def everything_left(project: Project, ran: Ran) -> Iterator[tuple[str, str]]:
    yield "output", ran.output
    for path in project.root.rglob("*"):
        inputs = {"secret.txt", "check_own.py"}
        if path.is_file() and path.name not in inputs and "__pycache__" not in path.parts:
            yield str(path.relative_to(project.root)), path.read_text(errors="replace")


def assert_secret(project: Project, ran: Ran) -> None:
    left = dict(everything_left(project, ran))
    assert any(name.endswith(".journal.jsonl") for name in left)
    assert any(name.endswith("latest.json") for name in left)
    for name, text in left.items():
        for form, written in TELLING.items():
            assert written not in text, f"{form} in {name}: …{text[max(0, text.find(written) - 200) :][:400]}"


@pytest.fixture
def guarded(project: Project, serve: Serve) -> Project:
    server = serve(echo)
    project.suites = ("observe",)
    project.write("secret.txt", SECRET + "\n")
    project.tables = '[profiles.default.secrets]\nGUARD = { file = "secret.txt" }\n'
    project.target("web", guard_url=server.url("/guarded"), guard_secret="GUARD", health_url=server.url("/health"))
    return project


ALL_REPORTS = ("--junitxml=junit.xml", "-vv", "--tb=long", "-l", "-rA", "--show-capture=all", "-o", "junit_logging=all")


def test_a_server_that_echoes_the_secret(guarded: Project) -> None:
    """The shipped guard probe sends it; nothing of it stays."""
    ran = guarded.run("-m", "observe", "-k", "guard or health", *ALL_REPORTS)
    assert ran.judged("check_guard_lets_in_who_has_the_secret") == {"web": Judged.GOOD}, ran.output
    assert ran.judged("check_guard_keeps_out_who_has_no_secret") == {"web": Judged.GOOD}
    assert_secret(guarded, ran)
    assert "[redacted]" in ran.record_path.read_text()


def test_secrets_from_the_environment(guarded: Project) -> None:
    """The same; and a check without secret says which one is missing, not what it is."""
    guarded.tables = ""
    ran = guarded.run("-m", "observe", "-k", "guard", *ALL_REPORTS, GUARD=SECRET)
    assert ran.judged("check_guard_lets_in_who_has_the_secret") == {"web": Judged.GOOD}
    assert_secret(guarded, ran)
    ran = guarded.run("-m", "observe", "-k", "guard")
    missing = ran.judgement("check_guard_lets_in_who_has_the_secret", "web")
    assert missing.judged is Judged.UNKNOWN
    assert "the secret GUARD has no value" in missing.seen
    assert ran.judged("check_guard_keeps_out_who_has_no_secret") == {"web": Judged.GOOD}


LEAKS = """
import base64, logging
from urllib.parse import quote

@dataclass(frozen=True, kw_only=True)
class Leaky(Evidence):
    text: str
    inner: dict
    items: tuple[str, ...]

def forms(secret):
    return [secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), secret.encode().hex(),
            base64.b64encode(b"user:" + secret.encode()).decode(), secret.replace("&", "&amp;")]

@probe(budget_s=3)
def returned(secrets):
    return {"text": " ".join(forms(secrets["GUARD"])), secrets["GUARD"]: [secrets["GUARD"]]}

@probe(budget_s=3)
async def in_evidence(secrets):
    secret = secrets["GUARD"]
    return Leaky(text=secret, inner={"a": [secret], "password": "other"}, items=tuple(forms(secret)))

@probe(budget_s=3)
def raised(secrets):
    raise RuntimeError("cannot log in with " + " or ".join(forms(secrets["GUARD"])))

@probe(budget_s=3)
async def cannot(secrets):
    raise CannotLook("nobody answers to " + secrets["GUARD"], where="https://user:" + quote(secrets["GUARD"], safe="") + "@host/")

@probe(budget_s=1)
async def hangs(secrets, command):
    await command.run("sleep", "60", *forms(secrets["GUARD"]))

@probe(budget_s=3)
async def ran(secrets, command):
    return await command.run("echo", *forms(secrets["GUARD"]))

@probe(budget_s=3, needs="health_url")
async def asked(target, secrets, http):
    await http.get(target.health_url, params={"q": secrets["GUARD"], "token": "other"}, auth=("user", secrets["GUARD"]))
    async with http.client() as client:
        answer = await client.get(target.health_url + "/" + quote(secrets["GUARD"], safe=""))
        return {"text": answer.text, "headers": dict(answer.headers)}

@finding("x.a")
def check_returned(returned): assert returned == 1
@finding("x.b")
def check_in_evidence(in_evidence): assert in_evidence == 1, in_evidence.explain()
@finding("x.c")
def check_raised(raised): pass
@finding("x.d")
def check_cannot(cannot): pass
@finding("x.e")
def check_hangs(hangs): pass
@finding("x.f")
def check_ran(ran): assert ran.exit_code == 1, ran.explain()
@finding("x.g")
def check_asked(asked): assert asked == {}
@finding("x.h")
def check_reads_it_itself():
    secret = open("secret.txt").read().strip()
    print("printed", *forms(secret))
    logging.getLogger().error("logged %s", " ".join(forms(secret)))
    assert secret == "x", f"compared {' '.join(forms(secret))}"
@finding("x.i")
def check_crashes():
    raise RuntimeError(" ".join(forms(open("secret.txt").read().strip())))
"""


def test_probes_and_checks_that_are_careless(guarded: Project) -> None:
    """Returned, raised, sent, logged, compared: it is hidden wherever a run writes or says something."""
    guarded.check(LEAKS)
    ran = guarded.run("checks/observe/check_own.py", *ALL_REPORTS)
    assert set(ran.judged().values()) == {Judged.BAD, Judged.UNKNOWN}, ran.output
    assert ran.judgement("check_raised").seen.count("[redacted]") == 6
    assert_secret(guarded, ran)


@pytest.mark.slow
def test_with_xdist(guarded: Project) -> None:
    """Workers hide before they send."""
    guarded.check(LEAKS)
    ran = guarded.run("checks/observe/check_own.py", "-n", "2", *ALL_REPORTS)
    assert set(ran.judged().values()) == {Judged.BAD, Judged.UNKNOWN}, ran.output
    assert_secret(guarded, ran)


def test_a_secret_that_got_into_the_configuration(guarded: Project) -> None:
    """Through a variable, into an address: the record describes the target without it."""
    guarded.targets["web"]["vars"] = {"own_url": "http://127.0.0.1:1/?x=${LEAK}"}
    guarded.check("@finding('x.y')\ndef check_it(target): assert target.own_url == ''\n")
    ran = guarded.run("checks/observe/check_own.py", *ALL_REPORTS, LEAK=SECRET)
    assert ran.judged("check_it") == {"web": Judged.BAD}
    assert_secret(guarded, ran)


def test_a_secret_that_is_not_utf8_stops_nothing(guarded: Project) -> None:
    """The environment may hold any bytes."""
    guarded.tables = ""
    ran = guarded.run("-m", "observe", "-k", "guard", GUARD=b"caf\xe9-secret".decode("utf-8", "surrogateescape"))
    assert ran.exit_code == 1
    assert "INTERNALERROR" not in ran.output
    assert Path(ran.record_path).read_text()
