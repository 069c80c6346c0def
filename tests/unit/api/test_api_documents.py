"""The OpenAPI document: whole, and true to itself. `make fuzz` holds a running server against it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ops_core.api.app import create_app
from ops_core.api.documents import ANSWERS, METRICS
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from tests.operating import Site


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As a server tells it."""
    site = Site(tmp_path_factory.mktemp("documents")).write()
    app = create_app(load_settings(site.root / "ops.toml", environ={}), SystemClock())
    try:
        return app.openapi()
    finally:
        app.state.context.urgent.shutdown()


def test_every_route_has_its_answer_and_no_answer_lacks_its_route(document: Any) -> None:
    """Both ways, so that neither is forgotten."""
    routes = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert routes == {*ANSWERS, METRICS}


def test_examples_are_what_their_schemas_say(document: Any) -> None:
    """Of every body that is sent, and of every answer."""
    error = document["components"]["schemas"]["Error"]
    seen = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            if content:
                sent = content["application/json"]
                Draft202012Validator(sent["schema"]).validate(sent["examples"]["example"]["value"])
                seen += 1
            for told in operation["responses"].values():
                for answered in told["content"].values():
                    schema = error if "$ref" in answered["schema"] else answered["schema"]
                    Draft202012Validator.check_schema(schema)
                    Draft202012Validator(schema).validate(answered["example"])
                    seen += 1
    assert seen > 200


def test_what_acts_says_whose_token_it_takes(document: Any) -> None:
    """None for looking; with and without for what depends on the state; always for a window and its keys."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needed = operation.get("security")
            if method == "get":
                assert needed is None
            else:
                assert {"operator": []} in needed
                assert ({} in needed) == (path.rpartition("/")[2] not in {"request", "approve", "alertmanager"})
