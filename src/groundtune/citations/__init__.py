"""Check each sentence of an answer against the passages that it cites, and release checked text as it is written."""
