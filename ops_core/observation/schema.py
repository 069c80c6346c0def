"""The JSON Schema of our part of a report, made from the classes that write and read it.

It is published as `docs/reference/observation.schema.json`; a test keeps the file and the classes together.
"""

from __future__ import annotations

from typing import Any

from ops_core.evidence import Evidence
from ops_core.observation.record import SCHEMA_VERSION, Observation

SCHEMA_ID = f"urn:pytest-runbook:observation:{SCHEMA_VERSION}"


def observation_schema() -> dict[str, Any]:
    """The schema of the object under the key `runbook`. Evidence of kinds not shipped by us may have any fields."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Observation).json_schema(mode="serialization")
    definitions = schema.setdefault("$defs", {})
    shipped = {
        name: cls for name, cls in sorted(Evidence.kinds.items()) if cls.__module__.startswith("ops_core.evidence.")
    }
    for name, cls in shipped.items():
        part = TypeAdapter(cls).json_schema(mode="serialization")
        definitions.update(part.pop("$defs", {}))
        definitions[name] = part
    envelope = definitions["EvidenceRecord"]
    envelope["properties"]["evidence"] = {"type": ["object", "null"]}
    envelope["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
            "then": {"properties": {"evidence": {"$ref": f"#/$defs/{name}"}}},
        }
        for name in shipped
    ]
    definitions.pop("Evidence", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
