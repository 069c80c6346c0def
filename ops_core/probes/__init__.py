"""Probes look at the live systems and assert nothing: one module per thing looked at.

`registry` turns a function into a probe, `instruments/` are the ways to reach a system, the other modules are the
shipped probes.
"""
