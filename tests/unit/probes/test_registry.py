"""Which functions can be probes, and which probe a check means by a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops_core.errors import UsageError
from ops_core.probes import registry
from ops_core.probes.registry import ProbeDefinition, ProbeRegistry, probe


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> ProbeRegistry:
    own = ProbeRegistry()
    monkeypatch.setattr(registry, "REGISTRY", own)
    return own


def definition(name: str, file: str, line: int = 1) -> ProbeDefinition:
    return ProbeDefinition(
        name=name,
        function=lambda: None,
        budget_s=1.0,
        needs=(),
        attempts=1,
        until=bool,
        arguments=(),
        is_async=False,
        file=Path(file),
        line=line,
    )


def test_a_probe_is_defined_by_its_signature(own_registry: ProbeRegistry) -> None:
    """Name, arguments, async or not, where; and with `target` it is asked once per target."""

    @probe(budget_s=2, needs="health_url")
    async def own(target: Any, http: Any) -> None: ...

    @probe(budget_s=3.5, attempts=3)
    def other(command: Any) -> None: ...

    found = own_registry.resolve("own", Path(__file__))
    assert found is not None
    assert (found.arguments, found.is_async, found.per_target, found.needs) == (
        ("target", "http"), True, True, ("health_url",)
    )  # fmt: skip
    assert found.where.startswith(f"{Path(__file__).resolve()}:")
    found = own_registry.resolve("other", Path(__file__))
    assert found is not None
    assert (found.is_async, found.per_target, found.budget_s, found.attempts) == (False, False, 3.5, 3)


def plain() -> None: ...
def generator():
    yield 1


async def async_generator():
    yield 1


def odd(htp: Any) -> None: ...
def foreign(tmp_path: Any) -> None: ...
def without_target(http: Any) -> None: ...


@pytest.mark.parametrize(
    ("options", "function", "said"),
    [
        ({"budget_s": 0}, plain, "budget_s=0"),
        ({"budget_s": -1}, plain, "budget_s=-1"),
        ({"budget_s": float("nan")}, plain, "budget_s=nan"),
        ({"budget_s": 3601}, plain, "more than 0, at most 3600 seconds"),
        ({"budget_s": 1, "attempts": 0}, plain, "attempts=0"),
        ({"budget_s": 1, "attempts": 11}, plain, "1 to 10"),
        ({"budget_s": 1}, generator, "it does not yield"),
        ({"budget_s": 1}, async_generator, "it does not yield"),
        ({"budget_s": 1}, odd, "did you mean 'http'?"),
        ({"budget_s": 1}, foreign, "a probe cannot be given 'tmp_path'"),
        ({"budget_s": 1, "needs": "health_url"}, without_target, "must ask for `target`"),
    ],
)
def test_what_cannot_work_is_told_when_it_is_defined(options: dict[str, Any], function: Any, said: str) -> None:
    """With the place, and what is allowed."""
    with pytest.raises(UsageError) as error:
        probe(**options)(function)
    assert said in str(error.value)
    assert f"{Path(__file__).name}:" in error.value.where


def test_two_probes_of_one_name_in_one_file_are_refused(own_registry: ProbeRegistry) -> None:
    """Both places are named."""
    own_registry.add(definition("own", "/x/check_a.py", 1))
    own_registry.add(definition("own", "/x/check_a.py", 1))
    with pytest.raises(UsageError, match="defined twice") as error:
        own_registry.add(definition("own", "/x/check_a.py", 9))
    assert error.value.where == "/x/check_a.py:1 and /x/check_a.py:9"


def test_the_nearest_definition_wins(own_registry: ProbeRegistry) -> None:
    """As with fixtures: the check's module, then the nearest conftest above it, then what is shipped."""
    for file in (
        "/shipped/health.py",
        "/x/conftest.py",
        "/x/checks/conftest.py",
        "/x/checks/a/check_a.py",
        "/y/conftest.py",
    ):
        own_registry.add(definition("health", file))

    def resolved(asked_from: str) -> str:
        found = own_registry.resolve("health", Path(asked_from))
        assert found is not None
        return str(found.file)

    assert resolved("/x/checks/a/check_a.py") == "/x/checks/a/check_a.py"
    assert resolved("/x/checks/a/check_b.py") == "/x/checks/conftest.py"
    assert resolved("/x/other/check_b.py") == "/x/conftest.py"
    assert resolved("/z/check_c.py") == "/shipped/health.py"
    assert own_registry.resolve("nobody", Path("/x/check_a.py")) is None


def test_another_files_probe_is_not_meant(own_registry: ProbeRegistry) -> None:
    """A probe in one check module is that module's own."""
    own_registry.add(definition("own", "/x/checks/check_a.py"))
    assert own_registry.resolve("own", Path("/x/checks/check_b.py")) is None


def test_a_file_reached_through_a_link_is_the_same_file(own_registry: ProbeRegistry, tmp_path: Path) -> None:
    """Deployed checks often lie behind a link to the release in force."""
    real = tmp_path / "v1"
    real.mkdir()
    (real / "check_a.py").touch()
    (tmp_path / "current").symlink_to("v1")
    own_registry.add(definition("own", str(real / "check_a.py")))
    own_registry.add(definition("near", str(real / "conftest.py")))
    assert own_registry.resolve("own", tmp_path / "current" / "check_a.py") is not None
    assert own_registry.resolve("near", tmp_path / "current" / "check_a.py") is not None


def test_an_answer_needs_no_further_look_unless_it_says_so(own_registry: ProbeRegistry) -> None:
    """Evidence says so by `ok`, everything else never."""

    @probe(budget_s=1)
    def own() -> None: ...

    found = own_registry.resolve("own", Path(__file__))
    assert found is not None
    assert found.until(1)
    assert not found.until(type("E", (), {"ok": False})())
