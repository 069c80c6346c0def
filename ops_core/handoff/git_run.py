"""Runs git so that nothing of the user's but the way to the remote takes part, and says what went wrong.

No prompt, no hook, no pager, no program that a configuration names; only protocols that carry a repository. What git
says may hold secrets and whatever a remote wrote: it is redacted, cut and made fit for a terminal before it is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ops_core.config import Settings, known_secrets
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.handoff import child
from ops_core.handoff.child import Said
from ops_core.handoff.receipts import short
from ops_core.handoff.signing import without_key

LOCAL_S = 60.0
ADDRESS_MAX_BYTES = 4096
# Of what the user's environment says to git, what says how to reach a remote. All else could name another repository.
_KEPT = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)
_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "SSH_ASKPASS_REQUIRE": "force",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
    "LANG": "C",
}
# What git says when the program that it reached the remote by has said what is wrong.
_NOT_READ = "fatal: Could not read from remote repository."
_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=false",
    "core.logAllRefUpdates=false",
    "core.pager=cat",
    "fetch.fsckObjects=true",
    # Old commits of well-meant tools; none of this is ever written to a disk.
    "fetch.fsck.zeroPaddedFilemode=warn",
    "fetch.fsck.badTimezone=warn",
    "fetch.fsck.missingSpaceBeforeDate=warn",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "fetch.unpackLimit=1",
    "submodule.recurse=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "transfer.bundleURI=false",
    "protocol.ext.allow=never",
)


class GitFailed(OpsError):
    """Git could not do what it was asked for. `local` tells that our own repository may be to blame."""

    def __init__(self, what: str, *, where: str = "", next_step: str = "", local: bool = False) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.local = local


class Malformed(GitFailed):
    """What the remote has was reached, and git itself does not take it over: a person has to look at it there."""


class Git:
    """Git, for one act of the hand-off.

    Args:
        settings: the profile.
        folder: our own repository.
        must_end: asked while git runs; any text is the reason to end it.
        hold: the descriptor of the turn, which whatever runs here keeps.
    """

    def __init__(self, settings: Settings, folder: Path, must_end: Callable[[], str], hold: int | None) -> None:
        self._settings = settings
        self.folder = folder
        self._must_end = must_end
        self._hold = hold
        self._env = environment(settings)

    def own(
        self,
        *arguments: str,
        budget_s: float = LOCAL_S,
        stdin: bytes = b"",
        limit_bytes: int = child.PIECE,
        leashed: bool = False,
    ) -> Said:
        """Run git on our own repository."""
        options = [word for option in _OPTIONS for word in ("-c", option)]
        argv = ("git", f"--git-dir={self.folder}", *options, *arguments)
        return self.run(
            argv, cwd=self.folder.parent, budget_s=budget_s, stdin=stdin, limit_bytes=limit_bytes, leashed=leashed
        )

    def in_checkout(self, *arguments: str) -> Said:
        """Ask the user's checkout something; never to change anything.

        Raises:
            UsageError: it is not there.
        """
        folder = self._settings.handoff.repository
        if not os.access(folder, os.R_OK | os.X_OK):
            raise UsageError(
                "there is no such folder, or it is not ours to read",
                where=str(folder),
                allowed="[profiles.NAME.handoff] repository: a git checkout",
            )
        options = [word for option in _OPTIONS for word in ("-c", option)]
        return self.run(("git", *options, *arguments), cwd=folder, limit_bytes=ADDRESS_MAX_BYTES)

    def run(
        self,
        argv: tuple[str, ...],
        *,
        cwd: Path,
        budget_s: float = LOCAL_S,
        stdin: bytes = b"",
        limit_bytes: int = child.PIECE,
        leashed: bool = False,
    ) -> Said:
        """Run git; `leashed`, where it writes or may wait for others, so that it is gone when we are.

        Raises:
            GitFailed: it cannot be run.
            Refused: it had to end.
        """
        try:
            said = child.run(
                argv,
                budget_s=budget_s,
                env=self._env,
                cwd=cwd,
                stdin=stdin,
                limit_bytes=limit_bytes,
                must_end=self._must_end,
                hold=self._hold,
                leashed=leashed,
            )
        except OSError as error:
            step = "install git" if isinstance(error, FileNotFoundError) and cwd.is_dir() else ""
            raise GitFailed(f"git cannot be started: {error.strerror}", where=str(cwd), next_step=step) from None
        if said.why and self._must_end():
            raise Refused(said.why, where="hand-off", next_step="ops estop status")
        return said

    def did(self, said: Said, what: str, *, local: bool | None) -> None:
        """Raise where git did not do it.

        Args:
            said: what git said.
            what: what did not come about.
            local: whether our own repository may be to blame; None where only git's words tell that.

        Raises:
            GitFailed: saying why.
        """
        if said.good:
            return
        ours = local if local is not None else str(self.folder) in said.err or "bad object" in said.err
        raise GitFailed(
            f"{what}: {said.why or self.told(said)}", where=str(self._settings.handoff.repository), local=ours
        )

    def told(self, said: Said) -> str:
        """What git said was wrong, without secrets and fit for a terminal."""
        spoken = [line.strip() for line in said.err.splitlines() if line.strip()]
        lines = [line for line in spoken if line.startswith(("fatal:", "error:", "remote:", "ERROR:"))]
        if lines[:1] == [_NOT_READ] and spoken[0] != _NOT_READ:
            # Why, is what ssh said last before it.
            lines.insert(0, spoken[spoken.index(_NOT_READ) - 1])
        told = " ".join(lines[:4]) or (spoken or [f"git ended with {said.exit_code}"])[-1]
        return short(self.redacted(told))

    def redacted(self, text: str) -> str:
        """What others said, without the secrets that are known."""
        from ops_core.probes.instruments.redact import Redactor

        return Redactor(known_secrets(self._settings).values()).text(text)


def environment(settings: Settings) -> dict[str, str]:
    """What git is told by its environment: the user's own, without whatever could name another repository."""
    known = without_key(settings, os.environ)
    plain = {name: value for name, value in known.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**plain, **_FIXED}
