"""What a reader of a Word document sees is in its text, and nothing else."""

import io
from pathlib import Path

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from groundtune.ingest.loaders.docx import parse
from groundtune.ingest.parsed import ParsedDocument

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
NAMESPACES = (
    f"{W} "
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:o="urn:schemas-microsoft-com:office:office"'
)


def p(text: str, properties: str = "") -> str:
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{r(text)}</w:p>"


def prop(name: str, val: str) -> str:
    return f'<w:{name} w:val="{val}"/>'


FONT = '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>'
BANNER = '<w:color w:val="FFFFFF"/><w:shd w:val="clear" w:fill="000080"/>'


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def numbered(text: str, number: int, level: int = 0) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def document(body: str, numbering: str = "", styles: str = "") -> docx.document.Document:
    made = docx.Document()
    elements = parse_xml(f"<w:body {NAMESPACES}>{body}</w:body>")
    for element in list(elements):
        made.element.body.insert(len(made.element.body) - 1, element)
    if numbering:
        root = made.part.numbering_part.element
        for child in list(root):
            root.remove(child)
        for child in list(parse_xml(f"<w:numbering {W}>{numbering}</w:numbering>")):
            root.append(child)
    for child in list(parse_xml(f"<w:styles {W}>{styles}</w:styles>")):
        made.styles.element.append(child)
    return made


def read(made: docx.document.Document) -> ParsedDocument:
    out = io.BytesIO()
    made.save(out)
    (parsed,) = parse(Path("a.docx"), out.getvalue())
    return parsed


def text(body: str, numbering: str = "", styles: str = "") -> str:
    return read(document(body, numbering, styles)).text


def notes(parsed: ParsedDocument) -> dict[str, int]:
    return {note.kind: note.count for note in parsed.notes}


# -- numbers -----------------------------------------------------------------------------------------------------------


def levels(*formats: tuple[str, str], extra: str = "", first: str = "1") -> str:
    made = "".join(
        f'<w:lvl w:ilvl="{at}"><w:start w:val="{first}"/><w:numFmt w:val="{form}"/>{extra}'
        f'<w:lvlText w:val="{label}"/></w:lvl>'
        for at, (form, label) in enumerate(formats)
    )
    return (
        f'<w:abstractNum w:abstractNumId="1">{made}</w:abstractNum><w:num w:numId="1">'
        '<w:abstractNumId w:val="1"/></w:num>'
    )


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        ([("decimal", "%1."), ("decimal", "%1.%2")], ["1. A", "2. B", "2.1 C", "2.2 D", "3. E", "3.1 F"]),
        ([("upperRoman", "%1"), ("lowerLetter", "%2)")], ["I A", "II B", "a) C", "b) D", "III E", "a) F"]),
        ([("decimalZero", "§ %1"), ("lowerRoman", "(%2)")], ["§ 01 A", "§ 02 B", "(i) C", "(ii) D", "§ 03 E", "(i) F"]),
        ([("none", "%1"), ("bullet", "•")], ["A", "B", "C", "D", "E", "F"]),
        ([("decimal", "Article %1"), ("none", "")], ["Article 1 A", "Article 2 B", "C", "D", "Article 3 E", "F"]),
    ],
)
def test_lists_are_numbered_as_shown(formats: list[tuple[str, str]], expected: list[str]) -> None:
    body = "".join(numbered(name, 1, level) for name, level in zip("ABCDEF", (0, 0, 1, 1, 0, 1), strict=True))
    assert text(body, levels(*formats)).split("\n\n") == expected


def test_a_list_goes_on_after_text_and_another_list_restarts() -> None:
    numbering = (
        levels(("decimal", "%1."))
        + '<w:num w:numId="2"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/>'
        '</w:lvlOverride></w:num><w:num w:numId="3"><w:abstractNumId w:val="1"/></w:num>'
    )
    body = numbered("A", 1) + p("Between.") + numbered("B", 1) + numbered("C", 2) + numbered("D", 2) + numbered("E", 3)
    assert text(body, numbering).split("\n\n") == ["1. A", "Between.", "2. B", "5. C", "6. D", "7. E"]


