"""Clocks that are a day wrong, on either host and on both: each ends clearly, and what was made arrives once they are right."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.handing import Hosts

pytestmark = pytest.mark.slow
DAY = timedelta(days=1)
# By how many days the producer's clock and the operator's are ahead: what the pull says, and what a publish says once both
# are right. A bundle is worth something for 26 hours, so that one that seems to be a day old is taken.
SKEWED = {
    "producer ahead": (1, 0, "FROM_THE_FUTURE", "PUBLISHED"),
    "producer behind": (-1, 0, "INSTALLED", "PUBLISHED"),
    "operator ahead": (0, 1, "INSTALLED", "UNCHANGED"),
    "operator behind": (0, -1, "FROM_THE_FUTURE", "UNCHANGED"),
    "both ahead": (1, 1, "INSTALLED", "PUBLISHED"),
    "both behind": (-1, -1, "INSTALLED", "PUBLISHED"),
    "producer ahead, operator behind": (1, -1, "FROM_THE_FUTURE", "PUBLISHED"),
    "producer behind, operator ahead": (-1, 1, "STALE", "PUBLISHED"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hosts with one bundle in force, from a time when all clocks were right."""
    hosts = Hosts(tmp_path_factory.mktemp("template") / "hosts")
    oci = hosts.operator()
    hosts.published(n=1)
    assert oci.pull()["outcome"] == "INSTALLED"
    return hosts.root


@pytest.mark.parametrize(("producer", "operator", "told", "mended"), SKEWED.values(), ids=SKEWED)
def test_a_clock_that_is_a_day_wrong_loses_nothing(
    template: Path, tmp_path: Path, producer: int, operator: int, told: str, mended: str
) -> None:
    """Taken, or refused with the reason and the old one in force; with the clocks right, the results are in force."""
    shutil.copytree(template, tmp_path / "hosts", symlinks=True)
    hosts = Hosts(tmp_path / "hosts")
    oci = hosts.operator()
    old = oci.whole()
    hosts.pc.clock.instant += producer * DAY
    oci.clock.instant += operator * DAY
    new = hosts.published(n=2)["bundle_id"]
    receipt = oci.pull()
    assert (receipt["code"] or receipt["outcome"]) == told, receipt
    assert oci.whole() == (new if told == "INSTALLED" else old)
    if told != "INSTALLED":
        assert (receipt["outcome"], receipt["in_force"]) == ("REFUSED", old)
        assert "clock" in receipt["next"] or "date -u" in receipt["next"]
    hosts.pc.clock.instant -= producer * DAY
    oci.clock.instant -= operator * DAY
    for host in (hosts.pc, oci):
        host.wait(0.1)
    hosts.results(n=2)
    assert hosts.pc.publish()["outcome"] == mended
    assert oci.pull()["outcome"] == ("UP_TO_DATE" if (told, mended) == ("INSTALLED", "UNCHANGED") else "INSTALLED")
    here = oci.in_force()
    assert here is not None
    assert here.is_fresh(oci.clock.now() + timedelta(hours=25))
    assert json.loads((here.path / "files" / "recon_summary.json").read_text(encoding="utf-8"))["n"] == 2
    assert oci.pull()["outcome"] == "UP_TO_DATE"
