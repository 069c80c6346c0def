"""Manifests have one spelling, paths cannot lead anywhere, and nothing that is read makes the reader fall over."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.control.audit import canonical
from ops_core.handoff.model import (
    FILE_MAX_BYTES,
    FILES_MAX,
    MANIFEST_MAX_BYTES,
    SEQUENCE_MAX,
    BundleFile,
    BundleRefused,
    RefusalCode,
    bundle_id_of,
    clash_in,
    fit_path,
    new_manifest,
    parse_manifest,
)

NOW = datetime(2026, 1, 23, 0, 5, tzinfo=UTC)
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}[A-Za-z0-9_]", fullmatch=True).filter(
    lambda name: name.lower() != ".git"
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def file(path="recon_summary.json", data=b"{}"):
    return BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def manifest(**changes):
    told = {
        "producer": "pc",
        "sequence": 7,
        "created_at": NOW,
        "source_revision": "a" * 40,
        "fresh_hours": 26.0,
        "files": (file(), file("charts/a.json")),
    }
    return new_manifest(**{**told, **changes})


def spelled(**changes):
    """The bytes of a manifest in which fields were changed, with the id that its content calls for then."""
    told = json.loads(manifest().as_bytes()) | changes
    if "bundle_id" not in changes:
        content = {name: value for name, value in told.items() if name not in {"bundle_id", "signature"}}
        told["bundle_id"] = "20260123T000500Z-" + hashlib.sha256(canonical(content).encode()).hexdigest()[:16]
    return (json.dumps(told, sort_keys=True, indent=1) + "\n").encode()


def test_what_is_spelled_here_would_be_taken():
    """The bytes that the tests below change are those of a manifest, so that the change is what is refused."""
    assert parse_manifest(spelled()) == manifest()
    assert parse_manifest(spelled(sequence=9)) == manifest(sequence=9)


def refusal(raw):
    with pytest.raises(BundleRefused) as caught:
        parse_manifest(raw)
    return caught.value.refusal


def test_a_manifest_reads_as_it_was_written():
    """What is spelled is read back as the same, and its id says when it was made."""
    one = replace(manifest(), signature="b" * 128)
    assert parse_manifest(one.as_bytes()) == one
    assert one.bundle_id.startswith("20260123T000500Z-")
    assert [f.path for f in one.files] == ["charts/a.json", "recon_summary.json"]


def test_two_bundles_never_share_an_id():
    """The id covers everything but the signature."""
    ids = {
        manifest(**change).bundle_id
        for change in (
            {},
            {"producer": "pc2"},
            {"sequence": 8},
            {"source_revision": ""},
            {"fresh_hours": 25.0},
            {"files": (file(),)},
            {"files": (file(data=b"[]"), file("charts/a.json"))},
        )
    }
    assert len(ids) == 7


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", RefusalCode.NOT_A_BUNDLE),
        (b"{", RefusalCode.NOT_A_BUNDLE),
        (b"[]", RefusalCode.NOT_A_BUNDLE),
        (b"null", RefusalCode.NOT_A_BUNDLE),
        (b'"bundle_manifest_v1"', RefusalCode.NOT_A_BUNDLE),
        (b'{"a": 1}', RefusalCode.NOT_A_BUNDLE),
        (b"\xff\xfe", RefusalCode.NOT_A_BUNDLE),
        (b"[" * 100_000, RefusalCode.NOT_A_BUNDLE),
        (b'{"schema": ' + b"9" * 5000 + b"}", RefusalCode.NOT_A_BUNDLE),
        (b'{"schema": "bundle_manifest_v2"}', RefusalCode.BAD_SCHEMA),
        (b'{"schema": ["bundle_manifest_v1"]}', RefusalCode.BAD_SCHEMA),
        (b'{"schema": "bundle_manifest_v1"}', RefusalCode.BAD_SCHEMA),
        (b" " * (MANIFEST_MAX_BYTES + 1), RefusalCode.TOO_LARGE),
        (spelled() + b" ", RefusalCode.BAD_SCHEMA),
        (spelled().replace(b'"sequence": 7', b'"sequence": 6, "sequence": 7'), RefusalCode.BAD_SCHEMA),
        (spelled().replace(b"\n", b"\r\n"), RefusalCode.BAD_SCHEMA),
        (spelled(bundle_id="20260123T000500Z-" + "0" * 16), RefusalCode.BAD_SCHEMA),
        (spelled(more=1), RefusalCode.BAD_SCHEMA),
        (spelled(files=[]), RefusalCode.INCOMPLETE),
        (spelled(files={}), RefusalCode.INCOMPLETE),
        (spelled(files="abc"), RefusalCode.BAD_SCHEMA),
        (spelled(files=[file(f"f{n}").as_dict() for n in range(FILES_MAX + 1)]), RefusalCode.TOO_LARGE),
        (spelled(files=[{**file().as_dict(), "size": FILE_MAX_BYTES + 1}]), RefusalCode.TOO_LARGE),
        (
            spelled(files=[{**file(f"f{n}").as_dict(), "size": FILE_MAX_BYTES} for n in range(5)]),
            RefusalCode.TOO_LARGE,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, RefusalCode) else None,
)
def test_what_is_no_manifest_is_refused_with_its_code(raw, code):
    """Each way of not being one has its code, whatever else the bytes are."""
    assert refusal(raw).code is code


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("sequence", [0, -1, SEQUENCE_MAX + 1, 7.0, "7", True, None, [], 10**4000, float("1e300")]),
        (
            "created_at",
            ["2026-01-23", "2026-01-23T00:05:00Z", "2026-02-30T00:05:00.000Z", "9999-01-01T00:00:00.000Z", 1],
        ),
        ("fresh_hours", [0.0, -1.0, 26, 1e308, 8761.0, "26", None, True]),
        ("producer", ["", "../pc", "p c", "é", "x" * 65, 1, None, {}]),
        ("source_revision", ["HEAD", "a" * 39, None, 1]),
        ("signature", ["x", "A" * 128, None, 1]),
        ("bundle_id", ["..", "", None, "20260123T000500Z-xyz", "20260123T000500Z-" + "A" * 16]),
    ],
)
def test_a_field_that_no_manifest_has_is_refused(field, values):
    """No field is taken for anything but what it must be; what it says is not repeated."""
    for value in values:
        assert refusal(spelled(**{field: value})).code is RefusalCode.BAD_SCHEMA, value


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", ".", ".git/config", "a/.GIT/hooks/x", ".hidden",
        "a\\b", "a\x00b", "a\nb", "a b", "C:x", "~/x", "-rf", "a/-x", "é", "a.", "a./b", "x" * 101, "/".join("ab" * 60),
        "\u202egnp.exe", "a:b", "*",
    ],
)  # fmt: skip
def test_a_path_that_could_lead_elsewhere_is_none(path):
    """Only plain names joined by a slash are paths; in a manifest anything else refuses all of it."""
    assert not fit_path(path)
    assert refusal(spelled(files=[{**file().as_dict(), "path": path}])).code is RefusalCode.BAD_SCHEMA


@pytest.mark.parametrize(
    "paths",
    [("a", "A"), ("a", "a"), ("a", "a/b"), ("A", "a/b"), ("a/b", "a"), ("x/README", "x/readme"), ("a/b/c", "A/B")],
)
def test_paths_that_cannot_lie_beside_each_other_are_refused(paths):
    """Two names that differ in case only, or a file that is the folder of another one, are told apart nowhere."""
    assert clash_in(paths)
    with pytest.raises(BundleRefused) as caught:
        manifest(files=[file(path) for path in paths])
    assert caught.value.refusal.code is RefusalCode.BAD_SCHEMA


def test_neighbours_do_not_clash():
    """A common beginning is no clash."""
    assert clash_in(("a/b", "a/c", "ab", "a.b", "b/a")) == ""


@settings(max_examples=60)
@given(
    paths=st.lists(PATHS, min_size=1, max_size=6).filter(lambda found: not clash_in(found)),
    sequence=st.integers(1, SEQUENCE_MAX),
    hours=st.floats(0.01, 8760),
)
def test_whatever_can_be_made_can_be_read(paths, sequence, hours):
    """A manifest that can be made is read as the same one, and its id is that of its content."""
    one = manifest(files=[file(path, path.encode()) for path in paths], sequence=sequence, fresh_hours=hours)
    assert parse_manifest(one.as_bytes()) == one
    assert bundle_id_of(one) == one.bundle_id


@settings(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
        st.tuples(
            st.sampled_from(sorted(json.loads(manifest().as_bytes()))), st.none() | st.integers() | st.text()
        ).map(lambda change: spelled(**{change[0]: change[1]})),
        st.tuples(st.integers(0, len(spelled()) - 1), st.integers(0, 255)).map(
            lambda at: spelled()[: at[0]] + bytes([at[1]]) + spelled()[at[0] + 1 :]
        ),
    )
)
def test_no_bytes_make_the_reader_fall_over(raw):
    """Whatever the bytes are, they are a manifest in its one spelling, or refused with a code."""
    try:
        one = parse_manifest(raw)
    except BundleRefused as error:
        assert isinstance(error.refusal.code, RefusalCode)
    else:
        assert one.as_bytes() == raw
        assert all(fit_path(f.path) for f in one.files)
