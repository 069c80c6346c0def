"""What a service stands on, as seen on a real PostgreSQL, a real Redis, real certificates and the disk."""

import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import time

import pytest
from hostile import OK, HostileServer, closes_at_once, free_port, healthy
from postgresql import PASSWORD
from support import eventually, need_program

from ops_core.errors import CannotLook
from ops_core.probes.instruments.redis import import_redis

REDIS_PASSWORD = "correct-horse-battery"
DAY = dt.timedelta(days=1)


def database(look, postgres, password=PASSWORD, url=None):
    return look("database", {"PG": password}, database_url=url or postgres.url(), database_password="PG")


def test_a_database_that_answers_is_told_with_its_state(look, postgres):
    """Writable, and how many of its connections are used."""
    seen = database(look, postgres)
    assert (seen.reachable, seen.in_recovery, seen.read_only, seen.problem) == (True, False, False, "")
    assert 0 < seen.connections <= seen.connections_max == 60
    assert "writable" in seen.explain()


def test_a_database_that_lets_nobody_in_is_seen_with_its_own_words(look, postgres):
    """A wrong password, no such database, nobody there: each is something seen, and no password is in it."""
    wrong = database(look, postgres, "wrong-password-of-ours")
    assert not wrong.reachable
    assert "password authentication failed" in wrong.problem
    assert "wrong-password-of-ours" not in repr(wrong)
    other = database(look, postgres, url=postgres.url().replace("/postgres?", "/none?"))
    assert 'database "none" does not exist' in other.problem
    gone = database(look, postgres, url=f"postgresql://ops@127.0.0.1:{free_port()}/x")
    assert (gone.reachable, "refused" in gone.problem) == (False, True)


def test_a_database_that_takes_no_writes_is_seen_to(look, postgres):
    """Whatever the reason: the transaction would be read-only."""
    role = f"r{os.getpid()}x{time.monotonic_ns()}"
    postgres.run(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    try:
        postgres.run(f"ALTER ROLE {role} SET default_transaction_read_only = on")
        seen = database(look, postgres, url=postgres.url().replace("//ops@", f"//{role}@"))
    finally:
        postgres.run(f"DROP ROLE {role}")
    assert (seen.reachable, seen.read_only, seen.in_recovery) == (True, True, False)
    assert "read-only" in seen.explain()


def test_a_password_that_has_no_value_is_ours_to_miss(look, postgres):
    """Nobody is accused."""
    with pytest.raises(CannotLook, match="PG"):
        look("database", database_url=postgres.url(), database_password="PG")


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    """A Redis that wants a password."""
    program, port = need_program("redis-server"), free_port()
    argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", REDIS_PASSWORD]
    process = subprocess.Popen(argv, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL)
    library = import_redis()

    def answers():
        client = library.Redis(port=port, password=REDIS_PASSWORD)
        try:
            return bool(client.ping())
        except library.RedisError:
            return False
        finally:
            client.close()

    try:
        eventually(answers, "redis answers")
        yield port
    finally:
        process.kill()
        process.wait()


def test_a_redis_that_answers_ping_is_reachable(look, redis_port):
    """With its password."""
    url = f"redis://127.0.0.1:{redis_port}/0"
    seen = look("redis_server", {"REDIS": REDIS_PASSWORD}, redis_url=url, redis_password="REDIS")
    assert (seen.reachable, seen.problem) == (True, "")
    assert "PONG after" in seen.explain()


def test_a_redis_that_refuses_is_seen_with_its_own_words(look, redis_port, serve):
    """No password, a wrong one, nobody there, somebody else there; no password is in what is told."""
    url = f"redis://127.0.0.1:{redis_port}/0"
    without = look("redis_server", redis_url=url)
    assert (without.reachable, "uthentication required" in without.problem) == (False, True)
    wrong = look("redis_server", {"REDIS": "wrong-password-of-ours"}, redis_url=url, redis_password="REDIS")
    assert (wrong.reachable, bool(wrong.problem)) == (False, True)
    assert "wrong-password-of-ours" not in repr(wrong)
    gone = look("redis_server", redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert (gone.reachable, gone.problem) == (False, "connection refused")
    closed = look("redis_server", redis_url=f"redis://127.0.0.1:{serve(closes_at_once).port}/0")
    assert (closed.reachable, bool(closed.problem)) == (False, True)

    def other(c):
        c.socket.recv(100)
        c.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert not look("redis_server", redis_url=f"redis://127.0.0.1:{serve(other).port}/0").reachable


def made_certificate(folder, days, issuer=None, name="127.0.0.1"):
    """A certificate for this host that is valid for so many days more; (its key, itself)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests" if issuer else "authority")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer[0] if issuer else key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = folder / f"{days}-{name}-{'signed' if issuer else 'self'}.pem"
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key, made, file


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Who signs the certificates that are trusted."""
    return made_certificate(tmp_path_factory.mktemp("authority"), 400)


@pytest.mark.parametrize(
    ("days", "signed", "name", "problem"),
    [
        (90, True, "127.0.0.1", ""),
        (3, True, "127.0.0.1", ""),
        (-2, True, "127.0.0.1", "not trusted: certificate has expired"),
        (90, False, "127.0.0.1", "not trusted: self"),
        (90, True, "127.0.0.2", "not trusted: IP address mismatch"),
    ],
)
def test_a_certificate_is_told_with_its_days_and_whether_it_is_trusted(
    look, tmp_path, authority, days, signed, name, problem
):
    """Also one that nobody should trust: what it is can be seen all the same."""
    *_, file = made_certificate(tmp_path, days, authority if signed else None, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = HostileServer(healthy, context)
    try:
        seen = look("certificate", certificate_url=server.url("/"), ca_file=authority[2])
    finally:
        server.close()
    assert seen.days_left == pytest.approx(days, abs=0.01)
    assert seen.problem.startswith(problem)
    assert bool(seen.problem) is bool(problem)
    assert seen.issuer == "CN=authority"
    assert ("ran out 2.0 days ago" if days < 0 else f"{days:.1f} days left") in seen.explain()


def speaks_plainly(c):
    c.socket.recv(1)
    c.send(OK)


@pytest.mark.parametrize("behaviour", [closes_at_once, speaks_plainly])
def test_who_shows_no_certificate_was_not_seen(look, serve, behaviour):
    """Closed at once, or another protocol: there is nothing to judge. Nobody there: likewise."""
    url = serve(behaviour).url("/").replace("http:", "https:")
    with pytest.raises(CannotLook, match="no certificate was seen"):
        look("certificate", certificate_url=url)
    with pytest.raises(CannotLook, match="connection refused"):
        look("certificate", certificate_url=f"https://127.0.0.1:{free_port()}/")


def test_a_disk_is_told_as_df_counts(look, tmp_path):
    """What is free for who is not the administrator, of space and of files."""
    seen = look("disk", disk_path=tmp_path)
    listed = subprocess.run(["df", "-P", "-B1", str(tmp_path)], check=True, capture_output=True, text=True).stdout
    used_percent = int(listed.splitlines()[1].split()[4].rstrip("%"))
    assert seen.free_percent == pytest.approx(100 - used_percent, abs=2)
    assert seen.least_percent <= seen.free_percent


def test_a_path_that_there_is_not_has_no_disk(look, tmp_path):
    """Nothing is free or full where nothing is."""
    with pytest.raises(CannotLook, match="No such file"):
        look("disk", disk_path=tmp_path / "none")
