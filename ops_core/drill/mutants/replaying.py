"""Mutants of checks, judged by replaying the recorded evidence of a matrix run with real pytest.

All mutants of a suite lie beside its checks in one repository that is thrown away, so one start of pytest on one record
judges all of them, and the checks as they are with them. A few records suffice: one for each check that a fault has to
make fail, then some, then all others for what is still alive. A mutant is noticed where a fault's expected finding
would be missed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ops_core.config import CONFIG_NAME, load_settings
from ops_core.content import content_dir
from ops_core.drill.coverage.claims import is_below
from ops_core.drill.matrix.results import FaultResult, MatrixRun, Status
from ops_core.drill.mutants.model import Change, Fate
from ops_core.drill.mutants.source import CheckMutant, defines_fixtures, mutants_of
from ops_core.errors import OpsError
from ops_core.observation.launch import observe
from ops_core.observation.record import Judgement, Observation
from ops_core.tables import read_toml
from ops_core.verdict import Judged

ROUNDS = (1, 3, 1 << 16)
REPLAYS_MAX = 400
CHECKS = "checks"

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class CheckFile:
    """A check file of a suite: how it is named for people, and what it holds."""

    suite: str
    path: Path
    where: str
    text: str


@dataclass(kw_only=True)
class Judging:
    """What came of the mutants of all suites so far."""

    fates: list[Fate] = field(default_factory=list)
    replays: int = 0
    not_judged: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A fault's record, judged by the checks as they are and by the mutants: by file and check, what was said."""

    fault: FaultResult
    said: Mapping[tuple[str, str], Sequence[Judgement]]

    def bad(self, file: str, check: str) -> set[str | None]:
        """The targets about which a check of a file found something."""
        return {one.target for one in self.said.get((file, check), ()) if one.judged is Judged.BAD}

    def finding(self, file: str, check: str) -> str | None:
        """The code that a check stands for."""
        return next((one.finding for one in self.said.get((file, check), ())), None)

    def raised_beside(self, file: str, check: str, originals: Iterable[str], target: str | None) -> bool:
        """Whether another check as it is found the same about the target."""
        code = self.finding(file, check)
        return any(
            one.judged is Judged.BAD and (one.finding, one.target) == (code, target)
            for (name, other), some in self.said.items()
            if name in originals and (name, other) != (file, check)
            for one in some
        )


def check_files(root: Path | None, base: Path) -> list[CheckFile]:
    """The check files in force for a repository: its own and the shipped ones, told from `base`."""
    roots = [content_dir() / CHECKS]
    if root is not None and (root / CHECKS).is_dir() and (root / CHECKS).resolve() != roots[0].resolve():
        roots.insert(0, root / CHECKS)
    files = []
    for folder in roots:
        for path in sorted(folder.rglob("check_*.py")):
            below = path.relative_to(folder).parts
            if len(below) > 1 and "__pycache__" not in below:
                where = str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
                files.append(CheckFile(suite=below[0], path=path, where=where, text=path.read_text(encoding="utf-8")))
    return files


def judge_checks(
    run: MatrixRun,
    files: Sequence[CheckFile],
    *,
    root: Path | None,
    scratch: Path,
    jobs: int,
    say: Say,
    only_below: Path | None = None,
) -> Judging:
    """Make the mutants of all check files of the suites that the run looked with, and see which it notices.

    Args:
        run: a matrix run with its records.
        files: see `check_files`.
        root: the repository; None where the shipped configuration counts.
        scratch: a folder that is thrown away.
        jobs: how many pytest at once.
        say: told how far it is.
        only_below: weaken only files below this folder; the others judge beside them, as they are. None: all.

    Raises:
        ConfigError: the configuration cannot be read.
    """
    judging = Judging()
    held = [one for one in run.results if one.status in (Status.PASSED, Status.FAILED) and one.record]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for suite in sorted({one.suite for one in files}):
                some = [one for one in files if one.suite == suite]
                mutants = [
                    made
                    for one in some
                    if is_below(f"{one.path}:1", only_below) and not defines_fixtures(one.text)
                    for made in mutants_of(one.path, one.text, suite, one.where)
                ]
                judging.not_judged += [
                    f"{one.where}: it defines what its checks are given, and cannot stand beside itself"
                    for one in some
                    if is_below(f"{one.path}:1", only_below) and defines_fixtures(one.text)
                ]
                results = [one for one in held if one.suite == suite]
                _Suite(suite, some, mutants, results, run.folder, root, scratch / suite, judging).judge(pool, say)
        finally:
            # Whoever ends this waits for the replays that run, and for no others.
            pool.shutdown(cancel_futures=True)
    return judging


