"""Files of each format, written with a real library, come back as the paragraphs, rows and headings a reader sees."""

import csv
import json
import re
import textwrap
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.ingest.loaders import _MODULES, MEDIA_TYPES, PARSER_VERSION, load
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_text, render_row

PROSE = (
    "The stem bolts are tightened to fourteen newton metres after the first fifty kilometres, because new bolts settle "
    "a little under load. A workshop can do it, or the owner with a torque wrench and a four millimetre key."
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def load_one(path: Path) -> ParsedDocument:
    (parsed,) = load(path)
    return parsed


def blocks(parsed: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def texts(parsed: ParsedDocument) -> list[str]:
    return [text for _, text in blocks(parsed)]


def heading_of(parsed: ParsedDocument, text: str) -> tuple[str, ...]:
    return next(block.heading for block in parsed.blocks if text in parsed.text[block.start : block.end])


def test_every_extension_has_a_media_type() -> None:
    assert PARSER_VERSION
    assert all(re.fullmatch(r"\.[a-z]+", suffix) for suffix in MEDIA_TYPES)
    assert {*MEDIA_TYPES.values()} == {*_MODULES}


# --- the builder ---------------------------------------------------------------------------------------------------

CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("paragraph"), st.text()),
        st.tuples(st.just("code"), st.text()),
        st.tuples(st.just("heading"), st.integers(1, 6), st.text()),
        st.tuples(st.just("row"), st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4)),
        st.tuples(st.just("table"), st.lists(st.lists(st.text(), max_size=3), max_size=3)),
        st.tuples(st.just("page")),
    ),
    max_size=20,
)


@settings(max_examples=300)
@given(CALLS)
def test_blocks_are_exact_ordered_and_disjoint(calls: list[tuple[object, ...]]) -> None:
    builder = TextBuilder()
    for name, *arguments in calls:
        getattr(builder, str(name))(*arguments)
    parsed = builder.build()
    end = 0
    for block in parsed.blocks:
        text = parsed.text[block.start : block.end]
        assert block.start >= end
        assert text.strip()
        assert text == (clean_text(text) if block.kind != "code" else text)
        end = block.end
    assert end <= len(parsed.text)
    assert all(0 <= start <= len(parsed.text) for start in parsed.pages)
    assert list(parsed.pages) == sorted(parsed.pages)
    parsed.text.encode("utf-8")  # no lone surrogates


@settings(max_examples=300)
@given(st.lists(st.text(min_size=1), min_size=1))
def test_a_paragraph_is_its_cleaned_text(paragraphs: list[str]) -> None:
    builder = TextBuilder()
    for paragraph in paragraphs:
        builder.paragraph(paragraph)
    parsed = builder.build()
    assert texts(parsed) == [clean_text(paragraph) for paragraph in paragraphs if clean_text(paragraph)]


