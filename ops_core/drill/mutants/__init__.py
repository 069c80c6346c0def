"""Mutation testing of a runbook: it is weakened in one place at a time, and the drill matrix has to notice."""
