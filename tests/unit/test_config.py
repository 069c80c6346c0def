"""One invalid `ops.toml` for each rule: what is wrong, on which line, and what is allowed."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.config import SecretMissing, Settings, find_config, known_secrets, load_settings, read_secret
from ops_core.content import content_dir
from ops_core.errors import ConfigError, UsageError
from ops_core.targets import Target

HEAD = "[profiles.default.targets.core]\n"


def load(tmp_path: Path, text: str, profile: str | None = None, **environ: str) -> Settings:
    path = tmp_path / "ops.toml"
    path.write_text(textwrap.dedent(text))
    return load_settings(path, profile, environ)


FIELD_RULES = [
    ("health_url = 'ftp://x/'", "'ftp://x/' is not allowed here", "http:// or https:// with a host and no user or password in it"),
    ("health_url = 'http://'", "'http://' is not allowed here", "http:// or https:// with a host"),
    ("health_url = 'http://u:p@x/'", "'http://u:p@x/' is not allowed here", "no user or password in it"),
    ("health_url = 'http://x:99999/'", "'http://x:99999/' is not allowed here", "http:// or https://"),
    ("health_url = 'http://x:0/'", "'http://x:0/' is not allowed here", "http:// or https://"),
    ("health_url = 'http://x/ y'", "'http://x/ y' is not allowed here", "http:// or https://"),
    ("health_url = 'http://[::1'", "'http://[::1' is not allowed here", "http:// or https://"),
    ("health_url = 5", "expected text, found a whole number", ""),
    ("health_url = true", "expected text, found true or false", ""),
    ("health_url = ['http://x']", "expected text, found a list", ""),
    ("health_latency_max_ms = 0", "0 is not allowed here", "milliseconds: more than 0, at most 3600000"),
    ("health_latency_max_ms = -1.5", "-1.5 is not allowed here", "milliseconds: more than 0, at most 3600000"),
    ("health_latency_max_ms = nan", "nan is not allowed here", "milliseconds: more than 0, at most 3600000"),
    ("health_latency_max_ms = inf", "inf is not allowed here", "milliseconds: more than 0, at most 3600000"),
    ("health_latency_max_ms = 'fast'", "expected a number, found text", ""),
    ("health_latency_max_ms = true", "expected a number, found true or false", ""),
    ("health_latency_max_ms = 2026-01-01", "expected a number, found a date or time", ""),
    ("guard_url = 'http://x/'", "guard_url needs guard_secret beside it", "guard_secret = …"),
    ("guard_header = 'X Y'", "'X Y' is not allowed here", "letters, digits and dashes"),
    ('guard_header = "X\\nY"', "'X\\nY' is not allowed here", "letters, digits and dashes"),
    ("guard_secret = 'a b'", "'a b' is not allowed here", "letters, digits, dot, dash and underscore"),
    ("stream_window_s = 3601", "3601 is not allowed here", "seconds: more than 0, at most 3600"),
    ("driver = 'docker'", "'docker' is not allowed here", "supervisor, command or container"),
    ("driver = 'container'", "driver = 'container' needs container beside it", "container = …"),
    ("error_rate_max = 1.5", "1.5 is not allowed here", "a ratio from 0 to 1"),
    ("slo_availability = 1.0", "1.0 is not allowed here", "a ratio between 0 and 1, such as 0.999"),
    ("batch_items_max = 5", "batch_items_max needs ingest_url beside it", "ingest_url = …"),
    ("batch_items_max = 0", "0 is not allowed here", "a whole number from 1 to 1000000000"),
    ("body_max_bytes = 5", "body_max_bytes needs ingest_url beside it", "ingest_url = …"),
    ("log_file = 'x'", "log_file needs live_url beside it", "live_url = …"),
    ("required_secrets = ['A', 'A']", "['A', 'A'] is not allowed here", "names, each once"),
    ("database_url = 'postgresql://u:p@h/d'", "'postgresql://u:p@h/d' is not allowed here", "without a password in it"),
    ("database_password = 'X'", "database_password needs database_url beside it", "database_url = …"),
    ("migrations = 'x.ini'", "migrations needs database_url beside it", "database_url = …"),
    ("redis_url = 'redis://:p@h'", "'redis://:p@h' is not allowed here", "without a password in it"),
    ("redis_password = 'X'", "redis_password needs redis_url beside it", "redis_url = …"),
    ("certificate_url = 'http://x/'", "'http://x/' is not allowed here", "https:// with a host"),
    ("certificate_days_min = -1", "-1 is not allowed here", "0 to 3650 days"),
    ("disk_free_min_percent = 101", "101 is not allowed here", "0 to 100 percent"),
    ("bench_requests = 1001", "1001 is not allowed here", "1 to 1000 requests"),
    ("rollout_halt_argv = ['x']", "rollout_halt_argv needs rollout_running_argv beside it", "rollout_running_argv = …"),
    ("depends_on = ['a b']", "['a b'] is not allowed here", "names, each once"),
    ("driver = 'supervisor'", "driver needs process beside it", "process = …"),
    ("process = 'x'", "process needs supervisor_conf beside it", "supervisor_conf = …"),
    ("process = 'x y'", "'x y' is not allowed here", "letters, digits, dot, dash and underscore"),
    ("driver = 'command'", "driver = 'command' needs start_argv beside it", "start_argv = …"),
    ("start_argv = ['a']", "start_argv needs stop_argv beside it", "stop_argv = …"),
    ("start_argv = ['a']\nstop_argv = ['b']", "stop_argv needs running_argv beside it", "running_argv = …"),
    ("start_argv = 'sh -c x'", "expected a list, found text", ""),
    ("start_argv = ['a', 5]", "expected text, found a whole number", ""),
    ("release_link = 5", "expected a path (text), found a whole number", ""),
    ('release_link = "a\\u0000b"', "'a\\x00b' is no path", "a path without NUL"),
    ("vars = 5", "expected a table, found a whole number", ""),
    ("vars = { health_url = 'x' }", "'health_url' is a field of every target", ""),
    ("healt_url = 'http://x/'", "unknown key 'healt_url'", "health_url"),
    ("name = 'other'", "unknown key 'name'", "health_url"),
    ("health_url = 'http://${NOBODY_SET_THIS}/'", "the environment variable NOBODY_SET_THIS is not set", "${NOBODY_SET_THIS:-value}"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what", "allowed"), FIELD_RULES)
def test_each_rule_of_a_target_has_its_message(tmp_path: Path, line: str, what: str, allowed: str) -> None:
    """The message, the line it stands on, the key."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "# a comment\n\n" + HEAD + line + "\n")
    assert error.value.what == what
    assert allowed in error.value.allowed
    assert error.value.where.startswith(
        f"{tmp_path}/ops.toml:{3 if ' needs ' in what else 4}, profiles.default.targets.core"
    )


