"""Which version a link puts in force, what is in that version, and remembering that it was seen good.

A release or a configuration is a folder or file in a folder of versions; a symbolic link beside them says which one is
in force. Rolling back is pointing that link to the version last seen good, provided that it still is what it was.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.location import location_of
from ops_core.control.reading import read_last_good
from ops_core.errors import OpsError
from ops_core.targets import Target
from ops_core.temporary import temporary_of

FILES_MAX = 50_000
READ_BYTES = 1 << 20
OBSERVER = "observation"
KINDS = ("release", "config", "schema", "image")
IMAGE_NAME_CHARS = 12


class NoVersion(OpsError):
    """A link puts no version in force, or the version cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """The version that a link puts in force: its name is the last component of what the link points to."""

    name: str
    path: Path


def version_in_force(link: Path) -> Version:
    """What `link` points to.

    Raises:
        NoVersion: it is not a link, or points nowhere.
    """
    try:
        name = link.readlink().name
    except OSError as error:
        raise NoVersion(f"no version is in force: {error.strerror}", where=str(link)) from None
    if not link.exists():
        raise NoVersion(f"the version in force, {name!r}, does not exist", where=str(link))
    return Version(name=name, path=link.resolve())


def digest_of(path: Path) -> str:
    """SHA-256 over a version's content: a file's bytes, or the sorted relative paths, kinds and bytes of a folder.

    Compiled Python is left out: running a release must not change what it is.

    Raises:
        NoVersion: it cannot be read, or holds more files than a version should.
    """
    total = hashlib.sha256()
    try:
        if path.is_file():
            _feed(total, path)
            return total.hexdigest()
        for count, file in enumerate(_files(path)):
            if count >= FILES_MAX:
                raise NoVersion(f"the version holds more than {FILES_MAX} files", where=str(path))
            mode = file.lstat().st_mode
            kind = "link" if stat.S_ISLNK(mode) else "program" if mode & stat.S_IXUSR else "file"
            name = file.relative_to(path).as_posix()
            total.update(f"{len(name)}:{name}:{kind}:".encode("utf-8", "surrogateescape"))
            if kind == "link":
                total.update(os.fsencode(file.readlink()))
            elif stat.S_ISREG(mode):
                part = hashlib.sha256()
                _feed(part, file)
                total.update(part.digest())
    except OSError as error:
        raise NoVersion(f"the version cannot be read: {error.strerror}", where=str(path)) from None
    return total.hexdigest()


def remember_good(
    settings: Settings, target: Target, clock: Clock, schema: str | None = None, image: str | None = None
) -> list[str]:
    """Record what is in force at `target` as seen good; returns what was newly recorded.

    Args:
        settings: the profile.
        target: with links to its release and configuration.
        clock: tells when.
        schema: the revision of its schema, where it was seen.
        image: the id of the image that its container runs, where it was seen.

    Raises:
        OpsError: a version cannot be read, or the store cannot be written.
    """
    good_release, good_config, good_schema, good_image = read_last_good(location_of(settings), target.name, KINDS)
    recorded = []
    for kind, link, known in (
        ("release", target.release_link, good_release),
        ("config", target.config_link, good_config),
    ):
        if link is None:
            continue
        version = version_in_force(link)
        if temporary_of(version.name) is not None:
            # It is meant for a while: whatever goes well under it, nobody wants to be rolled back to it.
            continue
        digest = digest_of(version.path)
        if known is None or (known.name, known.digest) != (version.name, digest):
            _mark(settings, target, clock, kind, version.name, digest)
            recorded.append(f"{kind} {version.name}")
    # Last: a store of an earlier program takes no such kinds, and keeps what it does take all the same.
    if schema is not None and (good_schema is None or good_schema.name != schema):
        _mark(settings, target, clock, "schema", schema, hashlib.sha256(schema.encode()).hexdigest())
        recorded.append(f"schema {schema}")
    if image is not None and (good_image is None or good_image.digest != image):
        _mark(settings, target, clock, "image", image[:IMAGE_NAME_CHARS], image)
        recorded.append(f"image {image[:IMAGE_NAME_CHARS]}")
    return recorded


def _mark(settings: Settings, target: Target, clock: Clock, kind: str, name: str, digest: str) -> None:
    # Only now: mostly there is nothing new to record, and every observation would pay for the import.
    from ops_core.control.opening import plane_of

    plane_of(settings, clock, OBSERVER).mark_good(target.name, kind, name, digest)


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _feed(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
