"""What a matrix run exercised of the runbook, what it did not, and how long ago each decision was last drilled."""
