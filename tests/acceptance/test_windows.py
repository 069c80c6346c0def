"""Asking for a window and approving it, as people type it: with ops, with a terminal, and with openssl."""

import contextlib
import os
import pty
import sqlite3
import subprocess

import pytest
from operating import OPS, Site
from support import need_program

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path):
    """A released site with one who asks, two who approve, and a message that waits."""
    site = Site(root=tmp_path / "site").write()
    site.people()
    site.release()
    site.ops("outbox", "add", "--text", "weekly report\nsecond line")
    return site


@pytest.fixture
def digest(site):
    """The digest of a window that ann has requested."""
    told = site.ops("window", "request", "--reason", "live fire", "--for", "60m", "--key", site.key("ann"), "--json")
    return told.json()["window"]["permit_digest"]


def test_ann_asks_and_ben_and_cho_approve(site, digest):
    """Requested by one, active with the keys of two others, then taken back; every act in the audit by name."""
    shown = site.ops("window", "status").out
    for word in ("REQUESTED", "asked by   ann", "live fire", "TELEGRAM_ONLY", "0 of 2", digest):
        assert word in shown
    approved = site.ops("approve", "--key", site.key("ben"), "--operator", "Ben", "--digest", digest)
    assert "| weekly report\n           | second line" in approved.out
    assert "approved by ben" in approved.out
    told = site.ops("approve", "--key", site.key("cho"), "--digest", digest, "--json").json()["window"]
    assert (told["status_now"], told["keys_given"]) == ("ACTIVE", 2)
    revoked = site.ops("window", "revoke", "--reason", "not today", "--json").json()["window"]
    assert (revoked["status_now"], revoked["remaining_s"]) == ("REVOKED", 0)
    refused = site.ops("window", "revoke", "--reason", "again", code=2)
    assert "no window is open" in refused.err


def test_who_may_not_approve_hears_why(site, digest):
    """The requester, a stranger, another's name, another digest, nobody at the terminal, no key at all."""
    site.ops("operator", "key", "--new", site.root / "keys" / "stranger.pem")
    ben = ("--key", site.key("ben"))
    for words, code, told in (
        (("--key", site.key("ann"), "--digest", digest), 2, "requested the window"),
        (("--key", site.root / "keys" / "stranger.pem", "--digest", digest), 2, "belongs to no operator"),
        ((*ben, "--operator", "cho", "--digest", digest), 2, "the key is that of ben"),
        ((*ben, "--digest", "0" * 64), 2, "something else"),
        (ben, 64, f"ops approve --digest {digest}"),
        (("--key", site.root / "missing.pem", "--digest", digest), 64, "cannot be opened"),
        (("--signature", "00" * 64), 64, "--operator and --digest"),
        (("--operator", "ben", "--digest", digest, "--signature", "00" * 64), 2, "not one of ben"),
    ):
        refused = site.ops("approve", *words, code=code)
        assert told in refused.err, refused
        assert "Traceback" not in refused.err
    assert site.ops("window", "status", "--json").json()["window"]["keys_given"] == 0


