"""Sends the largest batches that the reference service takes, from several clients at once, until it is ended.

    load.py URL KEY_FILE

A script of its own, run by a path, on the standard library alone: what overloads a service is not a part of it.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
import urllib.parse
from pathlib import Path

CLIENTS = 6
ITEMS = 100
# A client that was refused, or reached nobody, does not try again at once: load is not a denial of service.
PAUSE_S = 0.05
ANSWER_S = 10.0


def send(url: str, key: str) -> None:
    """Send one batch after the other, on a connection each."""
    parts = urllib.parse.urlsplit(url)
    body = json.dumps({"items": [{"number": number, "text": "load"} for number in range(ITEMS)]})
    headers = {"Content-Type": "application/json", "X-API-Key": key}
    while True:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=ANSWER_S)
        try:
            connection.request("POST", parts.path, body, headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(PAUSE_S)


def main(arguments: list[str]) -> None:
    """Load the service until a signal ends it."""
    url, key_file = arguments
    key = Path(key_file).read_text(encoding="utf-8").strip()
    for _ in range(CLIENTS):
        threading.Thread(target=send, args=(url, key), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
