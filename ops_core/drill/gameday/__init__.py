"""A game day: random faults on one stack for a while, and whether the runbook dealt with every one of them."""
