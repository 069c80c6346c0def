"""Do the release and the configuration in force exist?"""

import pytest

from ops_core import DeploymentEvidence, finding


@pytest.mark.observe
@finding("release.missing")
def check_release_in_force_exists(deployment: DeploymentEvidence) -> None:
    """The release that the target's release link points to exists."""
    assert deployment.release_exists, deployment.explain()


@pytest.mark.observe
@finding("config.missing")
def check_config_in_force_exists(deployment: DeploymentEvidence) -> None:
    """The configuration that the target's configuration link points to exists."""
    assert deployment.config_exists, deployment.explain()
