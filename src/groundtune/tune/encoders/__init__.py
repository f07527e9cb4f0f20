"""Fine-tune encoders: the classifier, the extractor, and the code they share."""
