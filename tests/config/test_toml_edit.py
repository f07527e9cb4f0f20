"""Set keys of a table in the text of a project file; everything else stays unchanged."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ('name = "x"\n\n[answers]\napproach = "rag"\n', 'name = "x"\n'),
        ('[answers]\napproach = "rag"\n', ""),
        ('[a]\nk = 1\n\n[answers]\napproach = "rag"\n\n[b]\nk = 1\n', "[a]\nk = 1\n\n[b]\nk = 1\n"),
        ('[[a]]\nk = 1\n[answers]\napproach = "rag"\n[[b]]\nk = 1\n', "[[a]]\nk = 1\n[[b]]\nk = 1\n"),
        ('answers = { approach = "rag" }\nname = "x"\n', 'name = "x"\n'),
        ('answers.approach = "rag"\nname = "x"\n', 'name = "x"\n'),
    ],
)
def test_a_table_that_loses_its_last_key_is_removed(text: str, edited: str) -> None:
    assert set_keys(text, "answers", {"approach": None}) == edited


@pytest.mark.parametrize(
    "text",
    [
        '[answers] # how\napproach = "rag"\n',
        '[answers]\n# the best so far\napproach = "rag"\n',
        '[answers]\napproach = "rag"\n\n# about b\n[b]\nk = 1\n',
        '[answers]\napproach = "rag"\nstrict = true\n',
        '[answers]\napproach = "rag"\n[answers.options]\nk = 1\n',
        "[answers]\n",
    ],
)
def test_a_table_with_comments_or_other_keys_stays(text: str) -> None:
    assert set_keys(text, "answers", {"approach": None}) == text.replace('approach = "rag"\n', "")


BLOCKS = st.sampled_from(
    [
        'name = "x"', "# a comment", "", "[a]", "[b] # b", "[[c]]", "k = 1", 'words = """\n[answers]\n"""', "[a.d]",
        'e = { f = "#" }', "[c.g]", "h.i = [\n  1, # one\n]",
    ]
)  # fmt: skip


@given(st.lists(BLOCKS, max_size=9), st.sampled_from(["\n", "\r\n"]))
def test_a_table_that_was_added_is_removed_without_a_trace(blocks: list[str], end: str) -> None:
    text = "".join(f"{block}\n" for block in blocks).replace("\n", end)
    try:
        tomllib.loads(text)
        added = set_keys(text, "answers", {"approach": "rag"})
    except ValueError:
        return
    assert set_keys(added, "answers", {"approach": None}) == (text.rstrip() + end if text.strip() else "")


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
    ("text", "edited"),
    [
        (
            'embedder = { kind = "bundled", batch_size = 8 } # mine\n[x]\n',
            'embedder = { kind = "local", batch_size = 8, model = "m"} # mine\n[x]\n',
        ),
        ('embedder.kind = "bundled" # mine\n[x]\n', 'embedder.kind = "local" # mine\nembedder.model = "m"\n[x]\n'),
        (
            'embedder.batch_size = 8\nembedder.kind = "bundled"\n',
            'embedder.batch_size = 8\nembedder.model = "m"\nembedder.kind = "local"\n',
        ),
        ('[embedder]\nkind = """\nbundled"""\n', '[embedder]\nmodel = "m"\nkind = "local"\n'),
        ('[ "embedder" ]\n"kind"="bundled"\n', '[ "embedder" ]\nmodel = "m"\n"kind"="local"\n'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_other_ways_to_write_a_table(text: str, edited: str, end: str) -> None:
    text, edited = text.replace("\n", end), edited.replace("\n", end)
    assert set_keys(text, "embedder", {"kind": "local", "model": "m", "dimension": None}) == edited


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('embedder = "bundled"\n', "not a table"),
        ('[[embedder]]\nkind = "bundled"\n', "not a table"),
        ('[[checks]]\nkind = "x"\n[embedder]\n[[checks]]\nkind = "y"\n', "between two"),
        ("[embedder]\nkind = bundled\n", "line 2"),
        ("x = 1\nx = 2\n", "overwrite"),
    ],
)
def test_texts_that_cannot_be_edited_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        set_keys(text, "embedder", {"kind": "local", "model": "m"})
