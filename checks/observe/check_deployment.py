"""Do the release and the configuration in force exist?"""

import pytest

from ops_core import DeploymentEvidence, finding


@pytest.mark.observe
@finding("release.missing")
def check_release_in_force_exists(deployment: DeploymentEvidence) -> None:
    """The release and the configuration that the links point to exist."""
    assert deployment.release_exists and deployment.config_exists, deployment.explain()
