"""Are the secrets that the service must have there, and strong? Of a value nothing is ever told."""

from __future__ import annotations

from collections.abc import Mapping

from ops_core.errors import CannotLook
from ops_core.evidence import SecretSeen, SecretsEvidence
from ops_core.probes.registry import probe
from ops_core.targets import Target

KEY_BYTES_MIN = 32
PASSWORD_BYTES_MIN = 16
DIFFERENT_MIN = 8
_WORDS = (
    "change",
    "default",
    "dummy",
    "example",
    "fixme",
    "password",
    "placeholder",
    "replace",
    "secret",
    "sample",
    "test",
)


@probe(budget_s=5, needs="required_secrets")
def required_secrets(target: Target, secrets: Mapping[str, str]) -> SecretsEvidence:
    """Read each secret where the configuration says, and judge how easily it is guessed."""
    return SecretsEvidence(secrets=tuple(_look(name, secrets) for name in target.required_secrets))


def weakness_of(name: str, value: str) -> str:
    """Why a secret is easily guessed; empty where it is not. What signs or opens needs 32 bytes, a password 16."""
    size = len(value.encode("utf-8", "surrogatepass"))
    least = PASSWORD_BYTES_MIN if "PASSWORD" in name.upper() else KEY_BYTES_MIN
    if size < least:
        return f"is shorter than {least} bytes"
    bare = value.casefold()
    if len(set(bare)) < DIFFERENT_MIN:
        return "repeats few characters"
    if any(bare == bare[:part] * (len(bare) // part) for part in range(1, len(bare) // 2 + 1) if len(bare) % part == 0):
        return "repeats itself"
    letters = "".join(one for one in bare if one.isalpha())
    word = next((word for word in _WORDS if letters.startswith(word) or letters.endswith(word)), None)
    return "is a placeholder" if word is not None else ""


def length_of(value: str) -> str:
    """The class of a length; nobody learns the length itself."""
    size = len(value.encode("utf-8", "surrogatepass"))
    if size >= KEY_BYTES_MIN:
        return "32 bytes or more"
    return "16 to 31 bytes" if size >= PASSWORD_BYTES_MIN else "1 to 15 bytes"


def _look(name: str, secrets: Mapping[str, str]) -> SecretSeen:
    try:
        value = secrets[name]
    except CannotLook:
        return SecretSeen(name=name, present=False)
    return SecretSeen(name=name, present=True, length=length_of(value), weakness=weakness_of(name, value))
