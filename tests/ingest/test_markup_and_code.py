"""Markup other than Markdown, source code and subtitles keep what a reader sees of them."""

from pathlib import Path

import pytest

from groundtune.errors import ParseError
from groundtune.ingest.loaders import MEDIA_TYPES, load
from groundtune.ingest.parsed import ParsedDocument


def read(tmp_path: Path, name: str, text: str) -> ParsedDocument:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (parsed,) = load(tmp_path / name)
    return parsed


def texts(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def notes(parsed: ParsedDocument) -> dict[str, tuple[str, ...]]:
    return {note.kind: note.places for note in parsed.notes}


def test_restructured_text(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "a.rst",
        "=====\nGuide\n=====\n\nIntro [1]_ with 10\\ :sup:`6` and :ref:`the parts <parts>` and\n:class:`~a.B`.\n\n"
        "Setup\n-----\n\n.. warning:: Never below **zero**.\n\n.. versionadded:: 2.1\n   It is new.\n\n"
        ".. code-block:: python\n   :caption: a.py\n\n   x = 1\n     y\n\n.. toctree::\n\n   secret\n\n"
        ".. unknown-box:: A title\n   :option: x\n\n   Kept text.\n\n.. include:: other.txt\n\n.. comment\n\n"
        ".. list-table::\n   :header-rows: 1\n\n   * - Model\n     - Price\n   * - Wren\n     - 3\n\n"
        "term\n  meaning\n\n3. c\n#. d\n\n.. [1] A note.\n",
    )
    assert parsed.title == "Guide"
    assert texts(parsed) == [
        "Intro [1] with 10^6 and the parts and a.B.",
        "Warning",
        "Never below zero.",
        "Added in version 2.1 It is new.",
        "a.py",
        "x = 1\n  y",
        "A title",
        "Kept text.",
        "Model: Wren; Price: 3",
        "term: meaning",
        "3. c",
        "4. d",
        "[1] A note.",
    ]
    assert parsed.blocks[1].heading == ("Guide", "Setup")
    assert notes(parsed) == {"not_included": ("other.txt",)}


def test_restructured_text_reads_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    text = f"Seen\n\n.. include:: {tmp_path}/secret.txt\n\n.. raw:: html\n   :file: {tmp_path}/secret.txt\n"
    assert read(tmp_path, "a.rst", text).text == "Seen"


def test_asciidoc(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "a.adoc",
        "= Guide to the {product}\nAnn Lee <ann@example.org>\n:product: Wren\n:toc:\n\n"
        "The {product} moves 10^6^ litres of H~2~O, *bold _it_* `code` and https://x.example[the site],\n"
        "see <<setup,Setup>>.footnote:[Or not.] Snake_case_words and 2 * 3 * 4 stay.\n\n"
        "[[setup]]\n== Setup\n\n// secret\n"
        "NOTE: Charge it.\n\n[WARNING]\n====\nNever below zero.\n\n* one\n====\n\n"
        ".First steps\n. One\n.. Inner\n. Two\n+\n"
        "----\nx = 1\n  y\n----\n\nWren:: a bike\nHeron::\na bird\n\n"
        '[cols="1,2", options="header"]\n|===\n|Model |Price\n|Wren\n|3\n|===\n\n'
        "include::other.adoc[]\n\nimage::x.png[a map]\n\n////\nsecret\n////\n\nifdef::x[]\nShown\nendif::[]\n\n"
        "[.line-through]#old# new\n",
    )
    assert parsed.title == "Guide to the Wren"
    assert texts(parsed) == [
        "Ann Lee <ann@example.org>",
        "The Wren moves 10^6 litres of H2O, bold it code and the site, see Setup. (Or not.) "
        "Snake_case_words and 2 * 3 * 4 stay.",
        "Note",
        "Charge it.",
        "Warning",
        "Never below zero.",
        "one",
        "First steps",
        "1. One",
        "1. Inner",
        "2. Two",
        "x = 1\n  y",
        "Wren: a bike",
        "Heron: a bird",
        "Model: Wren; Price: 3",
        "a map",
        "Shown",
        "new",
    ]
    assert parsed.blocks[-1].heading == ("Guide to the Wren", "Setup")
    assert notes(parsed) == {"not_included": ("other.adoc",), "deleted_text": ()}


def test_source_code_keeps_its_lines(tmp_path: Path) -> None:
    code = "import os\n\n\ndef a():\n    x = 1\n\n    return x\n\n\ndef b():\n    pass\n"
    parsed = read(tmp_path, "a.py", code)
    assert texts(parsed) == ["import os", "def a():\n    x = 1\n\n    return x", "def b():\n    pass"]
    assert {block.kind for block in parsed.blocks} == {"code"}
    long = read(tmp_path, "b.yaml", "".join(f"key{number}: value {number}\n" for number in range(200)))
    assert max(map(len, texts(long))) < 800
    assert "\n".join(texts(long)).split("\n") == [f"key{number}: value {number}" for number in range(200)]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            '<bikes><bike id="1"><name>Wren</name><price currency="EUR">3200</price><tag>city</tag>'
            "<tag>light</tag></bike>"
            '<bike id="2"><name>Heron</name><stock/></bike></bikes>',
            ["id: 1; name: Wren; price: 3200; price currency: EUR; tag: city, light", "id: 2; name: Heron"],
        ),
        ('<config><server host="a" port="80"/><debug>true</debug></config>',
         ["server host: a; server port: 80; debug: true"]),
        (
            "<book><title>Guide</title><!-- secret --><chapter id='x'><title>Setup</title>"
            "<para>Charge&nbsp;the <emphasis>battery</emphasis>.</para><programlisting>x = 1\n  y</programlisting>"
            "<table><title>Prices</title><tgroup><thead><row><entry>A</entry><entry>B</entry></row></thead>"
            "<tbody><row><entry>1</entry><entry>2</entry></row></tbody></tgroup></table></chapter></book>",
            ["Charge the battery.", "x = 1\n  y", "Prices", "A: 1; B: 2"],
        ),
        (
            "<rss><channel><title>News</title><item><title>One</title><creator>Ann</creator>"
            "<description>&lt;p&gt;Text &lt;del&gt;old&lt;/del&gt; new&lt;/p&gt;</description></item></channel></rss>",
            ["creator: Ann", "Text new"],
        ),
    ],
)  # fmt: skip
def test_xml(tmp_path: Path, source: str, shown: list[str]) -> None:
    assert texts(read(tmp_path, "a.xml", source)) == shown


