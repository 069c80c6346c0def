"""Findings as SARIF 2.1.0, the format that code hosts and editors read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ops_core import __version__
from ops_core.lint.rules import RULES, Hit

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(hits: Sequence[Hit]) -> dict[str, Any]:
    """One run with all rules, and a result for each finding."""
    order = {rule: number for number, rule in enumerate(RULES)}
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ops lint",
                        "semanticVersion": __version__,
                        "rules": [
                            {
                                "id": rule.id,
                                "name": rule.name,
                                "shortDescription": {"text": rule.what},
                                "fullDescription": {"text": rule.why},
                                "help": {"text": f"Instead: {rule.instead}"},
                                "defaultConfiguration": {"level": rule.level},
                            }
                            for rule in RULES.values()
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": hit.rule.id,
                        "ruleIndex": order[hit.rule.id],
                        "level": hit.rule.level,
                        "message": {"text": f"{hit.rule.what}: {hit.rule.why}. Instead: {hit.rule.instead}"},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": quote(hit.path)},
                                    "region": {"startLine": hit.line, "startColumn": hit.column},
                                }
                            }
                        ],
                    }
                    for hit in hits
                ],
            }
        ],
    }
