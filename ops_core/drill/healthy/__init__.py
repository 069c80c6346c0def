"""Healthy rounds: a stack in which nothing is broken is looked at again and again, and whatever is found is false."""
