"""What is done to a container: stop, start, draft (make it anew from another image, beside it), swap (change places).

Every act finds out first what is the case and does what is missing, so that it may be done again after it was cut off.
Nothing is ever removed but a draft that was never started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ops_core.engine.answers import BESIDE, DRAFT, Container
from ops_core.engine.asking import Engine, EngineRefused
from ops_core.engine.recreate import body_of, further_networks
from ops_core.errors import OpsError

# The engine waits for the container's own stop timeout before it kills.
ACT_S = 590.0
NO_RESTART = "no"
# A draft has its own name only when it is complete: who finds it by that name may rely on its networks.
MAKING = f"{DRAFT}-making"


class NotThere(OpsError):
    """A container or an image that an act needs does not exist, or is not what it has to be."""


def stop(engine: Engine, name: str) -> str:
    """Stop a container; returns what was done.

    Raises:
        OpsError: it could not be done.
    """
    engine.ask("POST", f"/containers/{_found(engine, name).id}/stop", limit_s=ACT_S)
    return f"{name} is stopped"


def start(engine: Engine, name: str) -> str:
    """Start a container. Errors as in `stop`."""
    engine.ask("POST", f"/containers/{_found(engine, name).id}/start", limit_s=ACT_S)
    return f"{name} is started"


def draft(engine: Engine, name: str, image: str) -> str:
    """Make the container anew from an image, beside it and not started. Errors as in `stop`.

    Args:
        engine: where.
        name: the container's name; the draft is called the same with `.ops-next` behind it.
        image: the id of the image.
    """
    current = _found(engine, name)
    for left_over in (engine.find(name + DRAFT), engine.find(name + MAKING)):
        if left_over is not None and left_over.state != "created":
            raise NotThere(
                f"{left_over.name} exists and is {left_over.state}: it is not a draft of ours",
                where=str(engine.path),
                next_step="see what it is, then rename or remove it",
            )
        if left_over is not None:
            engine.ask("DELETE", f"/containers/{left_over.id}")
    wanted = engine.image(image)
    if wanted is None:
        raise NotThere(f"the engine has no image {image[:12]}", where=str(engine.path))
    body = body_of(current, engine.image(current.image_id) or {}, reference_of(wanted, image, like=current.image))
    made: dict[str, Any] = engine.ask("POST", f"/containers/create?name={name}{MAKING}", body, limit_s=ACT_S)
    for network, endpoint in further_networks(current).items():
        told = {"Container": made["Id"], "EndpointConfig": endpoint}
        engine.ask("POST", f"/networks/{quote(network, safe='')}/connect", told)
    engine.ask("POST", f"/containers/{made['Id']}/rename?name={name}{DRAFT}")
    return f"{name}{DRAFT} is made from {body['Image']}"


def reference_of(image: Mapping[str, Any], identity: str, *, like: str) -> str:
    """What people call an image: a tag of the repository that another reference names, else any tag, else its id."""
    tags = [str(tag) for tag in image.get("RepoTags") or () if not str(tag).startswith("<none>")]
    repository = like.partition("@")[0].rpartition(":")[0] or like
    return next((tag for tag in tags if tag.rpartition(":")[0] == repository), tags[0] if tags else identity)


def swap(engine: Engine, name: str, other: str) -> str:
    """Give a container's name to another one; the one that had it keeps its own id in its new name.

    Who gives the name away is not restarted by the engine any more; who gets it is, as the other one was. Errors as in
    `stop`.

    Args:
        engine: where.
        name: the name to give.
        other: the name of the one that gets it, or its id.
    """
    holder = engine.find(name)
    chosen = engine.find(other) or engine.inspect(other)
    if chosen is None:
        raise NotThere(f"there is no container {other}", where=str(engine.path))
    if holder is not None and holder.id != chosen.id:
        # In this order: cut off anywhere, done once more, it comes to the same.
        policy = (holder.raw.get("HostConfig") or {}).get("RestartPolicy") or {}
        if policy.get("Name") not in {None, "", NO_RESTART}:
            _restart_policy(engine, chosen, policy)
            _restart_policy(engine, holder, {"Name": NO_RESTART})
        _rename(engine, holder, parked(name, holder.id))
    if chosen.name != name:
        _rename(engine, chosen, name)
    return f"{name} is {chosen.id[:12]}"


def parked(name: str, identity: str) -> str:
    """What a container is called after it gave its name away."""
    return f"{name}{BESIDE}{identity[:12]}"


def _found(engine: Engine, name: str) -> Container:
    found = engine.find(name)
    if found is None:
        raise NotThere(f"there is no container {name}", where=str(engine.path))
    return found


def _rename(engine: Engine, container: Container, name: str) -> None:
    engine.ask("POST", f"/containers/{container.id}/rename?name={name}")


def _restart_policy(engine: Engine, container: Container, policy: object) -> None:
    # An engine that cannot change it still swaps; whether it restarts them by itself is then as it was.
    with contextlib.suppress(EngineRefused):
        engine.ask("POST", f"/containers/{container.id}/update", {"RestartPolicy": policy})
