"""What a probe returned, made fit for a record, or the reason why it cannot be.

Evidence is judged live, recorded, sent between processes and judged again from the record. All of them must see the
same, so what JSON cannot hold is settled here, before any check sees it; and a record holds no secret and no hundred
megabytes, whatever a user's own probe returns.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

from ops_core.evidence import Evidence, ValueEvidence
from ops_core.probes.instruments.redact import MASK, Redactor, secret_name

EVIDENCE_MAX_BYTES = 1 << 20
DEPTH_MAX = 64
NUMBER_MAX_BITS = 1024


class UnfitError(Exception):
    """The value cannot go into a record; the text completes "the probe returned …"."""


def fit(value: object, redact: Redactor) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence to record for what a probe returned, and its facts.

    A plain JSON value becomes a `ValueEvidence`, as it would be read back: tuples as lists, keys as text.

    Raises:
        UnfitError: it is neither evidence nor a JSON value, or too large.
    """
    if value is None:
        raise UnfitError("nothing (None)")
    if isinstance(value, Evidence):
        evidence: Evidence = _Walk(redact, plain=False).dataclass(value, type(value).__name__, 0)
    else:
        evidence = ValueEvidence(value=_Walk(redact, plain=True).value(value, "", 0))
    try:
        facts = tuple(map(str, evidence.facts))
    except Exception as error:  # noqa: BLE001  # a user's own evidence may do anything here
        raise UnfitError(f"evidence whose facts raised {type(error).__name__}") from None
    return evidence, facts


def plain_text(text: str) -> str:
    """`text` without lone surrogates, which cannot be written as UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class _Walk:
    """One walk over a value, counting what it takes in the record. `plain`: as JSON reads it back."""

    def __init__(self, redact: Redactor, *, plain: bool) -> None:
        self._redact = redact
        self._plain = plain
        self._left_bytes = EVIDENCE_MAX_BYTES

    def dataclass(self, value: Any, name: str, depth: int) -> Any:
        """The dataclass itself where nothing has to change, else a changed copy."""
        changed = value
        for field in dataclasses.fields(value):
            self._take(len(field.name) + 6, depth)
            old = getattr(value, field.name)
            new = self.value(old, f"{name}.{field.name}", depth + 1)
            if new is not old:
                changed = copy.copy(value) if changed is value else changed
                object.__setattr__(changed, field.name, new)
        return changed

    def value(self, value: Any, name: str, depth: int) -> Any:
        """A value that JSON can hold, without secrets; `name` is the field it stands in."""
        if isinstance(value, str):
            self._take(len(value) + 2, depth)
            return self._text(value)
        if value is None or isinstance(value, bool):
            self._take(5, depth)
            return value
        if isinstance(value, (int, float)):
            return self._number(value, name, depth)
        self._take(2, depth)
        if isinstance(value, dict):
            return {self._key(key, depth): self._item(key, item, name, depth) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            items = [self.value(item, name, depth + 1) for item in value]
            if isinstance(value, list) or self._plain:
                return items
            return value if all(map(lambda new, old: new is old, items, value)) else tuple(items)
        if dataclasses.is_dataclass(value) and not isinstance(value, type) and not self._plain:
            return self.dataclass(value, name, depth)
        raise self._unfit(f"a value of type {type(value).__name__}", name)

    def _number(self, value: Any, name: str, depth: int) -> Any:
        bits = value.bit_length() if isinstance(value, int) else 64
        if isinstance(value, float) and not math.isfinite(value):
            raise self._unfit(f"the number {value}", name)
        if bits > NUMBER_MAX_BITS:
            raise self._unfit("a number that is too long", name)
        self._take(bits // 3 + 1, depth)
        return value

    def _item(self, key: object, item: object, name: str, depth: int) -> object:
        done = self.value(item, name, depth + 1)
        return MASK if isinstance(item, str) and isinstance(key, str) and secret_name(key) else done

    def _key(self, key: object, depth: int) -> str:
        text = str(key) if key is None or isinstance(key, (str, int, float)) else type(key).__name__
        self._take(len(text) + 4, depth)
        return self._text(text)

    def _text(self, text: str) -> str:
        return self._redact.text(plain_text(text))

    def _take(self, size_bytes: int, depth: int) -> None:
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise UnfitError(f"something too large: at most {EVIDENCE_MAX_BYTES >> 10} KiB can be recorded")
        if depth > DEPTH_MAX:
            raise UnfitError(f"something that is not JSON (nested deeper than {DEPTH_MAX} levels)")

    @staticmethod
    def _unfit(what: str, name: str) -> UnfitError:
        if not name:
            return UnfitError(f"something that is not JSON ({what}); return an Evidence or a JSON value")
        return UnfitError(f"evidence whose field {name} is {what}, which JSON cannot hold")
