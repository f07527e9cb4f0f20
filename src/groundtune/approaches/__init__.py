"""Answer a question: the parts of an approach, prompts, output formats and checked citations."""
