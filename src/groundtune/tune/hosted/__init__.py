"""Fine-tune at a provider: its rules, the files it takes, its jobs."""
