"""A container engine of a drill's own: a real dockerd in a folder that goes away, without networks, and small images.

It needs root. The images hold one static program (`container_service.c`). Nothing of it may outlive its owner: this
module, run as a program, starts the engine and ends it with all its containers, processes and mounts as soon as its
standard input is closed, which the kernel does when the owner is gone, however it went.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlencode

from ops_core.clock import SystemClock
from ops_core.drill import servers
from ops_core.drill.waiting import Overdue, wait_until
from ops_core.engine.asking import Engine, EngineUnanswered
from ops_core.errors import OpsError

SOURCE = Path(__file__).with_name("container_service.c")
PROGRAMS = ("dockerd", "containerd", "runc", "gcc")
# What the image of each name does: `sick` answers 500, `crash` ends at once, `mute` has no heartbeat.
IMAGES = MappingProxyType({"good": "good", "sick": "sick", "crash": "crash", "mute": "mute"})
START_S = 60.0
END_S = 20.0
BUILD_S = 120.0
FOLDER_MAX = 60  # bytes: a Unix socket's path has at most 107, its name below the folder included


def lacking() -> str:
    """Why no engine can be started on this machine; empty where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=servers.search_path()) is None]
    if missing:
        return f"a container engine needs {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "a container engine needs root"


def socket_of(folder: Path) -> Path:
    """Where the engine of a folder is asked."""
    return folder / "engine.sock"


def start_engine(folder: Path) -> int:
    """Start dockerd in a folder, and wait until it answers; the number of its process.

    Raises:
        OpsError: it ended, or did not answer in time.
    """
    path = servers.search_path()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(shutil.which("dockerd", path=path)), "--bridge=none", "--iptables=false", "--ip6tables=false"),
                *("--shutdown-timeout=2", f"--host=unix://{socket_of(folder)}", f"--data-root={folder}/data"),
                *(f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It looks for containerd and runc, which lie where only the administrator looks.
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )

    def answers() -> bool:
        if process.poll() is not None:
            said = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise OpsError(f"dockerd ended: {said}", where=str(folder))
        try:
            Engine(socket_of(folder)).ask("GET", "/version", limit_s=2)
        except EngineUnanswered:
            return False
        return True

    wait_until(answers, SystemClock(), START_S, "dockerd does not answer", where=str(folder / "log"))
    # Another process may be the one that ends it: nothing here is to wait for it, or to complain that nobody did.
    process.returncode = 0
    return process.pid


def make_images(folder: Path, images: Mapping[str, str] = IMAGES) -> dict[str, str]:
    """Make the images of the static program; their ids by name.

    Raises:
        OpsError: the program cannot be built, or the engine does not take an image.
    """
    program = folder / "service"
    if not program.exists():
        built = subprocess.run(
            ["gcc", "-static", "-Os", "-o", str(program), str(SOURCE)],
            check=False,
            capture_output=True,
            timeout=BUILD_S,
            env={**os.environ, "PATH": servers.search_path()},
        )
        if built.returncode != 0:
            raise OpsError(f"gcc: {built.stderr.decode(errors='replace')[-500:]}", where=str(SOURCE))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(program, "service")
    return {name: _make_image(folder, name, does, packed.getvalue()) for name, does in images.items()}


def _make_image(folder: Path, name: str, does: str, packed: bytes) -> str:
    changes = (
        f'CMD ["/service", "{does}"]',
        f"ENV VERSION={name}",
        f"LABEL version={name}",
        'HEALTHCHECK --interval=300ms --timeout=3s --start-period=1ms --retries=2 CMD ["/service", "check"]',
    )
    query = urlencode([("fromSrc", "-"), ("repo", "service"), ("tag", name), *(("changes", one) for one in changes)])
    connection = http.client.HTTPConnection("engine", timeout=START_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.connect(str(socket_of(folder)))
        connection.request("POST", f"/images/create?{query}", packed, {"Content-Type": "application/x-tar"})
        said = connection.getresponse().read().decode(errors="replace")
    finally:
        connection.close()
    status = str(json.loads(said.strip().splitlines()[-1]).get("status", ""))
    if not status.startswith("sha256:"):
        raise OpsError(f"the engine does not take the image {name}: {said[-500:]}", where=str(folder))
    return status.removeprefix("sha256:")


def end_engine(folder: Path, pid: int) -> None:
    """End an engine with its containers and all that it started, and remove its folder. Can be repeated.

    Raises:
        Overdue: something could not be ended, even with SIGKILL.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)  # a frozen one would not hear that it is to end
    with contextlib.suppress(OpsError):  # whatever is wrong with it, it is ended below
        client = Engine(socket_of(folder))
        for entry in client.ask("GET", "/containers/json?all=1"):
            client.ask("DELETE", f"/containers/{entry['Id']}?force=1", limit_s=END_S)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    clock = SystemClock()
    with contextlib.suppress(Overdue):
        wait_until(lambda: not _living(folder, pid), clock, END_S, "dockerd and what it started do not end")
    try:
        for one in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        wait_until(lambda: not _living(folder, pid), clock, END_S, "dockerd and what it started do not end")
    finally:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
        umount = shutil.which("umount", path=servers.search_path()) or "umount"
        for mount in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
            subprocess.run([umount, "-l", mount], check=False, timeout=END_S, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _living(folder: Path, pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return bool(processes_of(folder))


def processes_of(folder: Path) -> list[int]:
    """The processes that name the engine's folder, us aside: dockerd, containerd and its shims."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().decode(errors="replace").split("\0")
            named = any(f"{folder}/" in word for word in words)
            if named and int(entry.parent.name) != os.getpid():
                found.append(int(entry.parent.name))
    return found


def main(arguments: list[str]) -> int:
    """`python -m ops_core.drill.container_engine FOLDER`: an engine as long as standard input is open.

    Says on standard output, in one line of JSON, the ids of the images, or why there is no engine.
    """
    folder = Path(arguments[0])
    pid = 0
    try:
        pid = start_engine(folder)
        told = {"pid": pid, "images": make_images(folder)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()
    except OpsError as error:
        sys.stdout.write(json.dumps({"problem": error.what}) + "\n")
        return error.exit_code
    finally:
        end_engine(folder, pid or _noted(folder))
    return 0


def _noted(folder: Path) -> int:
    """The number of the process, as dockerd noted it; one that cannot exist where it did not."""
    try:
        return int((folder / "pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1 << 30


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
