"""Oracles for documents: what a person sees of a file in its usual program, held against what is read of it."""
