"""`ops drill`: rehearse on a stack of its own, from a real fault to the postmortem, and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.options import JsonOption, clock
from ops_core.cli.output import Story, look_for, note, say, say_json
from ops_core.errors import EXIT_DONE, EXIT_FAILED, UsageError


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(drill)


def drill(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FAULT... | list | up | down | status [STACK] | inject FAULT | withdraw FAULT",
            help="Faults to rehearse one after the other; or what to do with a stack (embedded or service) that stays.",
        ),
    ] = None,
    matrix: Annotated[bool, typer.Option("--matrix", help="Hold every fault, each on a stack of its own.")] = False,
    suite: Annotated[list[str] | None, typer.Option("--suite", metavar="NAME", help="Only what it sees.")] = None,
    fault: Annotated[list[str] | None, typer.Option("--fault", metavar="NAME", help="Only this one.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", metavar="N", min=1, max=64, help="Faults at once.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", min=0, help="Draws the order.")] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run; `newest` names the newest.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="What was skipped counts as not as promised.")] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="What a matrix run exercised, and what it did not.")
    ] = False,
    mutate: Annotated[bool, typer.Option("--mutate", help="Weaken the runbook: does the matrix notice?")] = False,
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Of which matrix run.")] = "newest",
    fail_under: Annotated[
        float | None, typer.Option("--fail-under", metavar="PERCENT", min=0, max=100, help="Exit 1 below this.")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="Only what this repository defines itself.")] = False,
    reports: Annotated[Path, typer.Option("--reports", metavar="DIR", help="Where reports go.")] = Path("reports"),
    lang: Annotated[str, typer.Option("--lang", metavar="en|ko", help="Language of the reports.")] = "en",
    json: JsonOption = False,
) -> int:
    """Rehearse."""
    from ops_core.cli.drill_matrix import Wanted, hold_matrix
    from ops_core.cli.drill_stacks import VERBS, manage
    from ops_core.config import LANGUAGES

    if lang not in LANGUAGES:
        raise UsageError(f"there is no language {lang!r}", where="--lang", allowed=", ".join(LANGUAGES))
    wanted = Wanted(
        suites=tuple(suite or ()), faults=tuple(fault or ()), jobs=jobs, seed=seed, resume=resume, strict=strict
    )
    alone = not (words or matrix or coverage == mutate or wanted != Wanted(jobs=jobs))
    _refuse_mixtures(measured=coverage or mutate, alone=alone, own=own)
    if coverage:
        from ops_core.cli.drill_coverage import cover

        return cover(run=run, reports=reports.absolute(), fail_under=fail_under, own=own, json=json)
    if mutate:
        from ops_core.cli.drill_mutants import kill_mutants

        return kill_mutants(
            run=run, reports=reports.absolute(), fail_under=fail_under, own=own, jobs=jobs, lang=lang, json=json
        )
    if matrix and not words:
        return hold_matrix(wanted, reports=reports.absolute(), lang=lang, json=json)
    if matrix or wanted != Wanted():
        raise UsageError(
            "a matrix is held as a whole, single faults are rehearsed by name",
            allowed="ops drill FAULT..., or ops drill --matrix with --fault, --suite, --jobs, --seed, --resume",
            next_step="ops drill list",
        )
    if not words:
        raise UsageError("nothing is said to be drilled", allowed="faults, or --matrix", next_step="ops drill list")
    first, *rest = words
    if first in VERBS:
        return manage(first, rest, lang=lang, json=json)
    return _rehearse(words, reports=reports, lang=lang, json=json)


def _refuse_mixtures(*, measured: bool, alone: bool, own: bool) -> None:
    if measured and not alone:
        raise UsageError(
            "a matrix run is measured by itself",
            allowed="ops drill --coverage, or ops drill --mutate, each with --run, --own and --fail-under",
            next_step="ops drill --matrix, which holds one",
        )
    if own and not measured:
        raise UsageError(
            "--own measures a matrix run", where="--own", allowed="ops drill --coverage --own, ops drill --mutate --own"
        )


def _rehearse(names: list[str], *, reports: Path, lang: str, json: bool) -> int:
    import tempfile

    from ops_core.drill.faults import fault_named
    from ops_core.drill.own import all_faults, configuration_for, repository_of
    from ops_core.drill.rehearse import rehearse
    from ops_core.drill.telling import rehearsal_lines

    root = repository_of(Path.cwd())
    catalogue = all_faults(root)
    faults = [fault_named(name, catalogue) for name in names]
    results = []
    for fault in faults:
        lacking = fault.missing()
        if lacking:
            raise UsageError(f"the fault {fault.name} cannot be held on this machine: {lacking}")
        story = Story(clock().monotonic, note if json else say)
        with tempfile.TemporaryDirectory(prefix="ops-own-") as made:
            config = configuration_for(fault.stack, root, Path(made))
            rehearsal = rehearse(
                fault, reports_dir=reports.absolute(), clock=clock(), say=story, lang=lang, config=config
            )
        results.append(rehearsal)
        if not json:
            for line in rehearsal_lines(rehearsal, look_for(lang), base=Path.cwd()):
                say(line)
    if json:
        say_json({"rehearsals": [rehearsal.as_dict() for rehearsal in results]})
    return EXIT_DONE if all(not rehearsal.problems for rehearsal in results) else EXIT_FAILED