def test_legal_numbering_writes_all_levels_in_digits() -> None:
    body = numbered("A", 1) + numbered("B", 1, 1)
    assert text(body, levels(("upperRoman", "%1"), ("decimal", "%1.%2"), extra="<w:isLgl/>")).endswith("1.1 B")


def test_numbers_come_through_styles_and_their_bases_and_can_be_switched_off() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="C1"><w:name w:val="Clause"/><w:pPr><w:numPr>'
        '<w:numId w:val="1"/></w:numPr>'
        '</w:pPr></w:style><w:style w:type="paragraph" w:styleId="C2"><w:name w:val="Sub"/>'
        '<w:basedOn w:val="C1"/><w:pPr>'
        '<w:numPr><w:ilvl w:val="1"/></w:numPr></w:pPr></w:style><w:style w:type="paragraph" w:styleId="C0"><w:name '
        'w:val="Off"/><w:basedOn w:val="C1"/><w:pPr><w:numPr><w:numId w:val="0"/></w:numPr></w:pPr></w:style>'
    )
    body = "".join(p(name, f'<w:pStyle w:val="{style}"/>') for name, style in (("A", "C1"), ("B", "C2"), ("C", "C0")))
    body += p("D", '<w:pStyle w:val="C1"/><w:numPr><w:numId w:val="0"/></w:numPr>') + p("E", prop("pStyle", "C2"))
    assert text(body, levels(("decimal", "%1"), ("decimal", "%1.%2")), styles).split("\n\n") == [
        "1 A",
        "1.1 B",
        "C",
        "D",
        "1.2 E",
    ]


def test_a_list_of_a_numbering_style_has_the_levels_of_that_style() -> None:
    numbering = (
        '<w:abstractNum w:abstractNumId="1"><w:styleLink w:val="Legal"/><w:lvl w:ilvl="0">'
        '<w:start w:val="1"/><w:numFmt '
        'w:val="upperLetter"/><w:lvlText w:val="%1."/></w:lvl></w:abstractNum><w:abstractNum w:abstractNumId="2">'
        '<w:numStyleLink w:val="Legal"/></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="2"/></w:num>'
    )
    assert text(numbered("A", 2) + numbered("B", 2), numbering) == "A. A\n\nB. B"


def test_deleted_and_hidden_items_are_not_counted() -> None:
    gone = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr><w:rPr>{}</w:rPr>'
    body = numbered("A", 1) + p("", gone.format("<w:vanish/>")) + p("", gone.format('<w:del w:id="1" w:author="x"/>'))
    assert text(body + numbered("B", 1), levels(("decimal", "%1."))) == "1. A\n\n2. B"


def test_a_cell_that_holds_only_its_number_shows_it() -> None:
    row = "<w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>"
    body = "<w:tbl>" + row.format(p("No."), p("Part")) + row.format(numbered("", 1), p("Frame"))
    body += row.format(numbered("", 1), p("Fork")) + "</w:tbl>"
    assert text(body, levels(("decimal", "%1."))) == "No.: 1.; Part: Frame\n\nNo.: 2.; Part: Fork"


def test_a_list_of_boxes_to_tick_keeps_its_boxes() -> None:
    bullet = (
        '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/>'
        '<w:lvlText w:val="\uf0a8"/><w:rPr>'
        '<w:rFonts w:ascii="Wingdings" w:hAnsi="Wingdings"/></w:rPr></w:lvl></w:abstractNum><w:num w:numId="1">'
        '<w:abstractNumId w:val="1"/></w:num>'
    )
    assert text(numbered("Helmet", 1), bullet) == "☐ Helmet"


# -- what is seen of a paragraph ---------------------------------------------------------------------------------------


def test_hidden_struck_tiny_and_white_text_is_left_out_and_noted() -> None:
    styles = (
        '<w:style w:type="character" w:styleId="Secret"><w:name w:val="Secret"/><w:rPr><w:vanish/></w:rPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Gone"><w:name w:val="Gone"/><w:rPr><w:strike/></w:rPr></w:style>'
    )
    body = (
        f"<w:p>{r('Seen ')}{r('H1 ', '<w:vanish/>')}{r('H2 ', prop('rStyle', 'Secret'))}"
        f"{r('shown ', prop('vanish', '0'))}"
        f"{r('S1', '<w:strike/>')}{r('S2 ', '<w:dstrike/>')}{r('T1 ', prop('sz', '2'))}"
        f"{r('W1', prop('color', 'FFFFFF'))}"
        f"{r('banner', BANNER)}</w:p>" + p("S3", prop("pStyle", "Gone"))
    )
    parsed = read(document(body, styles=styles))
    assert parsed.text == "Seen shown banner"
    assert notes(parsed) == {"hidden_text": 2, "deleted_text": 2}


