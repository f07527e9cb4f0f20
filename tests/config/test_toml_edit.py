"""Set keys of a table in the text of a project file; everything else stays unchanged."""

import pytest

from groundtune.config.toml_edit import set_keys

FILE = """# mine
name = "x"  # ours

[embedder] # which
kind = "openai"   # hosted
model = 'm'
base_url = "http://x/v1" # where
dimension = 384

[[documents.access]]
include = ["a"]
"""
CHANGED = """# mine
name = "x"  # ours

[embedder] # which
kind = "local"   # hosted
model = "a \\"b\\" é"

[[documents.access]]
include = ["a"]
"""


def test_keys_are_set_and_removed_in_place() -> None:
    assert (
        set_keys(FILE, "embedder", {"kind": "local", "model": 'a "b" é', "base_url": None, "dimension": None})
        == CHANGED
    )
    assert set_keys(FILE, "embedder", {"dimension": 16}) == FILE.replace("384", "16")
    assert set_keys(FILE, "embedder", {"api_key_env": None}) == FILE


def test_new_keys_go_below_the_header_and_new_tables_to_the_end() -> None:
    assert set_keys("[retrieval]\nk = 5\n", "retrieval", {"reranker": "r"}) == '[retrieval]\nreranker = "r"\nk = 5\n'
    assert set_keys('name = "x"', "retrieval", {"reranker": "r"}) == 'name = "x"\n\n[retrieval]\nreranker = "r"\n'
    assert set_keys("", "retrieval", {"reranker": "r"}) == '[retrieval]\nreranker = "r"\n'


def test_line_endings_and_byte_order_mark_are_kept() -> None:
    text = '\ufeffname = "x"\r\n[retrieval]\r\nk = 5\r\n'
    assert set_keys(text, "retrieval", {"reranker": "r"}) == (
        '\ufeffname = "x"\r\n[retrieval]\r\nreranker = "r"\r\nk = 5\r\n'
    )
    assert (
        set_keys('name = "x"\r\n', "embedder", {"kind": "local"})
        == 'name = "x"\r\n\r\n[embedder]\r\nkind = "local"\r\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        'embedder = { kind = "bundled" }\n',
        'embedder.kind = "bundled"\n',
        "embedder.batch_size = 8\n",
        '[embedder]\nkind = """\nbundled"""\n',
        '[embedder]\n"kind" = "bundled"\n',
    ],
)
def test_tables_that_cannot_be_edited_line_by_line_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d is|not written"):
        set_keys(text, "embedder", {"kind": "local", "model": "m"})
