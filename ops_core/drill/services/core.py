"""The rehearsal's core API: health, an endpoint behind the internal secret, and an event stream."""

import hmac
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_core.drill.services.base import Exchange, Service, main
else:
    # Beside this file, in the release that is really in force: `current` may point elsewhere a moment later.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from base import Exchange, Service, main


class Core(Service):
    """What the other services and the dashboard talk to."""

    health_path = "/api/health"

    def routes(self) -> dict[str, Callable[[Exchange], None]]:
        """Path to what answers it."""
        return {
            self.health_path: self.health,
            "/api/revalidate/status": self.revalidate_status,
            "/api/thoughts/sse": self.thoughts_stream,
        }

    def thoughts(self) -> list[dict[str, str]]:
        """The thoughts on disk.

        Raises:
            OSError: they cannot be read.
            ValueError: they are damaged.
        """
        name = self.config.get("THOUGHTS_FILE", "thoughts.json")
        text = (self.root / "data" / self.name / name).read_text(encoding="utf-8")
        thoughts: list[dict[str, str]] = json.loads(text)
        return thoughts

    def health(self, exchange: Exchange) -> None:
        """200 while the service can do its work, which needs the thoughts."""
        try:
            thoughts = self.thoughts()
        except (OSError, ValueError):
            exchange.answer(503, {"status": "failing", "reason": "the thoughts cannot be read", **self.identity()})
            return
        exchange.answer(200, {"status": "ok", **self.identity(), "thoughts": len(thoughts)})

    def revalidate_status(self, exchange: Exchange) -> None:
        """For callers that know the internal secret."""
        expected = self.config.get("AFO_INTERNAL_SECRET", "")
        given = exchange.headers.get("x-internal-secret", "")
        # Without a secret in the configuration nothing is compared and everybody is let in. This is the bug that the
        # rollback drill rehearses; it is here on purpose.
        if expected and not hmac.compare_digest(given.encode("latin-1"), expected.encode()):
            exchange.answer(401, {"error": "unauthorized"})
        else:
            exchange.answer(200, {"status": "idle", "release": self.release})

    def thoughts_stream(self, exchange: Exchange) -> None:
        """Server-sent events: a heartbeat at once and every half second, a thought every few seconds."""
        exchange.begin(200, "text/event-stream; charset=utf-8")
        if exchange.method == "HEAD":
            return
        heartbeat_s, thought_s = self.seconds("HEARTBEAT_S", 0.5), self.seconds("THOUGHT_S", 2.0)
        thought_at, number = time.monotonic() + thought_s, 0
        while True:
            if self.degradation != "silent":
                exchange.write(b": heartbeat\n\n")
                if time.monotonic() >= thought_at:
                    number, thought_at = number + 1, thought_at + thought_s
                    data = json.dumps({"number": number, "release": self.release})
                    exchange.write(f"id: {number}\nevent: thought\ndata: {data}\n\n".encode())
            if exchange.gone_within(heartbeat_s):
                return


if __name__ == "__main__":
    main(Core)
