"""Encoders trained further: the classifier and the extractor, and what both share."""
