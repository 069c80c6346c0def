"""The steps of the schema, which Alembic loads by their path."""
