"""Turn examples into models that can be queried. Trains in a process of its own; knows nothing of approaches."""
