"""What the engine's answers mean, and what is asked of it to make a container anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.engine.acting import reference_of
from ops_core.engine.answers import (
    AnswerNotUnderstood,
    container_of,
    lines_of,
    list_path,
    message_of,
    pick,
    ports_of,
    states_of,
)
from ops_core.engine.recreate import body_of, further_networks

ID, OTHER = "a" * 64, "b" * 64


def entry(name: str, identity: str = ID, **labels: str) -> dict[str, Any]:
    """An entry of a list of containers."""
    return {"Id": identity, "Names": [f"/{name}"], "Labels": labels, "Status": "Up 2 minutes"}


def described(**changes: Any) -> dict[str, Any]:
    """The description of a container that has settings of its own and of its image."""
    config = {
        "Hostname": ID[:12],
        "Image": "shop:2",
        "Cmd": ["/serve", "2"],
        "Entrypoint": None,
        "Env": ["OWN=1", "VERSION=2"],
        "Labels": {"own": "x", "version": "2"},
        "Healthcheck": {"Test": ["CMD", "/check", "2"]},
        "WorkingDir": "/own",
        "User": "",
    }
    return {
        "Id": ID,
        "Name": "/shop",
        "Image": f"sha256:{OTHER}",
        "RestartCount": 2,
        "State": {"Status": "running", "Pid": 7, "ExitCode": 0, "StartedAt": "2026-01-04T09:05:00.123456789Z"},
        "Config": {**config, **changes.pop("Config", {})},
        "HostConfig": {"NetworkMode": "shop", "Binds": ["/srv:/srv:ro"], "Memory": 64, **changes.pop("HostConfig", {})},
        "Mounts": [{"Type": "volume", "Name": "v1", "Destination": "/data", "RW": True}],
        "NetworkSettings": {
            "Networks": {
                "back": {"Aliases": ["shop"], "IPAddress": "10.0.0.2"},
                "shop": {"Aliases": ["shop", ID[:12]], "IPAMConfig": {"IPv4Address": "10.1.0.9"}},
            }
        },
        **changes,
    }


OLD_IMAGE = {
    "Config": {
        "Cmd": ["/serve", "2"],
        "Env": ["VERSION=2"],
        "Labels": {"version": "2"},
        "Healthcheck": {"Test": ["CMD", "/check", "2"]},
        "WorkingDir": "/",
    }
}


def test_a_name_is_looked_for_exactly() -> None:
    """The engine gives every name that holds what was asked for; only the one that is it counts."""
    listed = [entry("shop-2", OTHER), entry("shop")]
    assert pick(listed, name="shop") == ID
    assert pick(listed, name="sho") is None
    assert pick([], name="shop") is None


def test_a_service_of_a_project_is_found_by_its_labels() -> None:
    """By project and service; what a rollback left beside it is no other one, and two are one too many."""
    labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "web"}
    assert pick([entry("p-web-1", **labels), entry("p-web-1.ops-bbbb", OTHER, **labels)], name="web", project="p") == ID
    with pytest.raises(AnswerNotUnderstood, match="there are 2 containers of the service web"):
        pick([entry("p-web-1", **labels), entry("p-web-2", OTHER, **labels)], name="web", project="p")


def test_a_name_never_reaches_a_path_as_it_is() -> None:
    """Whatever it holds, it is one encoded value."""
    path = list_path(name="../x?y=1&z#")
    assert path.count("?") == 1
    assert "/containers/json?" in path
    assert "#" not in path
    assert ".." not in path.partition("?")[0]


@pytest.mark.parametrize("answer", [None, {}, [1], "x", [{"Id": "../x", "Names": ["/shop"]}]])
def test_a_list_that_is_none_is_refused(answer: object) -> None:
    """An answer that is not what the API promises is told as that."""
    with pytest.raises(AnswerNotUnderstood):
        pick(answer, name="shop")


@pytest.mark.parametrize("answer", [None, [], {}, {"Id": ID}, {**described(), "Id": "x"}, {**described(), "State": 1}])
def test_a_description_that_is_none_is_refused(answer: object) -> None:
    """The same for the description of a container."""
    with pytest.raises(AnswerNotUnderstood):
        container_of(answer)


def test_a_container_is_read() -> None:
    """State, health, image and name come from where the API has them."""
    raw = described()
    raw["State"]["Health"] = {"Status": "unhealthy"}
    found = container_of(raw)
    assert (found.name, found.state, found.health, found.pid, found.restart_count) == (
        "shop",
        "running",
        "unhealthy",
        7,
        2,
    )
    assert (found.image, found.image_id, found.running) == ("shop:2", OTHER, True)


def frame(stream: int, text: bytes) -> bytes:
    """A piece of a log as the engine sends it."""
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def test_frames_of_a_log_become_lines() -> None:
    """Both streams, in the order in which they came; a line may lie in two frames, and the last one may be cut."""
    log = frame(1, b"one\ntw") + frame(1, b"o\n") + frame(2, b"three\n") + frame(1, b"four, of which")[:12]
    assert list(lines_of(log, tty=False)) == ["one", "two", "three", "four"]
    assert list(lines_of(b"one\r\ntwo", tty=True)) == ["one", "two"]


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_log(log: bytes, tty: bool) -> None:
    """Nothing that an engine sends makes the reader fail, or go on for ever."""
    assert sum(map(len, lines_of(log, tty=tty))) <= len(log)


@pytest.mark.parametrize(
    ("body", "said"),
    [(b'{"message": "no\\nsuch"}', "no such"), (b"plain\n", "plain"), (b"[1]", "[1]"), (b"", ""), (b"\xff", "\ufffd")],
)
def test_what_the_engine_says_is_one_line(body: bytes, said: str) -> None:
    """A message as its API has it, or whatever came."""
    assert message_of(body) == said


def test_ports_are_written_as_people_know_them() -> None:
    """Bound, only exposed, and those of the host."""
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8010"}], "90/tcp": None}
    raw = {"HostConfig": {"NetworkMode": "bridge"}, "NetworkSettings": {"Ports": ports}}
    assert ports_of(raw) == ("0.0.0.0:8010->80/tcp", "90/tcp")
    assert ports_of({"HostConfig": {"NetworkMode": "host"}}) == ("host",)


def test_neighbours_are_told_by_name() -> None:
    """What `docker ps` says of each container of a project."""
    assert states_of([entry("b"), entry("a"), {"Names": []}]) == (("a", "Up 2 minutes"), ("b", "Up 2 minutes"))


def test_what_comes_from_the_image_is_left_to_the_next_one() -> None:
    """Command, environment, labels and health check of the old image go with it; the container's own settings stay."""
    body = body_of(container_of(described()), OLD_IMAGE, "shop:1")
    assert body["Image"] == "shop:1"
    assert body["Env"] == ["OWN=1"]
    assert body["Labels"] == {"own": "x"}
    assert body["WorkingDir"] == "/own"
    assert not {"Cmd", "Healthcheck", "Hostname"} & set(body)


