"""Is the schema in force the newest of its migrations, and one that they know at all?"""

from __future__ import annotations

from typing import Any

from ops_core.errors import CannotLook
from ops_core.evidence import SchemaEvidence
from ops_core.probes.instruments import DeploymentInstrument
from ops_core.probes.migrations import declarations, heads_of, script_folder
from ops_core.probes.registry import probe
from ops_core.targets import Target

ASKED = "SELECT version_num FROM alembic_version ORDER BY version_num"
NO_SUCH_TABLE = "42P01"


@probe(budget_s=10, needs=("database_url", "migrations"))
def schema(target: Target, sql: Any, deployments: DeploymentInstrument) -> SchemaEvidence:
    """Ask the database for its revision, and read the migrations as text."""
    ini = target.migrations
    assert ini is not None  # noqa: S101  # what `needs` promises, told to the type checker
    answer = sql.ask(target.database_url, target.database_password, ASKED)
    if answer.problem and answer.code != NO_SUCH_TABLE:
        raise CannotLook(f"the database cannot be asked for its revision: {answer.problem}")
    current = tuple(str(row[0]) for row in answer.rows)
    declared = declarations(script_folder(ini))
    known = [declared[one] for one in current if one in declared]
    return SchemaEvidence(
        migrations=str(ini),
        current=current,
        heads=heads_of(declared),
        unknown=tuple(one for one in current if one not in declared),
        reversible=bool(known)
        and len(known) == len(current)
        and all(one.reversible and one.data_safe for one in known),
        good=deployments.good_schema(target),
    )