def test_white_text_in_a_table_or_a_coloured_paragraph_is_seen() -> None:
    white = r("Model", prop("color", "FFFFFF"))
    body = f"<w:tbl><w:tr><w:tc><w:p>{white}</w:p></w:tc><w:tc>{p('Wren')}</w:tc></w:tr></w:tbl>"
    body += f'<w:p><w:pPr><w:shd w:val="clear" w:fill="000000"/></w:pPr>{white}</w:p>'
    assert text(body).count("Model") == 2


def test_tracked_changes_are_read_as_accepted() -> None:
    body = (
        f'<w:p>{r("within ")}<w:del w:id="1" w:author="x"><w:r><w:delText>40</w:delText></w:r></w:del>'
        f'<w:ins w:id="2" w:author="x">{r("30")}</w:ins>{r(" days")}<w:moveFrom w:id="3" w:author="x">{r(" gone")}'
        "</w:moveFrom></w:p><w:tbl><w:tr><w:tc>"
        f'{p("A")}</w:tc></w:tr><w:tr><w:trPr><w:del w:id="4" w:author="x"/></w:trPr><w:tc>{p("B")}'
        "</w:tc></w:tr></w:tbl>"
    )
    parsed = read(document(body))
    assert parsed.text == "within 30 days\n\nA"
    assert notes(parsed) == {"deleted_text": 3}


def test_fields_show_their_result_and_not_their_instruction() -> None:
    begin, middle, end = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end"))
    instruction = "<w:r><w:instrText> IF </w:instrText></w:r>"
    body = (
        f"<w:p>{r('On ')}<w:fldSimple w:instr='DATE'>{r('3 May')}</w:fldSimple>{r(', ')}{begin}{instruction}{begin}"
        f"<w:r><w:instrText>REF</w:instrText></w:r>{middle}{r('inner')}{end}{middle}{r('page 4')}{end}{r('.')}</w:p>"
    )
    assert text(body) == "On 3 May, page 4."


def test_forms_show_what_is_ticked_and_chosen() -> None:
    def field(data: str) -> str:
        return (
            f'<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar></w:r><w:r><w:instrText>'
            'FORM</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
        )

    ticked = field('<w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox>')
    empty = field('<w:checkBox><w:default w:val="0"/></w:checkBox>')
    chosen = field('<w:ddList><w:result w:val="1"/><w:listEntry w:val="Graz"/><w:listEntry w:val="Linz"/></w:ddList>')
    control = f"<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent>{r('☒')}</w:sdtContent></w:sdt>"
    body = f"<w:p>{ticked}{r(' yes ')}{empty}{r(' no, ')}{chosen}{r(', ')}{control}{r(' agreed')}</w:p>"
    assert text(body) == "☒ yes ☐ no, Linz, ☒ agreed"


def test_raised_figures_symbols_and_formulas() -> None:
    sup = '<w:vertAlign w:val="superscript"/>'
    body = (
        f"<w:p>{r('10')}{r('1', sup)}{r('2', sup)}{r(' is ')}<w:r><w:sym w:font='Symbol' w:char='F0A3'/></w:r>"
        f"{r('a', FONT)}{r(', ')}"
        "<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
        "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>n+1</m:t></m:r></m:sup></m:sSup>"
        "<m:rad><m:deg/><m:e>"
        "<m:r><m:t>y</m:t></m:r></m:e></m:rad></m:oMath></w:p>"
    )
    assert text(body) == "10^12 is ≤α, (a+b)/2 x^(n+1)√(y)"


