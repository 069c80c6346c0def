"""The rehearsal's dashboard: one page."""

import sys
from collections.abc import Callable
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_core.drill.services.base import Exchange, Service, main
else:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from base import Exchange, Service, main

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Kingdom dashboard</title></head>
<body><h1>Kingdom dashboard</h1><p>Release {release}</p></body>
</html>
"""


class Dashboard(Service):
    """What people look at; it has no health endpoint of its own, the page is the sign of life."""

    health_path = "/"

    def routes(self) -> dict[str, Callable[[Exchange], None]]:
        """Path to what answers it."""
        return {self.health_path: self.page}

    def page(self, exchange: Exchange) -> None:
        """The page."""
        exchange.answer(200, PAGE.format(release=self.release), "text/html; charset=utf-8")


if __name__ == "__main__":
    main(Dashboard)
