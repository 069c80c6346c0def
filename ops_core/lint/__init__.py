"""What runbooks and scripts do that goes wrong at night: found in the shell that they hold, with what to do instead.

`rules` says what is looked for, `sources` takes the shell out of files, `shell` reads it, `sarif` is for other tools.
"""
