"""The settings of passages that an index depends on, and those that it does not."""

from typing import Any

import pytest

from groundtune import build
from groundtune.config import Config
from groundtune.models.local_embedder import BundledEmbedder

EMBEDDER = BundledEmbedder()


def splitter(**passages: Any) -> str:
    config = Config.model_validate({"name": "x", "passages": passages})
    return str(build.index_parts(config, EMBEDDER)["splitter"]).partition("/")[2]


@pytest.mark.parametrize(
    ("passages", "says"),
    [
        ({}, "220/60"),
        ({"window": 5, "parent_tokens": 99, "overlap_tokens": 3}, "220/60"),
        ({"context": "title"}, "220/60/title"),
        ({"strategy": "fixed", "min_tokens": 9}, "fixed/220/40"),
        ({"strategy": "sentence-window", "window": 3}, "sentence-window/220/3"),
        ({"strategy": "parent-child", "max_tokens": 64}, "parent-child/64/60/660"),
        ({"strategy": "document", "context": "none"}, "document/220/60/660/none"),
    ],
)
def test_an_index_depends_on_the_settings_of_its_strategy_alone(passages: dict[str, Any], says: str) -> None:
    assert splitter(**passages) == says
