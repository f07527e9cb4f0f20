"""Decide who is let in, with which groups, how often, and what browsers may do with the replies."""
