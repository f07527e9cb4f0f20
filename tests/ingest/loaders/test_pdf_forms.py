"""What was typed, ticked and written onto a PDF page is in its text, beside its label."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument
from groundtune.note import Note

FONT = b"/Resources << /Font << /F1 4 0 R >> >>"


def stream(extra: bytes, content: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (extra, len(content), content)


def words(*placed: tuple[int, int, str]) -> bytes:
    return b"\n".join(b"BT /F1 12 Tf %d %d Td (%s) Tj ET" % (x, y, text.encode()) for x, y, text in placed)


def page(content: bytes, annotations: Sequence[bytes], *, appearance: bytes = b"", extra: bytes = b"") -> bytes:
    """Return a PDF of one page. Annotations may name the appearance stream as object 6."""
    numbers = [7 + at for at in range(len(annotations))]
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s] /DR << /Font << /F1 4 0 R >> >> >> >>" % kids,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Annots [%s] %s %s >>"
        % (kids, FONT, extra),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        stream(b"", content),
        stream(b"/Type /XObject /Subtype /Form /BBox [0 0 200 20] " + FONT, appearance),
        *(b"<< /Type /Annot /P 3 0 R %s >>" % annotation for annotation in annotations),
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, one) for number, one in enumerate(objects, 1))
    return b"%%PDF-1.7\n%strailer << /Root 1 0 R /Size %d >>\n%%%%EOF" % (body, len(objects) + 1)


def field(name: str, value: str = "", rest: bytes = b"", box: bytes = b"200 690 400 710") -> bytes:
    typed = b"/V (%s)" % value.encode() if value else b""
    return b"/Subtype /Widget /F 4 /FT /Tx /T (%s) %s /DA (/F1 12 Tf 0 g) /Rect [%s] %s" % (
        name.encode(),
        typed,
        box,
        rest,
    )


def tick(name: str, box: bytes, *, on: bool) -> bytes:
    state = b"/Yes" if on else b"/Off"
    return b"/Subtype /Widget /F 4 /FT /Btn /T (%s) /V %s /AS %s /Rect [%s]" % (name.encode(), state, state, box)


def read(data: bytes, folder: Path) -> ParsedDocument:
    path = folder / "a.pdf"
    path.write_bytes(data)
    (document,) = load(path)
    return document


LABEL = words((72, 700, "Notice period:"))
SEEN = b"/Tx BMC q BT /F1 12 Tf 2 5 Td (three months) Tj ET Q EMC"


@pytest.mark.parametrize("appearance", [SEEN, b"/Tx BMC EMC", None])
def test_a_typed_value_stands_behind_its_label(tmp_path: Path, appearance: bytes | None) -> None:
    rest = b"" if appearance is None else b"/AP << /N 6 0 R >>"
    data = page(LABEL, [field("notice", "three months", rest)], appearance=appearance or b"")
    assert read(data, tmp_path).text == "Notice period: three months"


def test_a_value_of_many_lines_keeps_its_order(tmp_path: Path) -> None:
    label = words((72, 700, "Address:"), (72, 600, "The end."))
    text = read(
        page(label, [field("a", "Long Street 4\\r8010 Graz", b"/Ff 4096", box=b"200 640 400 712")]), tmp_path
    ).text
    assert text.split() == "Address: Long Street 4 8010 Graz The end.".split()


def test_an_empty_form_adds_nothing(tmp_path: Path) -> None:
    boxes = [field("notice"), tick("renews", b"72 650 84 662", on=False)]
    assert read(page(LABEL, boxes), tmp_path).text == "Notice period:"


def test_a_password_is_not_read(tmp_path: Path) -> None:
    assert "secret" not in read(page(LABEL, [field("key", "secret", b"/Ff 8192")]), tmp_path).text


def test_ticks_stand_beside_their_labels(tmp_path: Path) -> None:
    content = words((90, 652, "renews every year"), (300, 652, "ends"), (72, 620, "Insured"))
    boxes = [
        tick("a", b"72 650 84 662", on=True),
        tick("b", b"282 650 294 662", on=False),
        tick("c", b"120 618 132 630", on=True),
    ]
    text = read(page(content, boxes), tmp_path).text
    assert "renews every year (ticked)" in text
    assert "ends (not ticked)" in text
    assert "Insured (ticked)" in text


def test_a_tick_without_label_is_told_by_its_field(tmp_path: Path) -> None:
    text = read(page(LABEL, [tick("renews", b"72 600 84 612", on=True)]), tmp_path).text
    assert "renews (ticked)" in text


def test_radio_buttons_say_which_was_chosen(tmp_path: Path) -> None:
    def radio(state: str, on: bool, box: bytes) -> bytes:
        value = state if on else "Off"
        return (
            b"/Subtype /Widget /F 4 /FT /Btn /Ff 49152 /T (pay) /V /monthly /AS /%s /Rect [%s] "
            b"/AP << /N << /%s 6 0 R /Off 6 0 R >> >>" % (value.encode(), box, state.encode())
        )

    content = words((90, 652, "monthly"), (90, 632, "yearly"))
    boxes = [radio("monthly", True, b"72 650 84 662"), radio("yearly", False, b"72 630 84 642")]
    text = read(page(content, boxes), tmp_path).text
    assert "monthly (ticked)" in text
    assert "yearly (not ticked)" in text


FREE = b"/Subtype /FreeText /F 4 /Contents (Approved on 3 May) /DA (/F1 12 Tf 0 g) /Rect [200 690 400 710] "
APPROVED = b"q BT /F1 12 Tf 2 5 Td (Approved on 3 May) Tj ET Q"


@pytest.mark.parametrize("rest", [b"", b"/AP << /N 6 0 R >>"])
def test_text_written_onto_the_page_is_read(tmp_path: Path, rest: bytes) -> None:
    assert read(page(LABEL, [FREE + rest], appearance=APPROVED), tmp_path).text == "Notice period: Approved on 3 May"


def test_hidden_annotations_are_left_out(tmp_path: Path) -> None:
    hidden = FREE.replace(b"/F 4", b"/F 2") + b"/AP << /N 6 0 R >>"
    document = read(page(LABEL, [hidden], appearance=APPROVED), tmp_path)
    assert (document.text, document.notes) == ("Notice period:", (Note("hidden_text", 1, (1,)),))


def test_comments_are_noted(tmp_path: Path) -> None:
    comment = b"/Subtype /Text /Contents (Ask Ann first) /Rect [300 690 320 710]"
    document = read(page(LABEL, [comment]), tmp_path)
    assert (document.text, document.notes) == ("Notice period:", (Note("comment", 1, (1,)),))


def test_text_struck_by_an_annotation_is_left_out(tmp_path: Path) -> None:
    content = words((72, 700, "within 40"), (130, 700, "30 days"))
    struck = b"/Subtype /StrikeOut /QuadPoints [108 711 122 711 108 698 122 698] /Rect [108 698 122 711]"
    document = read(page(content, [struck]), tmp_path)
    assert (document.text, document.notes) == ("within 30 days", (Note("deleted_text", 1, (1,)),))