def test_ruby_stands_in_brackets() -> None:
    ruby = f"<w:r><w:ruby><w:rt>{r('とう')}</w:rt><w:rubyBase>{r('東')}</w:rubyBase></w:ruby></w:r>"
    assert text(f"<w:p>{ruby}</w:p>") == "東 (とう)"


# -- tables ------------------------------------------------------------------------------------------------------------


def cell(inner: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>"


def test_merged_cells_are_read_in_every_row_they_cover() -> None:
    start, on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    body = (
        f"<w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr>{cell(p('Zone'))}{cell(p('Weight'))}"
        f"{cell(p('Fee'), prop('gridSpan', '2'))}"
        f"</w:tr><w:tr><w:trPr><w:tblHeader/></w:trPr>{cell(p(''))}{cell(p(''))}{cell(p('old'))}{cell(p('new'))}</w:tr>"
        f"<w:tr>{cell(p('EU'), start)}{cell(p('2 kg'))}{cell(p('9'))}{cell(p('10'))}</w:tr>"
        f"<w:tr>{cell(p(''), on)}{cell(p('5 kg'))}{cell(p('14'))}{cell(p('15'))}</w:tr></w:tbl>"
    )
    assert text(body) == (
        "Zone: EU; Weight: 2 kg; Fee old: 9; Fee new: 10\n\nZone: EU; Weight: 5 kg; Fee old: 14; Fee new: 15"
    )


def test_a_bold_first_row_names_the_columns_and_a_plain_one_of_labels_does_not() -> None:
    def table(*, bold: str) -> str:
        first = "".join(f"<w:tc><w:p>{r(name, bold)}</w:p></w:tc>" for name in ("Depot", "Sorter"))
        return f"<w:tbl><w:tr>{first}</w:tr><w:tr>{cell(p('Graz'))}{cell(p('Ines'))}</w:tr></w:tbl>"

    assert text(table(bold="<w:b/>")) == "Depot: Graz; Sorter: Ines"
    assert text(table(bold='<w:color w:val="FFFFFF"/><w:shd w:fill="1F3864"/>')) == "Depot: Graz; Sorter: Ines"
    assert text(table(bold="")) == "Depot: Sorter\n\nGraz: Ines"


def test_a_table_that_only_places_text_is_read_as_text() -> None:
    heading = p("Terms", prop("pStyle", "Heading1"))
    inner = (
        f"<w:tbl><w:tr>{cell(p('Model'))}{cell(p('Price'))}</w:tr><w:tr>{cell(p('Wren'))}{cell(p('7'))}</w:tr></w:tbl>"
    )
    body = f"<w:tbl><w:tr>{cell(heading + p('Pay at once.'))}{cell(inner + p(''))}</w:tr></w:tbl>"
    parsed = read(document(body))
    assert parsed.text == "Terms\n\nPay at once.\n\nModel: Wren; Price: 7"
    assert {block.heading for block in parsed.blocks} == {("Terms",)}


# -- what stands beside the text ---------------------------------------------------------------------------------------


def test_headers_and_footers_are_read_once_without_page_numbers() -> None:
    made = document(p("Body.") + p("More."))
    made.sections[0].header.paragraphs[0].text = "Contract 4711"
    footer = made.sections[0].footer.paragraphs[0]
    footer._p.append(parse_xml(f"<w:r {W}><w:t>Page </w:t></w:r>"))
    footer._p.append(parse_xml(f'<w:fldSimple {W} w:instr=" PAGE "><w:r><w:t>1</w:t></w:r></w:fldSimple>'))
    made.sections[0].first_page_header.paragraphs[0].text = "Not shown"
    made.sections[0].different_first_page_header_footer = False
    made.add_section().header.is_linked_to_previous = False
    made.sections[1].header.paragraphs[0].text = "Contract 4711"
    assert read(made).text == "Contract 4711\n\nBody.\n\nMore."


def test_notes_follow_the_paragraph_that_refers_to_them() -> None:
    note = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="{}"/></w:r>'
    made = document(f"<w:p>{r('It costs 45')}{note.format(7)}{r(' euros')}{note.format(3)}{r('.')}</w:p>{p('Next.')}")
    root = f"<w:footnotes {W}><w:footnote w:id='-1' w:type='separator'>{p('---')}</w:footnote><w:footnote w:id='3'>"
    root += f"{p('Second.')}</w:footnote><w:footnote w:id='7'>{p('First.')}</w:footnote></w:footnotes>"
    content_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), content_type, root.encode(), made.part.package)
    made.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    assert read(made).text == "It costs 45 [1] euros [2].\n\n[1] First.\n\n[2] Second.\n\nNext."


