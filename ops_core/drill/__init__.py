"""Rehearsals: real services under a real supervisor, and real faults put into them on purpose."""
