"""The control store as a file, and the emergency stop that needs no store.

No function here opens the database file itself: closing any descriptor of it would drop the locks that SQLite holds
on it in this process. It is looked at by name only.

The latch is the file `EMERGENCY_STOP` beside the store. Its presence is a stop, whatever it holds and whoever made it:
`touch state/EMERGENCY_STOP` works on a machine where nothing else does any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops_core.clock import isoformat, parse_instant
from ops_core.control.model import ENGAGED, NOBODY, REASON_MAX_CHARS, tidy
from ops_core.control.problems import StoreBusy, StoreConflict, StoreUnusable, missing, untrusted

STORE_MODE = 0o600
LATCH_NAME = "EMERGENCY_STOP"
LATCH_MAX_BYTES = 8192
SIDE_FILES = ("-journal", "-wal", "-shm")
_LOCK_TRIES = 100
_LOCK_PAUSE_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Latch:
    """A latch file that is there. `identity` tells it from a later one of the same name."""

    reason: str
    actor: str
    at: datetime | None
    identity: tuple[object, ...]


def latch_path(store: Path) -> Path:
    """Where the latch of that store lies."""
    return store.parent / LATCH_NAME


def check_store_file(store: Path) -> None:
    """Check that the store is a plain file of ours that nobody else can read, write or replace.

    Raises:
        StoreMissing: there is no file.
        StoreUnusable: it is something else, or its owner, mode or folder let others in.
    """
    try:
        found = store.lstat()
        folder = store.parent.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise missing(store) from None
    except (OSError, ValueError) as error:
        raise untrusted(store, f"its file cannot be looked at ({_why(error)})", "check the path in ops.toml") from None
    if stat.S_ISLNK(found.st_mode):
        raise untrusted(store, "it is a symbolic link", "name the real file's folder as state_dir")
    if not stat.S_ISREG(found.st_mode):
        raise untrusted(store, "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no plain file")
    if found.st_uid != os.geteuid():
        raise untrusted(
            store,
            f"it belongs to user {found.st_uid}, and this is user {os.geteuid()}",
            "run as the user who operates this host",
        )
    if (mode := stat.S_IMODE(found.st_mode)) != STORE_MODE:
        raise untrusted(store, f"its mode is {mode:04o}, and must be 0600", f"chmod 600 {store}")
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise untrusted(store, "everyone may replace files in its folder", f"chmod o-w {store.parent}")
    if found.st_size == 0:
        raise untrusted(store, "it is an empty file")


def exists(path: Path) -> bool:
    """Whether anything bears that name, dangling links included; what cannot be looked at counts as there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_latch(store: Path) -> Latch | None:
    """The latch, or None if there is none. Never raises: what cannot be read is a latch without a readable reason."""
    path = latch_path(store)
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return Latch(reason=f"{path} cannot be looked at ({_why(error)})", actor=NOBODY, at=None, identity=())
    raw, problem = b"", ""
    if stat.S_ISREG(found.st_mode):
        try:
            # O_NONBLOCK: should a pipe take the file's place between the two calls, opening it must not wait.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                raw = file.read(LATCH_MAX_BYTES)
        except OSError as error:
            problem = f"its reason cannot be read: {_why(error)}"
    else:
        problem = "it is no plain file"
    identity = (found.st_dev, found.st_ino, found.st_mtime_ns, raw)
    reason, actor, at = _parse_latch(raw)
    fallback = f"{path} is there" + (f" ({problem})" if problem else "")
    return Latch(reason=tidy(reason, fallback, REASON_MAX_CHARS), actor=tidy(actor, NOBODY), at=at, identity=identity)


def write_latch(store: Path, reason: str, actor: str, now: datetime) -> Latch:
    """Stop without a store: put the latch in place atomically and durably.

    Raises:
        StoreUnusable: it could not be written, and none was there.
    """
    path = latch_path(store)
    body = json.dumps({"reason": reason, "actor": actor, "at": isoformat(now), "token": secrets.token_hex(8)}) + "\n"
    temporary = path.with_name(f".{LATCH_NAME}.{secrets.token_hex(8)}")
    try:
        make_folder(store.parent)
        try:
            _write_file(temporary, body.encode())
            with _folder_lock(store.parent, needed=False):
                temporary.replace(path)
                sync_folder(store.parent)
        finally:
            with contextlib.suppress(OSError, ValueError):
                temporary.unlink()
    except (OSError, ValueError) as error:
        latch = read_latch(store)
        # Only one that was really seen: where we may not even look, others may see no latch and go on.
        if latch is not None and latch.identity:
            return latch
        raise StoreUnusable(
            f"the emergency stop could NOT be recorded: {_why(error)}",
            where=str(path),
            next_step="stop the remediations by hand: end every running `ops`, then make this file yourself",
        ) from None
    return read_latch(store) or Latch(reason=reason or ENGAGED, actor=actor, at=now, identity=())


def remove_latch(store: Path, seen: Latch | None) -> None:
    """Take the latch away, if it is still the one that was seen when releasing began.

    Raises:
        StoreConflict: the stop was engaged anew meanwhile; that latch stays.
        StoreUnusable: the latch could not be removed.
    """
    path = latch_path(store)
    with _folder_lock(store.parent, needed=seen is not None):
        now_there = read_latch(store)
        if now_there is None:
            return
        if seen is None or not seen.identity or seen.identity != now_there.identity:
            raise StoreConflict(
                f"the emergency stop was engaged again while it was being released: {now_there.reason}",
                where=str(path),
                next_step="look again, then release it again",
            )
        try:
            path.unlink()
            sync_folder(store.parent)
        except OSError as error:
            raise StoreUnusable(
                f"the emergency stop stays engaged: its latch cannot be removed ({_why(error)})",
                where=str(path),
                next_step="remove it by hand",
            ) from None


def make_private(path: Path) -> None:
    """Make an empty file that only its owner can read, whatever the umask.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, STORE_MODE)
    try:
        os.fchmod(descriptor, STORE_MODE)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, for the owner only.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make what was linked or removed in the folder survive a power cut.

    Raises:
        OSError: it cannot be synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _folder_lock(folder: Path, *, needed: bool) -> Iterator[None]:
    """Hold the folder against others who write or remove the latch. A stop is not held up by it, a release is."""
    descriptor, held = -1, False
    try:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held = _try_lock(descriptor)
        if needed and not held:
            raise StoreBusy(
                "the emergency stop stays engaged: another process holds its folder",
                where=str(folder),
                next_step="try again",
            )
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


def _write_file(path: Path, body: bytes) -> None:
    make_private(path)
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _parse_latch(raw: bytes) -> tuple[str, str, datetime | None]:
    text = raw.decode("utf-8", "replace").strip()
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        # Made by hand: its first line is the reason.
        return (text.splitlines() or [""])[0], "", None
    try:
        at = parse_instant(str(told.get("at")))
    except ValueError:
        at = None
    return str(told.get("reason", "")), str(told.get("actor", "")), at


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
