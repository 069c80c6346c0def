"""`ops runtime-health --base-url URL`: is one service alive and ready? For where there is no repository, as on a phone.

It is the suite `service`, run for one target that exists for the time of the question: what is judged, and how, cannot
differ from what `ops observe` says.
"""

from __future__ import annotations

import json as json_module
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ops_core.cli.options import AllowDegradedOption, JsonOption
from ops_core.cli.output import say, say_json, say_table
from ops_core.errors import UsageError
from ops_core.verdict import Judged, exit_code_of, verdict_of

if TYPE_CHECKING:
    from ops_core.config import Settings
    from ops_core.evidence import HttpEvidence
    from ops_core.observation.record import Judgement, Observation

SUITE = "service"
TARGET = "service"
ASKED = {"liveness": "/health/live", "readiness": "/health/ready"}
# What an address may not hold as it is; `$` and braces would also mean something to a configuration.
_NO_ADDRESS = re.compile(r"[^!-~]|[\"<>\\^`{|}$?#]")
_CHECKS = {
    "check_service_is_alive": "liveness",
    "check_service_is_ready": "readiness",
    "check_service_is_not_degraded": "readiness",
}
_BUDGET_S = 5
_TOTAL_S = 10
_WORDS = {Judged.GOOD: "ok", Judged.BAD: "NOT OK", Judged.UNKNOWN: "NOT SEEN"}


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(runtime_health)


def runtime_health(
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="Where the service answers.")],
    allow_ready_degraded: AllowDegradedOption = False,
    json: JsonOption = False,
) -> int:
    """Ask for /health/live and /health/ready below an address."""
    from ops_core.observation.launch import ALLOW_READY_DEGRADED, observe

    base = base_of(base_url)
    with tempfile.TemporaryDirectory(prefix="ops-runtime-health-") as folder:
        settings = _settings_for(Path(folder), base)
        seen = observe(
            settings,
            suite=SUITE,
            record=settings.reports_dir / "runtime-health.json",
            options=("-k", " or ".join(_CHECKS), *([ALLOW_READY_DEGRADED] if allow_ready_degraded else [])),
        ).observation
    told = told_of(seen)
    judged = [Judged(one["judged"]) for one in told.values()]
    verdict = verdict_of(judged)
    if json:
        say_json({"base_url": base, "verdict": verdict.value, **told})
        return exit_code_of(verdict)
    say_table([(name, _WORDS[Judged(one["judged"])], one["seen"]) for name, one in told.items()])
    say(f"{'verdict':<{max(map(len, ASKED))}}  {verdict.value}")
    return exit_code_of(verdict)


def base_of(url: str) -> str:
    """An address of a service, without the slash at its end.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or _NO_ADDRESS.search(url):
        raise UsageError(
            "this is no address of a service",
            where="--base-url",
            allowed="http:// or https:// with a host, without user, password, query or fragment",
            next_step="ops runtime-health --base-url http://127.0.0.1:8000",
        )
    return url.rstrip("/")


def told_of(seen: Observation) -> dict[str, dict[str, Any]]:
    """What was judged of liveness and of readiness: the worst of what was said of each, and the answer behind it."""
    return {name: _told(name, seen) for name in ASKED}


def _told(name: str, seen: Observation) -> dict[str, Any]:
    from ops_core.evidence import HttpEvidence, ReadyEvidence

    record = seen.record(f"{'live' if name == 'liveness' else 'ready'}[{TARGET}]")
    found = record.evidence if record is not None else None
    ready = found if isinstance(found, ReadyEvidence) else None
    answer = found if isinstance(found, HttpEvidence) else ready.answer if ready is not None else None
    worst = _worst([one for one in seen.judgements if _CHECKS.get(one.check) == name])
    # What was left out was not seen either: there is nothing here that may be left out.
    judged = Judged.UNKNOWN if worst is None or worst.judged is Judged.SKIPPED else worst.judged
    told: dict[str, Any] = {"judged": judged.value}
    if answer is None:
        return {**told, "seen": worst.seen if worst is not None else "nothing was judged"}
    told |= {"status": answer.status, "elapsed_ms": answer.elapsed_ms, "seen": _in_words(answer)}
    if ready is not None:
        told |= {"degraded": ready.degraded, "away": list(ready.away), "why": ready.why}
        if ready.degraded:
            said = [f"away: {', '.join(ready.away)}" if ready.away else "", ready.why]
            told["seen"] += f", degraded ({'; '.join(one for one in said if one)})"
    return told


def _worst(judgements: list[Judgement]) -> Judgement | None:
    order = (Judged.BAD, Judged.UNKNOWN, Judged.SKIPPED, Judged.GOOD)
    return min(judgements, key=lambda one: order.index(one.judged), default=None)


def _in_words(answer: HttpEvidence) -> str:
    path = urlsplit(answer.url).path
    failed = f"{answer.error} ({answer.error_detail})" if answer.error_detail else answer.error
    said = str(failed) if answer.status is None else f"{answer.status}, then {failed}" if failed else str(answer.status)
    return f"{path}  {said}  {answer.elapsed_ms:.0f} ms"


def _settings_for(folder: Path, base: str) -> Settings:
    from ops_core.config import load_settings

    text = json_module.dumps
    (folder / "ops.toml").write_text(
        f'suites = ["{SUITE}"]\n'
        "[profiles.default.budgets]\n"
        f"total_s = {_TOTAL_S}\n"
        "[profiles.default.budgets.probes]\n"
        f"live = {_BUDGET_S}\nready = {_BUDGET_S}\n"
        f"[profiles.default.targets.{TARGET}]\n"
        f"live_url = {text(base + ASKED['liveness'])}\nready_url = {text(base + ASKED['readiness'])}\n",
        encoding="utf-8",
    )
    return load_settings(folder / "ops.toml", environ={})
