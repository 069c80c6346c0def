"""The steps that bring an older control store up to date. Alembic runs them; `ops_core.control.migrating` calls it."""
