"""What a planner gets to know: which versions are in force and were last seen good, and what the process does now.

Planners are pure functions of this, so that a plan can be made again from the same facts and tested without a system.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ops_core.config import Settings
from ops_core.control.deployments import NoVersion, digest_of
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
from ops_core.remediation.drivers import Driver, DriverUnanswered, ProcessState, driver_for
from ops_core.remediation.overlay import BYTES_MAX
from ops_core.remediation.plan import LinkPointsTo, PlanRefused, Step, as_text
from ops_core.remediation.schema import SchemaInForce, schema_in_force
from ops_core.targets import Target
from ops_core.temporary import temporary_of

SWAP_S = 10.0
DRAFT = ".ops-next"
NOTHING_TO_GO_BACK_TO = {
    "en": "what was in force does not exist: there is nothing to go back to",
    "ko": "적용되어 있던 버전이 존재하지 않아 되돌아갈 곳이 없습니다",
}

NOTHING_WAS_SWAPPED = {
    "en": "only a restart: what is in force stays in force",
    "ko": "재시작만 하며 적용된 버전은 바뀌지 않습니다",
}


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A link and the versions around it.

    Attributes:
        kind: `release` or `config`.
        link: the symbolic link.
        text: what the link holds, as it stands there; None where there is no link.
        good: the name of the version that was last seen good; None where none was recorded.
        good_digest: the digest of its content then.
        digest_now: the digest of its content now; None where it is missing or cannot be read, for the reason `problem`.
        exists: whether the version in force is there.
        content: the text of a configuration in force; None where it is no text file, or too large to be one.
        base_digest: where the version in force is temporary: the digest of what it was made from, as that is now; None
            where that is missing or cannot be read, for the reason `base_problem`.
    """

    kind: str
    link: Path
    text: str | None
    good: str | None = None
    good_digest: str | None = None
    digest_now: str | None = None
    problem: str = ""
    exists: bool = True
    content: str | None = field(default=None, repr=False)
    base_digest: str | None = None
    base_problem: str = ""

    @property
    def in_force(self) -> str | None:
        """The name of the version in force."""
        return None if self.text is None else _name_in(self.text)

    def text_for(self, version: str) -> str:
        """What the link has to hold to put `version` in force: as it is now, relative or absolute, but for the name."""
        folder = (self.text or "").rstrip("/").rpartition("/")
        return f"{folder[0]}{folder[1]}{version}"

    def swap_steps(self, version: str) -> tuple[Step, Step]:
        """Put `version` in force, atomically: a second link beside the first, then renamed over it."""
        return self.link_steps(self.text_for(version))

    def link_steps(self, text: str) -> tuple[Step, Step]:
        """Make the link hold `text`, atomically."""
        link = as_text(self.link)
        draft = as_text(self.link.with_name(f".{self.link.name}{DRAFT}"))
        as_text(text)
        return (
            Step(
                name=f"prepare the {self.kind} link",
                argv=("ln", "-s", "-f", "-T", "--", text, draft),
                timeout_s=SWAP_S,
                outcome=LinkPointsTo(link=draft, destination=text),
                repeatable=True,
            ),
            Step(
                name=f"put {self.kind} {_name_in(text)} in force",
                argv=("mv", "-f", "-T", "--", draft, link),
                timeout_s=SWAP_S,
                outcome=LinkPointsTo(link=link, destination=text),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class PlanContext:
    """Everything a planner may use. `process` is None where the driver cannot tell, for the reason `process_problem`.

    `findings` are the codes that the decision rests on, or covers, about this target. `image_good` is the id of
    the image that was last seen good. `schema` is asked only by who
    needs it: a database that is away must not hold up another plan.
    """

    target: Target
    findings: tuple[str, ...] = ()
    driver: Driver | None = None
    process: ProcessState | None = None
    process_problem: str = ""
    release: Deployed | None = None
    config: Deployed | None = None
    now: datetime | None = None
    schema: Callable[[], SchemaInForce] | None = None
    image_good: str | None = None

    def required_driver(self) -> Driver:
        """The driver.

        Raises:
            PlanRefused: the target has none.
        """
        return self.driver or driver_for(self.target, Path("/"))

    def required_process(self) -> ProcessState:
        """What the process does now.

        Raises:
            PlanRefused: nobody can tell, and nothing is stopped or started on a guess.
        """
        self.required_driver()
        if self.process is None or self.process.running is None:
            why = self.process_problem or "its driver does not answer"
            raise PlanRefused(
                f"nobody can tell whether {self.target.name} runs: {why}",
                where=f"target {self.target.name}",
                next_step="see to whoever runs it first; then ops observe",
            )
        return self.process

    def deployed(self, kind: str) -> Deployed:
        """The link of that kind (`release` or `config`).

        Raises:
            PlanRefused: the target has none.
        """
        found = self.release if kind == "release" else self.config
        if found is None:
            raise PlanRefused(
                f"{self.target.name} has no {kind}_link: there is nothing to roll back",
                where=f"target {self.target.name}",
                next_step=f"set {kind}_link in ops.toml",
            )
        return found

    def restart_steps(self) -> tuple[Step, ...]:
        """Stop where there is something to stop, then start.

        Raises:
            PlanRefused: there is no driver, or nobody can tell whether the process runs.
        """
        driver, process = self.required_driver(), self.required_process()
        start = driver.start_step(process.pid)
        return (driver.stop_step(process.pid), start) if process.running else (start,)

    def way_back_steps(self) -> tuple[Step, ...]:
        """Stop and start whatever process there will be by then."""
        driver = self.required_driver()
        return driver.stop_step(None), driver.start_step(None)


def gather(settings: Settings, target: Target, plane: ControlPlane, findings: Sequence[str]) -> PlanContext:
    """Look at everything that a planner may use.

    Raises:
        StoreUnusable: which versions were last seen good cannot be read or trusted.
    """
    driver: Driver | None = None
    process: ProcessState | None = None
    problem = ""
    try:
        driver = driver_for(target, settings.root)
        process = driver.state()
    except PlanRefused:
        pass  # told again, in the planner's place, by whoever needs a driver
    except DriverUnanswered as error:
        problem = error.what
    return PlanContext(
        target=target,
        findings=tuple(findings),
        driver=driver,
        process=process,
        process_problem=problem,
        release=_deployed("release", target, target.release_link, plane),
        config=_deployed("config", target, target.config_link, plane),
        now=plane.clock.now(),
        schema=lambda: schema_in_force(settings, target),
        image_good=_good_image(target, plane),
    )


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """The way from one version to another and, where there is one, the way back; else why there is none."""

    old: str
    good: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]
    no_undo: Mapping[str, str]

    @property
    def swaps(self) -> bool:
        """Whether it puts another version in force; else the good one is in force and only has to run."""
        return self.old != self.good


def rollback(context: PlanContext, kind: str) -> Rollback:
    """The way to the last good version of that kind: swap the link, then stop and start.

    Raises:
        PlanRefused: there is no way there, for a reason that a person has to know.
    """
    found = context.deployed(kind)
    where = f"{context.target.name}, {found.link}"
    if found.text is None:
        raise PlanRefused(
            f"{found.link.name} is not a link that says which {kind} is in force: {found.problem}",
            where=where,
            next_step=f"make it a link to a {kind} by hand",
        )
    if found.good is None or found.good_digest is None:
        raise PlanRefused(
            f"no {kind} of {context.target.name} was ever recorded as good",
            where=where,
            next_step="choose one by hand; a healthy observation records what is in force",
        )
    if os.sep in found.good or found.good in {"", ".", ".."}:
        raise PlanRefused(f"{found.good!r} is not the name of a version", where=where)
    if found.digest_now is None:
        raise PlanRefused(
            f"the last good {kind}, {found.good}, cannot be put in force: {found.problem or 'it is missing'}",
            where=where,
            next_step=f"deploy {found.good} again, then look again",
        )
    if found.digest_now != found.good_digest:
        raise PlanRefused(
            f"the last good {kind}, {found.good}, is not what it was when it was seen good: its content was changed",
            where=where,
            allowed=f"content with the digest {found.good_digest}",
            next_step="find out who changed it, and deploy it again",
        )
    if found.in_force == found.good:
        # Somebody put it back, but what runs may have been started before that: the rest of a rollback is the restart.
        return Rollback(
            old=found.good, good=found.good, steps=context.restart_steps(), undo=(), no_undo=NOTHING_WAS_SWAPPED
        )
    # A way back to something that is not there would stop what runs and start nothing.
    undo = (*found.link_steps(found.text), *context.way_back_steps()) if found.exists else ()
    return Rollback(
        old=str(found.in_force),
        good=found.good,
        steps=(*found.swap_steps(found.good), *context.restart_steps()),
        undo=undo,
        no_undo={} if undo else NOTHING_TO_GO_BACK_TO,
    )


def image_rollback(context: PlanContext) -> Rollback:
    """The way to the last good image of the target's container: make it anew beside what runs, then change places.

    Raises:
        PlanRefused: there is no way there, for a reason that a person has to know.
    """
    from ops_core.remediation.drivers.container import ContainerDriver, roll_back

    driver, process = context.required_driver(), context.required_process()
    if not isinstance(driver, ContainerDriver):
        raise PlanRefused(
            f"{context.target.name} is not run as a container: there is no image to go back to",
            where=f"target {context.target.name}",
            allowed='driver = "container"',
        )
    found = driver.image(context.image_good)
    if found.good == found.id:
        return Rollback(
            old=found.shown, good=found.good_shown, steps=context.restart_steps(), undo=(), no_undo=NOTHING_WAS_SWAPPED
        )
    steps, undo = roll_back(driver, found, process)
    return Rollback(old=found.shown, good=found.good_shown, steps=steps, undo=undo, no_undo={})


def _good_image(target: Target, plane: ControlPlane) -> str | None:
    good = plane.last_good(target.name, "image") if target.container else None
    return good.digest if good else None


def _deployed(kind: str, target: Target, link: Path | None, plane: ControlPlane) -> Deployed | None:
    if link is None:
        return None
    good = plane.last_good(target.name, kind)
    text, problem = _attempt(lambda: os.readlink(link))  # noqa: PTH115 - the text as it stands there
    if text is None:
        return Deployed(kind=kind, link=link, text=None, problem=problem, exists=False)
    found = Deployed(kind=kind, link=link, text=text, exists=link.exists())
    if kind == "config":
        found = _with_content(found)
    if good is None:
        return found
    digest, problem = _attempt(lambda: digest_of(link.parent / found.text_for(good.name)))
    return replace(found, good=good.name, good_digest=good.digest, digest_now=digest, problem=problem)


def _with_content(found: Deployed) -> Deployed:
    """What a planner that makes a temporary configuration, or takes one away, has to know beside that."""
    known = temporary_of(found.in_force or "")
    content, _ = _attempt(lambda: _read_text(found.link))
    if known is None:
        return replace(found, content=content)
    digest, problem = _attempt(lambda: digest_of(found.link.parent / found.text_for(known.base)))
    return replace(found, content=content, base_digest=digest, base_problem=problem)


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise OSError(0, "it is too large")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(0, "it is not UTF-8") from None


def _name_in(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2]


def _attempt(read: Callable[[], str]) -> tuple[str | None, str]:
    try:
        return read(), ""
    except NoVersion as error:
        return None, error.what
    except (OpsError, OSError) as error:
        return None, getattr(error, "strerror", None) or str(error)
