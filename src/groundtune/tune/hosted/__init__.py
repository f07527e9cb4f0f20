"""Fine-tuning at a provider: its rows, its rules, its jobs."""
