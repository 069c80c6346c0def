"""Somebody's own faults: found by path, told with file and line where they are broken, and looked at with their checks."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core import drill
from ops_core.cli.scaffold import FAULT_HEALTH
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.drill import EmbeddedStack, Fault
from ops_core.drill.alone_stack import AloneStack
from ops_core.drill.control_plane import ControlStack
from ops_core.drill.faults import FAULTS, fault_named
from ops_core.drill.own import all_faults, bring_along, configuration_for, own_faults, repository_of
from ops_core.drill.rehearse import rehearse
from ops_core.errors import ConfigError, UsageError

GOOD = '''
"""A fault."""
from ops_core.drill import Fault
from ops_core.drill import answers

FAULT = Fault(
    name="moved-away",
    description={"en": "it moved away"},
    findings=("health.not_ok",),
    remediation=None,
    do=lambda stack, service: None,
    holds=answers(404),
)
'''


@pytest.fixture
def folder(tmp_path):
    """A repository's folder of faults, with one in it."""
    place = tmp_path / "faults"
    place.mkdir()
    (place / "moved.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "ops.toml").write_text('[profiles.default.targets.web]\nhealth_url = "http://h/"\n', encoding="utf-8")
    return place


def test_an_own_fault_stands_beside_the_shipped_ones(folder, tmp_path):
    """It is found by path; helpers, and folders of other repositories, are left alone."""
    (folder / "_helper.py").write_text("raise RuntimeError\n", encoding="utf-8")
    faults = all_faults(tmp_path)
    assert list(faults) == [*FAULTS, "moved-away"]
    assert isinstance(faults["moved-away"], Fault)
    assert faults["moved-away"].target == "core-api"
    assert list(all_faults(None)) == list(FAULTS)
    assert own_faults(tmp_path / "nothing") == {}
    assert not [name for name in sys.modules if "moved" in name]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("import nothing_of_the_kind\n", 1, "cannot be loaded: ModuleNotFoundError"),
        ("x = 1\ny = (\n", 2, "is not valid Python"),
        ("x = 1\n", 1, "defines no FAULT"),
        ("\n\nFAULT = 5\n", 3, "defines a FAULT that is no Fault but int"),
        (GOOD.replace("moved-away", "Moved away"), 6, "'Moved away' is not the name of a fault"),
        (GOOD.replace('"moved-away"', "7"), 6, "7 is not the name of a fault"),
        (GOOD.replace("moved-away", "killed"), 6, "the fault killed is there twice"),
        (GOOD.replace('{"en": "it moved away"}', '{"ko": "x"}'), 6, "says nothing about itself"),
        (GOOD.replace("    findings", '    service="nobody",\n    findings'), 6, "has no service 'nobody'"),
        (GOOD.replace("    findings", "    stack=dict,\n    findings"), 6, "is no kind of stack"),
        (GOOD.replace("    findings", "    finding"), 6, "cannot be loaded: TypeError"),
        ("import sys\nsys.exit(3)\n", 2, "cannot be loaded: SystemExit"),
    ],
)
def test_a_broken_fault_is_told_with_file_and_line(folder, text, line, said):
    """And with what is allowed where there is something to say about it."""
    path = folder / "broken.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        own_faults(folder)
    assert said in caught.value.what
    assert caught.value.where == f"{path}:{line}"


def test_two_own_faults_of_one_name_are_told(folder):
    """The second is refused, and the message says where the first is."""
    (folder / "second.py").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match="is there twice") as caught:
        own_faults(folder)
    assert str(folder / "moved.py") in caught.value.allowed


def test_an_unknown_fault_is_told_with_those_there_are(folder, tmp_path):
    """A typing mistake is understood, in own names too."""
    with pytest.raises(UsageError) as caught:
        fault_named("moved-awy", all_faults(tmp_path))
    assert caught.value.next_step == "did you mean 'moved-away'?"


def test_the_repository_is_that_of_the_configuration(folder, tmp_path, monkeypatch):
    """From within it, and nowhere else; the shipped configuration is nobody's repository."""
    monkeypatch.delenv("OPS_CONFIG", raising=False)
    assert repository_of(folder) == tmp_path
    assert repository_of(content_dir()) is None
    assert repository_of(Path("/")) is None


