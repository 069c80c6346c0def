"""The schema of a target's database: which revision is in force, what it declares of itself, and one step either way.

    python -P -m ops_core.remediation.schema ACT --config FILE --profile NAME --target NAME --from REVISION --to OTHER
                                             --sha256 DIGEST

ACT is `at`, `downgrade` or `upgrade`. A migration is read as text and never imported: what it declares has to stand
there as a literal. The step itself is `python -m alembic downgrade -1` (or `upgrade +1`), run only while exactly the
revision that was planned for is in force, and its file is what it was then. The password is in no argument: it is read
where the configuration says, and handed on in the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_core.config import Settings, load_settings, read_secret
from ops_core.errors import CannotLook, OpsError
from ops_core.probes.migrations import declarations, script_folder
from ops_core.remediation.drivers import DriverUnanswered
from ops_core.remediation.plan import PlanRefused
from ops_core.targets import Target

CONNECT_S = 5
ANSWER_S = 10
BASE = "base"
# What the runner takes for "nobody can tell": see `drivers.command.NO_ANSWER_FROM`.
EXIT_CANNOT_TELL = 127


@dataclass(frozen=True, kw_only=True)
class SchemaInForce:
    """One revision as the database has it and its file declares it.

    Attributes:
        config: the `ops.toml`, and `profile` the profile in it, with which this can be looked up again.
        profile: see `config`.
        revision: what the database says is in force.
        before: what was in force before it; `base` where it is the first.
        reversible: whether it declares that its downgrade takes back all that it did.
        data_safe: whether it declares that nobody loses data by that.
        where: its file.
        digest: SHA-256 of its file: what two people approve is what stands in it.
    """

    config: Path
    profile: str
    revision: str
    before: str
    reversible: bool
    data_safe: bool
    where: str
    digest: str


def schema_in_force(settings: Settings, target: Target) -> SchemaInForce:
    """The revision in force at a target's database.

    Raises:
        PlanRefused: the target has no migrations, the database cannot be asked, or no file is that revision.
    """
    where = f"target {target.name}"
    if target.migrations is None or not target.database_url:
        raise PlanRefused(f"{target.name} has no migrations", where=where, next_step="set migrations in ops.toml")
    try:
        revision = revision_now(settings, target)
    except DriverUnanswered as error:
        raise PlanRefused(error.what, where=where, next_step="see to the database first; then ops observe") from None
    if revision is None:
        raise PlanRefused(f"no migration was ever applied to the database of {target.name}", where=where)
    try:
        declared = declarations(script_folder(target.migrations))
    except CannotLook as error:
        raise PlanRefused(error.what, where=error.where) from None
    found = declared.get(revision)
    if found is None:
        raise PlanRefused(
            f"no migration is the revision in force, {revision}",
            where=str(target.migrations),
            next_step="bring its file back: only it knows how to undo itself",
        )
    if found.several:
        raise PlanRefused(f"{revision} joins several revisions: there is no single step back", where=found.where)
    return SchemaInForce(
        config=settings.path,
        profile=settings.profile,
        revision=revision,
        before=found.before or BASE,
        reversible=found.reversible,
        data_safe=found.data_safe,
        where=found.where,
        digest=found.digest,
    )


def revision_now(settings: Settings, target: Target) -> str | None:
    """The revision that the database says is in force; None where it knows of none.

    Raises:
        DriverUnanswered: it cannot be asked, or says that several are.
    """
    import psycopg

    where = f"target {target.name}"
    try:
        password = read_secret(settings, target.database_password) if target.database_password else None
        rows = asyncio.run(asyncio.wait_for(_revisions(target.database_url or "", password), ANSWER_S))
    except TimeoutError:
        raise DriverUnanswered(f"the database gave no answer within {ANSWER_S} s", where=where) from None
    except psycopg.Error as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DriverUnanswered(f"the database cannot be asked: {said}", where=where) from None
    except OpsError as error:
        raise DriverUnanswered(error.what, where=error.where) from None
    if len(rows) > 1:
        raise DriverUnanswered("several revisions are in force at once", where=where)
    return rows[0] if rows else None


async def _revisions(url: str, password: str | None) -> list[str]:
    """What the database says is in force: on an event loop, because one that hangs answers no limit of its own."""
    import psycopg

    connection = await psycopg.AsyncConnection.connect(
        url, password=password, connect_timeout=CONNECT_S, autocommit=True
    )
    async with connection:
        known = await (await connection.execute("SELECT to_regclass('alembic_version')")).fetchone()
        if known is None or known[0] is None:
            return []
        asked = await connection.execute("SELECT version_num FROM alembic_version LIMIT 2")
        return [str(row[0]) for row in await asked.fetchall()]


def main(arguments: Sequence[str]) -> int:
    """`at`: 0 where `--to` is in force, 1 where another revision is, 127 where nobody can tell. Else take the step."""
    parser = argparse.ArgumentParser(prog="ops_core.remediation.schema")
    parser.add_argument("act", choices=("at", "downgrade", "upgrade"))
    for name in ("config", "profile", "target", "from", "to"):
        parser.add_argument(f"--{name}", required=True, dest=f"{name}_")
    parser.add_argument("--sha256", default="")
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings(Path(asked.config_), asked.profile_)
        target = settings.target(asked.target_)
        now = revision_now(settings, target) or BASE
    except OpsError as error:
        sys.stderr.write(f"{error.what}\n")
        return EXIT_CANNOT_TELL
    sys.stdout.write(f"the revision {now} is in force\n")
    if asked.act == "at":
        return 0 if now == asked.to_ else 1
    if now == asked.to_:
        return 0
    if now != asked.from_:
        sys.stderr.write(f"planned for {asked.from_}: nothing was done\n")
        return 2
    if not _as_planned(target, asked.from_ if asked.act == "downgrade" else asked.to_, asked.sha256):
        sys.stderr.write("its migration is not what it was when this was planned: nothing was done\n")
        return 2
    return _alembic(settings, target, asked.act)


def _as_planned(target: Target, revision: str, digest: str) -> bool:
    """Whether the file of a revision is still the one that the step was planned for."""
    if target.migrations is None:
        return False
    try:
        found = declarations(script_folder(target.migrations)).get(revision)
    except CannotLook as error:
        sys.stderr.write(f"{error.what}\n")
        return False
    return found is not None and found.digest == digest


def _alembic(settings: Settings, target: Target, act: str) -> int:
    ini, environ = target.migrations, dict(os.environ)
    if ini is None:
        return 2
    environ["DATABASE_URL"] = target.database_url or ""
    if target.database_password:
        # Under the name by which the configuration knows it, and the one by which every client of PostgreSQL does.
        password = read_secret(settings, target.database_password)
        environ.update({target.database_password: password, "PGPASSWORD": password})
    step = "-1" if act == "downgrade" else "+1"
    done = subprocess.run(
        [sys.executable, "-P", "-B", "-m", "alembic", "-c", str(ini), act, step],
        cwd=ini.parent,
        env=environ,
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
