"""Trees that somebody made to do harm, below a manifest that is good: whole, signed by the producer, and newer.

Links, programs, submodules, files too many, too few and changed, and trees that git itself would not write. Each is refused
with the code for its kind, in a pull through a real remote. EXAMPLES=… takes as many as wanted (`make fuzz` takes some
hundred), EXAMPLES_SEED=… the same ones again.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from ops_core.handoff import folder, git_run
from ops_core.handoff import git as through_git
from ops_core.handoff.git import Entry
from ops_core.handoff.model import BundleFile
from ops_core.handoff.pull import Offered
from tests.handing import BRANCH, NOON, Host, Hosts, everything_outside, git

pytestmark = pytest.mark.slow
EXAMPLES = max(20, int(os.environ.get("EXAMPLES", "400")) // 40)
SEED = os.environ.get("EXAMPLES_SEED") or str(random.SystemRandom().randrange(10**9))
FILES: Mapping[str, bytes] = MappingProxyType({"a.json": b'{"a": 1}', "b/c.json": b"[1, 2]"})
# What a folder holds by path: a content, or a mode and a content.
Tree = dict[str, bytes | tuple[str, bytes]]
BESIDE = ("run.sh", "x/y", "manifest.json.bak", "MANIFEST.JSON", "files.json", "hooks/post-checkout")
MORE = ("x", "A.JSON", "a.json.", "\u202e", "b/\x07", "\uff41.json", "b/c.json.d/e", "-rf", " ", "~", "a\\b", "*")
LINKS = (b"/etc/passwd", b"../../../ops.toml", b"manifest.json", b".", b"x" * 300)
# Names that git's own look at a tree does not let pass.
REFUSED_BY_GIT = (
    *((b"..",), (b".",), (b".git",), (b".GIT",), (b"git~1",), (b".g\xe2\x80\x8cit",), (b"../x",), (b"/etc",)),
    *((b"a.json", b"a.json"), (b"b", b"a")),
)


def whole(draw: random.Random, tree: Tree) -> tuple[str, bytes]:
    """One of the result files: its path in the tree and its content."""
    path = draw.choice([f"files/{name}" for name in FILES])
    return path, FILES[path.removeprefix("files/")]


def linked(draw: random.Random, tree: Tree) -> None:
    """A link in place of a file; at times one whose text is what the file should hold."""
    path, data = whole(draw, tree)
    tree[path] = ("120000", draw.choice([*LINKS, data]))


def program(draw: random.Random, tree: Tree) -> None:
    """A file that may be run."""
    path, data = whole(draw, tree)
    tree[path] = ("100755", data)


def submodule(draw: random.Random, tree: Tree) -> None:
    """Another repository, beside the files or in place of one."""
    tree[draw.choice(["files/sub", "files/b/s", "sub", whole(draw, tree)[0]])] = ("160000", b"")


def missing(draw: random.Random, tree: Tree) -> None:
    """A file less."""
    del tree[whole(draw, tree)[0]]


def more(draw: random.Random, tree: Tree) -> None:
    """A file more among the results."""
    tree[f"files/{draw.choice(MORE)}"] = draw.randbytes(3)


def beside(draw: random.Random, tree: Tree) -> None:
    """A file more beside them."""
    tree[draw.choice(BESIDE)] = b"true"


def longer(draw: random.Random, tree: Tree) -> None:
    """More in a file, or less."""
    path, data = whole(draw, tree)
    tree[path] = data + b" " * draw.randrange(1, 9) if draw.random() < 0.7 else data[: draw.randrange(len(data))]


def changed(draw: random.Random, tree: Tree) -> None:
    """A file of the same size that says something else."""
    path, data = whole(draw, tree)
    at = draw.randrange(len(data))
    tree[path] = data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]


def swapped(_draw: random.Random, tree: Tree) -> None:
    """Two files that have changed places."""
    tree["files/a.json"], tree["files/b/c.json"] = tree["files/b/c.json"], tree["files/a.json"]


def no_plain_manifest(draw: random.Random, tree: Tree) -> None:
    """A manifest that is a link or a program."""
    raw = tree["manifest.json"]
    assert isinstance(raw, bytes)
    tree["manifest.json"] = draw.choice([("120000", b"files/a.json"), ("120000", raw), ("100755", raw)])


KINDS: tuple[tuple[Callable[[random.Random, Tree], None], str], ...] = (
    *((linked, "TAMPERED"), (program, "TAMPERED"), (submodule, "TAMPERED"), (missing, "INCOMPLETE")),
    *((more, "TAMPERED"), (beside, "TAMPERED"), (longer, "TAMPERED"), (changed, "TAMPERED"), (swapped, "TAMPERED")),
    (no_plain_manifest, "TAMPERED"),
)


def offer_forced(hosts: Hosts, manifest: bytes, names: tuple[bytes, ...]) -> None:
    """Have the branch hold files of these names beside that manifest, in trees that are written byte by byte."""

    def tree(*entries: tuple[bytes, bytes, str]) -> str:
        raw = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
        return git(hosts.remote, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)

    blob, told = (git(hosts.remote, "hash-object", "-w", "--stdin", stdin=data) for data in (b"{}", manifest))
    files = tree(*((b"100644", name, blob) for name in names))
    daily = tree((b"40000", b"files", files), (b"100644", b"manifest.json", told))
    top = tree((b"40000", b"handoff", tree((b"40000", b"daily", daily))))
    commit = git(hosts.remote, "commit-tree", top, "-p", hosts.tip(), "-m", "x")
    git(hosts.remote, "update-ref", f"refs/heads/{BRANCH}", commit)


def offered(hosts: Hosts, draw: random.Random, number: int) -> tuple[str, str]:
    """Have the branch hold one hostile tree; of what kind it is, and the code for it."""
    manifest = hosts.signed(FILES, sequence=50 + number, created_at=NOON + timedelta(milliseconds=number)).as_bytes()
    if number % 5 == 4:
        names = REFUSED_BY_GIT[number // 5 % len(REFUSED_BY_GIT)]
        offer_forced(hosts, manifest, names)
        return f"names {names!r}", "MALFORMED"
    make, code = KINDS[(number - number // 5) % len(KINDS)]
    tree: Tree = {"manifest.json": manifest, **{f"files/{path}": data for path, data in FILES.items()}}
    make(draw, tree)
    hosts.offer(tree, parent=hosts.tip())
    return make.__name__, code


def wrong(oci: Host, code: str) -> str:
    """Pull what is offered; what is wrong with how that ended, or nothing."""
    before = oci.whole()
    lying = sorted(path.name for path in oci.bundles.iterdir())
    receipt = oci.pull()
    if (receipt["outcome"], receipt.get("code")) != ("REFUSED", code):
        return f"{receipt['outcome']} {receipt.get('code')} {receipt['reason']}, and it is {code}"
    after = oci.whole()
    left = sorted(path.name for path in oci.bundles.iterdir())
    return "" if (after, left) == (before, lying) else f"in force {after}, and it was {before}; there lie {left}"


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """A producer with one bundle."""
    made = Hosts(tmp_path / "hosts")
    made.published()
    return made


def test_no_hostile_tree_is_taken_below_a_manifest_that_is_good(
    hosts: Hosts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is refused with the code for its kind, leaves nothing behind and touches nothing; then a good one is taken."""
    draw = random.Random(SEED)
    oci, tip = hosts.operator(), hosts.tip()
    oci.pull()
    before, codes = everything_outside(tmp_path, oci), Counter[str]()
    for number in range(EXAMPLES):
        git(hosts.remote, "update-ref", f"refs/heads/{BRANCH}", tip)
        kind, code = offered(hosts, draw, number)
        assert not (why := wrong(oci, code)), (why, kind, number, SEED)
        codes[code] += 1
    assert everything_outside(tmp_path, oci) == before
    # What was changed each time is good as long as nobody changes it.
    hosts.offer_bundle(FILES, parent=tip, sequence=50, created_at=NOON)
    assert oci.pull()["outcome"] == "INSTALLED"
    with capsys.disabled():
        if EXAMPLES > 100:
            print(f"\n{EXAMPLES} trees, seed {SEED}: {dict(codes)}")


