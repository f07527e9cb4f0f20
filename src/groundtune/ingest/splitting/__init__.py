"""How documents become passages: one module a strategy, each a pure function from a document to spans of its text."""
