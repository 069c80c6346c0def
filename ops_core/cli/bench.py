"""`ops bench`: the suite `bench` with its figures, and the baseline that later runs are compared with."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import say, say_json, say_table
from ops_core.config import Settings
from ops_core.errors import EXIT_FAILED, OpsError
from ops_core.verdict import Judged, exit_code_of, verdict_of

if TYPE_CHECKING:
    from ops_core.evidence import BenchEvidence
    from ops_core.observation.record import Observation

SUITE = "bench"
REGRESSED = "bench.regressed"
WIDTH = 8


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(bench)


def bench(
    record: Annotated[bool, typer.Option("--record", help="Keep these figures: later runs are compared.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Ask every target with a bench_url a bounded number of times, one request after the other."""
    from ops_core.clock import new_run_id
    from ops_core.observation.launch import observe

    settings = settings_of(config, profile)
    report = settings.reports_dir / SUITE / f"{new_run_id(clock().now())}.json"
    seen = observe(settings, suite=SUITE, record=report).observation
    found = figures_of(seen)
    kept = _keep(settings, found) if record else {}
    wrong: list[dict[str, str | None]] = [
        {"target": one.target, "finding": one.finding, "judged": one.judged.value, "seen": one.seen}
        for one in seen.judgements
        if one.judged in (Judged.BAD, Judged.UNKNOWN)
    ]
    code = exit_code_of(seen.verdict)
    if record:
        # What was recorded is the new measure: that it is slower than the old one is then no finding.
        others = verdict_of(one.judged for one in seen.judgements if one.finding != REGRESSED)
        code = exit_code_of(others) if kept else EXIT_FAILED
    if json:
        figures = {name: _plain(one) for name, one in found.items()}
        told = {"verdict": seen.verdict.value, "targets": figures, "wrong": wrong, "recorded": kept}
        say_json({**told, "record": str(report)})
        return code
    for name, one in found.items():
        _show(name, one)
    for each in wrong:
        say_table([(f"{str(each['judged']).upper():<{WIDTH}}", f"{each['finding']}  {each['target']}: {each['seen']}")])
    for path in kept.values():
        say(f"{'recorded':<{WIDTH}}  {path}")
    say(f"{'record':<{WIDTH}}  {report}")
    say(f"{'verdict':<{WIDTH}}  {seen.verdict.value}")
    return code


def figures_of(seen: Observation) -> dict[str, BenchEvidence]:
    """What was measured, by target."""
    from ops_core.evidence import BenchEvidence

    return {
        str(record.target): record.evidence for record in seen.evidence if isinstance(record.evidence, BenchEvidence)
    }


def _keep(settings: Settings, found: dict[str, BenchEvidence]) -> dict[str, str]:
    """Write the baselines of what was measured in full; the paths by target."""
    from ops_core.clock import isoformat
    from ops_core.observation.journal import write_atomically
    from ops_core.probes.bench import baseline_name

    kept = {}
    for name, one in found.items():
        if one.median_ms is None or one.p95_ms is None or one.failed or one.done < one.wanted:
            # Half a measurement would be the measure of everything after it.
            continue
        path = settings.reports_dir / baseline_name(name, one.profile)
        figures = {"median_ms": one.median_ms, "p95_ms": one.p95_ms, "requests": one.done, "url": one.url}
        try:
            write_atomically(path, json_module.dumps({**figures, "at": isoformat(clock().now())}, indent=2) + "\n")
        except OSError as error:
            raise OpsError(f"the baseline cannot be written: {error.strerror}", where=str(path)) from None
        kept[name] = str(path)
    return kept


def _plain(one: BenchEvidence) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(one)


def _show(name: str, one: BenchEvidence) -> None:
    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} ms"

    say(f"{'target':<{WIDTH}}  {name}  {one.url}")
    say(f"{'requests':<{WIDTH}}  {one.done} of {one.wanted}, {one.failed} failed")
    rows = [("median", one.median_ms, one.max_ms, one.baseline_median_ms)]
    rows.append(("p95", one.p95_ms, one.p95_max_ms, one.baseline_p95_ms))
    for label, value, limit_ms, before_ms in rows:
        say(f"{label:<{WIDTH}}  {ms(value):>10}  limit {f'{limit_ms:g} ms':>10}  baseline {ms(before_ms):>10}")
    since = f", baseline of {one.baseline_at[:10]}" if one.baseline_at else ""
    say(f"{'limits':<{WIDTH}}  {one.limits_from}{since}, profile {one.profile}")
