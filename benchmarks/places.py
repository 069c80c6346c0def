"""Fresh environments and throw-away repositories to measure in, all under `build/benchmarks/`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "benchmarks"
SERVER = Path(__file__).with_name("server.py")
# What the alternatives need; never part of what the product installs.
ALTERNATIVES = ("httpx", "h11", "httpx2", "pyreqwest", "aiohttp", "uvloop")
ADDRESSES = 10


def _call(argv: Sequence[str | Path], cwd: Path = ROOT) -> None:
    environ = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}}
    done = subprocess.run([str(one) for one in argv], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))}\n{done.stdout}\n{done.stderr}")


def environment(name: str, arguments: Sequence[str]) -> Path:
    """The interpreter of a virtual environment with what `pip install ARGUMENTS` brings; made once per list."""
    folder = WORK / name
    wanted = hashlib.sha256("\n".join([sys.version, *arguments, *_contents(arguments)]).encode()).hexdigest()
    python, stamp = folder / "bin" / "python", folder / ".made-with"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        _call([sys.executable, "-m", "venv", "--clear", folder])
        _call([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments])
        stamp.write_text(wanted)
    return python


def _contents(arguments: Sequence[str]) -> list[str]:
    return [(ROOT / one).read_text() for one in arguments if one.endswith(".txt")]


def product() -> Path:
    """The interpreter of an environment with the product as a user gets it: a wheel, and what the lock names."""
    python = environment("product", ["-r", "requirements/run.txt"])
    wheels = WORK / "wheel"
    for old in wheels.glob("*.whl"):
        old.unlink()
    _call([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels])
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _call([*pip, "--no-deps", "--force-reinstall", *wheels.glob("*.whl")])
    return python


def alternatives() -> Path:
    """The interpreter of an environment with the HTTP clients to compare with."""
    return environment("alternatives", ALTERNATIVES)


@contextmanager
def server(*options: str, python: Path | None = None) -> Iterator[list[str]]:
    """The benchmark's HTTP server in a process of its own; gives the origins it listens on."""
    process = subprocess.Popen(
        [str(python or sys.executable), str(SERVER), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def certificates() -> tuple[Path, Path, Path]:
    """(CA, certificate, key) for the loopback addresses, made with the `openssl` program; elliptic curve, as today."""
    folder = WORK / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key, cert, key = (folder / name for name in ("ca.pem", "ca.key", "server.pem", "server.key"))
    if not cert.is_file():
        names = ",".join(f"IP:127.0.0.{number + 1}" for number in range(ADDRESSES))
        new = [
            "openssl",
            "req",
            "-new",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "365",
        ]
        _call(
            [
                *new,
                "-keyout",
                ca_key,
                "-out",
                ca,
                "-subj",
                "/CN=Benchmark CA",
                "-addext",
                "keyUsage=critical,keyCertSign",
            ]
        )
        issued = [
            "-CA",
            ca,
            "-CAkey",
            ca_key,
            "-addext",
            f"subjectAltName={names}",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]
        _call([*new, "-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", *issued])
    return ca, cert, key


def write(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def release_stop(python: Path, repository: Path) -> None:
    """Make the repository's control store and release the emergency stop, as an operator does once."""
    ops = python.with_name("ops")
    _call([ops, "estop", "release", "--reason", "benchmark"], cwd=repository)
