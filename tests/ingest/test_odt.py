"""What a reader of an OpenDocument file sees is in its text, and nothing else."""

import io
import zipfile
from pathlib import Path

import pytest

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument

KINDS = {"text": ".odt", "presentation": ".odp"}
_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_NAMES = ("office", "text", "table", "style", "presentation", "form", "chart")
NAMESPACES = " ".join(f'xmlns:{name}="{_OASIS}{name}:1.0"' for name in _NAMES) + (
    f' xmlns:draw="{_OASIS}drawing:1.0" xmlns:svg="{_OASIS}svg-compatible:1.0" xmlns:fo="{_OASIS}xsl-fo-compatible:1.0"'
    ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:math="http://www.w3.org/1998/Math/MathML"'
)
STYLES = """
<style:style style:name="H" style:family="text"><style:text-properties text:display="none"/></style:style>
<style:style style:name="S" style:family="text"><style:text-properties
 style:text-line-through-style="solid"/></style:style>
<style:style style:name="Up" style:family="text"><style:text-properties style:text-position="super 58%"/></style:style>
<style:style style:name="Down" style:family="text"><style:text-properties style:text-position="-33% 58%"/></style:style>
<style:style style:name="White" style:family="text"><style:text-properties fo:color="#ffffff"/></style:style>
<style:style style:name="T1" style:family="paragraph" style:parent-style-name="Title"/>
<style:style style:name="hidden" style:family="drawing-page"><style:drawing-page-properties
 presentation:visibility="hidden"/></style:style>
<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
<text:list-level-style-number text:level="2" style:num-format="a" style:num-prefix="(" style:num-suffix=")"/>
<text:list-level-style-number text:level="3" style:num-format="1" text:display-levels="3"/></text:list-style>
<text:list-style style:name="Box"><text:list-level-style-bullet text:level="1" text:bullet-char="☐"/></text:list-style>
<text:list-style style:name="Dot"><text:list-level-style-bullet text:level="1" text:bullet-char="•"/></text:list-style>
"""
COMMON = """<office:styles><style:style style:name="Title" style:family="paragraph"/><text:outline-style>
<text:outline-level-style text:level="1" style:num-format="I" style:num-suffix="."/><text:outline-level-style
 text:level="2" style:num-format="1" text:display-levels="1"/></text:outline-style></office:styles>"""


