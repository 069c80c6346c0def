"""The rules as data: what each looks for, why that goes wrong, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. `id` is stable; `name` is what it is called in one word; the others are sentences for people."""

    id: str
    name: str
    level: str
    what: str
    why: str
    instead: str


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One place where a rule is broken. Lines and columns count from 1; a secret never stands in `text`."""

    rule: Rule
    path: str
    line: int
    column: int
    text: str


_ALL = (
    Rule(
        id="OPS000",
        name="bare-suppression",
        level=ERROR,
        what="a finding is suppressed without a rule or without a reason",
        why="nobody can tell later whether it still holds",
        instead="# ops-lint: ignore OPS006 the service answers within its own limit",
    ),
    Rule(
        id="OPS001",
        name="here-document-over-pipe",
        level=ERROR,
        what="a here-document takes the place of what the pipe brings",
        why="both are standard input, and the here-document wins: what came through the pipe is never read",
        instead="give the program as an argument: … | python3 -c '…', or keep it in a script",
    ),
    Rule(
        id="OPS002",
        name="output-executed",
        level=ERROR,
        what="what a program says is executed",
        why="whatever stands in it becomes commands: a list of another language, or what somebody planted",
        instead="read the values: value=$(program), or jq -r; run a script only after it was looked at",
    ),
    Rule(
        id="OPS003",
        name="state-file-read",
        level=ERROR,
        what="a local state file is read instead of asking for the state",
        why="such files are mirrors for people: they can be old, edited or missing while the truth is another",
        instead="ask the server (curl --max-time 10 …/api/…), or the command: ops gate, ops sender, ops cycle latest",
    ),
    Rule(
        id="OPS004",
        name="reference-not-encoded",
        level=ERROR,
        what="a reference is put into an address as it is",
        why="a slash, a blank or a percent sign in it makes another request of it",
        instead='curl -G --data-urlencode "ref=${REF}" …',
    ),
    Rule(
        id="OPS005",
        name="secret-in-the-text",
        level=ERROR,
        what="a secret stands in the text",
        why="who can read the file, its history or the list of processes has it",
        instead="name it and read it from the environment or a file that only the operator can read: ${TOKEN:?}",
    ),
    Rule(
        id="OPS006",
        name="unbounded-curl",
        level=WARNING,
        what="curl without a limit of time",
        why="a server that accepts and says nothing holds it for as long as it likes, and everything behind it",
        instead="curl --max-time 10 …",
    ),
    Rule(
        id="OPS007",
        name="sleep-as-readiness",
        level=WARNING,
        what="a pause stands for being ready",
        why="on a bad day it is too short, on a good one it is wasted",
        instead="ask until it is so, with an end: for i in $(seq 30); do curl -m 2 -fs URL && break; sleep 1; done",
    ),
    Rule(
        id="OPS008",
        name="kill-by-search",
        level=ERROR,
        what="processes are ended by searching for their names",
        why="the search finds others too: an editor, the search itself, somebody else's service",
        instead="ask who started it: systemctl stop NAME, supervisorctl stop NAME, or a pid file that was checked",
    ),
    Rule(
        id="OPS009",
        name="not-understood",
        level=WARNING,
        what="the shell in this script is not understood",
        why="what is behind such a place cannot be looked at, so it is not known to be good",
        instead="mend what bash -n says about it",
    ),
)
RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
