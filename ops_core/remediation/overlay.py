"""Writes a configuration file that is another one but for a few settings, whole or not at all.

    python -I -S overlay.py BASE BASE-SHA256 NEW KEY=VALUE…

A step of a remediation runs it as a file, so it imports nothing of ours. What BASE holds, secrets included, goes into
NEW and nowhere else; NEW gets the mode of BASE. Settings are lines `KEY=VALUE`.
"""

import hashlib
import os
import re
import sys
from collections.abc import Mapping

BYTES_MAX = 1 << 16
EXIT_USAGE = 64
EXIT_FAILED = 3
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def overlaid(text: str, changes: Mapping[str, str]) -> str:
    """`text` with these settings in place of whatever it said of them, at its end."""
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in changes]
    return "".join(f"{line}\n" for line in [*kept, *(f"{key}={value}" for key, value in changes.items())])


def settings_in(text: str) -> dict[str, str]:
    """The settings of a file; of two lines for one key the later counts."""
    lines = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def write(base: str, digest: str, new: str, changes: Mapping[str, str]) -> None:
    """Write `new`.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: `base` is not what it was when this was planned.
    """
    with open(base, "rb") as file:  # noqa: PTH123 - nothing is imported that is not needed
        content = file.read(BYTES_MAX + 1)
        mode = os.fstat(file.fileno()).st_mode & 0o777
    if len(content) > BYTES_MAX or hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{base} is not what it was when this was planned")
    draft = f"{new}.ops-draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, mode)
        os.write(descriptor, overlaid(content.decode("utf-8"), changes).encode("utf-8"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, new)  # noqa: PTH105 - as above


def main(arguments: list[str]) -> int:
    """Write the file that the arguments describe; the exit code says whether it is there."""
    changes = dict(one.partition("=")[::2] for one in arguments[3:])
    if len(arguments) < 4 or not all(_KEY.fullmatch(key) for key in changes):
        sys.stderr.write("usage: overlay.py BASE BASE-SHA256 NEW KEY=VALUE…\n")
        return EXIT_USAGE
    try:
        write(arguments[0], arguments[1], arguments[2], changes)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"overlay: {error}\n")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
