"""`ops serve`: the control plane over HTTP, on this host unless the configuration says otherwise."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, actor, clock, settings_of
from ops_core.cli.output import note, say, say_json
from ops_core.cli.permitting import place_of
from ops_core.config import Settings
from ops_core.control.location import location_of
from ops_core.errors import OpsError
from ops_core.handoff.roles import require_local

BACKLOG = 128
GRACE_S = 5


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(serve)


def serve(
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Instead of the configured one; 0 for a free one.")
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Serve the API until interrupted. It says where it listens once it does."""
    import uvicorn

    from ops_core.api.app import create_app
    from ops_core.api.connections import Connection

    settings = settings_of(config, profile)
    host = settings.serve.host
    require_local(settings.role, host, where=place_of(settings))
    _recover(settings)
    listener = _listen(host, settings.serve.port if port is None else port)
    with listener:
        bound = int(listener.getsockname()[1])
        app = create_app(settings, clock(), port=bound)
        url = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        if json:
            say_json({"url": url, "profile": settings.profile, "store": location_of(settings).shown})
        else:
            say(f"listening  {url}  (profile {settings.profile})")
        _flush()
        if host not in {"127.0.0.1", "::1", "localhost"}:
            note("ops: this address can be reached from other hosts; put a proxy with TLS in front of it")
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                # What a client does wrong is the client's to know: nobody fills our log from outside.
                log_level="error",
                http=Connection,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                h11_max_incomplete_event_size=16_384,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        server.run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, so that whoever reads the address can connect at once.

    Raises:
        OpsError: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OpsError(
            f"cannot listen: {error.strerror}",
            where=f"{host}:{port}",
            next_step="ops serve --port …, or end what listens there",
        ) from None
    return listener


def _recover(settings: Settings) -> None:
    """Note what became of a live fire that was interrupted; where the store is not to be used, every answer says so."""
    from ops_core.control.opening import plane_of
    from ops_core.control.problems import StoreUnusable
    from ops_core.push import recover

    try:
        recover(plane_of(settings, clock(), actor()))
    except StoreUnusable as error:
        note(f"ops: {error}")


def _flush() -> None:
    import sys

    sys.stdout.flush()
