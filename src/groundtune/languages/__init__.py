"""What a language says with which words: data that a speaker can read and correct, and functions that read by it."""
