"""Whether anything may be touched: emergency stop, execution gate, audit chain, and which versions were last good.

`model` decides and does no I/O; `store`, `verified` and `schema` hold the only SQL; `reading` looks without changing;
`service` is what the rest of the program uses.
"""
