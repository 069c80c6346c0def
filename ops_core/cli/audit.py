"""`ops audit`: read the history, verify it here or elsewhere, hand out checkpoints, and accept what was looked into."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import say, say_fitted, say_json, table
from ops_core.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from ops_core.config import Settings
    from ops_core.control.audit import AuditRow
    from ops_core.control.service import ControlPlane

FILE_MAX_BYTES = 256 << 20
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this new file.")]


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("show", help="Show the newest rows.")(show)
    group.command("verify", help="Verify the history, against checkpoints that were kept elsewhere.")(verify)
    group.command("checkpoint", help="Print a signed checkpoint for others to keep.")(checkpoint)
    group.command("export", help="Print the whole history as JSON lines, with a checkpoint as the last one.")(export)
    group.command("mirrors", help="Export all mirrors now, and put right what somebody changed.")(mirrors)
    group.command("accept", help="Say that what the suite `integrity` found was looked into.")(accept)
    group.command("key", help="Show the public key of this host; make a new one.")(key)
    app.add_typer(group, name=verb)


def show(
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=100_000, help="How many rows.")] = 20,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show the newest rows of the audit."""
    _, plane = _opened(config, profile)
    rows = plane.audit_rows(newest=last)
    if json:
        say_json([{**_as_dict(row), "detail": row.data} for row in rows])
        return EXIT_DONE
    for text in table([(str(row.seq), row.at, row.actor, row.action, row.subject) for row in rows], indent=""):
        say(text)
    return EXIT_DONE


