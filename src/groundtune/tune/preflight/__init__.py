"""Check a training run in seconds, before it begins: one check per module; `run.run_preflight` builds the report."""
