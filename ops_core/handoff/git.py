"""Carries bundles through git, in a bare repository of our own beside which no other repository is ever changed.

From the user's checkout no more is taken than the address of the remote and the name of its commit: its index, its work
tree, its branches, its hooks and its configuration take no part, whatever state they are in. Our own repository is a
cache: one that does not work any more is thrown away and made anew.

What git says about a remote's content was written by others. It is read bounded, parsed strictly, and names in it are
compared, never used.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops_core.config import Settings
from ops_core.control.files import make_folder
from ops_core.errors import UsageError
from ops_core.handoff.git_run import Git, GitFailed, Malformed
from ops_core.handoff.model import FILES_MAX, BundleRefused, RefusalCode
from ops_core.handoff.receipts import short

PLAIN_FILE = "100644"
LISTING_MAX_BYTES = FILES_MAX * 512
DIFFERENCE_MAX_BYTES = 4 * LISTING_MAX_BYTES
PACKS_MAX = 50
REFERENCE_MAX_CHARS = 200
_OBJECT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ENTRY = re.compile(rb"([0-7]{6}) ([a-z]+) ([0-9a-f]{40,64}) +([0-9]{1,18}|-)\t([^\0]+)", re.DOTALL)
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/~^-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OF_A_HOST = re.compile(r"[^/:]+:")
# What git says of objects that it has received and looked at; nothing that breaks off, or is not written, sounds so.
_MALFORMED = re.compile(r"^fatal: fsck error in pack(?:ed)? objects?", re.MULTILINE)
_RACE = re.compile(
    r"fetch first|non-fast-forward|cannot lock ref|failed to update ref|incorrect old value|already exists"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file below a folder of a commit, as git lists it."""

    mode: str
    oid: str
    size: int
    path: str


