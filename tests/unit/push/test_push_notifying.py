"""Messages through Apprise: what is certain is said, one message is one request, and nobody is told the address."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from push_world import PushWorld

from ops_core.config import load_settings
from ops_core.control.model import Channel
from ops_core.errors import ConfigError, OpsError
from ops_core.push import fire, messages, self_test
from ops_core.push.notifying import NotifySender
from ops_core.push.outbox import channel_of, destination_of
from ops_core.push.senders import Delivered, NotDelivered, Unknown, sender_for

SHORT_S = 2.0
PASSWORD = "s3cret-Pass"
PATIENCE_S = 30.0


@dataclass
class Service:
    """A server on a free port that treats what comes as it is told, and keeps what it read."""

    answer: str = "200"
    bodies: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address as Apprise reads it, with a password."""
        return f"json://ann:{PASSWORD}@127.0.0.1:{self.port}/hook"

    @contextlib.contextmanager
    def listening(self) -> Iterator[Service]:
        """Until the block ends."""
        self._threads[0].start()
        try:
            yield self
        finally:
            self._ended.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for thread in self._threads:
                thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE_S)
            raw = b""
            while b"\r\n\r\n" not in raw:
                raw += connection.recv(65_536)
            head, _, body = raw.partition(b"\r\n\r\n")
            length = next(int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:"))
            while len(body) < length:
                body += connection.recv(65_536)
            self.bodies.append(json.loads(body))
            if self.answer == "hang":
                self._ended.wait(PATIENCE_S)
            elif self.answer == "drip":
                for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000:
                    connection.sendall(bytes([byte]))
                    if self._ended.wait(0.05):
                        return
            elif self.answer == "cut":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            else:
                more = f"location: http://127.0.0.1:{self.port}/elsewhere\r\n" if self.answer == "302" else ""
                told = f"HTTP/1.1 {self.answer} Said\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n"
                connection.sendall(told.encode())


@pytest.fixture
def service() -> Iterator[Service]:
    """One that listens."""
    with Service().listening() as found:
        yield found


def sender(url: str, timeout_s: float = 5.0) -> NotifySender:
    """The way to that address."""
    return NotifySender(channel="room", url=url, timeout_s=timeout_s)


EXPECTED = {
    "200": Delivered,
    "204": Delivered,
    "302": Unknown,
    "400": NotDelivered,
    "401": NotDelivered,
    "404": NotDelivered,
    "429": NotDelivered,
    "500": Unknown,
    "503": Unknown,
    "cut": Unknown,
}


@pytest.mark.parametrize(("answer", "kind"), EXPECTED.items())
def test_an_answer_means_what_is_certain(service: Service, answer: str, kind: type) -> None:
    """As for the chat: a refusal is certain, an error of the service is not; and there is one request, not two."""
    service.answer = answer
    result = sender(service.url).send("hello")
    assert type(result) is kind, result
    assert service.connections == 1
    assert [one["message"] for one in service.bodies] == ["hello"]
    assert PASSWORD not in repr(result)
    assert str(service.port) not in repr(result)


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_service_that_takes_its_time_is_left(service: Service, answer: str) -> None:
    """The limit is for everything together; what was written may have arrived."""
    service.answer = answer
    result = sender(service.url, SHORT_S).send("hello")
    assert isinstance(result, Unknown)
    assert "after connecting" in result.detail
    assert service.connections == 1


def test_a_library_that_does_not_come_up_is_left(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing was sent: certain."""
    monkeypatch.setattr("ops_core.push.notifying.START_S", 0.0)
    result = sender(service.url).send("hello")
    assert isinstance(result, NotDelivered)
    assert "had not begun" in result.detail
    assert service.connections == 0


def test_nobody_listens() -> None:
    """Certain: nothing was written."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = sender(f"json://ann:{PASSWORD}@127.0.0.1:{port}").send("hello")
    assert isinstance(result, NotDelivered)
    assert result.way_out


@pytest.mark.parametrize("url", ["", "nothing", "unheard://of", "json://", "\x00", "json://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    """Nothing leaves."""
    assert isinstance(sender(url).send("hello"), NotDelivered)


def test_what_the_address_asks_for_does_not_count(service: Service) -> None:
    """Neither trying again, nor calling a failure a success, nor going where somebody points."""
    service.answer = "500"
    result = sender(service.url + "?retry=3&wait=0&optional=yes&redirect=yes").send("hello")
    assert isinstance(result, Unknown)
    assert service.connections == 1


def test_text_goes_out_as_it_is(service: Service) -> None:
    """No mark-up, no emoji of words, no lone halves of characters."""
    said = "*no* <b>mark-up</b> &amp; {{x}} :smile: 가족\nsecond line"
    way = sender(service.url)
    assert isinstance(way.send(said), Delivered)
    assert isinstance(way.send("lone \ud83d end"), Delivered)
    assert [one["message"] for one in service.bodies] == [said, "lone \ufffd end"]


def test_the_environment_says_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor credentials come from it, and the address does not go into it."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    way = sender(service.url)
    assert isinstance(way.send("hello"), Delivered)
    assert not any(PASSWORD in value for value in way._environ().values())
    assert PASSWORD not in repr(way)
    assert PASSWORD not in way.destination


NOTIFY = """
[profiles.default.push]
channel = "room"
timeout_s = 5
notify = {{ room = "ROOM_URL", other = "OTHER" }}

[profiles.default.secrets]
ROOM_URL = {{ file = "secrets/ROOM_URL" }}
OTHER = {{ file = "secrets/OTHER" }}
"""


class NotifyWorld(PushWorld):
    """The same, with a channel of Apprise."""

    def configure(self, **changes: str) -> None:
        super().configure(**changes)
        text = (self.root / "ops.toml").read_text()
        before, _, rest = text.partition("[profiles.default.push]")
        text = before + NOTIFY.format() + "\n[profiles.default.targets" + rest.partition("[profiles.default.targets")[2]
        (self.root / "ops.toml").write_text(text)
        self.settings = load_settings(self.root / "ops.toml", environ={})

    def ready(self, url: str, *bodies: str) -> None:
        """Everything that a live fire needs."""
        self.secret("ROOM_URL", url)
        self.settle(*bodies)
        self.plane.set_gate("REAL_ENABLED", "weekly", ttl_s=3600)
        self.open_window()
        self.plane.enable_sender("NOTIFY_ONLY", "weekly")


@pytest.fixture
def world(tmp_path) -> NotifyWorld:  # type: ignore[no-untyped-def] # of pytest
    """A profile whose messages go to a channel of Apprise."""
    return NotifyWorld(tmp_path, "http://127.0.0.1:9")


def stored(world: NotifyWorld) -> str:
    """Everything that was recorded."""
    paths = [path for path in world.root.rglob("*") if path.is_file() and "secrets" not in path.parts]
    return "".join(path.read_bytes().decode("latin-1") for path in paths)


@pytest.mark.parametrize(("answer", "state"), [("200", "SENT"), ("500", "UNKNOWN"), ("401", "FAILED")])
def test_a_live_fire_through_a_channel(world: NotifyWorld, service: Service, answer: str, state: str) -> None:
    """Behind the same eight preconditions, each message once at most, and the address in no record."""
    service.answer = answer
    world.ready(service.url, "first")
    receipt = fire(world.settings, world.plane, authorised=True)
    assert receipt["channel"] == "NOTIFY_ONLY"
    with world.plane.snapshot() as found:
        assert [one.state for one in messages(found)] == [state]
    assert len(service.bodies) == 1
    again = fire(world.settings, world.plane, authorised=True)
    assert again["outcome"] == "BLOCKED"
    assert len(service.bodies) == 1
    assert PASSWORD not in stored(world)


@pytest.mark.parametrize("missing", ["sender", "gate", "stop", "authority", "address"])
def test_nothing_leaves_where_something_is_missing(world: NotifyWorld, service: Service, missing: str) -> None:
    """Sender, gate, stop, authority, and the very address that was approved."""
    world.ready(service.url, "first")
    if missing == "sender":
        world.plane.disable_sender("no")
    elif missing == "gate":
        world.plane.set_gate("DRY_RUN", "no")
    elif missing == "stop":
        world.plane.engage("no")
    elif missing == "address":
        world.secret("ROOM_URL", service.url + "/another")
    receipt = fire(world.settings, world.plane, authorised=missing != "authority")
    assert receipt["outcome"] == "BLOCKED"
    assert service.connections == 0


def test_the_channel_of_a_profile(world: NotifyWorld) -> None:
    """It counts where it is named; its secrets are in the self test; its name has to be one that there is."""
    assert channel_of(world.settings) is Channel.NOTIFY_ONLY
    assert destination_of(world.settings) == "unknown"
    assert {"ROOM_URL", "OTHER"} <= {row.name for row in self_test(world.settings).rows}
    with pytest.raises(OpsError, match="ROOM_URL has no value"):
        sender_for(world.settings, Channel.NOTIFY_ONLY, world.clock.now)
    path = world.root / "ops.toml"
    path.write_text(path.read_text().replace('channel = "room"', 'channel = "attic"'))
    with pytest.raises(ConfigError, match="there is no channel 'attic'") as told:
        load_settings(path, environ={})
    assert told.value.allowed == "other, room"


def test_without_apprise_it_says_what_to_install(world: NotifyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is burnt."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(OpsError, match="needs the package apprise"):
        sender_for(world.settings, Channel.NOTIFY_ONLY, world.clock.now)
