"""Public test doubles: a scripted model server over real HTTP, models of known quality, a fine-tuning API."""
