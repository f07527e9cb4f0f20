"""Let one model be loaded at a time in this process."""

import threading

LOADING = threading.RLock()
"""Held while a model is loaded: meanwhile transformers changes torch's default data type, for all threads, so that two
models loaded at once may get weights in each other's."""
