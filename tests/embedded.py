"""The embedded stack as a person with curl sees it: what the acceptance tests judge it by."""

import http.client
import socket

from ops_core.drill.layout import SERVICES
from ops_core.drill.ports import HOST


def get(stack, path, secret=None, service="core"):
    """The status of a GET, None when there is no answer."""
    connection = http.client.HTTPConnection(HOST, stack.ports[service], timeout=3)
    try:
        connection.request("GET", path, headers={} if secret is None else {"X-Internal-Secret": secret})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def stream_says(stack):
    """What comes on the event stream within half a second: bytes, b"" for silence, None for no stream."""
    try:
        with socket.create_connection((HOST, stack.ports["core"]), timeout=3) as stream:
            stream.sendall(b"GET /api/thoughts/sse HTTP/1.1\r\n\r\n")
            with stream.makefile("rb") as lines:
                if b" 200 " not in lines.readline():
                    return None
                while lines.readline().strip():
                    pass
                stream.settimeout(0.5)
                try:
                    return lines.readline()
                except TimeoutError:
                    return b""
    except OSError:
        return None


def guard(stack):
    """The guard asked three ways: without, wrong, right."""
    path = "/api/revalidate/status"
    return get(stack, path), get(stack, path, "WRONG"), get(stack, path, stack.secret)


def well(stack):
    """Whether a person with curl would call all of it healthy."""
    return (
        get(stack, "/api/health") == 200
        and get(stack, "/health", service="soul") == 200
        and get(stack, "/", service="dashboard") == 200
        and guard(stack) == (401, 401, 200)
        and stream_says(stack) == b": heartbeat\n"
        and all(stack.system_state(service) not in ("T", "X") for service in SERVICES)
        and all(stack.layout.release_link(s).exists() and stack.layout.config_link(s).exists() for s in SERVICES)
    )