def test_xml_has_sections_and_follows_no_entity(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    parsed = read(
        tmp_path,
        "a.xml",
        f'<!DOCTYPE a [<!ENTITY own "mine"><!ENTITY file SYSTEM "{tmp_path}/secret.txt">]>'
        "<a><title>Top</title><b><title>Part</title><p>It is &own; and &file; seen</p></b></a>",
    )
    assert parsed.text == "Top\n\nPart\n\nIt is mine and seen"
    assert [*notes(parsed)] == ["not_included"]
    assert (parsed.title, parsed.blocks[0].heading) == ("Top", ("Top", "Part"))
    (tmp_path / "b.xml").write_text("<a><b></a>")
    with pytest.raises(ParseError, match="is not valid XML"):
        load(tmp_path / "b.xml")


def test_keys_in_env_files_are_not_read() -> None:
    assert ".env" not in MEDIA_TYPES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.srt",
            "1\n00:00:01,000 --> 00:00:02,000\n<i>Charge</i> the\nbattery.\n\n"
            "2\n00:00:03,000 --> 00:00:04,000\nThen ride.\n",
        ),
        (
            "a.vtt",
            "WEBVTT\n\nNOTE secret\n\nSTYLE\n::cue {}\n\n00:01.000 --> 00:02.000 align:start\n"
            "<00:01.000><c>Charge</c> the\n\n"
            "cue-2\n00:02.000 --> 00:03.000\nbattery.\n\n00:03.000 --> 00:04.000\nThen ride.\n",
        ),
    ],
)
def test_subtitles_are_running_text(tmp_path: Path, name: str, text: str) -> None:
    assert texts(read(tmp_path, name, text)) == ["Charge the battery. Then ride."]


def test_a_change_of_speaker_is_a_new_paragraph(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>Hi &amp; bye\n\n00:02.000 --> 00:03.000\n<v Bo>So long\n"
    assert texts(read(tmp_path, "a.vtt", text)) == ["Ann: Hi & bye", "Bo: So long"]
