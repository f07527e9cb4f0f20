"""Check a training in seconds, before it begins: one check per file, `check` for the report."""
