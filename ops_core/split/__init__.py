"""The five steps of a day on the operator's host, and what the suite `handoff` sees of them."""
