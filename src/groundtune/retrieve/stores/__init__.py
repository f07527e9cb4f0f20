"""Stores of passages; each satisfies `protocols.Store`."""
