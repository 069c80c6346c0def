"""What a bundle is: result files and a manifest that names each with size and digest, numbered, dated and signed.

A manifest has exactly one spelling. Whoever reads one renders it again and takes nothing but the very same bytes, so
what was judged is what was signed, and nobody's parser can see something else in it. Its id is made of its content:
two bundles never share one, whoever signs them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ops_core.clock import isoformat, parse_instant
from ops_core.control.audit import canonical

SCHEMA = "bundle_manifest_v1"
MANIFEST_NAME = "manifest.json"
FILES_FOLDER = "files"
MANIFEST_MAX_BYTES = 512 * 1024
FILES_MAX = 500
FILE_MAX_BYTES = 32 * 1024 * 1024
TOTAL_MAX_BYTES = 128 * 1024 * 1024
PATH_MAX_CHARS = 200
SEQUENCE_MAX = 10**12
FRESH_HOURS_MAX = 8760
ID_CHARS = 16
BUNDLE_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_PRODUCER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})?")
_SIGNATURE = re.compile(r"([0-9a-f]{128})?")
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MemoryError)


class RefusalCode(StrEnum):
    """Why a bundle is not taken."""

    MALFORMED = "MALFORMED"
    NOT_A_BUNDLE = "NOT_A_BUNDLE"
    BAD_SCHEMA = "BAD_SCHEMA"
    TOO_LARGE = "TOO_LARGE"
    INCOMPLETE = "INCOMPLETE"
    TAMPERED = "TAMPERED"
    WRONG_PRODUCER = "WRONG_PRODUCER"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    HELD_BACK = "HELD_BACK"
    REPLAYED = "REPLAYED"
    FROM_THE_FUTURE = "FROM_THE_FUTURE"
    STALE = "STALE"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a bundle is not taken: the code, the sentence, and what to do."""

    code: RefusalCode
    what: str
    next_step: str = ""


