"""Turn examples into models that can be queried. Trains in a separate process."""