class Exchange:
    """The repository through which bundles go. To be used by who holds the turn (`lock.claimed`).

    Args:
        settings: the profile.
        must_end: asked while git runs; any text is the reason to end it.
        hold: the descriptor of the turn, which whatever runs here keeps.
    """

    def __init__(
        self, settings: Settings, *, must_end: Callable[[], str] = lambda: "", hold: int | None = None
    ) -> None:
        self._settings = settings
        self._handoff = settings.handoff
        self.folder = folder_of(settings) / "exchange.git"
        self._git = Git(settings, self.folder, must_end, hold)

    @property
    def branch(self) -> str:
        """The name of the branch."""
        return self._handoff.branch

    @property
    def branch_ref(self) -> str:
        """The full name of the branch."""
        return f"refs/heads/{self._handoff.branch}"

    def open(self) -> None:
        """Make the repository where there is none that works, and clear away what a killed git left there.

        Raises:
            GitFailed: there can be none.
        """
        if not self.folder.is_dir() or not self._git.own("rev-parse", "--git-dir").good:
            self.discard()
            fresh = self.folder.with_name("exchange.new")
            try:
                shutil.rmtree(fresh, ignore_errors=True)
                make_folder(self.folder.parent)
                argv = ("git", "init", "--bare", "--quiet", "--template=", "--", str(fresh))
                self._git.did(
                    self._git.run(argv, cwd=self.folder.parent, leashed=True),
                    "a repository cannot be made",
                    local=False,
                )
                fresh.replace(self.folder)
            except OSError as error:
                raise GitFailed(f"a repository cannot be made: {error.strerror}", where=str(self.folder)) from None
        for left in (*self.folder.glob("*.lock"), *self.folder.glob("refs/**/*.lock")):
            left.unlink(missing_ok=True)
        for left in self.folder.glob("objects/pack/tmp_*"):
            left.unlink(missing_ok=True)
        self._git.did(self._git.own("symbolic-ref", "HEAD", self.branch_ref), "the branch cannot be named", local=True)

    def discard(self) -> None:
        """Throw the repository away: whatever was in it is at the remote."""
        gone = self.folder.with_name("exchange.gone")
        for _ in range(2):
            shutil.rmtree(gone, ignore_errors=True)
            with contextlib.suppress(OSError):
                gone.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.replace(gone)

    def address(self, *, push: bool = False) -> str:
        """The address of the remote, as the user's checkout has it.

        Raises:
            UsageError: there is no such checkout or remote.
        """
        repository, remote = self._handoff.repository, self._handoff.remote
        said = self._git.in_checkout("remote", "get-url", *(["--push"] if push else []), "--", remote)
        told = said.out.decode("utf-8", "replace").split("\n")[0].strip()
        if not said.good or not told:
            raise UsageError(
                f"there is no remote {remote!r} in the checkout: {self._git.told(said)}",
                where=str(repository),
                allowed="[profiles.NAME.handoff] repository names a git checkout with that remote",
                next_step=f"git -C {repository} remote -v",
            )
        if told.startswith("-") or "::" in told or not told.isprintable():
            raise UsageError("the address of the remote is not one that is used", where=f"remote {remote}")
        if _SCHEME.match(told) or told.startswith("/") or _OF_A_HOST.match(told):
            return told
        top = self._git.in_checkout("rev-parse", "--show-toplevel").out.decode("utf-8", "replace").strip()
        return os.path.normpath(Path(top or repository) / told)

    def source_revision(self) -> str:
        """The commit that the user's checkout is at; empty where there is none."""
        told = self._git.in_checkout("rev-parse", "--verify", "--quiet", "HEAD^{commit}").out.decode("ascii", "replace")
        return told.strip() if _OBJECT.fullmatch(told.strip()) else ""

    def fetch(self) -> str | None:
        """Bring the branch here, and return its newest commit; None where the remote has no such branch.

        Raises:
            Malformed: the branch holds what git does not take over, such as names that lead out of a folder.
            GitFailed: the remote cannot be reached, or it breaks off.
            Refused: it had to end.
        """
        refspec = f"+{self.branch_ref}:{self.branch_ref}"
        argv = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force", "--")
        said = self._git.own(*argv, self.address(), refspec, budget_s=self._handoff.git_budget_s, leashed=True)
        if not said.good and not said.why and "couldn't find remote ref" in said.err:
            return None
        if not said.good and not said.why and _MALFORMED.search(said.err):
            raise Malformed(
                f"git itself does not take over what the branch {self.branch} holds: {self._git.told(said)}",
                where=self._handoff.remote,
                next_step="find out who pushed that; put the branch back to its last good commit, then publish anew",
            )
        self._git.did(said, f"nothing can be fetched from {self._handoff.remote}", local=None)
        self._tidy()
        return self.commit_of(self.branch_ref)

    def commit_of(self, reference: str) -> str:
        """The commit of that name.

        Raises:
            GitFailed: there is none.
        """
        said = self._git.own("rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
        told = said.out.decode("ascii", "replace").strip()
        if not said.good or not _OBJECT.fullmatch(told):
            raise GitFailed("there is no such commit", where=reference, local=True)
        return told

    def chosen(self, reference: str) -> str:
        """The commit that a person means: an id, or a name such as HEAD~1, where HEAD is the newest one fetched.

        Raises:
            UsageError: there is none on the branch.
        """
        if len(reference) <= REFERENCE_MAX_CHARS and _REFERENCE.fullmatch(reference):
            remote = f"{self._handoff.remote}/"
            name = reference.removeprefix(remote) if reference.startswith(remote) else reference
            with contextlib.suppress(GitFailed):
                commit = self.commit_of(name)
                if self.is_ancestor(commit, self.branch_ref):
                    return commit
        raise UsageError(
            f"{reference[:80]!r} names no commit of the branch {self._handoff.branch}",
            where="--to",
            allowed="the id of a bundle that is kept, a commit, or a name such as HEAD~1",
            next_step="ops handoff status shows the bundles that are kept",
        )

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether one commit is the other, or in its history; no for one that is not here."""
        return self._git.own("merge-base", "--is-ancestor", old, new).exit_code == 0

    def listing(self, commit: str) -> tuple[Entry, ...]:
        """The files below the folder of the hand-off in a commit.

        Raises:
            BundleRefused: there is no such folder, or it holds what no bundle holds.
            GitFailed: it cannot be read.
        """
        folder = self._handoff.folder
        found = self._git.own("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{folder}")
        tree = found.out.decode("ascii", "replace").strip()
        if not found.good or not _OBJECT.fullmatch(tree) or self._kind(tree) != "tree":
            raise BundleRefused(
                RefusalCode.NOT_A_BUNDLE,
                f"there is no folder {folder} on the branch {self._handoff.branch}",
                "publish one: ops handoff publish, on the producing host",
            )
        said = self._git.own("ls-tree", "-r", "-z", "-l", "--full-tree", tree, limit_bytes=LISTING_MAX_BYTES)
        if said.cut:
            raise BundleRefused(RefusalCode.TOO_LARGE, f"the folder {folder} holds more than any bundle")
        self._git.did(said, "the branch cannot be read", local=True)
        return tuple(_entry(line) for line in said.out.split(b"\0") if line)

    def content(self, entry: Entry) -> bytes:
        """The content of one file.

        Raises:
            GitFailed: it cannot be read, or is not as large as was listed.
        """
        said = self._git.own("cat-file", "blob", entry.oid, limit_bytes=entry.size)
        self._git.did(said, "a file of the branch cannot be read", local=True)
        return said.out

    def commit(self, base: str | None, content: Mapping[str, bytes], message: str, name: str, now: datetime) -> str:
        """A commit on `base` in which the folder of the hand-off holds exactly that content, and all else is as it was.

        Args:
            base: the commit that it follows; None for the first one of a branch.
            content: by path, which has been found fit.
            message: what it says of itself.
            name: who made it.
            now: when.

        Raises:
            GitFailed: it cannot be made.
        """
        folder = self._handoff.folder
        if base is not None:
            self._room_for(base)
        at = f"{int(now.timestamp())} +0000"
        lines = [b"commit refs/ops/outgoing", f"committer {name} <{name}@ops.invalid> {at}".encode(), _data(message)]
        if base is not None:
            lines += [f"from {base}".encode(), f"D {folder}".encode()]
        for path, data in content.items():
            lines += [f"M {PLAIN_FILE} inline {folder}/{path}".encode(), b"data %d" % len(data), data]
        stream = b"\n".join([*lines, b"done", b""])
        argv = ("fast-import", "--quiet", "--force", "--done", "--date-format=raw")
        self._git.did(self._git.own(*argv, stdin=stream, leashed=True), "the bundle cannot be committed", local=None)
        commit = self.commit_of("refs/ops/outgoing")
        self._only_the_folder(base, commit)
        return commit

    def push(self, commit: str) -> bool:
        """Hand the commit to the remote; False where somebody else was quicker.

        Raises:
            GitFailed: the remote cannot be reached, or does not take it.
            Refused: it had to end.
        """
        argv = ("push", "--porcelain", "--no-verify", "--no-signed", "--no-recurse-submodules", "--")
        target = f"{commit}:{self.branch_ref}"
        said = self._git.own(*argv, self.address(push=True), target, budget_s=self._handoff.git_budget_s, leashed=True)
        if said.good:
            return True
        told = said.out.decode("utf-8", "replace")
        if not said.why and any(line.startswith("!") and _RACE.search(line) for line in told.splitlines()):
            return False
        refused = next((line.rpartition("\t")[2] for line in told.splitlines() if line.startswith("!")), "")
        what = f"{self._handoff.remote} did not take the bundle"
        self._git.did(said, f"{what}: {short(self._git.redacted(refused))}" if refused else what, local=False)
        return True

    def _kind(self, name: str) -> str:
        """Of what kind an object is; empty where there is none of that name."""
        said = self._git.own("cat-file", "-t", name)
        return said.out.decode("ascii", "replace").strip() if said.good else ""

    def _room_for(self, base: str) -> None:
        """Refuse to put the folder where the branch has a file."""
        parts = self._handoff.folder.split("/")
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            if self._kind(f"{base}:{path}") not in {"tree", ""}:
                raise GitFailed(
                    f"{path} is no folder on the branch {self._handoff.branch}",
                    where="[profiles.NAME.handoff] folder",
                    next_step="name another folder, on both hosts",
                )

    def _only_the_folder(self, base: str | None, commit: str) -> None:
        """Prove that nothing but the folder differs, before anybody is handed it."""
        of = ("--root", commit) if base is None else (base, commit)
        said = self._git.own(
            "diff-tree", "-r", "-z", "--name-only", "--no-commit-id", *of, limit_bytes=LISTING_MAX_BYTES * 4
        )
        inside = f"{self._handoff.folder}/".encode()
        # What was there before may be anything; more than is read here would have to be far outside of any bundle.
        names = said.out.split(b"\0")[: -1 if said.cut else None]
        if any(name and not name.startswith(inside) for name in names):
            raise GitFailed("the commit would have changed more than its folder, so it was not handed over", local=True)

    def _tidy(self) -> None:
        """Put many small packs together; without effect on what is in them."""
        if len(list(self.folder.glob("objects/pack/*.pack"))) > PACKS_MAX:
            self._git.own("repack", "-a", "-d", "-q", leashed=True)


def folder_of(settings: Settings) -> Path:
    """Where the hand-off keeps what is its own: the lock and the repository through which bundles go."""
    return settings.state_dir / "handoff"


def _data(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return b"data %d\n%s" % (len(raw), raw)


def _entry(line: bytes) -> Entry:
    found = _ENTRY.fullmatch(line)
    if found is None:
        raise BundleRefused(RefusalCode.TAMPERED, "the folder holds something that is no file")
    mode, kind, oid, size, name = found.groups()
    path = name.decode("utf-8", "backslashreplace")
    if mode.decode() != PLAIN_FILE or kind != b"blob" or size == b"-":
        raise BundleRefused(
            RefusalCode.TAMPERED,
            f"{short(ascii(path))[:80]} is a link, a program or a submodule, and a bundle has none",
        )
    return Entry(mode=mode.decode(), oid=oid.decode(), size=int(size), path=path)
