"""Examples to an artifact that can be asked. Trains in a process of its own; knows nothing of approaches."""
