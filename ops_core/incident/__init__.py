"""From the first bad finding to verified recovery: every stage is recorded before the next begins.

`progress` decides what comes next, also after a crash, and `timeline` tells what happened; both are pure. `store` keeps
the events, `stages` and `loop` act.
"""
