"""What is seen of slides is in the text, page by page, and nothing else."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pptx
import pytest
from lxml import etree
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from groundtune.ingest.loaders.pptx import parse
from groundtune.ingest.parsed import ParsedDocument

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
BOX = (Inches(1), Inches(2), Inches(6), Inches(3))


def saved(*fill: Callable[[Any], Any], layout: int = 5) -> bytes:
    """Return a deck with one slide for each function, which fills it."""
    deck = pptx.Presentation()
    for number, function in enumerate(fill, 1):
        slide = deck.slides.add_slide(deck.slide_layouts[layout])
        if slide.shapes.title is not None:
            slide.shapes.title.text = f"Slide {number}"
        function(slide)
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def read(*fill: Callable[[Any], Any], layout: int = 5) -> ParsedDocument:
    (parsed,) = parse(Path("a.pptx"), saved(*fill, layout=layout))
    return parsed


def notes(parsed: ParsedDocument) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {note.kind: (note.count, note.pages) for note in parsed.notes}


def box(slide: Any, text: str) -> Any:
    frame = slide.shapes.add_textbox(*BOX).text_frame
    frame.text = text
    return frame


def test_automatic_numbers_go_on_within_their_level_and_restart_after_other_text() -> None:
    def fill(slide: Any) -> None:
        frame = box(slide, "Unpack\nCheck the frame\nCheck the fork\nCharge\nNote\nRide\nPark")
        kinds = (
            "arabicPeriod",
            "alphaLcParenR",
            "alphaLcParenR",
            "arabicPeriod",
            None,
            "arabicPeriod",
            "romanUcPeriod",
        )
        for paragraph, kind, level in zip(frame.paragraphs, kinds, (0, 1, 1, 0, 0, 0, 0), strict=True):
            paragraph.level = level
            if kind:
                etree.SubElement(paragraph._p.get_or_add_pPr(), f"{A}buAutoNum").set("type", kind)
        frame.paragraphs[5]._p.pPr[0].set("startAt", "4")

    assert read(fill).text.split("\n\n")[1:] == [
        "1. Unpack",
        "a) Check the frame",
        "b) Check the fork",
        "2. Charge",
        "Note",
        "4. Ride",
        "I. Park",
    ]


def test_numbers_come_from_the_layout_and_can_be_switched_off() -> None:
    def fill(slide: Any) -> None:
        style = slide.slide_layout.placeholders[1]._element.txBody.find(f"{A}lstStyle")
        level = etree.SubElement(style, f"{A}lvl1pPr")
        etree.SubElement(level, f"{A}buAutoNum").set("type", "arabicParenR")
        slide.placeholders[1].text_frame.text = "One\nTwo\nPlain"
        etree.SubElement(slide.placeholders[1].text_frame.paragraphs[2]._p.get_or_add_pPr(), f"{A}buNone")

    assert read(fill, layout=1).text == "Slide 1\n\n1) One\n\n2) Two\n\nPlain"


def test_struck_and_tiny_runs_are_left_out_and_raised_ones_stay_apart() -> None:
    def fill(slide: Any) -> None:
        paragraph = box(slide, "within ").paragraphs[0]
        for text, name, value in (
            ("40 ", "strike", "sngStrike"),
            ("30 days, 10", "strike", "noStrike"),
            ("6", "baseline", "30000"),
            (" l, H", "baseline", "0"),
            ("2", "baseline", "-25000"),
            ("O", "lang", "en"),
            ("secret", "sz", "100"),
        ):
            run = paragraph.add_run()
            run.text = text
            run._r.get_or_add_rPr().set(name, value)

    parsed = read(fill)
    assert parsed.text == "Slide 1\n\nwithin 30 days, 10^6 l, H2O"
    assert notes(parsed) == {"deleted_text": (1, (1,)), "hidden_text": (1, (1,))}


def test_hidden_slides_and_shapes_are_left_out_and_keep_their_number() -> None:
    def hidden_shape(slide: Any) -> None:
        box(slide, "draft")._txBody.getparent().nvSpPr.cNvPr.set("hidden", "1")

        slide.shapes.add_textbox(Inches(30), Inches(1), Inches(3), Inches(1)).text_frame.text = "beside the slide"

    parsed = read(lambda slide: slide._element.set("show", "0"), hidden_shape)
    assert parsed.text == "Slide 2"
    assert parsed.blocks[0].page == 2
    assert notes(parsed) == {"hidden_slide": (1, (1,)), "hidden_text": (2, (2,))}


def picture(slide: Any, description: str = "", side: float = 3, shade: int = 9) -> None:
    data = io.BytesIO()
    PIL.Image.new("L", (40, 30), shade).save(data, "PNG")
    data.seek(0)
    shape = slide.shapes.add_picture(data, 0, 0, Inches(side), Inches(side))
    shape._element.nvPicPr.cNvPr.set("descr", description)


def test_slides_that_are_pictures_are_named_and_file_names_are_no_text() -> None:
    parsed = read(lambda s: box(s, "Open from 9 to 17."), picture, lambda s: picture(s, "photo.png"), layout=6)
    assert parsed.text == "Open from 9 to 17."
    assert notes(parsed) == {"picture": (2, (2, 3))}


def test_a_picture_is_noted_once_and_its_alternative_text_is_read() -> None:
    parsed = read(
        picture, picture, lambda s: picture(s, side=0.4, shade=1), lambda s: picture(s, "The wiring", shade=2)
    )
    assert parsed.text == "Slide 1\n\nSlide 2\n\nSlide 3\n\nSlide 4\n\nThe wiring"
    assert notes(parsed) == {"picture": (1, (1,))}


def test_merged_cells_are_read_in_every_row() -> None:
    def fill(slide: Any) -> None:
        table = slide.shapes.add_table(3, 3, *BOX).table
        for row, cells in enumerate((("Zone", "Weight", "Fee"), ("EU", "up to 2 kg", "9"), ("", "up to 5 kg", "14"))):
            for column, text in enumerate(cells):
                table.cell(row, column).text = text
        table.cell(1, 0).merge(table.cell(2, 0))

    assert "Zone: EU; Weight: up to 5 kg; Fee: 14" in read(fill).text


def test_footers_are_read_once_and_slide_numbers_never() -> None:
    def fill(slide: Any) -> None:
        for kind, text in (("ftr", "Contract 4711"), ("sldNum", "7")):
            shape = slide.shapes.add_textbox(*BOX)
            shape.text_frame.text = text
            etree.SubElement(shape._element.nvSpPr.nvPr, f"{shape._element.nvSpPr.tag.split('}')[0]}}}ph").set(
                "type", kind
            )

    parsed = read(fill, fill)
    assert parsed.text == "Slide 1\n\nContract 4711\n\nSlide 2"
    assert notes(parsed) == {"page_furniture": (1, (2,))}


def test_a_text_of_the_layout_is_read_once_and_its_prompts_never() -> None:
    def fill(slide: Any) -> None:
        if not any(
            shape.has_text_frame and shape.text_frame.text == "Confidential" for shape in slide.slide_layout.shapes
        ):
            shape = box(slide, "Confidential")._txBody.getparent()
            slide.slide_layout.shapes._spTree.append(shape)

    assert read(fill, fill).text == "Slide 1\n\nConfidential\n\nSlide 2"


def test_shapes_in_groups_and_alternatives_and_speaker_notes() -> None:
    def fill(slide: Any) -> None:
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(*BOX).text_frame.text = "In the group."
        shape = box(slide, "As an alternative.")._txBody.getparent()
        tree, mc = shape.getparent(), "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
        holder = etree.SubElement(tree, f"{mc}AlternateContent")
        etree.SubElement(holder, f"{mc}Choice").append(shape)
        slide.notes_slide.notes_text_frame.text = "Say it slowly."

    assert read(fill).text == "Slide 1\n\nIn the group.\n\nAs an alternative.\n\nNotes: Say it slowly."


def _untyped(function: Any) -> Any:
    return function


def chart(slide: Any) -> None:
    data = _untyped(CategoryChartData)(number_format="0%")
    data.categories = ["Graz", "Linz"]
    data.add_series("Share", (0.25, 0.75))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, data)


def renamed(data: bytes, new: bytes) -> bytes:
    """Return the deck with its column chart made another kind."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            target.writestr(entry, content.replace(b"c:barChart", new) if "charts/chart" in entry.filename else content)
    return out.getvalue()


