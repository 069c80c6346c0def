"""The work directory of a service stack, and the servers in it."""

import stat
import tempfile
from pathlib import Path

import pytest

from ops_core.drill import servers
from ops_core.drill.service_layout import INGEST, SECRETS, ServiceLayout
from ops_core.drill.service_stack import PROGRAMS, ServiceStack
from ops_core.errors import UsageError

PORTS = {"database": 1, "redis": 2, "ingest": 3}


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A work directory, laid out but for the cluster."""
    monkeypatch.setattr(servers, "new_cluster", lambda *_: None)
    laid_out = ServiceLayout(tmp_path / "w")
    laid_out.lay_out(PORTS, iter(f"secret-{number}" for number in range(9)).__next__)
    yield laid_out
    laid_out.remove_cluster()


def test_the_known_good_versions_are_in_force(layout):
    """The service starts with release v1 and configuration 1.env behind its links, and the whole service is in v1."""
    assert layout.in_force(INGEST) == ("v1", "1.env")
    assert (layout.release_link(INGEST) / "ingest" / "serve.py").is_file()
    assert (layout.release_link(INGEST) / "ingest" / "migrations" / "env.py").is_file()
    assert layout.schema.is_file()
    assert sorted(file.name for file in layout.versions.iterdir())[1:] == [
        "rev_0001_items.py",
        "rev_0002_newest_first.py",
    ]


def test_the_service_gets_the_secrets_that_the_operator_has(layout):
    """Each secret has a value of its own, in the operator's file and in the configuration; nobody else reads either."""
    settings = layout.read_config(INGEST)
    assert len({settings[name] for name in SECRETS}) == len(SECRETS)
    assert {name: settings[name] for name in SECRETS} == {name: layout.secret(name) for name in SECRETS}
    files = [*(layout.root / "secrets").iterdir(), *layout.root.glob("config/*/1.env"), layout.root / "ports.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_no_secret_is_in_an_argument(layout, tmp_path):
    """What supervisord is told to start shows no secret."""
    text = layout.supervisor_text(PORTS, tmp_path / "s")
    assert "serve.py" in text
    assert not [name for name in SECRETS if layout.secret(name) in text]


def test_making_good_removes_and_repairs(layout):
    """Later versions go, changed good ones are written anew, and both links point to them."""
    layout.write_release("v2", {})
    layout.write_config(INGEST, "2.env", {"A": "1"})
    (layout.release_link(INGEST) / "ingest" / "app.py").write_text("broken")
    (layout.config_link(INGEST)).write_text("A=1\n")
    layout.make_good(INGEST)
    assert "create_app" in (layout.release_link(INGEST) / "ingest" / "app.py").read_text()
    assert layout.read_config(INGEST) == layout.good_settings(INGEST)
    assert {file.name for file in layout.release_link(INGEST).parent.iterdir()} == {"v1", "current"}
    assert {file.name for file in layout.config_link(INGEST).parent.iterdir()} == {"1.env", "current.env"}


def test_a_release_is_patched_where_the_passage_is(layout):
    """A passage that occurs once is replaced; one that does not, or that leaves no Python, is refused."""
    layout.write_release("v2", {"WAIT_S = 2.0": "WAIT_S = 3.0"})
    folder = layout.release_link(INGEST).parent
    assert "WAIT_S = 3.0" in (folder / "v2" / "ingest" / "store.py").read_text()
    for passage, instead, said in (
        ("no such passage", "", "exactly once"),
        ("import json", "", "exactly once"),
        ("WAIT_S = 2.0", "WAIT_S =", "not Python"),
    ):
        with pytest.raises(UsageError, match=said):
            layout.write_release("v3", {passage: instead})
    with pytest.raises(UsageError, match="v2 of ingest already"):
        layout.write_release("v2", {})
    assert not (folder / "v3").exists()


def test_what_is_missing_is_said_with_what_to_type(monkeypatch, tmp_path):
    """A machine without the programs, or an environment without the packages, is told how to get them."""
    monkeypatch.setattr(servers, "POSTGRES_PROGRAMS", tmp_path)
    monkeypatch.setattr(servers, "ADMINISTRATORS_PATH", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, package in (("initdb", "postgresql"), ("redis-server", "redis-server")):
        with pytest.raises(UsageError, match=f"needs the program {name}") as caught:
            servers.program(name)
        assert caught.value.next_step == f"apt-get install {package}"
    monkeypatch.setattr(servers, "PACKAGES", ("psycopg", "no_such_package"))
    with pytest.raises(UsageError, match="needs no_such_package") as caught:
        servers.need_packages()
    assert "pytest-runbook[service]" in caught.value.next_step


def test_only_what_was_made_for_a_cluster_is_removed(tmp_path):
    """A note that was changed by hand removes nobody's folder."""
    precious = tmp_path / "precious"
    precious.mkdir()
    servers.remove_place(precious, tmp_path / "w")
    assert precious.is_dir()


def test_postgresql_gets_a_place_that_its_account_can_reach(tmp_path, monkeypatch):
    """Temporary files may lie where only we can go; the cluster then lies where everybody can."""
    if servers.postgres_account() is None:
        pytest.skip("PostgreSQL runs as ourselves: it reaches what we reach")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(hidden))
    place = servers.new_place(tmp_path / "postgres")
    try:
        assert place.parent == Path(servers.EVERYBODYS)
        assert place.stat().st_uid == servers.postgres_account().pw_uid
    finally:
        servers.remove_place(place, tmp_path)
    assert not place.exists()


def test_what_a_stack_lacks_is_told(monkeypatch):
    """Without a program that it needs, a stack is not tried at all; the reason names it."""
    assert ServiceStack.lacking() in ("", *(f"the service stack needs the program {name}" for name in PROGRAMS))
    monkeypatch.setattr(servers, "POSTGRES_PROGRAMS", Path("/nowhere"))
    monkeypatch.setattr(servers, "search_path", lambda: "/nowhere")
    assert ServiceStack.lacking() == "the service stack needs the program initdb"