def verify(
    kept: Annotated[
        list[Path] | None, typer.Option("--checkpoint", metavar="FILE", help="One that was kept elsewhere; repeatable.")
    ] = None,
    exported: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Verify this export; no store is needed.")
    ] = None,
    public_key: Annotated[
        str | None, typer.Option("--public-key", metavar="HEX", help="The key that signed the checkpoints.")
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Verify the history: every row, and that it still holds what each checkpoint names."""
    from ops_core.control import checkpoint as checkpoints

    noted = [checkpoints.read_text(_text(path), str(path)) for path in kept or ()]
    if exported is not None:
        rows, own = checkpoints.read_export(_text(exported), str(exported))
        checkpoints.verify_history(rows, own)
    else:
        _, plane = _opened(config, profile)
        plane.verify_chain()
        rows, own = plane.audit_rows(), []
    check = checkpoints.verify_history(rows, noted)
    if exported is not None:
        checkpoints.verify_end(rows, own)
    if public_key and not (noted or own):
        raise UsageError(
            "nothing is given that this key could have signed",
            where="--public-key",
            allowed="with --checkpoint FILE or --export FILE",
        )
    keys = [public_key] if public_key else _keys_in(rows)
    signed = 0
    for one in (*noted, *own):
        if one["signature"] or public_key:
            known = public_key or next((each for each in keys if checkpoints.key_id(each) == one["key_id"]), "")
            checkpoints.verify_signature(one, known)
            signed += 1
    told = {
        "rows": check.rows,
        "head": {"seq": check.head_seq, "hash": check.head_hash},
        "checkpoints": len(noted),
        "signatures": signed,
        "signed_with": "the key given" if public_key else "the key that the history itself names",
    }
    if json:
        say_json(told)
        return EXIT_DONE
    say(f"verified    {check.rows} rows, each follows the one before")
    say(f"head        {check.head_seq}  {check.head_hash}")
    if noted:
        say(f"checkpoint  {len(noted)} kept, the history holds what they name")
    else:
        say_fitted("checkpoint  ", "none given: a history that was made anew as a whole would look the same")
    if signed:
        say(f"signature   {signed} good, by {told['signed_with']}")
    return EXIT_DONE


def checkpoint(
    out: OutOption = None, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Print a checkpoint of the history as it is now."""
    from ops_core.control.checkpoint import checkpoint_of

    settings, plane = _opened(config, profile)
    with plane.snapshot() as found:
        told = checkpoint_of(found, settings)
    if out is not None:
        _write(out, [json_module.dumps(told)])
    if json or out is None:
        say_json(told)
    else:
        say(f"checkpoint of row {told['seq']} in {out}: keep it where nobody of this host can write")
    return EXIT_DONE


def export(
    out: OutOption = None, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Print every row as a JSON line, then a checkpoint."""
    from ops_core.control.checkpoint import export_of

    settings, plane = _opened(config, profile)
    with plane.snapshot() as found:
        lines = export_of(found, settings)
    if out is None:
        for line in lines:
            say(line)
        return EXIT_DONE
    _write(out, lines)
    if json:
        say_json({"written": str(out), "rows": len(lines) - 1})
    else:
        say(f"{len(lines) - 1} rows in {out}; verify them anywhere: ops audit verify --export {out}")
    return EXIT_DONE


def mirrors(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Export all mirrors; the exit code is 3 where one could not be written."""
    from ops_core.control.mirrors import export as export_mirrors
    from ops_core.errors import EXIT_FAILED
    from ops_core.report.text import visible

    settings, plane = _opened(config, profile)
    with plane.snapshot():
        pass  # an unusable store is told as such, not as mirrors that are pending
    done = export_mirrors(plane, settings, whole=True)
    code = EXIT_FAILED if done.problems else EXIT_DONE
    if json:
        tampered = [{"path": one.path, "what": one.what, "difference": one.first_difference} for one in done.tampered]
        say_json({"written": list(done.written), "put_right": tampered, "problems": list(done.problems)})
        return code
    for one in done.tampered:
        told = f"{one.path}: {one.what}" + (f" ({one.first_difference})" if one.first_difference else "")
        say(f"put right  {visible(told)}")
    for path in sorted(set(done.written) - {one.path for one in done.tampered}):
        say(f"written    {path}")
    for problem in done.problems:
        say(f"pending    {visible(problem)}")
    if not (done.written or done.problems):
        say("all mirrors are as they must be")
    return code


def accept(
    reason: ReasonOption, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Record that the findings of the suite `integrity` until now were looked into."""
    from ops_core.control.integrity.accepting import accept_look

    settings, plane = _opened(config, profile)
    seq = accept_look(plane, settings, reason)
    if json:
        say_json({"accepted_until": seq})
    else:
        say(f"accepted until audit row {seq}; what is found from now on is new")
    return EXIT_DONE


def key(
    new: Annotated[bool, typer.Option("--new", help="Make a new one, in a recorded act; needs --reason.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show the host's public key, for those who verify checkpoints."""
    from ops_core.control import checkpoint as checkpoints
    from ops_core.control.model import required_reason

    settings, plane = _opened(config, profile)
    if new:
        fit_reason = required_reason(reason, "making a new host key", "ops audit key --new --reason …")
        with plane.transaction() as tx:
            found = checkpoints.renew_key(tx, settings, at=plane.clock.now(), actor=plane.actor, reason=fit_reason)
    else:
        found = checkpoints.load_key(checkpoints.key_path(settings))
    if json:
        say_json({"public_key": found.public, "key_id": found.id})
    else:
        say(f"public key  {found.public}")
        say(f"key id      {found.id}")
    return EXIT_DONE


def _opened(config: str | None, profile: str | None) -> tuple[Settings, ControlPlane]:
    from ops_core.control.opening import plane_of

    settings = settings_of(config, profile)
    return settings, plane_of(settings, clock(), actor())


def _as_dict(row: AuditRow) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(row)


def _keys_in(rows: Iterable[AuditRow]) -> list[str]:
    from ops_core.control.checkpoint import KEY_MADE

    return [str(row.data.get("public_key", "")) for row in rows if row.action == KEY_MADE]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
        if len(data) > FILE_MAX_BYTES:
            raise UsageError(f"the file is larger than {FILE_MAX_BYTES} bytes", where=str(path))
        return data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError:
        raise UsageError("the file is no text", where=str(path)) from None


def _write(path: Path, lines: Iterable[str]) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UsageError(f"the file cannot be written: {error.strerror}", where=str(path)) from None