class BundleRefused(ValueError):
    """Something is no bundle, or not one that can be believed."""

    def __init__(self, code: RefusalCode, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.refusal = Refusal(code=code, what=what, next_step=next_step)


@dataclass(frozen=True, kw_only=True)
class BundleFile:
    """One file of a bundle: its path below `files/`, its size in bytes, its SHA-256."""

    path: str
    size: int
    sha256: str

    def prove(self, content: bytes) -> None:
        """Hold a content against what the manifest says of it.

        Raises:
            BundleRefused: it is another one.
        """
        if len(content) != self.size or hashlib.sha256(content).hexdigest() != self.sha256:
            raise BundleRefused(RefusalCode.TAMPERED, f"the content of {self.path} is not the one that was signed")

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle says of itself. `source_revision` is the commit of the producer's checkout, empty where none is."""

    bundle_id: str
    producer: str
    sequence: int
    created_at: str
    source_revision: str
    fresh_hours: float
    files: tuple[BundleFile, ...]
    signature: str = ""

    @property
    def created(self) -> datetime:
        """When it was made, by the clock of its producer."""
        return parse_instant(self.created_at)

    @property
    def bytes_total(self) -> int:
        """How large its files are together."""
        return sum(one.size for one in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 over its one spelling: what tells this bundle from every other one, signature included."""
        return hashlib.sha256(self.as_bytes()).hexdigest()

    def file(self, path: str) -> BundleFile | None:
        """The file of exactly that path; None where there is none."""
        return next((one for one in self.files if one.path == path), None)

    def fresh_until(self, limit_hours: float) -> datetime:
        """Until when it is worth something: as its producer says, but no longer than `limit_hours`."""
        return self.created + timedelta(hours=min(self.fresh_hours, limit_hours))

    def signed_bytes(self) -> bytes:
        """What its signature is made over, behind the line of its domain."""
        return canonical({**_content(self), "bundle_id": self.bundle_id}).encode("ascii")

    def as_bytes(self) -> bytes:
        """Its one spelling, as it lies in a tree and on a disk."""
        told = {**_content(self), "bundle_id": self.bundle_id, "signature": self.signature}
        return (json.dumps(told, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def new_manifest(
    *,
    producer: str,
    sequence: int,
    created_at: datetime,
    source_revision: str,
    fresh_hours: float,
    files: Iterable[BundleFile],
) -> Manifest:
    """A manifest, not signed yet, with the id that its content calls for.

    Raises:
        BundleRefused: nobody would take it.
    """
    bare = Manifest(
        bundle_id="",
        producer=producer,
        sequence=sequence,
        created_at=isoformat(created_at),
        source_revision=source_revision,
        fresh_hours=float(fresh_hours),
        files=tuple(sorted(files, key=lambda one: one.path)),
    )
    _check(bare)
    return replace(bare, bundle_id=bundle_id_of(bare))


def bundle_id_of(manifest: Manifest) -> str:
    """The id that the content of a manifest calls for: when it was made, and the beginning of a digest over it."""
    content = hashlib.sha256(canonical(_content(manifest)).encode("ascii")).hexdigest()
    return f"{manifest.created:%Y%m%dT%H%M%SZ}-{content[:ID_CHARS]}"


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest that these bytes spell. Its signature is not looked at here.

    Raises:
        BundleRefused: they spell none. Nothing else is raised, whatever the bytes are.
    """
    if len(raw) > MANIFEST_MAX_BYTES:
        raise BundleRefused(
            RefusalCode.TOO_LARGE, f"the manifest is larger than {MANIFEST_MAX_BYTES // 1024} KiB: it is not read"
        )
    try:
        told = json.loads(raw.decode("ascii"))
    except _DAMAGE:
        raise BundleRefused(RefusalCode.NOT_A_BUNDLE, f"{MANIFEST_NAME} is no whole JSON document") from None
    if not isinstance(told, dict) or "schema" not in told:
        raise BundleRefused(RefusalCode.NOT_A_BUNDLE, f"{MANIFEST_NAME} is not the manifest of a bundle")
    if told["schema"] != SCHEMA:
        raise BundleRefused(
            RefusalCode.BAD_SCHEMA,
            f"the manifest is not of the schema {SCHEMA}",
            "bring the older one of the two hosts to the same version of ops",
        )
    try:
        manifest = _read(told)
        _check(manifest)
        exact = manifest.as_bytes() == raw and manifest.bundle_id == bundle_id_of(manifest)
    except BundleRefused:
        raise
    except _DAMAGE:
        raise BundleRefused(RefusalCode.BAD_SCHEMA, "a field of the manifest is missing or of another kind") from None
    if not exact:
        raise BundleRefused(
            RefusalCode.BAD_SCHEMA, "the manifest is not spelled as every manifest is, so nothing in it is believed"
        )
    return manifest


def fit_path(path: str) -> bool:
    """Whether that may be the path of a file in a bundle: plain names joined by `/`, none of them git's own."""
    parts = path.split("/")
    return len(path) <= PATH_MAX_CHARS and all(
        _NAME.fullmatch(part) and not part.endswith(".") and part.lower() != ".git" for part in parts
    )


def clash_in(paths: Iterable[str]) -> str:
    """A path that cannot lie beside the others everywhere: named twice but for case, or a folder of another one."""
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        lower = path.lower()
        above = {lower[:at] for at, character in enumerate(lower) if character == "/"}
        if lower in files or lower in folders or files & above:
            return path
        files.add(lower)
        folders |= above
    return ""


def _content(manifest: Manifest) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "producer": manifest.producer,
        "sequence": manifest.sequence,
        "created_at": manifest.created_at,
        "source_revision": manifest.source_revision,
        "fresh_hours": manifest.fresh_hours,
        "files": [one.as_dict() for one in manifest.files],
    }


def _read(told: Mapping[str, Any]) -> Manifest:
    files = tuple(BundleFile(path=one["path"], size=one["size"], sha256=one["sha256"]) for one in told["files"])
    return Manifest(
        bundle_id=_matched(BUNDLE_ID, told["bundle_id"]),
        producer=told["producer"],
        sequence=told["sequence"],
        created_at=told["created_at"],
        source_revision=told["source_revision"],
        fresh_hours=told["fresh_hours"],
        files=files,
        signature=_matched(_SIGNATURE, told["signature"]),
    )


def _matched(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("not as it must be")
    return value


def _number(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("not a number that can be")
    return value


def _check(manifest: Manifest) -> None:
    """Refuse what no manifest says.

    Raises:
        BundleRefused: naming what is wrong, in words of ours.
        ValueError: a field is not as it must be.
    """
    _matched(_PRODUCER, manifest.producer)
    _matched(_INSTANT, manifest.created_at)
    _matched(_REVISION, manifest.source_revision)
    if isoformat(manifest.created) != manifest.created_at or not 2000 <= manifest.created.year <= 2999:
        raise ValueError("no instant that can be")
    if _number(manifest.sequence, SEQUENCE_MAX) < 1:
        raise ValueError("numbers begin at 1")
    if type(manifest.fresh_hours) is not float or not 0 < manifest.fresh_hours <= FRESH_HOURS_MAX:
        raise ValueError("no duration that can be")
    if len(manifest.files) > FILES_MAX:
        raise BundleRefused(
            RefusalCode.TOO_LARGE, f"the bundle has {len(manifest.files)} files: more than {FILES_MAX} are not taken"
        )
    if not manifest.files:
        raise BundleRefused(RefusalCode.INCOMPLETE, "the bundle has no file at all")
    for one in manifest.files:
        _check_file(one)
    paths = [one.path for one in manifest.files]
    if clash := clash_in(paths):
        raise BundleRefused(RefusalCode.BAD_SCHEMA, f"{clash} cannot lie beside the other files")
    if paths != sorted(paths):
        raise ValueError("files stand in the order of their paths")
    if manifest.bytes_total > TOTAL_MAX_BYTES:
        raise BundleRefused(
            RefusalCode.TOO_LARGE, f"the files are larger than {TOTAL_MAX_BYTES // 1024**2} MiB together"
        )


def _check_file(one: BundleFile) -> None:
    path: object = one.path
    if not isinstance(path, str) or not fit_path(path):
        raise BundleRefused(
            RefusalCode.BAD_SCHEMA,
            f"the path {ascii(path)[:80]} is not that of a file of a bundle",
            "letters, digits, dot, dash and underscore in each name, joined by /",
        )
    _matched(_DIGEST, one.sha256)
    if type(one.size) is int and one.size > FILE_MAX_BYTES:
        raise BundleRefused(RefusalCode.TOO_LARGE, f"{one.path} is larger than {FILE_MAX_BYTES // 1024**2} MiB")
    _number(one.size, FILE_MAX_BYTES)
