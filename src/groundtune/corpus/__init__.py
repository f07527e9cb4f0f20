"""The state of the documents: versions of each other, contradictions, what is stale, unused, empty or enormous."""
