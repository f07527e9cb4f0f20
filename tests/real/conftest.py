"""The servers and the model of these tests; without them the tests are skipped with the command that installs them."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from groundtune.models.builtin_models import builtin_models
from tests.real.llama_cpp import LlamaCpp

MODEL = "smollm2-135m"


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The GGUF file of the built-in model."""
    if not find_spec("xllamacpp"):
        pytest.skip("llama.cpp's server is not installed: make test-real")
    model = builtin_models()[MODEL]
    if not model.is_here:
        pytest.skip(f"the model is not on this machine: groundtune models get {MODEL}")
    return model.gguf


@pytest.fixture(scope="module")
def llama_cpp(model_file: Path) -> Iterator[LlamaCpp]:
    """llama.cpp's server with the built-in model."""
    with LlamaCpp(model_file) as server:
        yield server
