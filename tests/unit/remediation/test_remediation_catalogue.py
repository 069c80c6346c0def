"""The catalogue: the operator's remediations before the shipped ones, and a broken module told by file and line."""

import sys
import textwrap

import pytest

from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.errors import ConfigError, UsageError
from ops_core.remediation.catalogue import folders, load_catalogue, load_folders, remediation
from ops_core.remediation.context import PlanContext
from ops_core.remediation.plan import PlanInvalid, PlanRefused
from ops_core.targets import Target

GOOD = """
from ops_core.remediation import LinkPointsTo, Plan, PlanContext, PlanRefused, Step, remediation

@remediation("{name}")
def planner(context):
    {body}
"""
PLAN = (
    'return Plan(remediation="{name}", target=context.target.name, findings=(), summary={{"en": "x"}}, '
    'no_undo={{"en": "x"}}, steps=(Step(name="s", argv=("true",), timeout_s=1, '
    'outcome=LinkPointsTo(link="/l", destination="d")),))'
)
CONTEXT = PlanContext(target=Target(name="core-api"))

SHIPPED = (
    "enter_degraded_mode",
    "halt_rollout",
    "leave_degraded_mode",
    "lower_limits",
    "restart_service",
    "restore_limits",
    "rollback_config",
    "rollback_image",
    "rollback_release",
    "rollback_schema",
)


def module(folder, file="own.py", name="own_verb", body=None):
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(GOOD.format(name=name, body=body or PLAN.format(name=name)))
    return folder / file


def broken(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "own.py").write_text(textwrap.dedent(text))
    with pytest.raises(ConfigError) as caught:
        load_folders((folder,))
    return caught.value


def test_the_shipped_remediations_are_there():
    """The verbs that the shipped decision table names exist."""
    found = load_folders((content_dir() / "remediations",))
    assert found.names() == SHIPPED


def test_nothing_of_a_module_stays_behind_under_a_public_name():
    """Modules are loaded by path: no package `remediations`, and no module of theirs, can be imported afterwards."""
    before = set(sys.modules)
    load_folders((content_dir() / "remediations",))
    left = {name for name in set(sys.modules) - before if "remediation" in name and not name.startswith("ops_core")}
    assert not left
    assert "remediations" not in sys.modules


def test_an_own_remediation_replaces_the_shipped_one_of_its_name(tmp_path):
    """The operator's module comes first, whatever its file is called; the others stay."""
    own = module(tmp_path / "remediations", name="restart_service")
    found = load_folders((own.parent, content_dir() / "remediations"))
    assert found.get("restart_service").where.startswith(f"{own}:")
    assert found.names() == SHIPPED
    assert found.get("restart_service").plan(CONTEXT).steps[0].argv == ("true",)


def test_the_folder_beside_ops_toml_is_looked_at(tmp_path):
    """A repository's own remediations need no configuration; one without them has the shipped ones."""
    (tmp_path / "ops.toml").write_text('[profiles.default.targets.a]\nhealth_url = "http://127.0.0.1/"\n')
    settings = load_settings(tmp_path / "ops.toml", environ={})
    assert folders(settings) == (content_dir() / "remediations",)
    module(tmp_path / "remediations")
    assert folders(settings) == (tmp_path / "remediations", content_dir() / "remediations")
    assert "own_verb" in load_catalogue(settings).names()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("def broken(:\n", 1, "own.py is not valid Python"),
        ("x = 1\nimport no_such_module\n", 2, "own.py cannot be loaded: ModuleNotFoundError: No module named"),
        ("x = 1\n\nraise SystemExit(3)\n", 3, "own.py cannot be loaded: SystemExit: 3"),
        ("x = 1\n1 / 0\n", 2, "own.py cannot be loaded: ZeroDivisionError: division by zero"),
        ("x = 1\n", 1, "own.py offers no remediation"),
        (
            "from ops_core.remediation import remediation\n\n@remediation('Bad Name')\ndef f(c): ...\n",
            3,
            "'Bad Name' is not the name of a remediation",
        ),
    ],
)
def test_a_broken_module_is_told_with_file_and_line(tmp_path, text, line, message):
    """Whatever a module does when it is loaded, the operator reads what and where, and never a traceback."""
    error = broken(tmp_path / "remediations", text)
    assert error.what.startswith(message)
    assert error.where == f"{tmp_path / 'remediations' / 'own.py'}:{line}"


def test_two_modules_of_one_folder_cannot_claim_a_name(tmp_path):
    """Which of the two were meant would depend on the alphabet."""
    module(tmp_path / "r", file="a.py")
    second = module(tmp_path / "r", file="b.py")
    with pytest.raises(ConfigError, match="the remediation own_verb is there twice") as caught:
        load_folders((tmp_path / "r",))
    assert caught.value.where.startswith(str(second))


def test_helper_modules_are_left_alone(tmp_path):
    """A file that begins with an underscore is not a remediation, and is not loaded."""
    own = module(tmp_path / "r")
    (own.parent / "_helper.py").write_text("raise SystemExit\n")
    assert load_folders((own.parent,)).names() == ("own_verb",)


def test_what_a_module_imports_is_not_its_own(tmp_path):
    """A planner that one module takes from another is offered once."""
    own = module(tmp_path / "r", file="a.py", body="return 1")
    (own.parent / "b.py").write_text(
        "from ops_core.remediation import remediation\n"
        "from ops_core.remediation.catalogue import load_folders\n"
        "@remediation('second')\ndef second(context): ...\n"
    )
    assert load_folders((own.parent,)).names() == ("own_verb", "second")


def test_an_unknown_name_is_told_with_the_closest(tmp_path):
    """A typing mistake gets its correction."""
    found = load_folders((content_dir() / "remediations",))
    with pytest.raises(UsageError) as caught:
        found.get("rollback_confg")
    assert caught.value.next_step == "did you mean 'rollback_config'?"
    assert "restart_service" in caught.value.allowed


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "the remediation own_verb returned no plan but NoneType"),
        ("return {}", "the remediation own_verb returned no plan but dict"),
        (PLAN.format(name="other"), "the remediation own_verb for core-api returned a plan of other for core-api"),
        ("raise RuntimeError('first\\nsecond')", "the remediation own_verb failed: RuntimeError: first"),
        ("return context.nothing", "the remediation own_verb failed: AttributeError"),
        ("return Step(name='')", "the remediation own_verb failed: TypeError"),
    ],
)
def test_a_planner_that_fails_is_told_with_its_line(tmp_path, body, message):
    """A planner is somebody's own code: whatever it does, what went wrong is said with file and line."""
    own = module(tmp_path / "r", body=body)
    with pytest.raises(PlanInvalid) as caught:
        load_folders((own.parent,)).get("own_verb").plan(CONTEXT)
    assert caught.value.what.startswith(message)
    assert caught.value.where.startswith(f"{own}:")


def test_a_planner_that_refuses_is_heard(tmp_path):
    """A refusal is an answer, and reaches the operator as it is."""
    own = module(tmp_path / "r", body="raise PlanRefused('not on a Sunday')")
    with pytest.raises(PlanRefused, match=r"^not on a Sunday$"):
        load_folders((own.parent,)).get("own_verb").plan(CONTEXT)


def test_names_are_checked_when_they_are_given():
    """The decision table could not name a verb that is no word."""
    for name in ("", "Restart", "a-b", "1a", "a" * 65):
        with pytest.raises(UsageError):
            remediation(name)
