"""What the tests of cycles share. The shipped checks are judged here without an operational run."""

from __future__ import annotations

import pytest
from postgresql import PASSWORD, common_folder, new_schema, shared_server


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite's mark known."""
    config.addinivalue_line("markers", "daily: the checks of the suite 'daily'")


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A PostgreSQL server, shared by all tests that do it no harm."""
    with shared_server(common_folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_keys(request):
    """Lines of a profile: its store once in a file and once in a database."""
    if request.param == "sqlite":
        return "", ""
    server = request.getfixturevalue("database")
    url = server.url(new_schema(server))
    return f'control_url = "{url}"\ncontrol_password = "STORE_PASSWORD"', PASSWORD
