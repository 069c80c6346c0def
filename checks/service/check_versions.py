"""Do the release and the configuration in force exist? Looking at them also tells whether they were ever seen good."""

import pytest

from ops_core import DeploymentEvidence, finding


@pytest.mark.service
@finding("release.missing")
def check_release_of_service_exists(deployment: DeploymentEvidence) -> None:
    """The release that the target's release link points to exists."""
    assert deployment.release_exists, deployment.explain()


@pytest.mark.service
@finding("config.missing")
def check_config_of_service_exists(deployment: DeploymentEvidence) -> None:
    """The configuration that the target's configuration link points to exists."""
    assert deployment.config_exists, deployment.explain()
