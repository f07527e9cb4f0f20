"""What a reader of an RTF file sees is in its text, and nothing else."""

from pathlib import Path

import pytest

from groundtune.ingest.loaders.rtf import parse
from groundtune.ingest.parsed import ParsedDocument

HEAD = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}{\f1\fnil\fcharset204 Arial;}{\f2\fnil"
    r"\fcharset2 Symbol;}"
    r"{\f3\fnil\fcharset128 MS Gothic;}}{\colortbl;\red0\green0\blue0;}{\stylesheet{\s0 Normal;}{\s1 heading 1;}"
    r"{\s2 heading 2;}{\s3 Title;}{\*\cs9 Default;}}{\info{\title x}{\author Someone}}"
)


def read(body: str) -> ParsedDocument:
    (parsed,) = parse(Path("a.rtf"), (HEAD + body + "}").encode("latin-1"))
    return parsed


def notes(parsed: ParsedDocument) -> dict[str, int]:
    return {note.kind: note.count for note in parsed.notes}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"Plain text.\par Next\line line.", "Plain text.\n\nNext\nline."),
        (r"caf\'e9 \u8364? \u8364\'80 {\uc0\u8211}x", "café € € –x"),
        (r"\u-10179?\u-8704?", "😀"),
        (r"{\f1 \'cf\'f0\'e8}{\f3 \'82\'a0}{\f2 \'a3} 5", "Приあ≤ 5"),
        (r"\ldblquote a\rdblquote\emdash b\~c\_d\-e", "“a”—b c-de"),
        (r"{\*\generator LO}{\*\unknown hidden words}seen", "seen"),
        (r"{\upr{ansi}{\*\ud{unicode}}} text", "unicode text"),
        (r"{\field{\*\fldinst{HYPERLINK x}}{\fldrslt{the link}}}.", "the link."),
        (r"{\field{\*\fldinst FORMCHECKBOX{\*\formfield{\fftype1\ffres1\ffdefres0}}}{\fldrslt}} yes", "☒ yes"),
        (r"{\field{\*\fldinst FORMCHECKBOX{\*\formfield{\fftype1\ffres25\ffdefres0}}}} no", "☐ no"),
        (r"{\listtext\pard\plain 2.\tab}Second\par{\listtext\'b7\tab}Dot", "2. Second\n\nDot"),
        (r"{\pntext\f0 b)\tab}Item", "b) Item"),
        (r"10{\super 6} l, H{\sub 2}O, 45{\super 2} x", "10^6 l, H2O, 45 [2] x"),
        (r"\bin3 }}}after", "after"),
    ],
)
def test_text_as_shown(body: str, text: str) -> None:
    assert read(body).text == text


def test_headings_and_title() -> None:
    parsed = read(r"\pard\s3 Terms\par\pard\s1 {\listtext 1\tab}Scope\par\pard\s2 Parties\par\pard\s0 Wren Ltd.\par")
    assert parsed.title == "Terms"
    assert parsed.blocks[0].heading == ("Terms", "1 Scope", "Parties")


def test_hidden_struck_and_deleted_text_and_comments_are_left_out_and_noted() -> None:
    parsed = read(
        r"In {\strike 40} 30{\v  secret} days{\deleted  gone}{\fs2 tiny}.{\*\atnid AB}{\*\annotation{Really?}}"
    )
    assert parsed.text == "In 30 days."
    assert notes(parsed) == {"deleted_text": 2, "hidden_text": 2, "comment": 1}


def test_merged_cells_are_spread() -> None:
    body = (
        r"\trowd\trhdr\cellx1000\cellx2000\cellx3000\pard\intbl Zone\cell Weight\cell Fee\cell\row"
        r"\trowd\clvmgf\cellx1000\cellx2000\cellx3000\pard\intbl EU\cell 2 kg\cell 9\cell\row"
        r"\trowd\clvmrg\cellx1000\cellx2000\cellx3000\pard\intbl\cell 5 kg\par or less\cell 14\cell\row"
        r"\trowd\cellx2000\cellx3000\pard\intbl all\cell 20\cell\row\pard After.\par"
    )
    assert read(body).text.split("\n\n") == [
        "Zone: EU; Weight: 2 kg; Fee: 9",
        "Zone: EU; Weight: 5 kg or less; Fee: 14",
        "Zone: all; Fee: 20",
        "After.",
    ]


def test_a_table_within_a_cell_and_a_table_of_one_column() -> None:
    body = (
        r"\trowd\cellx1000\cellx2000\pard\intbl\itap2 in\nestcell ner\nestcell{\*\nesttableprops\trowd\cellx1\nestrow}"
        r"\pard\intbl\itap1 \cell outer\cell\row\pard\par\trowd\cellx1000\pard\intbl Alone.\cell\row\pard"
    )
    assert read(body).text == "in; ner; outer\n\nAlone."


def test_notes_follow_their_paragraph_and_headers_stand_once() -> None:
    parsed = read(
        r"{\header\pard Contract 4711\par}{\footer Page {\field{\*\fldinst PAGE}{\fldrslt\chpgn}}\par}{"
        r"\headerf\pard Contract 4711\par}"
        r"It costs 45{\super\chftn}{\footnote\pard\plain{\super\chftn} The note.} euros.\par Next."
    )
    assert parsed.text == "Contract 4711\n\nIt costs 45 [1] euros.\n\n[1] The note.\n\nNext."
    assert notes(parsed) == {"page_furniture": 1}


def test_pictures_and_objects_are_noted_and_boxes_read() -> None:
    parsed = read(
        r"A{\*\shppict{\pict\picwgoal4000\pichgoal4000 ffd8ff}}{\nonshppict{\pict\picwgoal4000\pichgoal4000 00}}"
        r"{\pict\picwgoal100\pichgoal100 00}{\object{\*\objdata 0102}{\result shown}}"
        r"{\shp{\*\shpinst{\sp{\sn x}{\sv y}}{\shptxt\pard In the box.\par}}{\shprslt old}}\par B"
    )
    assert parsed.text == "Ashown\n\nIn the box.\n\nB"
    assert notes(parsed) == {"picture": 1, "embedded_object": 1}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"}}}}after", "after"),
        ("{" * 5000 + "deep", "deep"),
        (r"a\cell\row\nestrow\nestcell", "a"),
        (r"\u99999999 xy", "y"),
        (r"{\footnote lost", "lost"),
    ],
)
def test_damaged_files_stop_nothing(body: str, text: str) -> None:
    assert read(body).text == text


@pytest.mark.parametrize("destination", ["fonttbl", "stylesheet", "*\\formfield{\\*\\ffl"])
def test_names_without_end_take_no_quadratic_time(destination: str) -> None:
    many = "\\fcharset2 Symbol" * 40_000  # tens of seconds when each piece made a name longer
    ends = "}" * (1 + destination.count("{"))
    assert read(f"{{\\{destination} {many}{ends}after").text.endswith("after")