@pytest.mark.parametrize(
    "kind", ["bar3D", "pie", "pie3D", "line3D", "stock", "surface", "ofPie", "radar", "somethingNew"]
)
def test_every_kind_of_chart_gives_its_values(kind: str) -> None:
    (parsed,) = parse(Path("a.pptx"), renamed(saved(chart), f"c:{kind}Chart".encode()))
    assert parsed.text == "Slide 1\n\nGraz; Share: 25%\n\nLinz; Share: 75%"


def test_points_of_a_scatter_chart() -> None:
    def fill(slide: Any) -> None:
        data = _untyped(XyChartData)()
        series = data.add_series("Range")
        series.add_data_point(20, 55)
        series.add_data_point(25, 40.5)
        slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *BOX, data)

    assert read(fill).text == "Slide 1\n\n20; Range: 55\n\n25; Range: 40.5"


def test_a_chart_without_values_and_an_odd_shape_stop_nothing() -> None:
    def odd(slide: Any) -> None:
        frame = box(slide, "It moves 500 litres.")
        shape = frame._txBody.getparent()
        shape.nvSpPr.cNvSpPr.attrib.pop("txBox", None)
        shape.spPr.remove(shape.spPr.find(f"{A}prstGeom"))

    broken = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(chart, odd))) as source, zipfile.ZipFile(broken, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, b"<c/>" if "charts/chart" in entry.filename else source.read(entry))
    (parsed,) = parse(Path("a.pptx"), broken.getvalue())
    assert parsed.text == "Slide 1\n\nSlide 2\n\nIt moves 500 litres."
    assert notes(parsed) == {"unreadable_part": (1, (1,))}
