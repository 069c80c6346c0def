"""When cycles are due, and how the scheduler of a host is told to call them.

`slots` says at which instants a cycle is due; `ops cycle --slot now` asks it, whoever calls. The other modules render
what schedulers want to have, as data; `host` alone reads and writes anything.
"""
