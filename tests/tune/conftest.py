"""What the tests of LoRA trainings share: libraries that are imported once, before anything is timed."""

import gc

import pytest


@pytest.fixture(scope="session")
def training_libraries() -> None:
    """Import the libraries and exempt them from garbage collection: each training runs it three times."""
    import peft  # noqa: F401
    from trl import DPOTrainer, SFTTrainer  # noqa: F401

    gc.collect()
    gc.freeze()
