"""Faults of containers: each row about one has its fault, and what a machine lacks is said before anything is tried."""

from __future__ import annotations

import re
import tomllib

import pytest

from ops_core.content import content_dir
from ops_core.drill import container_engine
from ops_core.drill.catalogue.container import CONTAINER
from ops_core.drill.container_stack import SHOP, ContainerStack
from ops_core.errors import UsageError
from ops_core.evidence.containers import ContainerEvidence


def test_every_row_and_check_about_containers_has_a_fault() -> None:
    """The rows of the shipped table about containers are those of the faults, and so are the findings of the checks."""
    table = tomllib.loads((content_dir() / "remediations" / "decisions.toml").read_text(encoding="utf-8"))
    about = {row["id"]: row for row in table["row"] if any(code.startswith("container.") for code in row["when"])}
    assert {fault.row for fault in CONTAINER if fault.row} == set(about)
    for fault in CONTAINER:
        # What was removed cannot be started, whatever the row says: its fault expects that a person acts.
        if fault.row and fault.name != "container-removed":
            assert about[fault.row].get("remediation") == fault.remediation, fault.name
    checks = (content_dir() / "checks" / "observe" / "check_container.py").read_text(encoding="utf-8")
    assert {code for fault in CONTAINER for code in fault.findings} == set(re.findall(r'@finding\("(.+?)"\)', checks))
    assert any(fault.undone for fault in CONTAINER), "a rollback that does not help is taken back"


def test_a_fault_of_a_container_says_what_the_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the engine's programs nothing is started, and the reason names them."""
    monkeypatch.setattr(container_engine.servers, "search_path", lambda: "/nowhere")
    assert "dockerd" in ContainerStack.lacking()
    assert all("dockerd" in fault.missing() for fault in CONTAINER)
    assert {(fault.driver, fault.target) for fault in CONTAINER} == {("container", SHOP)}


def test_a_container_stack_is_not_left_running(tmp_path) -> None:
    """Nothing of it runs without its owner, so it cannot be started for others."""
    stack = ContainerStack(tmp_path / "w")
    with pytest.raises(UsageError, match="nothing to leave running"):
        stack.start(detached=True)
    with pytest.raises(UsageError, match="does not run"):
        stack.find()
    assert not stack.running
    stack.stop()


def test_no_image_is_to_blame_where_there_is_no_container() -> None:
    """Another image than the last good one is a fact; a container that is gone has none."""
    about = {"name": "shop", "engine": "/run/engine.sock", "image_good": "a" * 64}
    assert ContainerEvidence(state="running", image_id="b" * 64, **about).facts == ("image.unproven",)
    assert ContainerEvidence(state="running", image_id="a" * 64, **about).facts == ()
    assert ContainerEvidence(state="missing", **about).facts == ()