def test_a_drill_looks_with_the_stacks_configuration_and_the_repositorys_checks(folder, tmp_path):
    """Without a profile of the stack's name, the shipped one counts, with the repository's checks beside it."""
    (tmp_path / "checks").mkdir()
    place = tmp_path / "made"
    place.mkdir()
    made = configuration_for(EmbeddedStack, tmp_path, place)
    assert made == place / "ops.toml"
    assert (made.parent / "checks").samefile(tmp_path / "checks")
    settings = load_settings(made, "embedded", {})
    assert settings.drill
    assert settings.root == place
    assert configuration_for(EmbeddedStack, None, place) == content_dir() / "ops.toml"


def test_a_profile_of_the_stacks_name_counts(folder, tmp_path):
    """Whoever has one says with it what a drill looks at."""
    own = tmp_path / "ops.toml"
    own.write_text('[profiles.embedded.targets.web]\nhealth_url = "http://h/"\n', encoding="utf-8")
    assert configuration_for(EmbeddedStack, tmp_path, tmp_path / "made") == own


def test_a_stack_with_a_configuration_of_its_own_gets_what_the_repository_brings(folder, tmp_path):
    """Its remediations count there too, and nothing that the stack has is replaced; a control plane is left alone."""
    (tmp_path / "remediations").mkdir()
    (tmp_path / "checks").mkdir()
    own = tmp_path / "ops.toml"
    place = tmp_path / "stack"
    (place / "checks").mkdir(parents=True)
    bring_along(own, AloneStack(place, config=own))
    assert (place / "remediations").samefile(tmp_path / "remediations")
    assert not (place / "checks").is_symlink()
    site = tmp_path / "site"
    site.mkdir()
    bring_along(own, ControlStack(site, config=own))
    bring_along(None, AloneStack(site))
    assert list(site.iterdir()) == []


@pytest.mark.parametrize(
    "profile",
    [
        'drill = false\ncontrol_dir = "${OPS_CONTROL_DIR}"\nreports_dir = "${OPS_REPORTS_DIR}"\n',
        'drill = true\ncontrol_dir = "control"\nreports_dir = "${OPS_REPORTS_DIR}"\n',
        'drill = true\ncontrol_dir = "${OPS_CONTROL_DIR}"\nreports_dir = "reports"\n',
    ],
)
def test_a_drill_never_touches_what_is_not_the_stacks(tmp_path, profile):
    """A profile that is no drill, or keeps its store or its records elsewhere, is refused before anything is done."""
    own = tmp_path / "ops.toml"
    own.write_text(
        f'[profiles.embedded]\n{profile}[profiles.embedded.targets.web]\nhealth_url = "http://h/"\n', "utf-8"
    )

    class Standing(EmbeddedStack):
        """A stack that needs no processes."""

        def __enter__(self):
            self._ports = dict.fromkeys(self.LAYOUT.SERVICES, 1)
            return self

        def __exit__(self, *_):
            pass

        def environ(self):
            self._ports = dict.fromkeys(self.LAYOUT.SERVICES, 1)
            return super().environ()

    fault = Fault(
        name="x", stack=Standing, description={"en": "x"}, findings=(), remediation=None,
        do=lambda *_: None, holds=lambda *_: False,
    )  # fmt: skip
    with pytest.raises(UsageError, match="does not belong to the embedded stack"):
        rehearse(fault, reports_dir=tmp_path / "held", clock=SystemClock(), say=lambda _: None, config=own)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ops.toml"]


def test_naming_a_part_of_the_drills_costs_nothing_else():
    """The services that are broken import the package, and are timed."""
    program = "import sys, ops_core.drill; print([n for n in sys.modules if n.startswith('ops_core.')])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "ops_core.drill.fault" not in run.stdout
    with pytest.raises(ImportError):
        from ops_core.drill import nothing_of_the_kind  # noqa: F401 - it is not there


def test_the_page_shows_the_fault_that_a_new_repository_has(tmp_path):
    """What docs/drills.md shows is what `ops init` writes, and it can be loaded."""
    page = (Path(__file__).parents[3] / "docs" / "drills.md").read_text(encoding="utf-8")
    assert f"```python\n{FAULT_HEALTH}```" in page
    (tmp_path / "health.py").write_text(FAULT_HEALTH, encoding="utf-8")
    assert list(own_faults(tmp_path)) == ["health-says-failing"]


def test_the_page_names_every_field_of_a_fault_and_every_part():
    """Whoever writes one finds there what it may say, and what it is made of."""
    page = (Path(__file__).parents[3] / "docs" / "drills.md").read_text(encoding="utf-8")
    fields = [one.name for one in dataclasses.fields(Fault)]
    assert [name for name in [*fields, *drill.__all__] if f"`{name}`" not in page and f"`{name}=" not in page] == []
