"""Markdown of documentation sites is read as it is rendered."""

from pathlib import Path

import pytest

from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument


def read(tmp_path: Path, text: str) -> ParsedDocument:
    path = tmp_path / "a.md"
    path.write_text(text, encoding="utf-8")
    (parsed,) = load(path)
    return parsed


def texts(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def heading_of(parsed: ParsedDocument, text: str) -> tuple[str, ...]:
    return next(block.heading for block in parsed.blocks if text in parsed.text[block.start : block.end])


def notes(parsed: ParsedDocument) -> dict[str, tuple[str, ...]]:
    return {note.kind: note.places for note in parsed.notes}


@pytest.mark.parametrize(
    "box",
    [
        '!!! warning "Battery"\n\n    Never below **zero**.\n',
        ":::warning Battery\nNever below **zero**.\n:::\n",
        ":::warning[Battery]\n\nNever below **zero**.\n\n:::\n",
        ":::{warning} Battery\n:class: wide\nNever below **zero**.\n:::\n",
        "```{warning} Battery\n:class: wide\n\nNever below **zero**.\n```\n",
        '::: {.callout-warning title="Battery"}\nNever below **zero**.\n:::\n',
        "> [!WARNING] Battery\n> Never below **zero**.\n",
    ],
)
def test_a_box_has_its_title_and_text(tmp_path: Path, box: str) -> None:
    parsed = read(tmp_path, f"# Care\n\n{box}\nAfter it.\n")
    assert " ".join(parsed.text.split()) == "Care Battery Never below zero. After it."
    assert heading_of(parsed, "After it.") == ("Care",)


@pytest.mark.parametrize(
    "box", ["!!! note\n    Text\n", ":::note\nText\n:::\n", "> [!NOTE]\n> Text\n", "```{note}\nText\n```\n"]
)
def test_a_box_without_title_is_named_by_its_kind(tmp_path: Path, box: str) -> None:
    assert read(tmp_path, box).text.split() == ["Note", "Text"]


@pytest.mark.parametrize(
    "tabs",
    [
        '=== "Linux"\n\n    Use apt.\n\n=== "macOS"\n\n    Use brew.\n',
        ":::: {tab-set}\n::: {tab-item} Linux\nUse apt.\n:::\n::: {tab-item} macOS\nUse brew.\n:::\n::::\n",
        '<Tabs>\n<TabItem value="l" label="Linux">\n\nUse apt.\n\n</TabItem>\n<TabItem value="m" label="macOS">\n\n'
        "Use brew.\n\n</TabItem>\n</Tabs>\n",
        '??? "Linux"\n    Use apt.\n\n???+ "macOS"\n    Use brew.\n',
        "<details><summary>Linux</summary>\n\nUse apt.\n\n</details>\n"
        "<details>\n<summary>macOS</summary>\n\nUse brew.\n\n</details>\n",
    ],
)  # fmt: skip
def test_tabs_and_details_are_headings_of_their_text(tmp_path: Path, tabs: str) -> None:
    parsed = read(tmp_path, f"# Install\n\n{tabs}\n\nAfter it.\n")
    assert parsed.text == "Install\n\nLinux\n\nUse apt.\n\nmacOS\n\nUse brew.\n\nAfter it."
    assert heading_of(parsed, "Use brew.") == ("Install", "macOS")
    assert heading_of(parsed, "After it.") == ("Install",)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("see [the guide][g] and [g]\n\n[g]: https://x.example 'title'", "see the guide and g"),
        ("costs 45[^1] euros\n\n[^1]: Net of tax.", "costs 45 [1] euros\n\n1. Net of tax."),
        ("- [x] done\n- [ ] open", "☑ done\n\n☐ open"),
        ("Wren\n: a bike\n: a bird", "Wren: a bike\n\na bird"),
        ("before <!-- secret --> after\n\n<!--\nmore\n\nsecret\n-->\n\nend", "before after\n\nend"),
        ("## Setup {#setup .wide}\n\nText{: .note}", "Setup\n\nText"),
        ("a {name} and {'a': 1} stay", "a {name} and {'a': 1} stay"),
        ("the :material-check: and :warning: signs", "the and :warning: signs"),
        ("$E = m_0 c^2$ costs $5 and $6", "$E = m_0 c^2$ costs $5 and $6"),
        ("see {ref}`the guide <guide>` and {term}`frame`, H{sub}`2`O", "see the guide and frame, H2O"),
        ("import Tabs from '@theme/Tabs';\nimport X from 'x';\n\nText {/* secret */} here", "Text here"),
        ("*[HTML]: Hyper Text\n\nHTML ==is== here", "HTML is here"),
        ("[TOC]\n\n{% hint style=\"info\" %}\nCharge it.\n{% endhint %}", "Charge it."),
        ("10<sup>6</sup>, 45<sup>[2](#n)</sup>, H<sub>2</sub>O", "10^6, 45 [2], H2O"),
        ("within ~~40~~ <del>50</del> 30 days", "within 30 days"),
        ("an `Option<S>` of <S> and <your-key>, <select> one", "an Option<S> of and , one"),
        ("<select>\n\nText behind", "Text behind"),
        ("first  \nsecond\nthird", "first\nsecond third"),
        ("```py title=\"a.py\"\nx = 1\n```", "a.py\n\nx = 1"),
        ("    indented\n      code", "indented\n  code"),
        ("1. a\n\n   ```sh\n   run\n   ```\n2. b", "1. a\n\nrun\n\n2. b"),
        ("两个字\n在一起 and\nwords", "两个字在一起 and words"),
    ],
)  # fmt: skip
def test_markdown_is_read_as_rendered(tmp_path: Path, source: str, shown: str) -> None:
    assert read(tmp_path, source).text == shown


def test_deleted_text_is_noted_and_so_are_includes(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        '~~40~~ days\n\n--8<-- "a.md"\n\n{% include "b.md" %}\n\n```{include} c.md\n```\n\n{{< include d.qmd >}}\n',
    )
    assert parsed.text == "days"
    assert notes(parsed) == {"not_included": ("a.md", "b.md", "d.qmd", "c.md"), "deleted_text": ()}


def test_front_matter_in_toml(tmp_path: Path) -> None:
    parsed = read(tmp_path, '+++\ntitle = "Returns"\ndraft = false\n+++\n\nText\n')
    assert (parsed.title, dict(parsed.metadata), parsed.text) == ("Returns", {"draft": "false"}, "Text")