class _Suite:
    """The mutants of one suite."""

    def __init__(
        self,
        name: str,
        files: Sequence[CheckFile],
        mutants: Sequence[CheckMutant],
        results: Sequence[FaultResult],
        folder: Path,
        root: Path | None,
        scratch: Path,
        judging: Judging,
    ) -> None:
        self.name = name
        self.files = files
        self.mutants = mutants
        self.folder = folder
        self.root = root
        self.scratch = scratch
        self.judging = judging
        self.originals = {one.path.name for one in files}
        self.by_check = {
            check: [one for one in results if _has_to_fail(one, check)] for made in mutants for check in made.checks
        }
        self.seen: dict[str, _Seen] = {}
        self.killed: dict[str, Fate] = {}

    def judge(self, pool: ThreadPoolExecutor, say: Say) -> None:
        """Replay until every mutant is noticed, or there is nothing left that could notice it."""
        for most in ROUNDS:
            alive = [one for one in self.mutants if one.mutant.id not in self.killed]
            wanted = self._wanted(alive, most)[: max(0, REPLAYS_MAX - self.judging.replays)]
            if not wanted:
                continue
            say(f"{self.name}: {len(alive)} mutants on the records of {len(wanted)} faults")
            repositories: dict[str, Path] = {}
            for result in wanted:
                if result.stack not in repositories:
                    repositories[result.stack] = self._repository(f"{most}-{result.stack}", result.stack, alive)
            self.judging.replays += len(wanted)
            tasks = [(one, repositories[one.stack]) for one in wanted]
            for result, told in zip(wanted, pool.map(lambda task: self._replay(*task), tasks), strict=True):
                if isinstance(told, str):
                    self.judging.not_judged.append(f"the record of {result.fault}: {told}")
                else:
                    self.seen[result.fault] = told
                    self._notice(told, alive)
        for made in self.mutants:
            self.judging.fates.append(
                self.killed.get(made.mutant.id) or Fate(mutant=made.mutant, how=self._explained(made))
            )

    def _wanted(self, alive: Sequence[CheckMutant], most: int) -> list[FaultResult]:
        """Faults whose records tell most: up to so many for each check, one record often for several checks."""
        done = {check: sum(one.fault in self.seen for one in some) for check, some in self.by_check.items()}
        needs = {check: most - done[check] for made in alive for check in made.checks}
        left = list(dict.fromkeys(one for check in needs for one in self.by_check[check]))
        left = [one for one in left if one.fault not in self.seen]
        chosen: list[FaultResult] = []
        while left:

            def worth(one: FaultResult) -> int:
                return sum(need > 0 and one in self.by_check[check] for check, need in needs.items())

            best = max(left, key=worth)
            if not worth(best):
                break
            left.remove(best)
            chosen.append(best)
            for check in needs:
                needs[check] -= best in self.by_check[check]
        return chosen

    def _repository(self, name: str, stack: str, alive: Sequence[CheckMutant]) -> Path:
        """A repository of this suite's checks and their mutants, whose configuration knows the stack."""
        place = self.scratch / name
        suite = place / CHECKS / self.name
        suite.mkdir(parents=True)
        own = self.root / CONFIG_NAME if self.root is not None else None
        config = own if own is not None and stack in _profiles(own) else content_dir() / CONFIG_NAME
        shutil.copyfile(config, place / CONFIG_NAME)
        (place / "docs").symlink_to(content_dir() / "docs")
        shipped = content_dir() / CHECKS
        for one in self.files:
            # The shipped ones come along by themselves.
            if not one.path.is_relative_to(shipped):
                shutil.copyfile(one.path, suite / one.path.name)
        for beside in (self.root / CHECKS / "conftest.py", self.root / "conftest.py") if self.root else ():
            if beside.is_file():
                shutil.copyfile(beside, place / beside.relative_to(self.root or place))
        for made in alive:
            (suite / made.file).write_text(made.text, encoding="utf-8")
        return place

    def _replay(self, result: FaultResult, repository: Path) -> _Seen | str:
        """The record of a fault, judged anew; or why it could not be."""
        record = self.folder / str(result.record)
        try:
            config = repository / CONFIG_NAME
            # Some stacks have a configuration of their own, which is gone; targets are those of the record anyway.
            settings = load_settings(config, result.stack if result.stack in _profiles(config) else None)
            made = repository / f"{result.fault}.json"
            observation = observe(settings, suite=self.name, record=made, replay=record).observation
        except OpsError as error:
            return error.what
        return _Seen(fault=result, said=_by_file(observation))

    def _notice(self, seen: _Seen, alive: Sequence[CheckMutant]) -> None:
        expected = {(one.code, one.target) for one in seen.fault.expected}
        for made in alive:
            if made.mutant.id in self.killed:
                continue
            original = _original(made)
            for check in made.checks:
                code = seen.finding(original, check)
                for target in seen.bad(original, check) - seen.bad(made.file, check):
                    beside = seen.raised_beside(original, check, self.originals, target)
                    if (code, target) in expected and not beside:
                        about = target or "the control plane"
                        self.killed[made.mutant.id] = Fate(
                            mutant=made.mutant, killed_by=seen.fault.fault, how=f"{code} about {about} would be missed"
                        )

    def _explained(self, made: CheckMutant) -> str:
        """Why nothing noticed a mutant, as far as the records tell."""
        faults = list(dict.fromkeys(one.fault for check in made.checks for one in self.by_check[check]))
        replayed = [self.seen[fault] for fault in faults if fault in self.seen]
        if not faults:
            return "no fault of the run has to make it fail"
        if not replayed:
            return f"the records of {', '.join(faults)} could not be replayed"
        original = _original(made)
        changed = [
            one.fault.fault
            for one in replayed
            for check in made.checks
            if one.bad(original, check) - one.bad(made.file, check)
        ]
        if changed:
            return f"another check raises the same finding in {', '.join(dict.fromkeys(changed))}"
        told = [
            f"{one.fault.fault}: {judgement.seen}"
            for one in replayed
            for check in made.checks
            for judgement in one.said.get((original, check), ())
            if judgement.judged is Judged.BAD
        ]
        why = {
            Change.THRESHOLD_WIDENED: "what was seen lies beyond the wider limit too",
            Change.STATUS_WIDENED: "what was seen has no status at all, or fails the rest of the assertion",
        }.get(made.mutant.change, "something else in the check fails as well")
        return f"{why} ({_short(told)})"


def _has_to_fail(result: FaultResult, check: str) -> bool:
    expected = {(one.code, one.target) for one in result.expected}
    return any(
        one.check == check and one.judged == Judged.BAD and (one.finding, one.target) in expected
        for one in result.judged
    )


def _by_file(observation: Observation) -> dict[tuple[str, str], list[Judgement]]:
    said: dict[tuple[str, str], list[Judgement]] = {}
    for one in observation.judgements:
        file = Path(one.nodeid.partition("::")[0]).name
        said.setdefault((file, one.check), []).append(one)
    return said


def _original(made: CheckMutant) -> str:
    return made.file.rpartition("__m")[0] + ".py"


def _profiles(path: Path) -> Iterable[str]:
    _, table = read_toml(path)
    profiles = table.get("profiles")
    return profiles if isinstance(profiles, dict) else ()


def _short(told: Sequence[str]) -> str:
    text = "; ".join(" ".join(one.split()) for one in told[:2])
    return text if len(text) <= 300 else text[:299] + "…"