def test_a_command_of_its_own_stays() -> None:
    """What the container was told to run differs from its image, so it is the container's."""
    body = body_of(container_of(described(Config={"Cmd": ["/serve", "--own"]})), OLD_IMAGE, "shop:1")
    assert body["Cmd"] == ["/serve", "--own"]


def test_where_the_old_image_is_gone_everything_stays() -> None:
    """Then nobody can tell what came from it."""
    assert body_of(container_of(described()), {}, "shop:1")["Cmd"] == ["/serve", "2"]


def test_volumes_and_limits_go_along() -> None:
    """A volume without a name is bound by name; binds and limits stay as they are."""
    host = body_of(container_of(described()), OLD_IMAGE, "shop:1")["HostConfig"]
    assert host["Binds"] == ["/srv:/srv:ro", "v1:/data"]
    assert host["Memory"] == 64


def test_a_mount_without_a_name_keeps_its_volume() -> None:
    """A volume that was asked for by its target alone goes along by name; what has a source stays as it is."""
    bind = {"Type": "bind", "Source": "/etc", "Target": "/etc"}
    asked = [{"Type": "volume", "Target": "/data", "ReadOnly": True}, bind, {"Type": "tmpfs", "Target": "/tmp"}]
    host = body_of(container_of(described(HostConfig={"Mounts": asked})), OLD_IMAGE, "shop:1")["HostConfig"]
    assert host["Mounts"] == [{**asked[0], "Source": "v1"}, *asked[1:]]
    assert host["Binds"] == ["/srv:/srv:ro"]


def test_networks_are_what_was_asked_for() -> None:
    """The first one with its fixed address; aliases but the container's own id; the others are connected later."""
    container = container_of(described())
    endpoints = body_of(container, OLD_IMAGE, "shop:1")["NetworkingConfig"]["EndpointsConfig"]
    assert endpoints == {"shop": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["shop"]}}
    assert further_networks(container) == {"back": {"Aliases": ["shop"]}}
    assert further_networks(container_of(described(HostConfig={"NetworkMode": "host"}))) == {}


def test_an_image_is_called_by_a_tag_of_the_same_repository() -> None:
    """Else by any tag; by its id where it has lost its tag to the next one."""
    assert reference_of({"RepoTags": ["x:1", "shop:1"]}, ID, like="shop:2") == "shop:1"
    assert reference_of({"RepoTags": ["x:1"]}, ID, like="shop:2") == "x:1"
    assert reference_of({"RepoTags": ["<none>:<none>"]}, ID, like="shop") == ID
