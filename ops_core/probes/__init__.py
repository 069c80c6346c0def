"""Probes look at the live systems and assert nothing: one module per thing looked at.

`registry` turns a function into a probe, `instruments/` are the ways to reach a system, the other modules are the
shipped probes.
"""

# The modules of the probes that come along.
SHIPPED_PROBES = (
    *("health", "guard", "stream", "process", "container", "deployment", "rollout"),
    *("liveness", "metrics", "request_id", "payload", "required_secrets", "foundations", "schema", "bench"),
    *("control", "daily", "handoff", "incidents", "integrity", "live_fire"),
)
