"""`ops drill --coverage`: what a matrix run exercised of the runbook, and what nothing has ever shown to work."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.cli.output import say, say_json, say_table, shown
from ops_core.errors import EXIT_DONE, EXIT_FINDINGS, UsageError

if TYPE_CHECKING:
    from ops_core.config import Settings
    from ops_core.drill.coverage.measure import Coverage

FILE = "coverage.json"


def cover(*, run: str, reports: Path, fail_under: float | None, own: bool = False, json: bool) -> int:
    """Measure a run, write the figures beside it, and say them.

    Args:
        run: its id; `newest` names the newest.
        reports: where reports lie.
        fail_under: percent of everything below which the exit code is 1; None: whatever it is.
        own: whether only what the repository defines itself counts.
        json: one document instead of text.

    Raises:
        UsageError: there is no such run; there is no repository whose own parts are meant.
        ConfigError: what is claimed cannot be read.
        OpsError: the figures cannot be written.
    """
    from ops_core.drill.coverage.claims import claims_of, own_claims, told_from
    from ops_core.drill.coverage.measure import measure
    from ops_core.drill.matrix.results import load_run, run_folder
    from ops_core.drill.own import all_faults, repository_of
    from ops_core.errors import OpsError
    from ops_core.observation.journal import write_atomically

    folder = run_folder(reports, run)
    root = repository_of(Path.cwd())
    settings = settings_for(root)
    claims = claims_of(settings, all_faults(root))
    if own:
        claims = own_claims(claims, root_with_parts(root))
    coverage = measure(load_run(folder), told_from(claims, Path.cwd()))
    try:
        write_atomically(folder / FILE, json_module.dumps(coverage.as_dict(), ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        raise OpsError(f"the coverage cannot be written: {error.strerror}", where=str(folder / FILE)) from None
    if json:
        say_json({**coverage.as_dict(), "fail_under": fail_under, "file": str(folder / FILE)})
    else:
        _tell(coverage, folder / FILE, fail_under)
    return EXIT_FINDINGS if fail_under is not None and coverage.overall.percent < fail_under else EXIT_DONE


def settings_for(root: Path | None) -> Settings:
    """The settings of the repository that is meant; the shipped ones where there is none.

    Raises:
        ConfigError: they cannot be followed.
    """
    from ops_core.config import CONFIG_NAME, load_settings
    from ops_core.content import content_dir

    return load_settings((root or content_dir()) / CONFIG_NAME)


def root_with_parts(root: Path | None) -> Path:
    """The repository whose own parts are meant.

    Raises:
        UsageError: there is none here; everything is shipped then.
    """
    if root is None:
        raise UsageError(
            "there is no repository here that defines something of its own",
            where="--own",
            next_step="ops init FOLDER, and call it in there",
        )
    return root


def _tell(coverage: Coverage, path: Path, fail_under: float | None) -> None:
    say(f"coverage of the matrix run {coverage.run_id}: {coverage.held} of {coverage.planned} faults held")
    say_table(
        [
            (one.kind, f"{one.shown:>4} of {one.of:<4}", f"{one.percent:5.1f} %" if one.of else "nothing claimed")
            for one in (*coverage.figures, coverage.overall)
        ],
        "  ",
    )
    if coverage.gaps:
        say("not exercised")
        say_table([(gap.claim.kind.value, gap.claim.label, gap.claim.where, gap.why) for gap in coverage.gaps], "  ")
    for fault, how in coverage.refused:
        say(f"refused at the door, so that no check had to see it: {fault}: {how}")
    for one in coverage.damaged:
        say(f"damaged, and counted as not held: {one}")
    if fail_under is not None and coverage.overall.percent < fail_under:
        say(f"{coverage.overall.percent:.1f} % is less than {fail_under:g} %")
    say(f"written {shown(path)}")
