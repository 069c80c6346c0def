"""A remediation as plain data: what will be run, how to see that it had its effect, and the way back.

A plan is made before anything is touched, can be read by a person, and has a digest over everything in it, so that an
approval names exactly what will be done. Steps are argument lists. Every step says which outcome it is to have: whoever
finds it half done after a crash looks at the outcome instead of running it again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops_core.config import LANGUAGES
from ops_core.control.model import RemediationPermit
from ops_core.errors import OpsError, RecordError
from ops_core.finding import valid_code
from ops_core.remediation.outcomes import (
    KINDS,
    CommandSays,
    ContainerImage,
    ContainerIs,
    ContainerRunning,
    ContainerStopped,
    FileHolds,
    LinkPointsTo,
    OfContainers,
    Outcome,
    ProcessRunning,
    ProcessStopped,
)
from ops_core.targets import NAME

__all__ = [
    "CommandSays",
    "ContainerImage",
    "ContainerIs",
    "ContainerRunning",
    "ContainerStopped",
    "FileHolds",
    "LinkPointsTo",
    "OfContainers",
    "Outcome",
    "Plan",
    "PlanInvalid",
    "PlanRefused",
    "ProcessRunning",
    "ProcessStopped",
    "Step",
    "as_text",
    "decode_outcome",
    "encode_outcome",
    "shown",
]
SCHEMA = 1
STEPS_MAX = 20
ARGV_MAX = 64
ARGUMENT_MAX_CHARS = 4096
TIMEOUT_MAX_S = 600.0
TEXT_MAX_CHARS = 1000


class PlanRefused(OpsError):
    """No plan can be made: what it needs is missing, changed, or already so."""


class PlanInvalid(OpsError):
    """A planner made something that is not a plan we would run."""


# What plans say since a later version: as it counts where nothing is said.
_LATER: Mapping[str, Any] = {"leaves": [], "two_keys": False}
_KIND_OF = {cls: kind for kind, cls in KINDS.items()}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is run.

    Attributes:
        name: what it does, in a few words, for the log.
        argv: the argument list; no shell ever sees it.
        timeout_s: seconds after which it is killed with everything it started.
        outcome: what is so once it had its effect; the step is done when this holds, whatever the command returned.
        repeatable: running it twice is the same as running it once, and nobody notices either.
    """

    name: str
    argv: tuple[str, ...]
    timeout_s: float
    outcome: Outcome
    repeatable: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that one remediation will do to one target.

    `undo` are the steps of the way back; without them `no_undo` says why there is none. `summary` says what is done,
    by language, English always among them. `leaves` are codes that stay on purpose, such as a degraded readiness: they
    are not asked about when it is verified. A plan with `two_keys` needs a window that permits this very plan.
    """

    remediation: str
    target: str
    findings: tuple[str, ...]
    steps: tuple[Step, ...]
    undo: tuple[Step, ...] = ()
    summary: Mapping[str, str] = field(hash=False)
    no_undo: Mapping[str, str] = field(default_factory=dict, hash=False)
    leaves: tuple[str, ...] = ()
    two_keys: bool = False

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise PlanInvalid(problem, where=f"plan {self.remediation!r} for {self.target!r}")

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of everything in the plan, in hexadecimal."""
        text = json.dumps(_encode(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def permit(self) -> RemediationPermit:
        """What a window has to permit for this plan."""
        return RemediationPermit(remediation=self.remediation, target=self.target, plan_digest=self.digest)

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` makes an equal plan of them."""
        return {"schema": SCHEMA, "digest": self.digest, **_encode(self)}

    @classmethod
    def from_json(cls, value: object, where: str = "plan") -> Plan:
        """The plan that `to_json` was called on.

        Raises:
            RecordError: it is not such a record, or not the one that its digest names.
        """
        raw = _table(
            {**_LATER, **value} if isinstance(value, dict) else value, {"schema", "digest", *_names(cls)}, where
        )
        if raw["schema"] != SCHEMA:
            raise RecordError(f"the plan has schema {raw['schema']!r}", where=where, allowed=f"schema {SCHEMA}")
        try:
            plan = cls(
                remediation=_text(raw["remediation"], f"{where}.remediation"),
                target=_text(raw["target"], f"{where}.target"),
                findings=_texts(raw["findings"], f"{where}.findings"),
                steps=tuple(_step(s, f"{where}.steps[{i}]") for i, s in enumerate(_list(raw["steps"], where))),
                undo=tuple(_step(s, f"{where}.undo[{i}]") for i, s in enumerate(_list(raw["undo"], where))),
                summary=_words(raw["summary"], f"{where}.summary"),
                no_undo=_words(raw["no_undo"], f"{where}.no_undo"),
                leaves=_texts(raw["leaves"], f"{where}.leaves"),
                two_keys=raw["two_keys"],
            )
        except PlanInvalid as error:
            raise RecordError(error.what, where=where) from None
        if plan.digest != raw["digest"]:
            raise RecordError("the plan is not the one that its digest names", where=where, allowed=plan.digest)
        return plan


def shown(argv: Sequence[str]) -> str:
    """An argument list as one would type it."""
    import shlex

    return shlex.join(argv)


def encode_outcome(outcome: Outcome) -> dict[str, Any]:
    """JSON values of an outcome."""
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(outcome).items()}
    return {"kind": _KIND_OF[type(outcome)], **plain}


def _encode(plan: Plan) -> dict[str, Any]:
    return {
        "remediation": plan.remediation,
        "target": plan.target,
        "findings": list(plan.findings),
        "steps": [_encode_step(step) for step in plan.steps],
        "undo": [_encode_step(step) for step in plan.undo],
        "summary": dict(plan.summary),
        "no_undo": dict(plan.no_undo),
        # Only where they say something: a plan that was recorded before there were any keeps its digest.
        **({"leaves": list(plan.leaves)} if plan.leaves else {}),
        **({"two_keys": True} if plan.two_keys else {}),
    }


def _encode_step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "argv": list(step.argv),
        "timeout_s": step.timeout_s,
        "outcome": encode_outcome(step.outcome),
        "repeatable": step.repeatable,
    }


def _problem(plan: Plan) -> str:
    """What keeps this from being a plan, or nothing. A planner is somebody's own code: its types are checked too."""
    values: dict[str, Any] = vars(plan)
    for name in ("remediation", "target"):
        if not isinstance(values[name], str) or not NAME.fullmatch(values[name]):
            return f"the {name} {values[name]!r} is not a name"
    if not isinstance(values["findings"], tuple) or not all(valid_code(code) for code in values["findings"]):
        return "findings is not a tuple of finding codes"
    if not isinstance(values["leaves"], tuple) or not all(valid_code(code) for code in values["leaves"]):
        return "leaves is not a tuple of finding codes"
    if not isinstance(values["two_keys"], bool):
        return "two_keys has to be True or False"
    return (
        _steps_problem("steps", values["steps"], 1) or _steps_problem("undo", values["undo"], 0) or _told_problem(plan)
    )


def _told_problem(plan: Plan) -> str:
    for name, texts, needed in (("summary", plan.summary, True), ("no_undo", plan.no_undo, not plan.undo)):
        problem = _words_problem(texts)
        if problem or (needed and not texts.get("en")):
            return f"{name}: {problem or 'the text in English is missing'}"
    return "a plan with a way back does not say why there is none" if plan.undo and plan.no_undo else ""


def _steps_problem(name: str, steps: object, least: int) -> str:
    if not isinstance(steps, tuple) or not least <= len(steps) <= STEPS_MAX:
        return f"{name} has to be a tuple of {least} to {STEPS_MAX} steps"
    for number, step in enumerate(steps, start=1):
        problem = _step_problem(step)
        if problem:
            return f"{name}, step {number}: {problem}"
    return ""


def _step_problem(step: object) -> str:
    if not isinstance(step, Step):
        return f"{step!r} is not a step"
    values: dict[str, Any] = vars(step)
    name, seconds, outcome = values["name"], values["timeout_s"], values["outcome"]
    if not isinstance(name, str) or not 1 <= len(name) <= 120 or not name.isprintable():
        return "its name has to be 1 to 120 printable characters"
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= TIMEOUT_MAX_S:
        return f"timeout_s has to be more than 0, at most {TIMEOUT_MAX_S:g} seconds"
    if type(outcome) not in _KIND_OF:
        return f"{outcome!r} is not an outcome"
    if not isinstance(values["repeatable"], bool):
        return "repeatable has to be True or False"
    return _argv_problem(step.argv) or (_argv_problem(outcome.argv) if isinstance(outcome, CommandSays) else "")


def _argv_problem(argv: object) -> str:
    if not isinstance(argv, tuple) or not 1 <= len(argv) <= ARGV_MAX:
        return f"its argv has to be a tuple of 1 to {ARGV_MAX} texts"
    for word in argv:
        if not isinstance(word, str) or "\0" in word or len(word) > ARGUMENT_MAX_CHARS:
            return f"the argument {word!r:.80} is not a text that can be passed on"
    return "" if argv[0] else "its argv names no program"


def _words_problem(texts: object) -> str:
    if not isinstance(texts, Mapping):
        return "has to be a text per language"
    for lang, text in texts.items():
        if lang not in LANGUAGES:
            return f"{lang!r} is not a language"
        if not isinstance(text, str) or not 1 <= len(text) <= TEXT_MAX_CHARS or not text.isprintable():
            return f"the text in {lang!r} has to be 1 to {TEXT_MAX_CHARS} printable characters"
    return ""


def _step(value: object, where: str) -> Step:
    raw = _table(value, _names(Step), where)
    if not isinstance(raw["repeatable"], bool) or isinstance(raw["timeout_s"], bool):
        raise RecordError("a value is of another type", where=where)
    return Step(
        name=_text(raw["name"], f"{where}.name"),
        argv=_texts(raw["argv"], f"{where}.argv"),
        timeout_s=raw["timeout_s"],
        outcome=decode_outcome(raw["outcome"], f"{where}.outcome"),
        repeatable=raw["repeatable"],
    )


def decode_outcome(value: object, where: str) -> Outcome:
    """The outcome that `encode_outcome` was called on.

    Raises:
        RecordError: it is not such a record.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise RecordError("not an outcome", where=where, allowed=", ".join(KINDS))
    raw = _table(value, {"kind", *_names(cls)}, where)
    fields: dict[str, Any] = {}
    for name in _names(cls):
        item = raw[name]
        if name == "argv":
            item = _texts(item, f"{where}.argv")
        elif name in {"pid", "not_pid"}:
            if not (item is None or type(item) is int):
                raise RecordError(f"expected a process number, found {item!r:.60}", where=f"{where}.{name}")
        elif name == "yes":
            if not isinstance(item, bool):
                raise RecordError(f"expected true or false, found {item!r:.60}", where=f"{where}.{name}")
        else:
            item = _text(item, f"{where}.{name}")
        fields[name] = item
    outcome: Outcome = cls(**fields)
    return outcome


def _names(cls: type[Any]) -> set[str]:
    return {f.name for f in dataclasses.fields(cls)}


def _table(value: object, keys: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"expected an object, found {value!r:.60}", where=where)
    odd = sorted(map(str, set(value) ^ keys))
    if odd:
        raise RecordError(f"the key {odd[0]!r} is {'unknown' if odd[0] in value else 'missing'}", where=where)
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecordError(f"expected a list, found {value!r:.60}", where=where)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise RecordError(f"expected text, found {value!r:.60}", where=where)
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(_text(item, f"{where}[{i}]") for i, item in enumerate(_list(value, where)))


def _words(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise RecordError(f"expected an object, found {value!r:.60}", where=where)
    return {_text(k, where): _text(v, f"{where}.{k}") for k, v in value.items()}


def as_text(path: Path | str) -> str:
    """A path as it stands in a plan.

    Raises:
        PlanRefused: it cannot be written down, because it is not UTF-8.
    """
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise PlanRefused("a path that is not UTF-8 cannot stand in a plan", where=ascii(text)) from None
    return text
