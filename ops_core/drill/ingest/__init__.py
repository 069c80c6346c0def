"""The reference service: takes batches of items over HTTP, keeps them in PostgreSQL, and counts requests in Redis.

It belongs to the system under operation, not to the tool: a release is a copy of this folder, its modules know each
other by relative imports only, and everything it has to know comes from its environment. So it runs from any folder:

    python -I -B FOLDER/ingest/serve.py --port 8100 --env-file FILE      under a supervisor
    python -m uvicorn --app-dir FOLDER --factory ingest.app:create_app   in a container

It needs what `pip install 'pytest-runbook[service]'` brings.
"""
