"""Looking at a file, and putting one in place, below a folder of ours without ever following a link.

The folder itself may be a link that the operator set; everything below it is ours. Files are opened without waiting, so
a pipe in a file's place holds nobody up, and never read further than a limit.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ops_core.clock import isoformat

FILE_MODE = 0o644
FOLDER_MODE = 0o755
READ_BYTES = 1 << 18
READ_MAX_BYTES = 64 << 20
FILE, ABSENT, LINK, FOLDER, OTHER, UNREADABLE = "file", "absent", "link", "folder", "other", "unreadable"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was found at a place.

    Attributes:
        kind: "file", "absent", "link", "folder", "other" (a pipe, a device) or "unreadable".
        digest: SHA-256 of a file's bytes, in hexadecimal; empty for anything else.
        data: a file's bytes, up to the limit asked for.
        size: bytes of a file in all.
        owner: user id, -1 where it is not known.
        mode: permission bits.
        links: names that the file has.
        changed_at: its modification time as far as it can be believed, ISO 8601 in UTC.
        why: what the system said about what is unreadable.
    """

    kind: str
    digest: str = ""
    data: bytes = b""
    size: int = 0
    owner: int = -1
    mode: int = 0
    links: int = 0
    changed_at: str = ""
    why: str = ""


def look(root: Path, name: str, *, keep_bytes: int = 0, read_max_bytes: int = READ_MAX_BYTES) -> Seen:
    """What is at `root`/`name`. Never raises; nothing below `root` is followed.

    Args:
        root: the folder that the operator named.
        name: the place below it, with slashes.
        keep_bytes: how many of the first bytes to hand over as `data`.
        read_max_bytes: a file that is larger is "unreadable".
    """
    try:
        with _folder(root, name) as (folder, last):
            return _look_in(folder, last, keep_bytes, read_max_bytes)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return _in_folders_place(root, name)
        return Seen(kind=UNREADABLE, why=_why(error))
    except ValueError as error:
        return Seen(kind=UNREADABLE, why=_why(error))


def put(root: Path, name: str, data: bytes) -> None:
    """Put a file in place, atomically and durably, whatever is there; links are replaced, folders moved aside.

    Raises:
        OSError: it could not be written. What was there is untouched, or moved aside.
        ValueError: the name cannot be one.
    """
    with _folder(root, name, make=True) as (folder, last):
        _sweep(folder, last)
        temporary = f".{last}.{secrets.token_hex(6)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, FILE_MODE, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), FILE_MODE)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _step_aside(folder, last)
            os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)


def set_aside(root: Path, name: str) -> None:
    """Give what is at `root`/`name` a hidden name in its folder, where it means nothing.

    Raises:
        OSError: it could not be renamed.
    """
    with _folder(root, name) as (folder, last), contextlib.suppress(FileNotFoundError):
        _rename_aside(folder, last)


