"""`ops drill`: rehearse on a stack of its own, from a real fault to the postmortem, and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.drill_modes import Mode, mode_of
from ops_core.cli.options import JsonOption, clock
from ops_core.cli.output import Story, look_for, note, say, say_json
from ops_core.errors import EXIT_DONE, EXIT_FAILED, UsageError

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FAULT... | list | up | down | status [STACK] | inject FAULT | withdraw FAULT",
        help="Faults to rehearse one after the other; or what to do with a stack (embedded or service) that stays.",
    ),
]
MatrixOption = Annotated[bool, typer.Option("--matrix", help="Hold every fault, each on a stack of its own.")]
SuiteOption = Annotated[list[str] | None, typer.Option("--suite", metavar="NAME", help="Only what it sees.")]
FaultOption = Annotated[list[str] | None, typer.Option("--fault", metavar="NAME", help="Only this one.")]
JobsOption = Annotated[int | None, typer.Option("--jobs", metavar="N", min=1, max=64, help="Faults at once.")]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="S", min=0, help="Draws the faults, or their order.")]
ResumeOption = Annotated[
    str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run; `newest` names the newest.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="What was skipped counts as not as promised.")]
CoverageOption = Annotated[bool, typer.Option("--coverage", help="What a matrix run exercised, and what it did not.")]
MutateOption = Annotated[bool, typer.Option("--mutate", help="Weaken the runbook: does the matrix notice?")]
RunOption = Annotated[str | None, typer.Option("--run", metavar="RUN", help="Of which matrix run; the newest.")]
FailUnderOption = Annotated[
    float | None, typer.Option("--fail-under", metavar="PERCENT", min=0, max=100, help="Exit 1 below this.")
]
OwnOption = Annotated[bool, typer.Option("--own", help="Only what this repository defines itself.")]
RandomOption = Annotated[bool, typer.Option("--random", help="A game day: random faults on one stack for a while.")]
DurationOption = Annotated[
    str | None, typer.Option("--duration", metavar="TIME", help="Of the game day: 30s, 10m, 1h. 10m by default.")
]
HealthyOption = Annotated[
    int | None, typer.Option("--healthy", metavar="N", min=1, help="Look N times at what is well: a finding is false.")
]
StressOption = Annotated[bool, typer.Option("--stress", help="With --healthy: busy cores, a slow network.")]
ReportsOption = Annotated[Path, typer.Option("--reports", metavar="DIR", help="Where reports go.")]
ReportLangOption = Annotated[str, typer.Option("--lang", metavar="en|ko", help="Language of the reports.")]


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(drill)


def drill(
    words: WordsArgument = None,
    matrix: MatrixOption = False,
    suite: SuiteOption = None,
    fault: FaultOption = None,
    jobs: JobsOption = None,
    seed: SeedOption = None,
    resume: ResumeOption = None,
    strict: StrictOption = False,
    coverage: CoverageOption = False,
    mutate: MutateOption = False,
    run: RunOption = None,
    fail_under: FailUnderOption = None,
    own: OwnOption = False,
    random: RandomOption = False,
    duration: DurationOption = None,
    healthy: HealthyOption = None,
    stress: StressOption = False,
    reports: ReportsOption = Path("reports"),
    lang: ReportLangOption = "en",
    json: JsonOption = False,
) -> int:
    """Rehearse."""
    from ops_core.cli.drill_matrix import Wanted, hold_matrix
    from ops_core.config import LANGUAGES

    if lang not in LANGUAGES:
        raise UsageError(f"there is no language {lang!r}", where="--lang", allowed=", ".join(LANGUAGES))
    options = {
        "--matrix": matrix, "--suite": suite or None, "--fault": fault or None, "--jobs": jobs, "--seed": seed,
        "--resume": resume, "--strict": strict, "--coverage": coverage, "--mutate": mutate, "--run": run,
        "--fail-under": fail_under, "--own": own, "--random": random, "--duration": duration,
        "--healthy": healthy, "--stress": stress,
    }  # fmt: skip
    mode, folder = mode_of({"": words or None, **options}), reports.absolute()
    if mode in (Mode.COVERAGE, Mode.MUTATE):
        return _measure(mode, run or "newest", folder, fail_under, own=own, jobs=jobs, lang=lang, json=json)
    if mode is Mode.RANDOM:
        from ops_core.cli.drill_gameday import hold_gameday

        return hold_gameday(duration=duration, seed=seed, reports=folder, lang=lang, json=json)
    if healthy is not None:
        from ops_core.cli.drill_healthy import hold_healthy

        return hold_healthy(rounds=healthy, stress=stress, reports=folder, lang=lang, json=json)
    if mode is Mode.MATRIX:
        suites, faults = tuple(suite or ()), tuple(fault or ())
        wanted = Wanted(suites=suites, faults=faults, jobs=jobs, seed=seed, resume=resume, strict=strict)
        return hold_matrix(wanted, reports=folder, lang=lang, json=json)
    return _by_words(words or [], reports=folder, lang=lang, json=json)


def _measure(
    mode: Mode,
    run: str,
    reports: Path,
    fail_under: float | None,
    *,
    own: bool,
    jobs: int | None,
    lang: str,
    json: bool,
) -> int:
    if mode is Mode.COVERAGE:
        from ops_core.cli.drill_coverage import cover

        return cover(run=run, reports=reports, fail_under=fail_under, own=own, json=json)
    from ops_core.cli.drill_mutants import kill_mutants

    return kill_mutants(run=run, reports=reports, fail_under=fail_under, own=own, jobs=jobs, lang=lang, json=json)


def _by_words(words: list[str], *, reports: Path, lang: str, json: bool) -> int:
    from ops_core.cli.drill_stacks import VERBS, manage

    first, *rest = words
    if first in VERBS:
        return manage(first, rest, lang=lang, json=json)
    return _rehearse(words, reports=reports, lang=lang, json=json)


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
            rehearsal = rehearse(fault, reports_dir=reports, clock=clock(), say=story, lang=lang, config=config)
        results.append(rehearsal)
        if not json:
            for line in rehearsal_lines(rehearsal, look_for(lang), base=Path.cwd()):
                say(line)
    if json:
        say_json({"rehearsals": [rehearsal.as_dict() for rehearsal in results]})
    return EXIT_DONE if all(not rehearsal.problems for rehearsal in results) else EXIT_FAILED
