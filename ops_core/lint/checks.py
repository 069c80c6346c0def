"""What each rule looks for in the tree of a passage: pure functions from a node to the node to show, or None."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ops_core.lint.literals import found_in, looks_secret
from ops_core.lint.tree import (
    EXPANSIONS,
    above,
    arguments_of,
    commands_in,
    holds,
    name_of,
    text_of,
    unquoted,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node

HERE = ("heredoc_redirect", "herestring_redirect")
SHELLS = {"sh", "bash", "dash", "ksh", "zsh"}
FETCHERS = {"curl", "wget"}
READERS = {
    "cat",
    "head",
    "tail",
    "less",
    "more",
    "jq",
    "grep",
    "egrep",
    "sed",
    "awk",
    "cut",
    "test",
    "[",
    "source",
    ".",
}
AROUND = ("function_definition", "subshell", "program")
LOOPS = ("while_statement", "for_statement", "c_style_for_statement")
_STATE = re.compile(r"(?:^|[/\\\"'(])state[/\\][\w./\\-]*\.jsonl?\b|(?:^|[/\\\"'(])reports[/\\][\w./\\-]*\.jsonl?\b")
_REFERENCE = re.compile(r"[?&][\w.-]*ref=(?!$)", re.IGNORECASE)
_BOUND = re.compile(r"^(?:--max-time(?:=.*)?|-[a-zA-Z#]*m[0-9.]*)$")
_HARMLESS = {"--version", "--help", "-V", "-h", "--manual"}
_HEADER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):\s*(.+)$", re.DOTALL)
_PASSWORD_FLAG = re.compile(r"^--?(?:password|passwd|token|secret|api-?key)(?:=(.*))?$", re.IGNORECASE | re.DOTALL)
_GREPS = {"grep", "egrep", "pgrep", "pidof", "ps"}

Check = Callable[["Node"], "Node | None"]


def here_document_over_pipe(node: Node) -> Node | None:
    """A here-document on a command to which a pipe brings something."""
    if node.type not in HERE:
        return None
    statement = node.parent
    body = statement.child_by_field_name("body") if statement is not None else None
    if body is not None and body.type == "pipeline":
        return node
    pipeline = statement.parent if statement is not None else None
    if pipeline is not None and pipeline.type == "pipeline" and pipeline.named_children[:1] != [statement]:
        return node
    return None


def output_executed(node: Node) -> Node | None:
    """`eval` of something that comes from elsewhere, or something fetched that a shell executes."""
    if node.type == "command":
        name, arguments = name_of(node), arguments_of(node)
        if name == "eval" and any(one.type in EXPANSIONS or holds(one, *EXPANSIONS) for one in arguments):
            return node
        if name in {"source", "."} and any(holds(one, "process_substitution") for one in arguments):
            return node
        if name in SHELLS and [text_of(one) for one in arguments[:1]] == ["-c"] and len(arguments) > 1:
            return node if any(name_of(one) in FETCHERS for one in commands_in(arguments[1])) else None
    if node.type == "pipeline":
        parts = [one for one in node.named_children if one.type == "command"]
        fetched = any(name_of(one) in FETCHERS for one in parts[:-1])
        if len(parts) > 1 and fetched and name_of(parts[-1]) in SHELLS:
            given = [text_of(one) for one in arguments_of(parts[-1])]
            return node if all(one.startswith("-") for one in given) else None
    return None


def state_file_read(node: Node) -> Node | None:
    """A mirror of the state that is read as if it were the state."""
    if node.type == "file_redirect" and text_of(node).lstrip("0123456789").startswith("<"):
        target = node.child_by_field_name("destination")
        return node if target is not None and _STATE.search(unquoted(target)) else None
    if node.type == "test_command":
        return node if _STATE.search(text_of(node)) else None
    if node.type != "command":
        return None
    name = name_of(node)
    program = name.startswith(("python", "perl", "ruby", "node"))
    arguments = arguments_of(node)
    # What is edited in its place is not believed.
    edited = name == "sed" and any(re.match(r"-[a-zA-Z]*i|--in-place", text_of(one)) for one in arguments)
    if edited or (name not in READERS and not program):
        return None
    return next((one for one in arguments if _STATE.search(unquoted(one))), None)


def reference_not_encoded(node: Node) -> Node | None:
    """`?ref=` in an address, with something behind it that was not encoded."""
    if node.type != "command" or name_of(node) not in FETCHERS:
        return None
    for one in arguments_of(node):
        match = _REFERENCE.search(unquoted(one))
        value = unquoted(one)[match.end() :].partition("&")[0] if match else ""
        if match and (holds(one, *EXPANSIONS) or re.search(r"[/: $`]", value)):
            return one
    return None


def secret_in_the_text(node: Node) -> Node | None:
    """A literal where a secret belongs, or something that has the form of one."""
    if node.type == "variable_assignment":
        value = node.child_by_field_name("value")
        literal = value is not None and not holds(value, *EXPANSIONS)
        name = text_of(node.child_by_field_name("name"))
        if literal and value is not None and looks_secret(name, unquoted(value)):
            return value
    if node.type == "command":
        return _secret_argument(arguments_of(node), name_of(node))
    if node.type in {"word", "string", "raw_string", "heredoc_body", "comment"} and found_in(text_of(node)):
        return node
    return None


def secret_of(node: Node) -> str:
    """The secret in a node that the rule above has named, so that it can be left out."""
    text = unquoted(node)
    header = _HEADER.match(text)
    flag = _PASSWORD_FLAG.match(text)
    if header:
        return header[2].split()[-1]
    return found_in(text) or (flag[1] if flag and flag[1] else text)


def unbounded_curl(node: Node) -> Node | None:
    """`curl` without a limit of its own and without a `timeout` before it."""
    if node.type != "command" or name_of(node) != "curl":
        return None
    given = [unquoted(one) for one in arguments_of(node)]
    if not given or any(_BOUND.match(one) or one in _HARMLESS for one in given):
        return None
    return node


def sleep_as_readiness(node: Node) -> Node | None:
    """A pause with something behind it that needs what was waited for."""
    if node.type != "command" or name_of(node) != "sleep":
        return None
    loop = above(node, *LOOPS)
    if loop is not None:
        condition = loop.child_by_field_name("condition")
        endless = condition is not None and text_of(condition).strip(" ;\n") in {"true", ":", "[ 1 ]", "((1))"}
        leaves = any(text_of(one).startswith(("break", "return", "exit")) for one in walk(loop) if not one.children)
        return node if endless and not leaves else None
    return node if _something_behind(node) else None


def kill_by_search(node: Node) -> Node | None:
    """`kill` of what a search finds."""
    if node.type == "command":
        name, arguments = name_of(node), arguments_of(node)
        if name == "kill" and any(name_of(one) in _GREPS for arg in arguments for one in commands_in(arg)):
            return node
        if name == "killall" or (name == "pkill" and any(_searches_all(text_of(one)) for one in arguments)):
            return node
    if node.type == "pipeline":
        parts = [one for one in node.named_children if one.type == "command"]
        last = [unquoted(one) for one in arguments_of(parts[-1])] if parts else []
        if parts and name_of(parts[-1]) == "xargs" and "kill" in last:
            return node if any(name_of(one) in _GREPS for one in parts[:-1]) else None
    return None


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "OPS001": here_document_over_pipe,
        "OPS002": output_executed,
        "OPS003": state_file_read,
        "OPS004": reference_not_encoded,
        "OPS005": secret_in_the_text,
        "OPS006": unbounded_curl,
        "OPS007": sleep_as_readiness,
        "OPS008": kill_by_search,
    }
)


def _something_behind(node: Node) -> bool:
    """Whether a command follows in the same function, subshell or script; the next one answers it."""
    inside = node if above(node, *AROUND) is not None else None
    while inside is not None and inside.type not in AROUND:
        following = inside.next_named_sibling
        while following is not None:
            if holds(following, "command"):
                return True
            following = following.next_named_sibling
        inside = inside.parent
    return False


def _searches_all(argument: str) -> bool:
    return bool(re.match(r"^-[a-zA-Z0-9]*f|^--full$", argument))


def _secret_argument(arguments: list[Node], name: str) -> Node | None:
    for number, one in enumerate(arguments):
        if holds(one, *EXPANSIONS):
            continue
        text = unquoted(one)
        header, flag = _HEADER.match(text), _PASSWORD_FLAG.match(text)
        before = unquoted(arguments[number - 1]) if number else ""
        if header and before in {"-H", "--header"} and looks_secret(header[1], header[2]):
            return one
        if flag and flag[1] and looks_secret("password", flag[1]):
            return one
        behind = _PASSWORD_FLAG.match(before)
        if behind and behind[1] is None and looks_secret("password", text):
            return one
        user, colon, password = text.partition(":")
        if name == "curl" and before in {"-u", "--user"} and user and colon and looks_secret("password", password):
            return one
    return None