def believe_what_is_listed(broken: pytest.MonkeyPatch) -> None:
    """What a commit lists is not held against the manifest."""
    broken.setattr(Offered, "complete", lambda self: self)


def believe_modes(broken: pytest.MonkeyPatch) -> None:
    """Whatever git lists is taken for a plain file."""

    def entry(line: bytes) -> Entry:
        head, _, path = line.partition(b"\t")
        _, _, oid, size = head.split()
        return Entry(mode="100644", oid=oid.decode(), size=int(size), path=path.decode())

    broken.setattr(through_git, "_entry", entry)


def believe_content(broken: pytest.MonkeyPatch) -> None:
    """Neither what comes from git nor what was written is held against its digest."""
    broken.setattr(BundleFile, "prove", lambda _self, _content: None)
    broken.setattr(folder, "verify", folder.read_manifest)


def believe_trees(broken: pytest.MonkeyPatch) -> None:
    """Git does not look at what it receives."""
    options = [one.replace("fsckObjects=true", "fsckObjects=false") for one in git_run._OPTIONS]
    broken.setattr(git_run, "_OPTIONS", tuple(options))


@pytest.mark.parametrize(
    ("hole", "kind"),
    [(believe_what_is_listed, more), (believe_modes, program), (believe_content, changed), (believe_trees, None)],
)
def test_the_fuzz_notices_what_is_believed_too_much(
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    hole: Callable[[pytest.MonkeyPatch], None],
    kind: Callable[[random.Random, Tree], None] | None,
) -> None:
    """Without one of the looks that are taken, a tree of the kind that it is for is not refused as it has to be."""
    oci = hosts.operator()
    oci.pull()
    number = (
        4 if kind is None else next(n for n in range(50) if n % 5 != 4 and KINDS[(n - n // 5) % len(KINDS)][0] is kind)
    )
    code = offered(hosts, random.Random(1), number)[1]
    with monkeypatch.context() as broken:
        hole(broken)
        assert wrong(oci, code)
