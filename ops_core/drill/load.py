"""The clients of the reference service: those who read a little all day, and those who send batches of data.

    load.py visit URL                             asks for the newest items a few times a second
    load.py send URL KEY_FILE CLIENTS ITEMS PAUSE_S     sends batches of so many items, from so many clients at once

A script of its own, run by its path, on the standard library alone: what uses a service is not a part of it.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
import urllib.parse
from pathlib import Path

VISIT_EVERY_S = 0.2
ANSWER_S = 10.0


def send(method: str, url: str, body: str | None, headers: dict[str, str], pause_s: float) -> None:
    """Send one request after the other, on a connection each, whatever comes of it.

    A client that was refused, or reached nobody, does not try again at once: load is not a denial of service.
    """
    parts = urllib.parse.urlsplit(url)
    while True:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=ANSWER_S)
        try:
            connection.request(method, parts.path, body, headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(pause_s)


def main(arguments: list[str]) -> None:
    """Use the service until a signal ends it."""
    verb, url, *about = arguments
    if verb == "visit":
        send("GET", url, None, {}, VISIT_EVERY_S)
    key_file, clients, items, pause_s = about
    key = Path(key_file).read_text(encoding="utf-8").strip()
    body = json.dumps({"items": [{"number": number, "text": "load"} for number in range(int(items))]})
    headers = {"Content-Type": "application/json", "X-API-Key": key}
    for _ in range(int(clients)):
        threading.Thread(target=send, args=("POST", url, body, headers, float(pause_s)), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
