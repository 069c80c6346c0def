"""A cycle: what a schedule runs every trading day, and the receipt that it leaves.

`sequence` judges what was seen and is pure; `preflight` looks at what a cycle needs; `records` keeps the runs in the
control store, one at a time and one for each slot; `run` goes the whole way; `reading` is what the suite `daily` sees.
"""