def at_terminal(site, answer):
    """`ops approve` by ben, with a terminal to answer at."""
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(
            [*OPS, "approve", "--key", site.key("ben")],
            cwd=site.root, env=site.environ, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            os.write(master, answer)
            out, err = process.communicate(timeout=60)
            return process.returncode, out, err
    finally:
        os.close(master)
        os.close(slave)


def test_at_a_terminal_one_is_asked(site, digest):
    """All of the permit is shown before the question; no is no, an empty line too, and yes is one key."""
    for answer in (b"n\n", b"\n"):
        code, out, err = at_terminal(site, answer)
        assert code == 2, (out, err)
        assert digest in out
        assert "Sign this as ben?" in err
    assert site.ops("window", "status", "--json").json()["window"]["keys_given"] == 0
    code, out, err = at_terminal(site, b"y\n")
    assert (code, "approved by ben" in out) == (0, True), (out, err)


def test_openssl_and_sign_only_make_the_same_key(site, digest):
    """Who signs elsewhere, with openssl or with --sign-only, sends nothing but the signature."""
    openssl = need_program("openssl")
    message = site.root / "message"
    message.write_bytes(b"ops approval v1\n" + digest.encode())
    argv = [openssl, "pkeyutl", "-sign", "-rawin", "-inkey", site.key("ben"), "-in", message]
    made = subprocess.run(argv, check=True, capture_output=True).stdout.hex()
    assert site.ops("approve", "--sign-only", digest, "--key", site.key("ben")).out.strip() == made
    given = ("--operator", "ben", "--digest", digest, "--signature", made)
    assert site.ops("approve", *given, "--json").json()["window"]["keys_given"] == 1
    assert "given a key already" in site.ops("approve", *given, code=2).err


def test_a_message_that_was_changed_is_not_shown_for_approval(site, digest):
    """Who edits the store cannot have one text approved and another one sent."""
    with contextlib.closing(sqlite3.connect(site.root / "control" / "control.db")) as store, store:
        store.execute("UPDATE outbox SET body = 'something harmless'")
    refused = site.ops("approve", "--key", site.key("ben"), "--digest", digest, code=2)
    assert "not what was requested" in refused.err
    assert "harmless" not in refused.out


def test_revoking_an_operator_takes_the_window_its_worth(site, digest):
    """After ben is revoked his key approves nothing, and his tokens are ended."""
    site.ops("operator", "revoke", "ben")
    assert "revoked" in site.ops("approve", "--key", site.key("ben"), "--digest", digest, code=2).err
    listed = site.ops("operator", "list", "--json").json()
    assert [one["name"] for one in listed["operators"] if one["revoked_at"]] == ["ben"]
    assert [one["operator"] for one in listed["tokens"] if one["revoked_at"]] == ["ben"]
    assert "already" in site.ops("operator", "add", "Ben", "--new-key", site.root / "b.pem", code=2).err
    assert not (site.root / "b.pem").exists()


def test_a_key_with_a_passphrase_and_one_by_default(site):
    """The passphrase comes by environment or descriptor, never by argument; $OPS_KEY_FILE is the key by default."""
    path = site.root / "dee.pem"
    environ = {**site.environ, "OPS_KEY_FILE": str(path), "DEE": "open sesame"}

    def ops(*words, stdin=""):
        return subprocess.run(
            [*OPS, *words], cwd=site.root, env=environ, input=stdin, capture_output=True, text=True, check=False
        )

    made = ops("operator", "key", "--new", str(path), "--passphrase-env", "DEE")
    assert made.returncode == 0, made.stderr
    added = site.ops("operator", "add", "dee", "--public-key", made.stdout.strip(), "--scope", "window").out
    assert added.count("ops_") == 1
    shut = ops("window", "request", "--reason", "r")
    assert (shut.returncode, "has a passphrase" in shut.stderr) == (64, True)
    asked = ops("window", "request", "--reason", "r", "--passphrase-fd", "0", stdin="open sesame\n")
    assert (asked.returncode, "asked by   dee" in asked.stdout) == (0, True), asked.stderr
    assert "sesame" not in made.stdout + made.stderr + shut.stderr + asked.stdout


def test_a_token_is_told_once_and_stored_nowhere(site):
    """No file of the site holds a token or what follows its first four letters."""
    another = site.ops("operator", "token", "ben", "--scope", "approve,window", "--days", "1", "--json").json()
    assert another["scopes"] == ["window", "approve"]
    ended = site.ops("operator", "revoke-token", another["token_id"], "--json").json()
    assert ended["revoked_at"]
    assert "no such token" in site.ops("operator", "revoke-token", another["token_id"], code=2).err
    secrets = [token.removeprefix("ops_").encode() for token in (*site.tokens.values(), another["token"])]
    for path in site.root.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert not any(secret in held for secret in secrets), path
