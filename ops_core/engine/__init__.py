"""The container engine: what its answers mean, and a small client for whoever acts.

Docker's Engine API on its Unix socket, which Podman answers too. Paths carry no version, so every engine answers in its
own; what is read here has been the same since API 1.24. It stands on a low floor and imports next to nothing: probes
read answers with it, and the steps of a remediation are `python -m ops_core.engine …`, processes of their own whose
start is part of a recovery.
"""