def test_text_boxes_follow_their_paragraph_once() -> None:
    box = "<w:txbxContent>{}</w:txbxContent>"
    body = (
        f"<w:p>{r('Anchor.')}<w:r><mc:AlternateContent><mc:Choice Requires='wps'>"
        f"<w:drawing>{box.format(p('In the box.'))}"
        f"</w:drawing></mc:Choice><mc:Fallback><w:pict>{box.format(p('In the box.'))}</w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert text(body + p("After.")) == "Anchor.\n\nIn the box.\n\nAfter."


@pytest.mark.parametrize(
    ("description", "size", "expected", "noted"),
    [
        ("The wiring of the battery", 9_000_000, "A\n\nThe wiring of the battery", {}),
        ("image1.png", 9_000_000, "A", {"picture": 1}),
        ("Ein Bild, das Text enthält. Automatisch generierte Beschreibung", 9_000_000, "A", {"picture": 1}),
        ("", 100_000, "A", {}),
    ],
)
def test_pictures(description: str, size: int, expected: str, noted: dict[str, int]) -> None:
    drawing = (
        f'<w:drawing><wp:inline><wp:extent cx="{size}" cy="{size}"/>'
        f'<wp:docPr id="1" name="Picture 1" descr="{description}"/>'
        '<a:graphic><a:graphicData uri="x"><a:blip r:embed="rId99"/></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing>"
    )
    parsed = read(document(f"<w:p>{r('A')}<w:r>{drawing}</w:r><w:r>{drawing}</w:r></w:p>"))
    assert parsed.text == expected + ("\n\nThe wiring of the battery" if "wiring" in description else "")
    assert notes(parsed) == noted


def test_a_chart_that_cannot_be_read_and_an_object_are_noted() -> None:
    chart = (
        '<w:drawing><wp:inline><a:graphic><a:graphicData uri="x"><c:chart r:id="rId98"/></a:graphicData>'
        "</a:graphic></wp:inline></w:drawing>"
    )
    thing = "<w:object><o:OLEObject ProgID='Excel.Sheet.12'/></w:object>"
    parsed = read(document(f"<w:p>{r('A')}<w:r>{chart}</w:r><w:r>{thing}</w:r></w:p>"))
    assert parsed.text == "A"
    assert notes(parsed) == {"unreadable_part": 1, "embedded_object": 1}


def test_comments_are_left_out_and_noted() -> None:
    made = document("")
    paragraph = made.add_paragraph("Pay at once.")
    made.add_comment(paragraph.runs, text="Really?", author="x")
    parsed = read(made)
    assert (parsed.text, notes(parsed)) == ("Pay at once.", {"comment": 1})


def test_a_document_within_the_document_is_read() -> None:
    made = document(p("Before."))
    part = Part(PackURI("/word/chunk.html"), "text/html", b"<p>From HTML.</p>", made.part.package)
    relation = made.part.relate_to(part, RELATIONSHIP_TYPE.A_F_CHUNK)
    chunk = parse_xml(f'<w:altChunk {NAMESPACES} r:id="{relation}"/>')
    made.element.body.insert(len(made.element.body) - 1, chunk)
    assert read(made).text == "Before.\n\nFrom HTML."


def test_a_damaged_numbering_part_is_survived() -> None:
    out = io.BytesIO()
    document(numbered("A", 1), "<w:num w:numId='1'/>").save(out)
    (parsed,) = parse(Path("a.docx"), out.getvalue())
    assert parsed.text == "A"


def test_a_damaged_paragraph_stops_nothing() -> None:
    parsed = read(document(p("Before.") + "<w:p><w:r><w:sym w:font='Symbol' w:char='xyz'/></w:r></w:p>" + p("After.")))
    assert (parsed.text, notes(parsed)) == ("Before.\n\nAfter.", {"unreadable_part": 1})
