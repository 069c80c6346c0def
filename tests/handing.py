"""A producer's host and operators' hosts with real checkouts, and the bare repository between them.

For tests of the hand-off: everything is real but the distance. Each host has a folder, an `ops.toml`, a control plane
and a clock of its own, which moves only when told to.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops_core.clock import ManualClock
from ops_core.config import Settings, load_settings
from ops_core.control.opening import plane_of
from ops_core.control.people.keys import make_key, public_key_of
from ops_core.control.service import ControlPlane
from ops_core.handoff.installed import InForce, in_force
from ops_core.handoff.model import MANIFEST_NAME, BundleFile, Manifest, new_manifest, parse_manifest
from ops_core.handoff.publish import publish
from ops_core.handoff.pull import pull
from ops_core.handoff.rollback import rollback
from ops_core.handoff.signing import signed

# Producers and operators agree about it; a test that wants them not to moves a clock.
NOON = datetime.now(UTC).replace(microsecond=0)
BRANCH = "main"
_GIT_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "kim",
    "GIT_AUTHOR_EMAIL": "kim@example.org",
    "GIT_COMMITTER_NAME": "kim",
    "GIT_COMMITTER_EMAIL": "kim@example.org",
    "GIT_ALLOW_PROTOCOL": "file",
}
_TOML = """
[profiles.default]
control_dir = "control"
{role}
[profiles.default.targets.api]
health_url = "http://127.0.0.1:9/health"
[profiles.default.handoff]
repository = "checkout"
folder = "handoff/daily"
fresh_hours = 26
git_budget_s = 30
{more}
"""


def git(folder: Path, *arguments: str, stdin: str | bytes = "", **environ: str) -> str:
    """What git says in that folder, as the user of the checkout."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **_GIT_ENV, **environ},
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr.decode())
    return done.stdout.decode("utf-8", "replace").strip()


class Host:
    """One host: its folder, its checkout, and what its operator can do."""

    def __init__(self, root: Path, toml: str, now: datetime) -> None:
        self.root = root
        self.checkout = root / "checkout"
        self.clock = ManualClock(now)
        self.said: list[str] = []
        if self.checkout.exists():
            # A copy of a host that was made before.
            self.write(toml)
            return
        (root / "results").mkdir(parents=True)
        self.checkout.mkdir()
        git(self.checkout, "init", "-q", "-b", BRANCH)
        git(self.checkout, "remote", "add", "origin", "../../remote.git")
        self.write(toml)
        self.plane.create()
        self.plane.release("for the test")

    def write(self, toml: str) -> None:
        """Have another `ops.toml`."""
        (self.root / "ops.toml").write_text(toml, encoding="utf-8")
        self.settings: Settings = load_settings(self.root / "ops.toml", "default", {})
        self.plane: ControlPlane = plane_of(self.settings, self.clock, "kim")

    @property
    def bundles(self) -> Path:
        """Where bundles are put."""
        return self.settings.handoff.bundles_dir

    def wait(self, hours: float) -> None:
        """Let time pass on this host."""
        self.clock.sleep(hours * 3600)

    def publish(self) -> dict[str, Any]:
        """Publish here."""
        return publish(self.settings, self.plane, self.clock, say=self.said.append)

    def pull(self, *, again: bool = False) -> dict[str, Any]:
        """Pull here."""
        return pull(self.settings, self.plane, self.clock, again=again, say=self.said.append)

    def rollback(self, to: str | None = None) -> dict[str, Any]:
        """Roll back here."""
        return rollback(self.settings, self.plane, self.clock, to=to, say=self.said.append)

    def in_force(self) -> InForce | None:
        """What is in force here."""
        return in_force(self.settings)

    def whole(self) -> str:
        """The id of the bundle in force, which has to be whole; empty where nothing is in force."""
        here = self.in_force()
        assert here is None or not here.problem, here
        return "" if here is None else here.bundle_id

    def actions(self) -> list[str]:
        """The acts of the hand-off in the audit."""
        return [row.action for row in self.plane.audit_rows() if row.action.startswith("handoff.")]


def everything_outside(folder: Path, host: Host) -> dict[str, str]:
    """All that lies there, with what it holds, but for the remote and for what a pull on that host may write."""
    kept = {(name,) for name in ("control", "state", "logs", "reports", "bundles")}
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.is_relative_to(host.root) and path.relative_to(host.root).parts[:1] in kept
        if not inside and "remote.git" not in path.parts:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