@given(st.text())
def test_clean_twice_is_clean_once(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


def test_clean_drops_invisible_characters() -> None:
    assert clean_text(" a\t\u00a0b \r\n\r\n c\x00\u00ad\u200bd ") == "a b\ncd"
    assert clean_text("Cafe\u0301") == "Café"
    assert clean_text("می\u200cخواهم") == "می\u200cخواهم"


def test_a_table_with_one_row_is_not_lost() -> None:
    builder = TextBuilder()
    builder.table([["Only", "row"]])
    builder.table([["Name", "Price"], ["Wren", "3,200"]])
    assert texts(builder.build()) == ["Only; row", "Name: Wren; Price: 3,200"]
    assert render_row(["", "x", "y"], ["a", "b:"]) == "b: x; y"


# --- Markdown ------------------------------------------------------------------------------------------------------


def test_markdown(tmp_path: Path) -> None:
    parsed = load_one(
        write(
            tmp_path / "a.md",
            "---\ntitle: Returns policy\nowner: Dele\neffective: 2025-01-06\ntags: [a, b]\ndeep: {x: 1}\n---\n\n"
            "# Returns\n\nYou **can** [return](x.md) a `bike`\nwithin ~~40~~ 30 days. ![a map](m.png)<br>Ask.\n\n"
            "## Steps\n\n3. First\n4. Second\n   - Inner *one*\n\n     More of it\n\n> Quoted &amp; kept\n\n"
            "| Item | Fee |\n|---|---|\n| Bike \\| cart | £45 |\n| | none |\n\n```py\nif x:\n    y()\n```\n\n"
            "<div><p>In <b>HTML</b></p></div>\n\n<!-- secret -->\n\nSee [ref][1] and [[Page|wiki]].[^n]\n\n"
            "[1]: http://example.org\n\n[^n]: A note here.\n",
        )
    )
    assert parsed.title == "Returns policy"
    assert parsed.metadata == {"owner": "Dele", "effective": "2025-01-06", "tags": "a, b"}
    assert blocks(parsed) == [
        ("paragraph", "You can return a bike within 30 days. a map\nAsk."),
        ("paragraph", "3. First"),
        ("paragraph", "4. Second"),
        ("paragraph", "Inner one"),
        ("paragraph", "More of it"),
        ("paragraph", "Quoted & kept"),
        ("row", "Item: Bike | cart; Fee: £45"),
        ("row", "Fee: none"),
        ("code", "if x:\n    y()"),
        ("paragraph", "In HTML"),
        ("paragraph", "See ref and wiki. [1]"),
        ("paragraph", "1. A note here."),
    ]
    assert heading_of(parsed, "Inner one") == ("Returns", "Steps")


def test_markdown_title_is_the_first_top_heading_or_none(tmp_path: Path) -> None:
    assert load_one(write(tmp_path / "a.md", "## Small\n\n# Big *one*\n\nText")).title == "Big one"
    assert load_one(write(tmp_path / "b.markdown", "Only text")).title is None


def test_markdown_invalid_front_matter_stays_text(tmp_path: Path) -> None:
    assert "key: [broken" in load_one(write(tmp_path / "a.md", "---\nkey: [broken\n---\n\nText")).text
    assert load_one(write(tmp_path / "b.md", "Above\n\n---\n\nBelow")).text == "Above\n\nBelow"


def test_markdown_table_without_rows_keeps_its_header(tmp_path: Path) -> None:
    assert load_one(write(tmp_path / "a.md", "| A | B |\n|---|---|\n")).text == "A; B"


# --- plain text ----------------------------------------------------------------------------------------------------


def test_wrapped_prose_is_joined_and_other_lines_are_kept(tmp_path: Path) -> None:
    wrapped = "\n".join(textwrap.wrap(PROSE, 72))
    parsed = load_one(
        write(tmp_path / "a.txt", f"{wrapped}\n\n\nTilt Works\n12 Foundry Lane\nMarrowby\n\n- one\n- two\n")
    )
    assert texts(parsed) == [PROSE, "Tilt Works\n12 Foundry Lane\nMarrowby", "- one", "- two"]
    assert parsed.title is None


def test_restructured_text_headings(tmp_path: Path) -> None:
    parsed = load_one(write(tmp_path / "a.rst", "=====\nGuide\n=====\n\nIntro.\n\nSetup\n-----\n\nDo it.\n"))
    assert parsed.title == "Guide"
    assert heading_of(parsed, "Do it.") == ("Guide", "Setup")


def test_a_long_log_is_split_at_line_ends(tmp_path: Path) -> None:
    lines = [f"2025-01-01 10:{at:02} INFO request {at:02} served in time" for at in range(60)] * 5
    parsed = load_one(write(tmp_path / "a.log", "\n".join(lines)))
    assert len(parsed.blocks) > 3
    assert parsed.text.replace("\n\n", "\n").split("\n") == lines


# --- HTML ----------------------------------------------------------------------------------------------------------


def test_html(tmp_path: Path) -> None:
    parsed = load_one(
        write(
            tmp_path / "a.html",
            "<!doctype html><title>Guide &amp; more</title><nav>Menu</nav><script>x()</script>"
            "bare <b>te</b>xt<div>in a div<p>one<br>two</p>tail</div><h2>Prices</h2>"
            "<table><caption>All prices</caption><thead><tr><th rowspan=2>Model<th colspan=2>Price"
            "<tr><th>old<th>new</thead>"
            "<tr><td rowspan=2>Wren<td>1<td>2<tr><td>3<td>4</table>"
            "<table><tr><th>Founded<td>1975</table>"
            "<ol start=3><li>a<ul><li>n</ul><li>b</ol><dl><dt>Term<dd>meaning</dl><pre>x\n  y</pre>"
            "<p hidden>no</p><p style='display:none'>no</p>"
            "<form><label>Search</label><input></form><blockquote>q</blockquote>",
        )
    )
    assert parsed.title == "Guide & more"
    assert blocks(parsed) == [
        ("paragraph", "bare text"),
        ("paragraph", "in a div"),
        ("paragraph", "one\ntwo"),
        ("paragraph", "tail"),
        ("paragraph", "All prices"),
        ("row", "Model: Wren; Price old: 1; Price new: 2"),
        ("row", "Model: Wren; Price old: 3; Price new: 4"),
        ("row", "Founded: 1975"),
        ("paragraph", "3. a"),
        ("paragraph", "n"),
        ("paragraph", "4. b"),
        ("paragraph", "Term: meaning"),
        ("code", "x\n  y"),
        ("paragraph", "q"),
    ]
    assert heading_of(parsed, "Wren") == ("Prices",)


def test_html_page_inside_a_form_and_layout_table(tmp_path: Path) -> None:
    page = "<body><form><table><tr><td><h1>Head</h1><p>Body text</p></td></tr></table><input></form>"
    parsed = load_one(write(tmp_path / "a.htm", page))
    assert texts(parsed) == ["Body text"]
    assert heading_of(parsed, "Body") == ("Head",)


# --- rows ----------------------------------------------------------------------------------------------------------


def test_csv_rows_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([["ID", "Title", "Text", "topic"], ["7", "Refunds", "One.\n\nTwo, too.", "billing"]])
        writer.writerows([["", "", "Three", ""], [], ["7", "x", "Again", "y"]])
    rows = load(path)
    assert [(row.row_id, row.title, texts(row), dict(row.metadata)) for row in rows] == [
        ("7", "Refunds", ["One.", "Two, too.", "topic: billing"], {"topic": "billing"}),
        ("2", None, ["Three"], {}),
        ("7~2", "x", ["Again", "topic: y"], {"topic": "y"}),
    ]


def test_csv_with_an_id_that_repeats(tmp_path: Path) -> None:
    rows = load(write(tmp_path / "a.csv", "id,text\n" + "K,a\nK~2,b\n" + "K,c\n" * 20_000))
    assert [row.row_id for row in rows[:4]] == ["K", "K~2", "K~3", "K~4"]
    assert len({row.row_id for row in rows}) == 20_002


def test_csv_without_text_column_is_rendered(tmp_path: Path) -> None:
    (row,) = load(write(tmp_path / "a.tsv", "model\tprice\nWren\t3,690\n"))
    assert (row.row_id, row.text, dict(row.metadata)) == (
        "1",
        "model: Wren; price: 3,690",
        {"model": "Wren", "price": "3,690"},
    )


def test_csv_column_without_any_text_is_no_row(tmp_path: Path) -> None:
    rows = load(write(tmp_path / "a.csv", "sku,model,remark\nA1,Wren,\nA2,Heron, \n"))
    assert [row.text for row in rows] == ["sku: A1; model: Wren", "sku: A2; model: Heron"]


def test_csv_without_header(tmp_path: Path) -> None:
    rows = load(write(tmp_path / "a.csv", "Wren,3690\nHeron,5490\n"))
    assert [row.text for row in rows] == ["Wren: 3690", "Heron: 5490"]
    rows = load(write(tmp_path / "b.csv", "17,120,135\n18,90,95\n"))
    assert [(row.text, dict(row.metadata)) for row in rows] == [("17; 120; 135", {}), ("18; 90; 95", {})]
    assert [note.kind for row in rows for note in row.notes] == ["no_header"]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nname;price\nWren;3,69\n",
        "\ufeffname;price\nWren;3,69\n",
        "# made by export\nname;price\nWren;3,69\n",
        "Price list 2025\n\nname;price\nWren;3,69\n",
        "Price list; spring\nIssued;2025-01-01\n\nname;price\nWren;3,69\n",
        '"name";"price"\n"Wren";"3,69"\n',
        "name|price\nWren|3,69\n",
        'name,price\nWren,"3,69"\n',
        "name\tprice\nWren\t3,69\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_csv_as_programs_write_it(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert load(tmp_path / "a.csv")[-1].text == "name: Wren; price: 3,69"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("text\nHello, world\nPlain line\n", ["Hello, world", "Plain line"]),
        ("Hello, world\nPlain line\n", ["Hello, world", "Plain line"]),
        ("name\nWren\nHeron\n", ["name: Wren", "name: Heron"]),
        ("Wren\n", ["Wren"]),
    ],
)
def test_csv_of_one_column(tmp_path: Path, text: str, read_as: list[str]) -> None:
    assert [row.text for row in load(write(tmp_path / "a.csv", text))] == read_as


