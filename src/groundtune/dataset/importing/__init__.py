"""Import examples from other formats: records of a file, their parsers, and the assembly into examples."""
