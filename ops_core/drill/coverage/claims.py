"""Everything that a repository's runbook claims: its checks and findings, rows, remediations, ways back and faults.

Read from what is in force there, the shipped part and the repository's own, each with the place where it is defined.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import ops_core.drill
from ops_core.config import Settings
from ops_core.content import content_dir
from ops_core.decision.inforce import table_in_force
from ops_core.decision.scan import scan
from ops_core.drill.coverage.measure import Claim, Kind
from ops_core.drill.fault import Fault
from ops_core.drill.own import FOLDER as FAULTS_FOLDER
from ops_core.remediation.catalogue import Remediation, load_catalogue


def claims_of(settings: Settings, faults: Mapping[str, Fault]) -> tuple[Claim, ...]:
    """All claims, in a stable order.

    Args:
        settings: the profile whose repository is meant.
        faults: the catalogue that is held.

    Raises:
        ConfigError: a check, the table or a remediation cannot be read.
    """
    table = table_in_force(settings)
    made = [*_of_checks(settings)]
    made += [Claim(kind=Kind.ROW, name=row.id, where=row.where) for row in table.rows]
    # What no row chooses and no fault asks for by hand still is claimed: somebody may type its name.
    for name, remediation in load_catalogue(settings).by_name.items():
        made.append(Claim(kind=Kind.REMEDIATION, name=name, where=remediation.where))
        if has_way_back(remediation):
            made.append(Claim(kind=Kind.UNDO, name=name, where=remediation.where))
    places = _places_of_faults(settings)
    made += [
        Claim(kind=Kind.FAULT, name=name, where=places.get(name) or _place_of(fault)) for name, fault in faults.items()
    ]
    return tuple(dict.fromkeys(made))


def own_claims(claims: Iterable[Claim], root: Path) -> tuple[Claim, ...]:
    """Those that are defined below a folder; what the shipped part claims is proven elsewhere."""
    return tuple(claim for claim in claims if is_below(claim.where, root))


def is_below(where: str, root: Path | None) -> bool:
    """Whether a place (`file:line`) lies below a folder, however each is written; where none is meant, it does."""
    return root is None or Path(where.rpartition(":")[0]).resolve().is_relative_to(root.resolve())


def told_from(claims: Iterable[Claim], base: Path) -> tuple[Claim, ...]:
    """The same, with places below a folder told relative to it."""
    return tuple(_from(claim, base) for claim in claims)


def has_way_back(remediation: Remediation) -> bool:
    """Whether its module ever makes a plan with a way back; read from the source, since plans are made for a target."""
    path = Path(remediation.where.rpartition(":")[0])
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return True  # what cannot be read is not taken for covered
    given = (one for node in ast.walk(tree) if isinstance(node, ast.Call) for one in node.keywords if one.arg == "undo")
    return any(not (isinstance(one.value, ast.Tuple) and not one.value.elts) for one in given)


def _of_checks(settings: Settings) -> Iterator[Claim]:
    own, shipped = settings.root / "checks", content_dir() / "checks"
    roots = [own, *(folder for folder in (shipped,) if folder.resolve() != own.resolve())]
    told: set[str] = set()
    for root in roots:
        if not root.is_dir():
            continue
        for raised in scan([root]).raised:
            below = raised.file.relative_to(root).parts
            suite = below[0] if len(below) > 1 else ""
            yield Claim(kind=Kind.CHECK, suite=suite, name=raised.check, where=str(raised))
            if raised.code not in told:
                told.add(raised.code)
                yield Claim(kind=Kind.FINDING, name=raised.code, where=str(raised))


def _places_of_faults(settings: Settings) -> dict[str, str]:
    """Where the name of each fault stands in the source; a name is written once."""
    folders = (Path(ops_core.drill.__file__).parent, settings.root / FAULTS_FOLDER)
    places: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else ():
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, SyntaxError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    for name in _names_in(node):
                        places.setdefault(name, f"{path}:{node.lineno}")
    return places


def _place_of(fault: Fault) -> str:
    """Where what breaks it is defined: the place of a fault whose name is put together."""
    code = getattr(getattr(fault.do, "func", fault.do), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def _names_in(call: ast.Call) -> Iterator[str]:
    """What may be the name of a fault in a call: the keyword `name`, or the first argument."""
    values = [one.value for one in call.keywords if one.arg == "name"] + call.args[:1]
    yield from (one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _from(claim: Claim, base: Path) -> Claim:
    path, _, line = claim.where.rpartition(":")
    where = f"{Path(path).relative_to(base)}:{line}" if path and Path(path).is_relative_to(base) else claim.where
    return Claim(kind=claim.kind, name=claim.name, suite=claim.suite, where=where)
