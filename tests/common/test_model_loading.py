"""The pause of garbage collection while a model is loaded."""

import gc

import pytest

from groundtune.common.model_loading import no_collection


def test_collection_goes_on_after_a_model_is_loaded() -> None:
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_goes_on_after_a_failure() -> None:
    with pytest.raises(OSError, match="damaged"), no_collection():
        raise OSError("damaged")
    assert gc.isenabled()


def test_who_has_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
