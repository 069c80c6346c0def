"""The rehearsal services: scripts that are copied into release directories and started there by a supervisor.

They belong to the system under operation, not to the tool: they import nothing from `ops_core`, only each other by
file name, and start in a few dozen milliseconds because a recovery is measured with them.
"""
