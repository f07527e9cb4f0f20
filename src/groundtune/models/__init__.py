"""Turn prompts into text and texts into vectors, locally or at an endpoint."""
