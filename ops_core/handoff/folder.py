"""A bundle on the disk: written whole and made to last before it gets its name, and proven whole whenever it is read.

Names are compared with those of the manifest; nothing that a folder holds is opened because it is there. Links, pipes
and whatever else is no plain file are never followed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_core.handoff.model import (
    FILES_FOLDER,
    FILES_MAX,
    MANIFEST_MAX_BYTES,
    MANIFEST_NAME,
    BundleFile,
    BundleRefused,
    Manifest,
    RefusalCode,
    parse_manifest,
)

CHUNK = 1024 * 1024
FILE_MODE = 0o400
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Each file has at most a hundred folders above it; more than this nobody has to look at.
NAMES_MAX = FILES_MAX * 20


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle on the disk. Its signature and its files are not looked at here.

    Raises:
        BundleRefused: there is none that can be read.
    """
    with _opened(folder) as top:
        return _manifest(top)


def verify(folder: Path) -> Manifest:
    """Prove that a folder holds exactly what its manifest says, and return the manifest.

    Raises:
        BundleRefused: it does not; its signature is not looked at here.
    """
    with _opened(folder) as top:
        manifest = _manifest(top)
        wanted = {f"{FILES_FOLDER}/{one.path}": one for one in manifest.files}
        found = _names(top)
        for name in sorted(found - wanted.keys() - {MANIFEST_NAME}):
            raise BundleRefused(RefusalCode.TAMPERED, f"{name} is there, and the manifest does not name it")
        for name, one in wanted.items():
            if name not in found:
                raise BundleRefused(RefusalCode.INCOMPLETE, f"{one.path} is missing")
            for _ in _pieces(top, name, one):
                pass
    return manifest


def content_of(folder: Path, file: BundleFile) -> bytes:
    """The content of one file that the manifest names, proven while it is read.

    Raises:
        BundleRefused: it is not what the manifest says.
    """
    with _opened(folder) as top:
        return b"".join(_pieces(top, f"{FILES_FOLDER}/{file.path}", file))


def write_file(path: Path, pieces: Iterator[bytes] | tuple[bytes, ...]) -> None:
    """A new file that survives a power cut.

    Raises:
        OSError: it is there already, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fchmod(file.fileno(), FILE_MODE)
        os.fsync(file.fileno())


def sync_folders(folder: Path) -> None:
    """Make every name in the folder, and in those below it, survive a power cut.

    Raises:
        OSError: it cannot be done.
    """
    for _, _, _, descriptor in os.fwalk(folder, topdown=False, follow_symlinks=False):
        os.fsync(descriptor)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        top = os.open(folder, _FOLDER)
    except FileNotFoundError:
        raise BundleRefused(RefusalCode.INCOMPLETE, "the folder of the bundle is gone") from None
    except (OSError, ValueError) as error:
        raise BundleRefused(RefusalCode.TAMPERED, f"the folder of the bundle cannot be opened: {_why(error)}") from None
    try:
        yield top
    finally:
        os.close(top)


def _manifest(top: int) -> Manifest:
    try:
        with os.fdopen(os.open(MANIFEST_NAME, _READ, dir_fd=top), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BundleRefused(RefusalCode.NOT_A_BUNDLE, f"{MANIFEST_NAME} is no plain file")
            raw = file.read(MANIFEST_MAX_BYTES + 1)
    except FileNotFoundError:
        raise BundleRefused(RefusalCode.NOT_A_BUNDLE, f"there is no {MANIFEST_NAME}") from None
    except OSError as error:
        raise BundleRefused(RefusalCode.NOT_A_BUNDLE, f"{MANIFEST_NAME} cannot be read: {_why(error)}") from None
    return parse_manifest(raw)


def _names(top: int) -> set[str]:
    """The paths of all files in the folder; a folder that holds none is no trouble."""
    found: set[str] = set()
    seen = 0

    def fail(error: OSError) -> None:
        raise BundleRefused(RefusalCode.TAMPERED, f"a folder of the bundle cannot be read: {_why(error)}")

    for where, folders, files, descriptor in os.fwalk(".", dir_fd=top, follow_symlinks=False, onerror=fail):
        seen += len(folders) + len(files)
        if seen > NAMES_MAX:
            raise BundleRefused(RefusalCode.TAMPERED, "the folder holds far more than the manifest names")
        for name in (*folders, *files):
            try:
                mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            except OSError as error:
                fail(error)
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise BundleRefused(RefusalCode.TAMPERED, f"{ascii(name)[:80]} is neither a file nor a folder")
            if stat.S_ISREG(mode):
                found.add(os.path.normpath(os.path.join(where, name)))  # noqa: PTH118 - names, not paths to open
    return found


def _pieces(top: int, name: str, file: BundleFile) -> Iterator[bytes]:
    """The content in pieces; whether it is what the manifest says shows at the end."""
    read, digest = 0, hashlib.sha256()
    try:
        with os.fdopen(os.open(name, _READ, dir_fd=top), "rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode) or size != file.size:
                raise BundleRefused(
                    RefusalCode.TAMPERED, f"{file.path} has {size} bytes, and the manifest says {file.size}"
                )
            while read <= file.size and (piece := opened.read(CHUNK)):
                read += len(piece)
                digest.update(piece)
                yield piece
    except FileNotFoundError:
        raise BundleRefused(RefusalCode.INCOMPLETE, f"{file.path} is missing") from None
    except OSError as error:
        raise BundleRefused(RefusalCode.TAMPERED, f"{file.path} cannot be read: {_why(error)}") from None
    if read != file.size or digest.hexdigest() != file.sha256:
        raise BundleRefused(RefusalCode.TAMPERED, f"the content of {file.path} is not the one that was signed")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
