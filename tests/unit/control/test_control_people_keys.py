"""Ed25519 keys and signatures, ours and those of openssl."""

import os
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from support import need_program

from ops_core.control.people import make_key, public_key_of, sign, signature_ok
from ops_core.control.people.keys import fit_public_key, signed_bytes
from ops_core.errors import OpsError, UsageError

DIGEST = "0123456789abcdef" * 4
FIELD = 2**255 - 19


@pytest.fixture
def key(tmp_path):
    """A private key file."""
    path = tmp_path / "keys" / "kim.pem"
    make_key(path)
    return path


def test_a_key_is_private_and_signs(key):
    """Mode 0600, PKCS8 in PEM; its signature counts for its public key and digest, and for nothing else."""
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    public_key, signature = public_key_of(key), sign(key, DIGEST)
    assert fit_public_key(public_key.upper()) == public_key
    assert signature_ok(public_key, DIGEST, signature)
    assert not signature_ok(public_key, DIGEST[::-1], signature)
    assert not signature_ok(public_key, DIGEST, signature[::-1])
    assert not signature_ok(make_key(key.with_name("lee.pem")), DIGEST, signature)


def test_a_signature_for_something_else_is_none(key):
    """The digest alone, or behind other words, signed with the right key is no approval."""
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    for text in (DIGEST.encode(), bytes.fromhex(DIGEST), b"ops approval v2\n" + DIGEST.encode()):
        assert not signature_ok(public_key_of(key), DIGEST, private.sign(text).hex())
    assert signature_ok(public_key_of(key), DIGEST, private.sign(signed_bytes(DIGEST)).hex())


def test_a_key_is_never_overwritten(key):
    """Making a key where one lies is refused, and leaves it as it was."""
    before = key.read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        make_key(key)
    assert key.read_bytes() == before


def test_a_passphrase_opens_and_nothing_else_does(tmp_path):
    """Without it, or with another one, the file is of no use; the error names no passphrase."""
    path = tmp_path / "kim.pem"
    public_key = make_key(path, b"open sesame")
    assert public_key_of(path, b"open sesame") == public_key
    assert signature_ok(public_key, DIGEST, sign(path, DIGEST, b"open sesame"))
    for wrong in (b"", b"close sesame"):
        with pytest.raises(UsageError) as caught:
            sign(path, DIGEST, wrong)
        assert "sesame" not in str(caught.value)


def test_a_key_that_others_may_read_is_not_used(key):
    """A signature that somebody else could have made proves nothing."""
    key.chmod(0o640)
    with pytest.raises(UsageError, match="not yours alone") as caught:
        sign(key, DIGEST)
    assert caught.value.next_step == f"chmod 600 {key}"


def test_what_is_no_key_file_is_told(tmp_path, key):
    """Missing, a folder, a pipe, text, too large, another kind of key: a sentence, and no waiting."""
    pipe, text, large, other = (tmp_path / name for name in ("pipe", "text", "large", "other"))
    os.mkfifo(pipe, 0o600)
    text.write_bytes(b"not a key")
    large.write_bytes(b"-" * 20_000)
    kind = ec.generate_private_key(ec.SECP256R1())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    other.write_bytes(kind.private_bytes(*plain))
    for path in (text, large, other):
        path.chmod(0o600)
    for path in (tmp_path / "missing", tmp_path, pipe, text, large, other):
        with pytest.raises(UsageError, match=str(path)):
            public_key_of(path)
    with pytest.raises(OpsError):
        make_key(text / "below" / "kim.pem")


def test_weak_and_impossible_keys_are_refused():
    """Points of small order, where one signature fits anything, points that are none, and other spellings of points."""
    made = {height % FIELD for height in (0, 1, -1)}
    d = -121665 * pow(121666, -1, FIELD)
    root = next(r for r in range(2, 50) if pow(r, (FIELD - 1) // 2, FIELD) != 1)

    def sqrt(square):
        found = pow(square, (FIELD + 3) // 8, FIELD)
        found = found if found * found % FIELD == square % FIELD else found * pow(root, (FIELD - 1) // 4, FIELD) % FIELD
        return found if found * found % FIELD == square % FIELD else None

    for sign_of in (1, -1):
        # The order of a point is 8 where d y^4 + 2 y^2 - 1 = 0.
        height = sqrt((-2 + sign_of * sqrt(4 + 4 * d)) * pow(2 * d, -1, FIELD))
        made |= {height, FIELD - height} if height else set()
    assert len(made) == 5
    weak = [height | bit for height in [*made, FIELD, FIELD + 1] for bit in (0, 1 << 255)]
    for number in weak:
        text = number.to_bytes(32, "little").hex()
        with pytest.raises(UsageError, match="anybody could sign"):
            fit_public_key(text)
        assert not signature_ok(text, DIGEST, "01" + "00" * 63)
        assert not signature_ok(text, DIGEST, text + "00" * 32)
    with pytest.raises(UsageError, match="or nobody"):
        fit_public_key((2).to_bytes(32, "little").hex())
    for text in ("", "ab", "g" * 64, "a" * 66, "０" * 64):
        with pytest.raises(UsageError, match="not a public key"):
            fit_public_key(text)


def test_every_key_that_is_made_is_fit():
    """No good key is taken for a weak one."""
    for _ in range(50):
        text = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        assert fit_public_key(text) == text


@given(public_key=st.text(max_size=70), digest=st.text(max_size=70), signature=st.text(max_size=140))
def test_verifying_never_raises(public_key, digest, signature):
    """Whatever arrives over the network is a signature or is not."""
    assert not signature_ok(public_key, digest, signature)


@pytest.mark.parametrize("digest", ["", "ab", DIGEST.upper(), DIGEST + "\n", "é" * 64])
def test_only_a_digest_is_signed(key, digest):
    """Nothing else can be put under somebody's name."""
    with pytest.raises(UsageError, match="not the digest"):
        sign(key, digest)


def test_openssl_signs_as_we_do(key, tmp_path):
    """Who has curl and openssl only can approve: with a key of ours, and with one of their own."""
    openssl = need_program("openssl")
    own = tmp_path / "own.pem"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", own], check=True, capture_output=True)
    own.chmod(0o600)
    message = tmp_path / "message"
    message.write_bytes(b"ops approval v1\n" + DIGEST.encode())
    for path in (key, own):
        made = subprocess.run(
            [openssl, "pkeyutl", "-sign", "-rawin", "-inkey", path, "-in", message], check=True, capture_output=True
        ).stdout
        assert signature_ok(public_key_of(path), DIGEST, made.hex())
        assert made.hex() == sign(path, DIGEST)
