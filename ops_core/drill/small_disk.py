"""A small file system of a drill's own, in memory, to be filled: it is there as long as its owner is.

This module, run as a program, mounts it, says so, and unmounts it as soon as its standard input is closed, which the
kernel does when the owner is gone, however it went. It needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ops_core.drill import servers

SIZE_BYTES = 4 << 20
FILES_MAX = 256
MOUNT_S = 20.0
PROGRAMS = ("mount", "umount")
READY = "mounted\n"


def lacking() -> str:
    """Why no small file system can be had on this machine; empty where it can."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        return f"a small file system needs {', '.join(missing)}"
    if os.geteuid() != 0:
        return "a small file system of its own needs root"
    with tempfile.TemporaryDirectory(prefix="ops-disk-") as folder:
        if not mounted(Path(folder)):
            return "this machine does not let a small file system be mounted"
        unmount(Path(folder))
    return ""


def mounted(folder: Path) -> bool:
    """Mount a new file system at a folder; whether that worked."""
    options = f"size={SIZE_BYTES},nr_inodes={FILES_MAX},mode=0755"
    return _run("mount", "-t", "tmpfs", "-o", options, "ops-drill", str(folder))


def unmount(folder: Path) -> None:
    """Unmount it, also while somebody looks at it. Can be repeated."""
    _run("umount", "-l", str(folder))


def _run(*words: str) -> bool:
    program = _program(words[0])
    if program is None:
        return False
    done = subprocess.run([program, *words[1:]], check=False, capture_output=True, timeout=MOUNT_S)
    return done.returncode == 0


def _program(name: str) -> str | None:
    return shutil.which(name, path=servers.search_path())


def main(arguments: list[str]) -> int:
    """`python -m ops_core.drill.small_disk FOLDER`: mounted there until standard input ends."""
    folder = Path(arguments[0])
    if not mounted(folder):
        return 1
    try:
        sys.stdout.write(READY)
        sys.stdout.flush()
        sys.stdin.buffer.read()
    finally:
        unmount(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