def test_json_lines_and_arrays_of_objects(tmp_path: Path) -> None:
    objects = [{"id": "a", "text": "One\u2028line", "n": 3, "tags": ["x", "y"], "none": None}, {"q": "Two"}]
    lines = write(tmp_path / "a.jsonl", "\n\n".join(json.dumps(item, ensure_ascii=False) for item in objects) + "\n")
    for path in (lines, write(tmp_path / "a.json", json.dumps(objects))):
        first, second = load(path)
        assert (first.row_id, first.text) == ("a", "One\nline\n\nn: 3; tags: x, y")
        assert first.metadata == {"n": "3", "tags": "x, y"}
        assert (second.row_id, second.text) == ("2", "q: Two")


def test_json_of_other_shapes_becomes_rows(tmp_path: Path) -> None:
    value = {
        "name": "Wren",
        "size": {"length": 189, "unit": "cm"},
        "parts": [{"id": 1}, {"id": 2}],
        "notes": ["a", "b"],
    }
    parsed = load_one(write(tmp_path / "a.json", json.dumps(value)))
    assert texts(parsed) == [
        "name: Wren; notes: a, b",
        "size.length: 189; size.unit: cm",
        "parts[1].id: 1",
        "parts[2].id: 2",
    ]


# --- email, notebooks ---