FILE_RULES = [
    ("", "no profile is defined", "", "a table [profiles.NAME]"),
    ("profiles = 5\n", "no profile is defined", "", "a table [profiles.NAME]"),
    ("[profiles.a.targets.x]\n", "there is no profile 'default'", "", "a"),
    ("default_profile = 'b'\n[profiles.a.targets.x]\n", "there is no profile 'b'", "", "a"),
    ("default_profile = 5\n[profiles.a.targets.x]\n", "expected text, found a whole number", ":1, default_profile", ""),
    ("lang = 'de'\n" + HEAD, "'de' is not allowed here", ":1, lang", "en or ko"),
    ("lang = 5\n" + HEAD, "expected text, found a whole number", ":1, lang", ""),
    ("suites = 'observe'\n" + HEAD, "expected a list, found text", ":1, suites", ""),
    ("suits = ['observe']\n" + HEAD, "unknown key 'suits'", ":1, suits", "default_profile, lang, profiles, suites"),
    ("[profiles]\ndefault = 5\n", "expected a table, found a whole number", ":2, profiles.default", ""),
    ("[profiles.default]\n", "profile 'default' has no target", ":1, profiles.default", "[profiles.default.targets.NAME]"),
    ("[profiles.default.targets]\nx = 5\n", "expected a table, found a whole number", ":2, profiles.default.targets.x", ""),
    ("[profiles.default.targets.'a b']\n", "'a b' is not a target name", ":1, profiles.default.targets.a b", "letters"),
    ("[profiles.default.targets.'a[b]']\n", "'a[b]' is not a target name", ":1, profiles.default.targets.a[b]", "letters"),
    ("[profiles.default]\ndrill = 'yes'\n" + HEAD, "expected true or false, found text", ":2, profiles.default.drill", ""),
    ("[profiles.default]\ndrill = 1\n" + HEAD, "expected true or false, found a whole number", ":2, profiles.default.drill", ""),
    ("[profiles.default]\nrole = 'boss'\n" + HEAD, "'boss' is not allowed here", ":2, profiles.default.role",
     "producer or operator; without it, both"),
    *(
        (f"[profiles.default.handoff]\n{line}\n" + HEAD, what, f":2, profiles.default.handoff.{line.partition(' ')[0]}", allowed)
        for line, what, allowed in [
            ("folder = '../x'", "'../x' is not allowed here", "names joined by /"),
            ("folder = '/x'", "'/x' is not allowed here", "names joined by /"),
            ("folder = '.git'", "'.git' is not allowed here", "names joined by /"),
            ("folder = 'a/.Git/b'", "'a/.Git/b' is not allowed here", "names joined by /"),
            ("folder = ''", "'' is not allowed here", "names joined by /"),
            ("branch = '--upload-pack=x'", "'--upload-pack=x' is not allowed here", "a name such as origin"),
            ("branch = 'a..b'", "'a..b' is not allowed here", "a name such as origin"),
            ("branch = 'a.lock'", "'a.lock' is not allowed here", "a name such as origin"),
            ("remote = 'ext::sh -c x'", "'ext::sh -c x' is not allowed here", "a name such as origin"),
            ("producers = { pc = 'ABC' }", "{'pc': 'ABC'} is not allowed here", "64 hexadecimal digits"),
            ("schemas = { '../x' = 'y' }", "{'../x': 'y'} is not allowed here", "by the name of a file its schema"),
            ("files = []", "[] is not allowed here", "1 to 50 patterns"),
            ("fresh_hours = 0", "0 is not allowed here", "hours: more than 0, at most 8760"),
            ("skew_max_s = -1", "-1 is not allowed here", "0 to 86400 seconds"),
        ]
    ),
    ("[[profiles.default.handoff.steps]]\nname = 'a'\nargv = []\n" + HEAD, "[] is not allowed here",
     ":3, profiles.default.handoff.steps[1].argv", "1 to 64 arguments"),
    ("[profiles.default.split]\nbackend_url = 'http://u:p@x/'\n" + HEAD, "'http://u:p@x/' is not allowed here",
     ":2, profiles.default.split.backend_url", "no user or password"),
    ("[profiles.default]\nstate = 'x'\n" + HEAD, "unknown key 'state'", ":2, profiles.default.state", "state_dir"),
    ("[profiles.default.budgets]\ntotal_s = 0\n" + HEAD, "0 is not allowed here", ":2, profiles.default.budgets.total_s",
     "seconds: more than 0, at most 3600"),
    ("[profiles.default.budgets]\nin_flight_max = 0\n" + HEAD, "0 is not allowed here",
     ":2, profiles.default.budgets.in_flight_max", "1 to 100000 probes at once"),
    ("[profiles.default.budgets]\nin_flight_max = 1.5\n" + HEAD, "expected a whole number, found a number",
     ":2, profiles.default.budgets.in_flight_max", ""),
    ("[profiles.default.budgets.probes]\nhealth = -1\n" + HEAD, "-1.0 is not allowed here",
     ":2, profiles.default.budgets.probes.health", "seconds: more than 0, at most 3600"),
    ("[profiles.default.budgets.probes]\nhealth = 'x'\n" + HEAD, "expected a number, found text",
     ":2, profiles.default.budgets.probes.health", ""),
    ("[profiles.default.secrets]\nA = 'value'\n" + HEAD, "expected a table, found text", ":2, profiles.default.secrets.A", ""),
    ("[profiles.default.secrets.A]\nvalue = 'x'\n" + HEAD, "unknown key 'value'", ":2, profiles.default.secrets.A.value", "env, env_file, file"),
    ("[profiles.default.secrets.A]\nenv = 'A B'\n" + HEAD, "'A B' is not allowed here", ":2, profiles.default.secrets.A.env", "letters"),
    ("x = \n", "ops.toml is not valid TOML: Invalid value (at line 1, column 5)", "", ""),
    ("a = 1\na = 2\n", "ops.toml is not valid TOML: Cannot overwrite a value (at line 2, column 6)", "", ""),
    ("a = " + "[" * 5000, "ops.toml is not valid TOML: ", "", ""),
    ("a = " + "9" * 5000 + "\n", "ops.toml is not valid TOML: ", "", ""),
    ("[profiles.default.budgets]\ntotal_s = " + "9" * 400 + "\n" + HEAD, "a number that is too large",
     ":2, profiles.default.budgets.total_s", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "what", "where", "allowed"), FILE_RULES)