def saved(body: str, kind: str = "text", masters: str = "", **parts: str) -> bytes:
    """Return a file with a body; parts: other files by name, `/` written as `__`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f"<office:document-content {NAMESPACES}><office:automatic-styles>{STYLES}</office:automatic-styles>"
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
        )
        archive.writestr(
            "styles.xml",
            f"<office:document-styles {NAMESPACES}>{COMMON}<office:master-styles>{masters}</office:master-styles>"
            "</office:document-styles>",
        )
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return out.getvalue()


def read(tmp_path: Path, body: str, kind: str = "text", masters: str = "", **parts: str) -> ParsedDocument:
    path = tmp_path / f"a{KINDS[kind]}"
    path.write_bytes(saved(body, kind, masters, **parts))
    (parsed,) = load(path)
    return parsed


def notes(parsed: ParsedDocument) -> dict[str, int]:
    return {note.kind: note.count for note in parsed.notes}


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def items(*blocks: str) -> str:
    return "".join(f"<text:list-item>{block}</text:list-item>" for block in blocks)


def test_headings_are_numbered_by_the_outline(tmp_path: Path) -> None:
    def h(level: int, text: str, more: str = "") -> str:
        return f'<text:h text:outline-level="{level}" {more}>{text}</text:h>'

    body = '<text:p text:style-name="T1">Terms</text:p>' + h(1, "Scope") + h(2, "Parties") + p("Wren Ltd.")
    body += h(1, "Annex", 'text:is-list-header="true"') + p("A.") + h(1, "Price") + p("B.")
    parsed = read(tmp_path, body)
    assert parsed.title == "Terms"
    assert [block.heading[1:] for block in parsed.blocks] == [("I. Scope", "1 Parties"), ("Annex",), ("II. Price",)]


def test_lists_are_numbered_nested_continued_and_restarted(tmp_path: Path) -> None:
    nested = items(p("A"), p("B") + f"<text:list>{items(p('C'), p('D'))}</text:list>")
    body = f'<text:list text:style-name="L" xml:id="one">{nested}</text:list>' + p("Between.")
    body += f'<text:list text:style-name="L" xml:id="two" text:continue-list="one">{items(p("E"))}</text:list>'
    body += f'<text:list text:style-name="L" text:continue-list="two">{items(p("F") + p("goes on"))}</text:list>'
    body += f'<text:list text:style-name="L">{items(p("G"))}</text:list>'
    body += (
        '<text:list text:style-name="L"><text:list-item text:start-value="7"><text:p>H</text:p>'
        "</text:list-item></text:list>"
    )
    assert read(tmp_path, body).text.split("\n\n") == [
        "1. A",
        "2. B",
        "(a) C",
        "(b) D",
        "Between.",
        "3. E",
        "4. F",
        "goes on",
        "1. G",
        "7. H",
    ]


def test_levels_are_shown_together_and_bullets_only_if_they_say_something(tmp_path: Path) -> None:
    deep = f"<text:list>{items('<text:list>' + items(p('Deep')) + '</text:list>')}</text:list>"
    body = f'<text:list text:style-name="L">{items(p("A") + deep)}</text:list>'
    body += f'<text:list text:style-name="Box">{items(p("Helmet"))}</text:list>'
    body += f'<text:list text:style-name="Dot">{items(p("Frame"))}</text:list>'
    assert read(tmp_path, body).text.split("\n\n") == ["1. A", "1.a.1 Deep", "☐ Helmet", "Frame"]


def test_what_is_not_seen_is_left_out_and_noted(tmp_path: Path) -> None:
    def span(style: str, text: str) -> str:
        return f'<text:span text:style-name="{style}">{text}</text:span>'

    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>old</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        + p(
            f"In {span('S', '40')} 30 days{span('H', ' secret')}{span('White', ' unseen')}, 10"
            f"{span('Up', '6')} l H{span('Down', '2')}O"
        )
        + '<text:section text:display="none"><text:p>hidden section</text:p></text:section>'
        + p('<text:hidden-paragraph text:is-hidden="true"/>hidden paragraph')
        + p(
            "<office:annotation><text:p>Really?</text:p></office:annotation>Seen<text:s text:c='2'/>twice."
            "<text:line-break/>On"
        )
    )
    parsed = read(tmp_path, body)
    assert parsed.text == "In 30 days, 10^6 l H2O\n\nSeen twice.\nOn"
    assert notes(parsed) == {"deleted_text": 2, "hidden_text": 3, "comment": 1}


def test_merged_cells_headers_and_layout_tables(tmp_path: Path) -> None:
    def cell(text: str, more: str = "") -> str:
        return f"<table:table-cell {more}>{p(text)}</table:table-cell>"

    covered, two = "<table:covered-table-cell/>", "table:number-rows-spanned='2'"
    body = (
        f"<table:table><table:table-header-rows><table:table-row>{cell('Zone')}{cell('Weight')}{cell('Fee')}"
        "</table:table-row>"
        f"</table:table-header-rows><table:table-row>{cell('EU', two)}{cell('2 kg')}{cell('9')}"
        f"</table:table-row><table:table-row>{covered}{cell('5 kg')}{cell('14')}</table:table-row><table:table-row "
        f"table:visibility='collapse'>{cell('x')}{cell('y')}{cell('z')}</table:table-row></table:table>"
        f"<table:table><table:table-row>{cell('Alone.')}</table:table-row></table:table>"
    )
    parsed = read(tmp_path, body)
    assert parsed.text == "Zone: EU; Weight: 2 kg; Fee: 9\n\nZone: EU; Weight: 5 kg; Fee: 14\n\nAlone."
    assert notes(parsed) == {"hidden_row": 1}


def test_notes_boxes_pictures_and_forms_stand_where_they_are_met(tmp_path: Path) -> None:
    note = (
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>The note.</text:p>"
        "</text:note-body></text:note>"
    )
    box = f"<draw:frame><draw:text-box>{p('In the box.')}</draw:text-box></draw:frame>"
    picture = (
        '<draw:frame svg:width="9cm" svg:height="9cm"><draw:image xlink:href="a.png"/><svg:desc>{}</svg:desc>'
        "</draw:frame>"
    )
    form = (
        "<office:forms><form:form>"
        '<form:checkbox form:id="c" form:label="agreed" form:current-state="checked"/></form:form></office:forms>'
    )
    body = form + p(
        f"45{note} euros{box}{picture.format('The wiring')}{picture.format('photo.png')} "
        "<draw:control draw:control='c'/>"
    )
    parsed = read(tmp_path, body)
    assert parsed.text == "45 [1] euros ☒ agreed\n\n[1] The note.\n\nIn the box.\n\nThe wiring"
    assert notes(parsed) == {"picture": 1}


def test_charts_and_formulas_within_the_file(tmp_path: Path) -> None:
    def row(*cells: str) -> str:
        return (
            f"<table:table-row>{''.join(f'<table:table-cell>{p(cell)}</table:table-cell>' for cell in cells)}"
            "</table:table-row>"
        )

    chart = f"<office:document-content {NAMESPACES}><office:body><office:chart><chart:chart><table:table>"
    chart += row("", "Bikes") + row("Graz", "12") + row("Linz", "NaN")
    chart += "</table:table></chart:chart></office:chart></office:body></office:document-content>"
    formula = f"<math:math {NAMESPACES}><math:msup><math:mi>x</math:mi><math:mn>2</math:mn></math:msup></math:math>"
    frame = '<draw:frame><draw:object xlink:href="./{}"/><draw:image xlink:href="x"/></draw:frame>'
    body = p(f"Here {frame.format('M')} and{frame.format('C')}")
    parsed = read(tmp_path, body, M__content=formula, C__content=chart)
    assert parsed.text == "Here x^2 and\n\nGraz; Bikes: 12"


def test_headers_and_footers_once_without_page_numbers(tmp_path: Path) -> None:
    masters = (
        f'<style:master-page style:name="Standard"><style:header>{p("Contract 4711")}</style:header><style:footer>'
        f"{p('Page <text:page-number>1</text:page-number>')}</style:footer></style:master-page>"
        f'<style:master-page style:name="Unused"><style:header>{p("Unused")}</style:header></style:master-page>'
    )
    parsed = read(tmp_path, p("Body."), masters=masters)
    assert parsed.text == "Contract 4711\n\nBody."
    assert notes(parsed) == {"page_furniture": 1}


def test_slides(tmp_path: Path) -> None:
    def frame(kind: str, text: str, more: str = "") -> str:
        stated = f'presentation:class="{kind}"' if kind else ""
        return f"<draw:frame {stated} {more}><draw:text-box>{p(text)}</draw:text-box></draw:frame>"

    prompt = "presentation:placeholder='true'"
    picture = '<draw:frame svg:width="20cm" svg:height="15cm"><draw:image xlink:href="a.png"/></draw:frame>'
    body = (
        '<presentation:footer-decl presentation:name="f">Contract 4711</presentation:footer-decl>'
        f"<draw:page presentation:use-footer-name='f'>{frame('', 'Body.')}{frame('title', 'Opening hours')}"
        f"{frame('outline', 'Click here', prompt)}<presentation:notes>{frame('notes', 'Slowly.')}"
        "</presentation:notes></draw:page>"
        f'<draw:page draw:style-name="hidden">{frame("title", "Secret")}</draw:page>'
        f"<draw:page>{picture}</draw:page><draw:page presentation:use-footer-name='f'><draw:g>"
        f"{frame('', 'Group.')}</draw:g></draw:page>"
    )
    parsed = read(tmp_path, body, "presentation")
    assert parsed.title == "Opening hours"
    assert parsed.text == "Opening hours\n\nBody.\n\nContract 4711\n\nNotes: Slowly.\n\nGroup."
    assert [block.page for block in parsed.blocks] == [1, 1, 1, 4]
    assert notes(parsed) == {"hidden_slide": 1, "picture": 1, "page_furniture": 1}


def test_an_encrypted_file_says_so(tmp_path: Path) -> None:
    manifest = '<m:manifest xmlns:m="x"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'
    with pytest.raises(ParseError, match="is encrypted"):
        read(tmp_path, p("A."), META__INF__manifest="", **{"META-INF__manifest": manifest})


def test_numbers_on_slides_go_on_over_the_lists_of_one_box(tmp_path: Path) -> None:
    def listed(text: str) -> str:
        return f'<text:list text:style-name="L">{items(text)}</text:list>'

    deep = listed(f"<text:list>{items(p('B'))}</text:list>")
    box = "<draw:frame><draw:text-box>{}</draw:text-box></draw:frame>"
    body = box.format(listed(p("A")) + deep + listed(p("C")) + p("Break.") + listed(p("D"))) + box.format(
        listed(p("E"))
    )
    parsed = read(tmp_path, f"<draw:page>{body}</draw:page>", "presentation")
    assert parsed.text.split("\n\n") == ["1. A", "(a) B", "2. C", "Break.", "1. D", "1. E"]
