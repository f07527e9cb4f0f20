"""Experiments on the built-in language model: what prompting, retrieval, fine-tuning and both give on five tasks."""
