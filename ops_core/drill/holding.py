"""A session that keeps others from writing to the service's table, as somebody's forgotten transaction does.

    holding.py URL PASSWORD_FILE HELD_S FREE_S     lock the table for a while, let it go for a while, again and again

A script of its own, run by its path; it needs what the service needs to speak to PostgreSQL.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psycopg


def main(arguments: list[str]) -> None:
    """Hold the lock and let it go until a signal ends it."""
    url, password_file, held_s, free_s = arguments
    password = Path(password_file).read_text(encoding="utf-8").strip()
    with psycopg.connect(url, password=password, autocommit=True, application_name="somebody") as connection:
        while True:
            with connection.transaction():
                connection.execute("LOCK TABLE items IN SHARE ROW EXCLUSIVE MODE")
                time.sleep(float(held_s))
            time.sleep(float(free_s))


if __name__ == "__main__":
    main(sys.argv[1:])
