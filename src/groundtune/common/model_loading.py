"""What loading a model asks of the whole process: one at a time, and no garbage collected meanwhile."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOADING = threading.RLock()
"""Held while a model is loaded: meanwhile transformers changes torch's default data type, for all threads, so that two
models loaded at once may get weights in each other's."""


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause garbage collection, where it is on. Also a decorator.

    Importing torch and transformers makes a million objects that stay. Looking through them a thousand times for some
    that do not takes a fifth of the processor time of loading a small model.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
