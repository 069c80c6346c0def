"""Check files, weakened in one place at a time, on their syntax tree. Pure: text in, text out.

What is weakened: an assertion is dropped, in a check or in a function of its file that it calls; a threshold in an
assertion, or in what an assertion asks about, is ten times as wide; a status that is expected may be any. Each mutant
is a whole file that can stand beside the original: of the checks, only those are left that the change can concern.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops_core.decision.scan import CHECK_PREFIX
from ops_core.drill.mutants.model import Change, Mutant, Part

WIDER = 10
STATUS = range(100, 600)
SHOWN_MAX = 160
FIXTURES = frozenset({"probe", "fixture"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FLIPPED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


@dataclass(frozen=True, kw_only=True)
class CheckMutant:
    """A mutant of a check file: the checks that are left in it, and the file's text."""

    mutant: Mutant
    suite: str
    file: str
    checks: tuple[str, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class _Edit:
    """One place to weaken: the statement or expression at `path` in the tree becomes another one."""

    change: Change
    node: ast.AST
    becomes: ast.expr | None


def mutants_of(path: Path, text: str, suite: str, where: str) -> list[CheckMutant]:
    """All mutants of a check file.

    Args:
        path: of the file; its name is part of the ids.
        text: what it holds.
        suite: the folder it is in.
        where: how the file is named for people.

    Raises:
        SyntaxError: it is not Python.
    """
    tree = ast.parse(text)
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    checks = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function) and _is_check(node)}
    calls = {name: _called(node, functions) for name, node in {**functions, **checks}.items()}
    made: list[CheckMutant] = []
    for name, function in {**functions, **checks}.items():
        concerned = tuple(check for check in checks if name in _reached(check, calls))
        if not concerned or _decorated(function, FIXTURES):
            continue
        edits = list(_edits(function, asserting=_asserting(functions, calls)))
        if not edits and name in checks:
            edits = [_Edit(change=Change.ASSERTION_DROPPED, node=function, becomes=None)]
        for edit in edits:
            number = len(made)
            made.append(
                CheckMutant(
                    mutant=Mutant(
                        id=f"check:{suite}/{path.stem}:{number}",
                        part=Part.CHECK,
                        change=edit.change,
                        name=name,
                        where=f"{where}:{getattr(edit.node, 'lineno', function.lineno)}",
                        was=_shown(edit.node),
                        becomes=_shown(edit.becomes) if edit.becomes is not None else "nothing",
                        suite=suite,
                        codes=tuple(dict.fromkeys(code for check in concerned for code in _codes(checks[check]))),
                    ),
                    suite=suite,
                    file=f"{path.stem}__m{number}.py",
                    checks=concerned,
                    text=_changed(tree, edit, frozenset(concerned)),
                )
            )
    return made


def defines_fixtures(text: str) -> bool:
    """Whether a file defines what checks are given: a copy beside it would define it twice."""
    return any(isinstance(node, _Function) and _decorated(node, FIXTURES) for node in ast.walk(ast.parse(text)))


def _edits(function: _Function, asserting: frozenset[str]) -> Iterator[_Edit]:
    """The places of one function."""
    named = _assigned(function)
    told: set[int] = set()
    for node in _own(function):
        if isinstance(node, ast.Assert):
            yield _Edit(change=Change.ASSERTION_DROPPED, node=node, becomes=None)
            for edit in _weaker(node.test, named, good=True):
                if id(edit.node) not in told:
                    told.add(id(edit.node))
                    yield edit
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id in asserting
        ):
            yield _Edit(change=Change.ASSERTION_DROPPED, node=node, becomes=None)


def _weaker(test: ast.expr, named: Mapping[str, ast.expr], *, good: bool, depth: int = 0) -> Iterator[_Edit]:
    """Comparisons in an expression that can be made to hold more often; `good`: when it holds, all is well."""
    if isinstance(test, ast.BoolOp):
        for value in test.values:
            yield from _weaker(value, named, good=good, depth=depth)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _weaker(test.operand, named, good=not good, depth=depth)
    elif isinstance(test, ast.Name) and test.id in named and depth < len(named):
        yield from _weaker(named[test.id], named, good=good, depth=depth + 1)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        yield from _wider(test, good=good)


