"""Whether the files around the store are what this program left there, and what to do where they are not.

`mirrors`, `tickets`, `contracts`, `logs` and `checkpoint`, one floor above in `control`, are what others call. Here
lies what they are made of: looking without following links, what each mirror shows, and telling an unfinished export
from a changed file.
"""
