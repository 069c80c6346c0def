"""The service stack as somebody describes it who has one target: the service, with the database and Redis it brings.

Nothing else is told apart there, so what happens to the database is decided at the service. Its password is read from
the service's own configuration; visitors are expected all day; and a benchmark is short, so that it can be rehearsed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.work_dir import write_private

CONFIGURATION = """\
default_profile = "service"
suites = ["observe", "daily", "live_fire", "integrity", "service", "bench"]

[profiles.service]
drill = true
control_dir = "${OPS_CONTROL_DIR:-control}"
state_dir = "${OPS_STATE_DIR:-state}"
reports_dir = "${OPS_REPORTS_DIR:-reports}"
logs_dir = "${OPS_LOGS_DIR:-logs}"

[profiles.service.secrets]
POSTGRES_PASSWORD = { env_file = "${OPS_SERVICE_DIR:-.}/config/ingest/current.env" }

[profiles.service.targets.ingest]
live_url = "http://127.0.0.1:${OPS_INGEST_PORT:-8100}/health/live"
ready_url = "http://127.0.0.1:${OPS_INGEST_PORT:-8100}/health/ready"
metrics_url = "http://127.0.0.1:${OPS_INGEST_PORT:-8100}/metrics"
traffic_expected = true
database_url = "postgresql://ingest@127.0.0.1:${OPS_POSTGRES_PORT:-5442}/ingest"
database_password = "POSTGRES_PASSWORD"
redis_url = "redis://127.0.0.1:${OPS_REDIS_PORT:-6389}/0"
bench_url = "http://127.0.0.1:${OPS_INGEST_PORT:-8100}/api/items?limit=20"
bench_requests = 20
bench_max_ms = 200
bench_p95_max_ms = 350
driver = "supervisor"
process = "ingest"
supervisor_conf = "${OPS_SERVICE_DIR:-.}/supervisord.conf"
release_link = "${OPS_SERVICE_DIR:-.}/releases/ingest/current"
config_link = "${OPS_SERVICE_DIR:-.}/config/ingest/current.env"
"""


class AloneStack(ServiceStack):
    """The same processes under a configuration of their own, beside them."""

    def __init__(self, work_dir: Path, *arguments: Any, **about: Any) -> None:
        super().__init__(work_dir, *arguments, **about)
        self.config = self.work_dir / "ops.toml"

    def _lay_out(self, new_secret: Callable[[], str]) -> None:
        super()._lay_out(new_secret)
        write_private(self.config, CONFIGURATION)
