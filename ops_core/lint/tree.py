"""The tree of a passage of shell, by the grammar of bash. Walked without recursion: strangers nest deeply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_QUOTED = re.compile(r"^(?:\$?\"(.*)\"|'(.*)')$", re.DOTALL)
EXPANSIONS = frozenset({"simple_expansion", "expansion", "command_substitution", "process_substitution"})


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def parse(text: str) -> Node:
    """The root of the tree of that text."""
    # A text of strangers may hold half a character, which no encoding has.
    return _parser().parse(text.encode("utf-8", "replace")).root_node


def walk(root: Node) -> Iterator[Node]:
    """Every node, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def text_of(node: Node | None) -> str:
    """The text of a node."""
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def unquoted(node: Node) -> str:
    """The text of a word without the quotes around it."""
    text = text_of(node)
    match = _QUOTED.match(text)
    return text if match is None else next((group for group in match.groups() if group is not None), "")


def name_of(command: Node) -> str:
    """What a command runs, without its folder; empty for what is no command."""
    name = command.child_by_field_name("name") if command.type == "command" else None
    return unquoted(name).rpartition("/")[2] if name is not None else ""


def arguments_of(command: Node) -> list[Node]:
    """The arguments of a command."""
    return command.children_by_field_name("argument")


def holds(node: Node, *types: str) -> bool:
    """Whether a node of one of these types is in it."""
    return any(one.type in types for one in walk(node))


def above(node: Node, *types: str) -> Node | None:
    """The nearest node around it that is of one of these types."""
    found = node.parent
    while found is not None and found.type not in types:
        found = found.parent
    return found


def commands_in(node: Node) -> list[Node]:
    """The commands of a node, in the order of the text."""
    return [one for one in walk(node) if one.type == "command"]
