"""The work directory of an embedded stack."""

import configparser
import shlex
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_core.drill.layout import SECRET, SERVICES, Layout, supervisor_configuration
from ops_core.drill.work_dir import GOOD_CONFIG, GOOD_RELEASE, digest_below, swap_link
from ops_core.errors import UsageError

PORTS = {"core": 1, "soul": 2, "dashboard": 3}


@pytest.fixture
def layout(tmp_path):
    """A work directory, laid out."""
    laid_out = Layout(tmp_path / "w")
    laid_out.lay_out(lambda: "s3cr3t")
    return laid_out


def everything(layout):
    """All there is in a work directory, with contents."""
    return {
        str(p.relative_to(layout.root)): p.read_bytes() if p.is_file() else p.is_symlink()
        for p in sorted(layout.root.rglob("*"))
    }


def test_known_good_versions_are_in_force(layout):
    """Each service starts with release v1 and configuration 1.env behind its links."""
    for service in SERVICES:
        assert layout.in_force(service) == (GOOD_RELEASE, GOOD_CONFIG)
        assert (layout.release_link(service) / f"{service}.py").is_file()
        assert layout.config_link(service).is_file()


def test_secrets_are_for_the_owner_only(layout):
    """The operator's secret and every configuration have mode 0600, below directories with mode 0700."""
    private = [layout.secret_file, *layout.root.glob("config/*/*.env"), layout.effects_log]
    assert {stat.S_IMODE(p.stat().st_mode) for p in private} == {0o600}
    folders = [layout.root, layout.secret_file.parent, *layout.root.glob("config/*"), *layout.root.glob("releases/*")]
    assert {stat.S_IMODE(p.stat().st_mode) for p in folders} == {0o700}


def test_operator_and_core_have_the_same_secret(layout):
    """Core's configuration holds the operator's secret; no other service's does."""
    assert layout.secret_file.read_text() == "s3cr3t\n"
    assert layout.read_config("core")[SECRET] == "s3cr3t"
    assert not any(SECRET in layout.read_config(service) for service in ("soul", "dashboard"))


def test_laying_out_again_keeps_the_secret_and_the_good_versions(layout):
    """A second time changes nothing, so that what was recorded about the good versions stays true."""
    before = everything(layout)
    inode = (layout.root / "releases/core/v1").stat().st_ino
    layout.lay_out(lambda: "another")
    assert everything(layout) == before
    assert (layout.root / "releases/core/v1").stat().st_ino == inode


def test_making_good_repairs_whatever_was_broken(layout):
    """Links, versions, data and the fault file are as they were, and what was deployed on top is gone."""
    before = everything(layout)
    layout.write_release("core", "v2", "raise SystemExit\n")
    layout.write_config("core", "2.env", {"A": "b"})
    swap_link(layout.release_link("core"), "v2")
    layout.config_link("core").unlink()
    (layout.root / "releases/core/v1/core.py").write_text("tampered")
    (layout.root / "config/core/1.env").unlink()
    layout.thoughts_file.unlink()
    layout.fault_file("core").write_text("5xx")
    layout.make_good("core")
    assert everything(layout) == before
    layout.make_good("core")
    assert everything(layout) == before


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    """Where other files lie no stack is laid out; state and reports may lie there."""
    (tmp_path / "reports").mkdir()
    Layout(tmp_path).claim()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not of the embedded stack: thesis"):
        Layout(other).lay_out(lambda: "s")
    assert [p.name for p in other.iterdir()] == ["thesis.txt"]


def test_a_path_that_supervisord_cannot_read_is_refused(tmp_path):
    """A semicolon would start a comment in the middle of a path."""
    with pytest.raises(UsageError, match="semicolon"):
        Layout(tmp_path / "a ;b").claim()


def test_versions_never_change(layout):
    """A name that is taken is not written again."""
    with pytest.raises(UsageError, match="there is a release v1 of core already"):
        layout.write_release("core", "v1", "")
    with pytest.raises(UsageError, match=r"there is a configuration 1\.env of core already"):
        layout.write_config("core", "1.env", {})


@pytest.mark.parametrize(("key", "value"), [("A", "b\nAFO=c"), ("A\n", "b"), ("A=B", "c"), ("A", "\0")])
def test_a_setting_cannot_smuggle_in_another(layout, key, value):
    """A setting that would be read as two is refused."""
    with pytest.raises(UsageError, match="does not fit on a line"):
        layout.write_config("core", "2.env", {key: value})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), max_size=40),
        max_size=5,
    )
)
def test_what_is_written_is_read_back(layout, values):
    """Any setting that fits on a line is read back as it was written."""
    (layout.root / "config/core/3.env").unlink(missing_ok=True)
    layout.write_config("core", "3.env", values)
    assert layout.read_config("core", "3.env") == values


def test_a_link_always_points_somewhere(layout):
    """Whoever reads a link while it is swapped back and forth sees the old or the new destination, never none."""
    link, seen, done = layout.config_link("core"), set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add(layout.in_force("core")[1])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(500):
            swap_link(link, f"{number % 2}.env")
    finally:
        done.set()
        reader.join()
    assert seen <= {"0.env", "1.env"}


def test_an_unknown_service_is_named_with_the_known_ones():
    """The error lists the services there are."""
    with pytest.raises(UsageError, match="no service 'web'") as caught:
        Layout(Path("w")).spec_of("web")
    assert caught.value.allowed == "core, soul, dashboard"


@pytest.mark.parametrize("folder", ["plain", "with space", "100% sure", 'it\'s "quoted"', "한국어", "#hash"])
def test_supervisord_is_told_the_right_paths(tmp_path, folder):
    """Whatever the directory is called, the configuration means it, and it names nothing secret."""
    layout = Layout(tmp_path / folder)
    layout.lay_out(lambda: "s3cr3t-value")
    text = supervisor_configuration(layout, PORTS, layout.root / "supervisor.sock", ("/usr/bin/python3", "-I"))
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read_string(text)
    here = {"here": str(layout.root)}
    assert Path(parser["unix_http_server"]["file"] % here) == layout.root / "supervisor.sock"
    assert Path(parser["supervisord"]["directory"] % here) == layout.root
    words = [word % here for word in shlex.split(parser["program:core"]["command"])]
    assert words == [
        "/usr/bin/python3",
        "-I",
        str(layout.release_link("core") / "core.py"),
        *("--root", str(layout.root), "--name", "core", "--port", "1", "--host", "127.0.0.1"),
    ]
    assert "s3cr3t-value" not in text
    assert parser["program:core"]["autorestart"] == "false"


def test_a_digest_notices_files_links_and_what_they_hold(tmp_path):
    """What is in a folder, where links lead and what files hold count; compiled Python does not."""
    folder = tmp_path / "releases"
    assert digest_below(folder) == ""
    (folder / "v1").mkdir(parents=True)
    (folder / "v1" / "core.py").write_text("1")
    (folder / "current").symlink_to("v1")
    before = digest_below(folder)
    (folder / "v1" / "__pycache__").mkdir()
    (folder / "v1" / "__pycache__" / "core.pyc").write_text("anything")
    assert digest_below(folder) == before
    (folder / "v1" / "core.py").write_text("2")
    changed = digest_below(folder)
    swap_link(folder / "current", "v2")
    assert len({before, changed, digest_below(folder)}) == 3
