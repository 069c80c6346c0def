"""What Alembic runs: the wanted steps on the database that the environment names, all of them or none."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import create_engine, pool

CONNECT_S = 5
LOCK_S = 10


def run() -> None:
    """Bring the schema to where it is wanted."""
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
    arguments = {
        "password": os.environ["POSTGRES_PASSWORD"],
        "connect_timeout": CONNECT_S,
        # A migration that waits for a lock keeps everybody else waiting.
        "options": f"-c lock_timeout={LOCK_S}s",
    }
    engine = create_engine(url, connect_args=arguments, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