def kind_of(root: Path, name: str) -> str:
    """What kind of thing is at `root`/`name`, without reading it. Never raises."""
    try:
        with _folder(root, name) as (folder, last):
            return _kind(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return ABSENT
    except (OSError, ValueError):
        return UNREADABLE


def names(root: Path, name: str, *, hidden: bool = False, limit: int = 10_000) -> tuple[str, ...]:
    """The names in the folder `root`/`name`, sorted; none where it is not a folder of ours. Never raises.

    Args:
        root: the folder that the operator named.
        name: the folder below it; "." for the root itself.
        hidden: list names that begin with a dot too; files that are being written have such names.
        limit: no more names than that.
    """
    try:
        with _folder(root, f"{name}/-") as (folder, _), os.scandir(folder) as found:
            listed = [entry.name for _, entry in zip(range(limit), found, strict=False)]
    except (OSError, ValueError):
        return ()
    return tuple(sorted(one for one in listed if hidden or not one.startswith(".")))


def printable(text: str) -> str:
    """A name or a word of somebody else's for showing: what would steer a terminal, or has no character, is a `?`."""
    return "".join(char if char.isprintable() else "?" for char in text)


def path_of(root: Path, name: str) -> Path:
    """The place as one path, for telling it."""
    return root.joinpath(*PurePosixPath(name).parts)


@contextlib.contextmanager
def _folder(root: Path, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder that holds `name`, opened component by component, and the last component.

    Raises:
        OSError: it is not there, or a component is a link.
    """
    *folders, last = PurePosixPath(name).parts
    if make:
        root.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(root, flags)
    try:
        for one in folders:
            if make:
                _make_folder(descriptor, one)
            below = os.open(one, flags | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, last
    finally:
        os.close(descriptor)


def _make_folder(parent: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return
        # A link or a file in a folder's place: what it points to is not ours to touch, the name is.
        _rename_aside(parent, name)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=parent)


def _sweep(folder: int, name: str) -> None:
    """Remove what an interrupted writer left; writers of one place take turns."""
    with os.scandir(folder) as found:
        left = [one.name for one in found if one.name.startswith(f".{name}.") and one.name.endswith(".tmp")]
    for one in left:
        with contextlib.suppress(OSError):
            os.unlink(one, dir_fd=folder)


def _step_aside(folder: int, name: str) -> None:
    """Move a folder that lies in a file's place aside: a file cannot replace it, and its content is evidence."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            _rename_aside(folder, name)


def _rename_aside(folder: int, name: str) -> None:
    os.rename(name, f".{name}.{secrets.token_hex(6)}.found", src_dir_fd=folder, dst_dir_fd=folder)


def _look_in(folder: int, name: str, keep_bytes: int, read_max_bytes: int) -> Seen:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        # When a name left the folder is not recorded; that the folder was changed then, or later, is.
        return Seen(kind=ABSENT, changed_at=_instant(os.fstat(folder).st_mtime))
    kind = _kind(found.st_mode)
    if kind != FILE:
        return _seen(found, kind)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        return _seen(found, UNREADABLE, why=_why(error))
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if _kind(found.st_mode) != FILE:
            return _seen(found, _kind(found.st_mode))
        if found.st_size > read_max_bytes:
            return _seen(found, UNREADABLE, why=f"it is {found.st_size} bytes large")
        return _read(file, found, keep_bytes, read_max_bytes)


def _read(file: object, found: os.stat_result, keep_bytes: int, read_max_bytes: int) -> Seen:
    hashed, kept, size = hashlib.sha256(), bytearray(), 0
    while block := file.read(READ_BYTES):  # type: ignore[attr-defined]  # a raw file; io.FileIO and BinaryIO differ
        size += len(block)
        if size > read_max_bytes:
            return _seen(found, UNREADABLE, why="it grows while it is read")
        hashed.update(block)
        if len(kept) < keep_bytes:
            kept += block[: keep_bytes - len(kept)]
    return _seen(found, FILE, digest=hashed.hexdigest(), data=bytes(kept), size=size)


def _in_folders_place(root: Path, name: str) -> Seen:
    """Why nothing is there: it is absent, or a folder on the way to it is something else."""
    parts = PurePosixPath(name).parts[:-1]
    for depth in range(1, len(parts) + 1):
        path = root.joinpath(*parts[:depth])
        try:
            found = path.lstat()
        except OSError:
            break
        if not stat.S_ISDIR(found.st_mode):
            return _seen(found, _kind(found.st_mode), why=f"its folder {'/'.join(parts[:depth])} is no folder")
    return Seen(kind=ABSENT)


def _seen(
    found: os.stat_result, kind: str, *, digest: str = "", data: bytes = b"", size: int = 0, why: str = ""
) -> Seen:
    return Seen(
        kind=kind,
        digest=digest,
        data=data,
        size=size,
        owner=found.st_uid,
        mode=stat.S_IMODE(found.st_mode),
        links=found.st_nlink,
        changed_at=_instant(found.st_mtime),
        why=why,
    )


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISLNK(mode):
        return LINK
    return FOLDER if stat.S_ISDIR(mode) else OTHER


def _instant(seconds: float) -> str:
    try:
        return isoformat(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return ""


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
