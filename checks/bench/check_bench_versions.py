"""Which versions does a slow service run? They have to be there; looking at them tells whether they were seen good."""

import pytest

from ops_core import DeploymentEvidence, finding


@pytest.mark.bench
@finding("release.missing")
def check_release_of_benched_service_exists(deployment: DeploymentEvidence) -> None:
    """The release that the target's release link points to exists."""
    assert deployment.release_exists, deployment.explain()


@pytest.mark.bench
@finding("config.missing")
def check_config_of_benched_service_exists(deployment: DeploymentEvidence) -> None:
    """The configuration that the target's configuration link points to exists."""
    assert deployment.config_exists, deployment.explain()
