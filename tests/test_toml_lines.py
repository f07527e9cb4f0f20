"""Keys of a table are set in the text of a project file; everything else in it stays as it was."""

import pytest

from groundtune.toml_lines import put

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


def test_keys_are_set_and_taken_out_where_they_stand() -> None:
    assert put(FILE, "embedder", {"kind": "local", "model": 'a "b" é', "base_url": None, "dimension": None}) == CHANGED
    assert put(FILE, "embedder", {"dimension": 16}) == FILE.replace("384", "16")
    assert put(FILE, "embedder", {"api_key_env": None}) == FILE


def test_new_keys_come_below_the_header_and_new_tables_last() -> None:
    assert put("[retrieval]\nk = 5\n", "retrieval", {"reranker": "r"}) == '[retrieval]\nreranker = "r"\nk = 5\n'
    assert put('name = "x"', "retrieval", {"reranker": "r"}) == 'name = "x"\n\n[retrieval]\nreranker = "r"\n'
    assert put("", "retrieval", {"reranker": "r"}) == '[retrieval]\nreranker = "r"\n'


def test_line_ends_and_marks_stay() -> None:
    text = '\ufeffname = "x"\r\n[retrieval]\r\nk = 5\r\n'
    assert put(text, "retrieval", {"reranker": "r"}) == (
        '\ufeffname = "x"\r\n[retrieval]\r\nreranker = "r"\r\nk = 5\r\n'
    )
    assert put('name = "x"\r\n', "embedder", {"kind": "local"}) == 'name = "x"\r\n\r\n[embedder]\r\nkind = "local"\r\n'


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
def test_what_cannot_be_changed_a_line_at_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d is|not written"):
        put(text, "embedder", {"kind": "local", "model": "m"})