def test_each_rule_of_the_file_has_its_message(tmp_path: Path, text: str, what: str, where: str, allowed: str) -> None:
    """The message, the line it stands on, the key."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert error.value.what == what if not what.endswith(": ") else error.value.what.startswith(what)
    assert error.value.where.startswith(f"{tmp_path}/ops.toml{where}")
    assert allowed in error.value.allowed


def test_a_file_that_cannot_be_read_is_told_as_it_is(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8, too large."""
    path = tmp_path / "ops.toml"
    with pytest.raises(ConfigError, match=r"ops.toml does not exist"):
        load_settings(path)
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(path)
    path.rmdir()
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 5\)"):
        load_settings(path)
    path.write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigError, match="is larger than 1048576 bytes"):
        load_settings(path)


def test_close_misspellings_are_named(tmp_path: Path) -> None:
    """With the key that was probably meant."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, HEAD + "helth_url = 'http://x/'\n")
    assert error.value.next_step == "did you mean 'health_url'?"


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    """And paths are absolute, beside the file."""
    settings = load(tmp_path, HEAD)
    assert (settings.profile, settings.profile_is_default, settings.lang, settings.suites, settings.drill) == (
        "default", True, "en", ("observe",), False
    )  # fmt: skip
    assert settings.state_dir == tmp_path / "state"
    assert settings.control_store == tmp_path / "state-control" / "control.db"
    assert settings.reports_dir == tmp_path / "reports"
    assert settings.budgets.total_s == 60.0
    assert settings.targets == (Target(name="core"),)


def test_relative_paths_lie_beside_the_file(tmp_path: Path) -> None:
    """Absolute ones stay."""
    settings = load(
        tmp_path,
        """
        [profiles.default]
        state_dir = "/var/ops"
        ca_file = "ca.pem"
        secrets.A = { file = "a" }
        [profiles.default.targets.core]
        release_link = "r/current"
        config_link = "/etc/c"
        process = "core"
        supervisor_conf = "s.conf"
        """,
    )
    assert settings.state_dir == Path("/var/ops")
    assert settings.ca_file == tmp_path / "ca.pem"
    assert settings.secrets["A"].file == tmp_path / "a"
    target = settings.target("core")
    assert (target.release_link, target.config_link) == (tmp_path / "r/current", Path("/etc/c"))
    assert target.supervisor_conf == tmp_path / "s.conf"


PROFILES = """
default_profile = "embedded"
[profiles.embedded]
drill = true
[profiles.embedded.targets.core]
health_url = "http://127.0.0.1:${PORT:-8010}/"
[profiles.live.targets.core]
health_url = "https://${LIVE_HOST}/"
"""


def test_only_the_profile_in_force_is_followed(tmp_path: Path) -> None:
    """What another profile needs does not stop this one; option, environment and file settle which it is, in that order."""
    assert load(tmp_path, PROFILES).profile == "embedded"
    assert load(tmp_path, PROFILES, None, OPS_PROFILE="live", LIVE_HOST="x").profile == "live"
    assert load(tmp_path, PROFILES, "embedded", OPS_PROFILE="live").profile == "embedded"
    assert not load(tmp_path, PROFILES, "live", LIVE_HOST="x").profile_is_default
    with pytest.raises(ConfigError, match="LIVE_HOST is not set"):
        load(tmp_path, PROFILES, "live")


def test_variables_come_from_the_environment(tmp_path: Path) -> None:
    """With their defaults; an empty one counts as not set."""
    assert load(tmp_path, PROFILES).target("core").health_url == "http://127.0.0.1:8010/"
    assert load(tmp_path, PROFILES, PORT="9").target("core").health_url == "http://127.0.0.1:9/"
    assert load(tmp_path, PROFILES, PORT="").target("core").health_url == "http://127.0.0.1:8010/"
    with pytest.raises(ConfigError, match="is not allowed here"):
        load(tmp_path, PROFILES, PORT="many")


def test_a_target_answers_for_its_own_variables(tmp_path: Path) -> None:
    """As attributes; a name that is neither is an AttributeError, and needs are met only by what is set."""
    target = load(tmp_path, HEAD + "vars = { orders_url = 'http://o/', empty = '' }\n").target("core")
    assert target.orders_url == "http://o/"
    assert target.has(("orders_url",))
    assert target.has(())
    assert not target.has(("orders_url", "health_url"))
    assert not target.has(("empty",))
    assert not target.has(("start_argv",))
    with pytest.raises(AttributeError, match="target 'core' has no 'other'"):
        _ = target.other
    assert replace(target, name="x").orders_url == "http://o/"


def test_an_unknown_target_is_told_with_those_there_are(tmp_path: Path) -> None:
    """And the file."""
    with pytest.raises(UsageError) as error:
        load(tmp_path, HEAD).target("cor")
    assert error.value.what == "there is no target 'cor' in profile 'default'"
    assert error.value.allowed == "core"


SECRETS = (
    HEAD
    + "guard_url = 'http://x/'\nguard_secret = 'GUARD'\n[profiles.default.secrets]\nA = { env = 'A_VAR' }\nB = { file = 'b' }\n"
)


def test_secrets_come_from_where_they_are_said_to(tmp_path: Path) -> None:
    """A file, a variable, or the variable of their own name; blanks around them do not count."""
    settings = load(tmp_path, SECRETS)
    (tmp_path / "b").write_text(" from-file\n")
    environ = {"A_VAR": "from-env ", "GUARD": "own-name"}
    assert [read_secret(settings, name, environ) for name in ("A", "B", "GUARD")] == [
        "from-env",
        "from-file",
        "own-name",
    ]


def test_a_secret_may_stand_in_the_file_that_a_service_is_started_with(tmp_path: Path) -> None:
    """The last line of its name, or of the variable that `env` names, counts; comments and other names do not."""
    text = HEAD + "[profiles.default.secrets]\nA = { env_file = 'f' }\nB = { env_file = 'f', env = 'OTHER' }\n"
    settings = load(tmp_path, text)
    (tmp_path / "f").write_text("A=old\nXA=no\n A = new=er \n#A=commented\nOTHER=b\n")
    assert [read_secret(settings, name, {"A": "never"}) for name in ("A", "B")] == ["new=er", "b"]
    for content in ("A=\n", "#A=1\n", None):
        (tmp_path / "f").write_text(content) if content else (tmp_path / "f").unlink()
        with pytest.raises(SecretMissing) as error:
            read_secret(settings, "A", {"A": "never"})
        assert error.value.where == f"A= in file {tmp_path}/f"


def test_a_secret_without_value_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """The place, never a value; an empty one, or one that cannot be read, is none."""
    settings = load(tmp_path, SECRETS)
    with pytest.raises(SecretMissing) as error:
        read_secret(settings, "A", {"A_VAR": "  "})
    assert (
        str(error.value)
        == "the secret A has no value\n  where    environment variable A_VAR\n  next     export A_VAR=…"
    )
    for content in (None, b"", b" \n", b"\xff\xfe\x00"):
        if content is not None:
            (tmp_path / "b").write_bytes(content)
        with pytest.raises(SecretMissing) as error:
            read_secret(settings, "B", {})
        assert error.value.where == f"file {tmp_path}/b"


def test_known_secrets_are_those_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the targets and those of the profile."""
    monkeypatch.setenv("GUARD", "guard-value")
    monkeypatch.delenv("A_VAR", raising=False)
    (tmp_path / "b").write_text("file-value")
    assert known_secrets(load(tmp_path, SECRETS)) == {"B": "file-value", "GUARD": "guard-value"}


def test_the_configuration_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, in the environment, here, or in a folder above."""
    monkeypatch.delenv("OPS_CONFIG", raising=False)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"no ops.toml here or in a folder above"):
        find_config(deep)
    (tmp_path / "ops.toml").touch()
    assert find_config(deep) == tmp_path / "ops.toml"
    assert find_config(deep, "other.toml") == deep / "other.toml"
    monkeypatch.setenv("OPS_CONFIG", "/etc/ops.toml")
    assert find_config(deep) == Path("/etc/ops.toml")
    assert find_config(deep, "x.toml") == deep / "x.toml"


def test_the_shipped_configuration_can_be_followed() -> None:
    """It describes the embedded stack, and that is a drill."""
    path = content_dir() / "ops.toml"
    settings = load_settings(path, environ={})
    assert settings.drill
    assert {"core-api", "soul-engine", "dashboard"} <= {target.name for target in settings.targets}


@given(st.text(max_size=200))
def test_no_text_whatever_gets_more_than_a_configuration_error(text: str) -> None:
    """Never another exception."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ops.toml"
        path.write_text(HEAD + text, encoding="utf-8", errors="replace")
        try:
            load_settings(path, environ={})
        except ConfigError as error:
            assert str(error)
