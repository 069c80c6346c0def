"""The fault catalogue. Nothing in it is faked on the observing side: services are really broken, and really healed.

It has a fault for each row of the shipped decision table, so that rehearsing all of them shows that all rows, checks,
remediations and ways back work. `CATALOGUE` is that of the embedded stack, `SERVICE` that of the service stack.
"""
