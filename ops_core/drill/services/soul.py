"""The rehearsal's soul engine: a worker that only answers its health endpoint."""

import sys
from collections.abc import Callable
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_core.drill.services.base import Exchange, Service, main
else:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from base import Exchange, Service, main


class Soul(Service):
    """Does nothing, reliably."""

    def routes(self) -> dict[str, Callable[[Exchange], None]]:
        """Path to what answers it."""
        return {self.health_path: self.health}

    def health(self, exchange: Exchange) -> None:
        """200 while the service runs."""
        exchange.answer(200, {"status": "ok", **self.identity()})


if __name__ == "__main__":
    main(Soul)
