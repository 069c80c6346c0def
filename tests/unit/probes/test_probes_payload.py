"""One byte more, one item more: what is sent to see whether it is refused, and that none of it could be kept."""

import json

import pytest
from serving import TOO_LARGE, Service

from ops_core.errors import CannotLook
from ops_core.evidence import HttpEvidence
from ops_core.probes.payload import SENT_MAX_BYTES, code_of

KEY = "correct-horse-battery"


def test_a_body_of_one_byte_more_is_sent_and_holds_nothing(look, serve):
    """Nothing but spaces: no service keeps that, whatever it does."""
    service = Service()
    seen = look("oversized_body", ingest_url=serve(service).url("/api/ingest"), body_max_bytes=100_000)
    assert service.posted == [b" " * 100_001]
    assert (seen.refused_as_promised, seen.accepted, seen.sent_bytes) == (True, False, 100_001)
    assert "body of 100001 bytes (limit 100000)" in seen.explain()


def test_a_batch_of_one_item_more_is_sent_and_no_item_can_be_kept(look, serve):
    """Each holds what no column of text or jsonb takes; the key goes along and stands in nothing that is seen."""
    service = Service()
    fields = {"ingest_url": serve(service).url("/api/ingest"), "batch_items_max": 3, "ingest_key": "API_KEY"}
    seen = look("oversized_batch", {"API_KEY": KEY}, **fields)
    assert json.loads(service.posted[0]) == {"items": [{"runbook_probe": "\0"}] * 4}
    assert f"X-API-Key: {KEY}".lower() in service.heads[0].lower()
    assert seen.refused_as_promised
    assert KEY not in repr(seen)


def test_a_batch_stays_below_the_limit_of_the_body(look, serve):
    """Else the other limit would refuse it."""
    service = Service()
    look("oversized_batch", ingest_url=serve(service).url(), batch_items_max=10, body_max_bytes=60)
    assert json.loads(service.posted[0]) == {"items": [{}] * 11}


@pytest.mark.parametrize(
    ("answer", "accepted", "refused"),
    [
        (TOO_LARGE, False, True),
        ((413, {"code": "PAYLOAD_TOO_LARGE"}), False, True),
        ((413, {"error": {"code": "OTHER"}}), False, False),
        ((413, "too large"), False, False),
        ((202, {"taken": 4}), True, False),
        ((200, TOO_LARGE[1]), True, False),
        ((422, TOO_LARGE[1]), False, False),
        ((500, {}), False, False),
    ],
)
def test_only_413_with_the_promised_code_is_the_promise(look, serve, answer, accepted, refused):
    """The status alone may come from anybody on the way."""
    seen = look("oversized_batch", ingest_url=serve(Service(batch=answer)).url(), batch_items_max=1)
    assert (seen.accepted, seen.refused_as_promised) == (accepted, refused)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("oversized_body", {"body_max_bytes": SENT_MAX_BYTES}),
        ("oversized_batch", {"batch_items_max": 10**9}),
        ("oversized_batch", {"batch_items_max": SENT_MAX_BYTES // 10}),
    ],
)
def test_a_limit_beyond_measure_is_not_tried(look, serve, name, limit):
    """To send that much would be an attack; nothing is sent."""
    service = Service()
    with pytest.raises(CannotLook, match="would be an attack"):
        look(name, ingest_url=serve(service).url(), **limit)
    assert service.heads == []


def test_a_key_that_has_no_value_is_ours_to_miss(look, serve):
    """The service is not asked without it: what it then says would not be about size."""
    service = Service()
    with pytest.raises(CannotLook, match="API_KEY"):
        look("oversized_body", ingest_url=serve(service).url(), body_max_bytes=10, ingest_key="API_KEY")
    assert service.heads == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"error": {"code": "A"}}', "A"),
        ('{"code": "A"}', "A"),
        ('{"error": "A"}', ""),
        ('{"error": {"code": 7}}', ""),
        ('{"error": {"code": "' + "x" * 500 + '"}}', "x" * 80),
        ("[]", ""),
        ("null", ""),
        ("[" * 100_000, ""),
        ("<html>", ""),
    ],
)
def test_what_an_answer_calls_its_reason(text, code):
    """In the two usual places, bounded; no document says nothing."""
    assert code_of(HttpEvidence(method="POST", url="http://h/", status=413, body_excerpt=text)) == code