def test_email(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Rückfrage zur Miete", "a@example.org", "b@example.org"
    message["Date"] = "Mon, 02 Jun 2025 09:00:00 +0000"
    message.set_content("Guten Tag,\n\nwann endet der Vertrag?\n")
    message.add_alternative("<p>Guten Tag,</p><p>wann endet der <b>Vertrag</b>?</p>", subtype="html")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="lease.pdf")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    parsed = load_one(tmp_path / "a.eml")
    assert parsed.title == "Rückfrage zur Miete"
    assert texts(parsed) == ["Guten Tag,", "wann endet der Vertrag?", "Attachments: lease.pdf"]
    assert parsed.metadata == {
        "from": "a@example.org",
        "to": "b@example.org",
        "date": "Mon, 02 Jun 2025 09:00:00 +0000",
    }


def test_email_with_html_only(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message.set_content("<h2>Part</h2><p>Über uns</p>", subtype="html", charset="iso-8859-1")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    assert texts(load_one(tmp_path / "a.eml")) == ["Über uns"]


def test_notebook(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "Some *text*"]},
        {
            "cell_type": "code",
            "source": "for x in y:\n    print(x)",
            "outputs": [
                {"output_type": "stream", "text": ["10%\r100%\n", "\u001b[31mdone\u001b[0m\n"]},
                {"output_type": "execute_result", "data": {"text/html": "<p>42 <b>km</b></p>", "text/plain": "42"}},
                {"output_type": "display_data", "data": {"image/png": "x", "text/plain": "<Figure>"}},
                {"output_type": "error", "ename": "KeyError", "evalue": "'a'", "traceback": ["secret"]},
            ],
        },
        {
            "cell_type": "code",
            "source": "hidden()",
            "metadata": {"jupyter": {"source_hidden": True}, "collapsed": True},
            "outputs": [{"output_type": "stream", "text": "secret"}],
        },
    ]
    parsed = load_one(write(tmp_path / "a.ipynb", json.dumps({"cells": cells, "nbformat": 4})))
    assert parsed.title == "Study"
    assert blocks(parsed) == [
        ("paragraph", "Some text"),
        ("code", "for x in y:\n    print(x)"),
        ("code", "100%\ndone"),
        ("paragraph", "42 km"),
        ("code", "KeyError: 'a'"),
    ]
    assert {note.kind: note.count for note in parsed.notes} == {"picture": 1, "hidden_text": 2}
