"""Hands results from the host that produces them to the one that operates on them: signed bundles, with git between.

`model` and `judge` say what a bundle is and which ones are taken, `git` carries them, `publish`, `pull` and `rollback`
are the three acts, `installed` says what is in force, `references` finds a file of a bundle by its reference.
"""
