"""Which bundles are taken: those of a known producer, signed, newer than all before, and in time."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

from ops_core.control.people.keys import make_key
from ops_core.handoff.judge import Accepted, judge
from ops_core.handoff.model import BundleFile, RefusalCode, new_manifest
from ops_core.handoff.signing import DOMAIN, public_key_of, signed, signed_by
from ops_core.operations import HandoffTable

NOW = datetime(2026, 1, 23, 0, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_page_explains_every_refusal():
    """Each code stands in the table of the page about split operations, and no other one."""
    page = (ROOT / "docs/split-operations.md").read_text(encoding="utf-8")
    table = page.partition("Why a bundle is refused:")[2].partition("A branch that was force-pushed")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)) == {one.value for one in RefusalCode}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The private key of the producer, and a table that knows its public one."""
    path = tmp_path_factory.mktemp("keys") / "pc.pem"
    public = make_key(path)
    return path.read_text(), HandoffTable(producers={"pc": public, "other": "0" * 64})


def bundle(pem, **changes):
    told = {
        "producer": "pc",
        "sequence": 7,
        "created_at": NOW,
        "source_revision": "",
        "fresh_hours": 26.0,
        "files": (BundleFile(path="a.json", size=1, sha256="0" * 64),),
    }
    return signed(new_manifest(**{**told, **changes}), pem, where="a test")


def code(manifest, table, *, accepted=None, held=(), now=NOW + HOUR):
    found = judge(manifest, handoff=table, accepted=accepted, held=held, now=now)
    return None if found is None else found.code


def test_a_good_one_is_taken(keys):
    """Of a known producer, signed, new and in time: there is nothing to refuse."""
    assert code(bundle(keys[0]), keys[1]) is None


def test_whose_it_is_counts_before_anything_that_it_says(keys):
    """An unknown producer, a signature of somebody else and a changed field are told before age or number."""
    pem, table = keys
    old = bundle(pem, created_at=NOW - 100 * HOUR, producer="stranger")
    assert code(old, table) is RefusalCode.WRONG_PRODUCER
    assert code(bundle(pem, producer="other"), table) is RefusalCode.BAD_SIGNATURE
    assert code(replace(bundle(pem), sequence=8), table) is RefusalCode.BAD_SIGNATURE
    assert code(replace(bundle(pem), signature=""), table) is RefusalCode.BAD_SIGNATURE
    assert code(bundle(pem), HandoffTable()) is RefusalCode.WRONG_PRODUCER


def test_a_signature_for_something_else_is_none(keys):
    """What the same key signed without the line of a bundle does not count as its signature."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem, table = keys
    one, key = bundle(pem), load_pem_private_key(pem.encode(), None)
    assert signed_by(one, public_key_of(pem, where="a test"))
    for data in (one.signed_bytes(), b"ops approval v1\n" + one.signed_bytes(), DOMAIN + one.as_bytes()):
        assert code(replace(one, signature=key.sign(data).hex()), table) is RefusalCode.BAD_SIGNATURE


def test_numbers_only_count_up(keys):
    """An older number, and the same number on another bundle, are refused; the very bundle that was taken is not."""
    pem, table = keys
    one, other = bundle(pem), bundle(pem, source_revision="a" * 40)
    accepted = Accepted(sequence=7, digest=one.digest)
    assert code(one, table, accepted=accepted) is None
    assert code(other, table, accepted=accepted) is RefusalCode.REPLAYED
    assert code(bundle(pem, sequence=6), table, accepted=accepted) is RefusalCode.REPLAYED
    assert code(bundle(pem, sequence=8), table, accepted=accepted) is None


def test_what_was_rolled_back_from_is_held_back(keys):
    """Exactly that bundle: a newer one is taken."""
    pem, table = keys
    one = bundle(pem)
    assert code(one, table, held={one.bundle_id}) is RefusalCode.HELD_BACK
    assert code(bundle(pem, sequence=8), table, held={one.bundle_id}) is None


@pytest.mark.parametrize(
    ("made", "said_h", "limit_h", "wanted"),
    [
        (timedelta(hours=-26), 26.0, 26.0, RefusalCode.STALE),
        (timedelta(hours=-26, milliseconds=1), 26.0, 26.0, None),
        (timedelta(hours=-2), 1.0, 26.0, RefusalCode.STALE),
        (timedelta(hours=-2), 8760.0, 1.0, RefusalCode.STALE),
        (timedelta(seconds=300), 26.0, 26.0, None),
        (timedelta(seconds=301), 26.0, 26.0, RefusalCode.FROM_THE_FUTURE),
        (timedelta(days=1), 26.0, 26.0, RefusalCode.FROM_THE_FUTURE),
        (timedelta(days=-1), 26.0, 26.0, None),
        (timedelta(days=-2), 26.0, 26.0, RefusalCode.STALE),
    ],
)
def test_a_bundle_is_good_for_its_time(keys, made, said_h, limit_h, wanted):
    """Not after its end, which is the earlier of what its producer and its operator say; and not before it was made."""
    one = bundle(keys[0], created_at=NOW + made, fresh_hours=said_h)
    assert code(one, replace(keys[1], fresh_hours=limit_h), now=NOW) is wanted


@settings(max_examples=60)
@given(
    made_h=st.floats(-60, 60),
    fresh_h=st.floats(0.1, 60),
    sequence=st.integers(1, 12),
    accepted=st.none() | st.integers(1, 12),
)
def test_nothing_old_nothing_from_the_future_and_nothing_twice(keys, made_h, fresh_h, sequence, accepted):
    """Whatever the numbers and times are, what is taken is newer than what was taken, and in time."""
    pem, table = keys
    one = bundle(pem, created_at=NOW + made_h * HOUR, fresh_hours=fresh_h, sequence=sequence)
    before = None if accepted is None else Accepted(sequence=accepted, digest="0" * 64)
    if code(one, table, accepted=before, now=NOW) is None:
        assert accepted is None or sequence > accepted
        assert one.created - timedelta(seconds=table.skew_max_s) <= NOW < one.created + fresh_h * HOUR
