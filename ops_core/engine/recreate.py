"""The same container, made from another image: what has to be asked of the engine for that. Pure.

What the engine tells about a container is its image's settings with its own laid over them. Whoever hands all of that
to the next container hands it the old image's command, environment and health check too. So everything in which the
container agrees with its image is left out, and comes from the new image instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops_core.engine.answers import Container

# What an image may set, and a container takes over unless it says something of its own.
_INHERITED = ("Cmd", "Entrypoint", "Healthcheck", "OnBuild", "Shell", "StopSignal", "StopTimeout", "User", "WorkingDir")
_INHERITED_TABLES = ("ExposedPorts", "Labels", "Volumes")
# Networks that are a property of the host, not something to be connected to.
_NO_ENDPOINT = ("host", "none", "container:")


def body_of(container: Container, old_image: Mapping[str, Any], image: str) -> dict[str, Any]:
    """What to POST to make the container anew from another image.

    Args:
        container: the one that there is.
        old_image: the description of the image that it was made from; empty where that is gone.
        image: the reference or id of the new one.
    """
    raw = container.raw
    return {
        **_config(container, old_image.get("Config") or {}),
        "Image": image,
        "HostConfig": _host_config(raw),
        "NetworkingConfig": {"EndpointsConfig": dict(list(_endpoints(container).items())[:1])},
    }


def further_networks(container: Container) -> dict[str, dict[str, Any]]:
    """The networks to connect once it is made: making it takes only one."""
    return dict(list(_endpoints(container).items())[1:])


def _config(container: Container, old: Mapping[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in container.raw["Config"].items() if value is not None}
    config.pop("Image", None)
    for key in _INHERITED:
        if key in config and config[key] == old.get(key):
            del config[key]
    # An entrypoint of its own makes the container's command its own too.
    if "Entrypoint" in config and "Cmd" not in config and container.raw["Config"].get("Cmd"):
        config["Cmd"] = container.raw["Config"]["Cmd"]
    for key in _INHERITED_TABLES:
        theirs = old.get(key) or {}
        config[key] = {name: value for name, value in (config.get(key) or {}).items() if theirs.get(name, ...) != value}
    theirs = old.get("Env") or ()
    config["Env"] = [one for one in config.get("Env") or () if one not in theirs]
    # By default a container is called by its own id, and the next one has another.
    if container.id.startswith(config.get("Hostname") or " ") or _network_mode(container.raw).startswith(_NO_ENDPOINT):
        config.pop("Hostname", None)
        config.pop("Domainname", None)
    config.pop("MacAddress", None)
    return config


def _host_config(raw: Mapping[str, Any]) -> dict[str, Any]:
    host = dict(raw.get("HostConfig") or {})
    bound = {_destination(one) for one in host.get("Binds") or ()}
    bound |= {str(one.get("Target")) for one in host.get("Mounts") or ()}
    # A volume without a name belongs to one container: by name it goes along to the next one, with what is in it.
    binds = [
        f"{mount['Name']}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro")
        for mount in raw.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("Name") and mount.get("Destination") not in bound
    ]
    host["Binds"] = [*(host.get("Binds") or ()), *binds]
    if host.get("Mounts"):
        host["Mounts"] = [_with_source(one, raw) for one in host["Mounts"]]
    host.pop("ContainerIDFile", None)
    return host


def _with_source(asked: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """A mount as it was asked for; where a volume without a name was, the one that came of it, with what is in it."""
    made = (
        mount["Name"]
        for mount in raw.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("Name") and mount.get("Destination") == asked.get("Target")
    )
    name = None if asked.get("Source") or asked.get("Type") != "volume" else next(made, None)
    return dict(asked) if name is None else {**asked, "Source": name}


def _endpoints(container: Container) -> dict[str, dict[str, Any]]:
    """The networks, the one that it was made with first, with what was set about them and not what came of it."""
    mode = _network_mode(container.raw)
    if mode.startswith(_NO_ENDPOINT):
        return {}
    networks: Mapping[str, Any] = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
    found = {}
    for name in sorted(networks, key=lambda one: (one != mode, one)):
        endpoint = networks[name] or {}
        kept = {key: endpoint[key] for key in ("IPAMConfig", "Links", "DriverOpts") if endpoint.get(key)}
        aliases = [one for one in endpoint.get("Aliases") or () if not container.id.startswith(one)]
        found[name] = {**kept, **({"Aliases": aliases} if aliases else {})}
    return found


def _network_mode(raw: Mapping[str, Any]) -> str:
    return str((raw.get("HostConfig") or {}).get("NetworkMode") or "default")


def _destination(bind: str) -> str:
    parts = bind.split(":")
    return parts[1] if len(parts) > 1 else parts[0]
