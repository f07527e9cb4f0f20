"""Fill the matrix of approaches and examples, and score it."""