def _wider(test: ast.Compare, *, good: bool) -> Iterator[_Edit]:
    how, limit = test.ops[0], test.comparators[0]
    if type(how) in _FLIPPED:
        upper = isinstance(how, ast.Lt | ast.LtE) == good
        if isinstance(limit, ast.Constant) and limit.value == 0:
            # Ten times nothing is nothing; one step wider is that nothing will do.
            if good and isinstance(how, ast.Gt):
                yield _Edit(change=Change.THRESHOLD_WIDENED, node=test, becomes=_compared(test, ast.GtE(), limit))
            return
        times = ast.BinOp(left=limit, op=ast.Mult() if upper else ast.Div(), right=ast.Constant(value=WIDER))
        yield _Edit(change=Change.THRESHOLD_WIDENED, node=test, becomes=_compared(test, how, times))
    elif isinstance(how, ast.Eq) and good and isinstance(limit, ast.Constant) and limit.value in STATUS:
        yield _Edit(
            change=Change.STATUS_WIDENED,
            node=test,
            becomes=_compared(test, ast.IsNot(), ast.Constant(value=None)),
        )


def _compared(test: ast.Compare, how: ast.cmpop, limit: ast.expr) -> ast.Compare:
    return ast.Compare(left=test.left, ops=[how], comparators=[limit])


def _changed(tree: ast.Module, edit: _Edit, left: frozenset[str]) -> str:
    """The file's text with the change, and of its checks only those that are left."""
    # A copy knows its nodes by what they are copies of.
    memo: dict[int, object] = {}
    made = copy.deepcopy(tree, memo)
    target = memo[id(edit.node)]
    replaced = _Replacing(target, edit.becomes).visit(made)
    kept = _Keeping(left).visit(replaced)
    return ast.unparse(ast.fix_missing_locations(kept)) + "\n"


class _Replacing(ast.NodeTransformer):
    """Puts something else in the place of one node."""

    def __init__(self, target: object, becomes: ast.expr | None) -> None:
        self.target = target
        self.becomes = becomes

    def visit(self, node: ast.AST) -> ast.AST:
        """The node, or what takes its place."""
        if node is not self.target:
            return self.generic_visit(node)
        if self.becomes is not None:
            return copy.deepcopy(self.becomes)
        if isinstance(node, _Function):
            node.body = [ast.Pass()]
            return node
        return ast.copy_location(ast.Pass(), node)


class _Keeping(ast.NodeTransformer):
    """Takes checks away; a class without any is left with nothing to do."""

    def __init__(self, left: frozenset[str]) -> None:
        self.left = left

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        """A function, unless it is a check that goes."""
        return None if _is_check(node) and node.name not in self.left else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """A class with the checks that are left."""
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node


def _assigned(function: _Function) -> dict[str, ast.expr]:
    """Names that are given one value in a function: what an assertion about the name asks about."""
    values: dict[str, list[ast.expr]] = {}
    for node in _own(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append(node.value)
    return {name: some[0] for name, some in values.items() if len(some) == 1}


def _own(function: _Function) -> Iterator[ast.AST]:
    """The nodes of a function in the order of the text, without those of functions in it."""
    waiting = list(reversed(function.body))
    while waiting:
        node: ast.AST = waiting.pop()
        yield node
        if not isinstance(node, _Function | ast.Lambda | ast.ClassDef):
            waiting.extend(reversed([one for one in ast.iter_child_nodes(node) if isinstance(one, ast.stmt)]))


def _asserting(functions: Mapping[str, _Function], calls: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Functions of the file in which something is asserted, directly or by one that they call."""
    direct = {name for name, node in functions.items() if any(isinstance(one, ast.Assert) for one in ast.walk(node))}
    return frozenset(name for name in functions if not _is_check(functions[name]) and direct & _reached(name, calls))


def _called(node: ast.AST, functions: Mapping[str, _Function]) -> frozenset[str]:
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return frozenset(names & functions.keys())


def _reached(name: str, calls: Mapping[str, frozenset[str]]) -> frozenset[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting.extend(calls.get(one, ()))
    return frozenset(reached)


def _is_check(node: _Function) -> bool:
    return node.name.startswith(CHECK_PREFIX)


def _decorated(node: _Function, names: frozenset[str]) -> bool:
    return any(_called_name(one) in names for one in node.decorator_list)


def _called_name(one: ast.expr) -> str:
    func = one.func if isinstance(one, ast.Call) else one
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _codes(check: _Function) -> Iterator[str]:
    """The codes that a check is marked with."""
    for one in check.decorator_list:
        if isinstance(one, ast.Call) and _called_name(one) == "finding":
            named = (given.value for given in one.args[:1] if isinstance(given, ast.Constant))
            yield from (code for code in named if isinstance(code, str))


def _shown(node: ast.AST) -> str:
    first = "everything in it" if isinstance(node, _Function) else " ".join(ast.unparse(node).split())
    return first if len(first) <= SHOWN_MAX else first[: SHOWN_MAX - 1] + "…"