class Hosts:
    """The bare repository between them, a producer named `pc`, and as many operators as a test asks for.

    A copy of their folder is theirs as well: nothing in it names where it lies.
    """

    def __init__(self, root: Path, now: datetime = NOON) -> None:
        self.root = root
        self.now = now
        self.remote = root / "remote.git"
        self.key_file = root / "pc.pem"
        if not self.remote.exists():
            root.mkdir(parents=True, exist_ok=True)
            git(root, "init", "-q", "--bare", "-b", BRANCH, str(self.remote))
            make_key(self.key_file)
        self.public = public_key_of(self.key_file)
        self.pc = self.producer("pc")

    @classmethod
    def at_present(cls, root: Path) -> Hosts:
        """Hosts of which some are used by commands, whose clock is the machine's: a long test run may be far past noon."""
        return cls(root, datetime.now(UTC))

    def producer(self, name: str, *, key_file: Path | None = None, steps: str = "", more: str = "") -> Host:
        """A host that produces."""
        lines = f'producer = "{name}"\nresults = "results"\nsigning_key = "SIGNING_KEY"\n{more}\n{steps}'
        lines += f'\n[profiles.default.secrets.SIGNING_KEY]\nfile = "../{(key_file or self.key_file).name}"\n'
        return Host(self.root / name, _TOML.format(role="", more=lines), self.now)

    def operator(self, name: str = "oci", *, more: str = "", producers: Mapping[str, str] | None = None) -> Host:
        """A host that operates on what the producers make."""
        known = producers if producers is not None else {"pc": self.public}
        keys = ", ".join(f'{one} = "{key}"' for one, key in known.items())
        lines = f"producers = {{ {keys} }}\n{more}"
        return Host(self.root / name, _TOML.format(role="", more=lines), self.now)

    def results(self, host: Host | None = None, **values: Any) -> None:
        """Have the producer's results say something."""
        folder = (host or self.pc).root / "results"
        told = {"schema": "recon_summary_v1", "decision": "HOLD", **values}
        path = folder / "recon_summary.json"
        path.write_text(json.dumps(told), encoding="utf-8")
        at = (host or self.pc).clock.now().timestamp()
        os.utime(path, (at, at))

    def published(self, **values: Any) -> dict[str, Any]:
        """Results, published by `pc`."""
        self.results(**values)
        receipt = self.pc.publish()
        assert receipt["outcome"] in {"PUBLISHED", "UNCHANGED"}, receipt
        return receipt

    def tip(self, branch: str = BRANCH) -> str:
        """The newest commit of the branch at the remote."""
        return git(self.remote, "rev-parse", f"refs/heads/{branch}")

    def manifest(self, commit: str = BRANCH) -> Manifest:
        """The manifest that the remote holds."""
        return parse_manifest(self.content(f"handoff/daily/{MANIFEST_NAME}", commit))

    def content(self, path: str, commit: str = BRANCH) -> bytes:
        """What the remote holds at that path."""
        done = subprocess.run(
            ["git", "cat-file", "blob", f"{commit}:{path}"], cwd=self.remote, capture_output=True, check=True
        )
        return done.stdout

    def tampered(self, change: Callable[[Path], None], *, force: bool = False) -> str:
        """Have a stranger clone the remote, change the folder of the hand-off and push; the commit."""
        clone = self.root / f"stranger-{len(list(self.root.iterdir()))}"
        git(self.root, "clone", "-q", str(self.remote), str(clone))
        folder = clone / "handoff" / "daily"
        folder.mkdir(parents=True, exist_ok=True)
        change(folder)
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "--allow-empty", "-m", "as if nothing had happened")
        git(clone, "push", "-q", *(["--force"] if force else []), "origin", f"HEAD:{BRANCH}")
        return self.tip()

    def signed(self, files: Mapping[str, bytes], *, key_file: Path | None = None, **changes: Any) -> Manifest:
        """A manifest as somebody with a producer's key could make it."""
        told: dict[str, Any] = {
            "producer": "pc",
            "sequence": 1,
            "created_at": self.now,
            "source_revision": "",
            "fresh_hours": 26.0,
            **changes,
        }
        listed = [
            BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in files.items()
        ]
        pem = (key_file or self.key_file).read_text(encoding="utf-8")
        return signed(new_manifest(files=listed, **told), pem, where="a test")

    def offer(self, folder: Mapping[str, bytes | tuple[str, bytes]], *, parent: str | None = None) -> str:
        """Have the branch hold exactly that below the folder of the hand-off, as one who may push can; the commit.

        Args:
            folder: by path the content, or a mode and the content.
            parent: the commit that it follows; without one, history is rewritten.
        """
        lines = [b"commit refs/heads/" + BRANCH.encode(), b"committer x <x@x.invalid> 1700000000 +0000", b"data 1\nx"]
        if parent is not None:
            lines += [b"from " + parent.encode(), b"deleteall"]
        for path, what in folder.items():
            mode, data = what if isinstance(what, tuple) else ("100644", what)
            name = f"handoff/daily/{path}"
            if mode == "160000":
                lines.append(f"M {mode} {'1' * 40} {name}".encode())
            else:
                lines += [f"M {mode} inline {name}".encode(), b"data %d" % len(data), data]
        git(self.remote, "fast-import", "--quiet", "--force", stdin=b"\n".join([*lines, b""]))
        return self.tip()

    def offer_bundle(self, files: Mapping[str, bytes], *, parent: str | None = None, **changes: Any) -> Manifest:
        """Have the branch hold a bundle of these files, with whatever is said of it."""
        manifest = self.signed(files, **changes)
        below = {f"files/{path}": data for path, data in files.items()}
        self.offer({MANIFEST_NAME: manifest.as_bytes(), **below}, parent=parent)
        return manifest
