"""From findings to what to do: a table that people can read, matched by pure functions, proven total before use."""
