"""HTML is read as a browser shows it, and what is left out is noted."""

from pathlib import Path

import pytest

from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument


def read(tmp_path: Path, page: str) -> ParsedDocument:
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    (parsed,) = load(path)
    return parsed


def texts(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def heading_of(parsed: ParsedDocument, text: str) -> tuple[str, ...]:
    return next(block.heading for block in parsed.blocks if text in parsed.text[block.start : block.end])


def notes(parsed: ParsedDocument) -> dict[str, int]:
    return {note.kind: note.count for note in parsed.notes}


# --- what a click opens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "<h3><button aria-expanded=false aria-controls=a>Who pays?</button></h3><div id=a hidden><p>We do.</div>",
        "<button aria-controls=a>Who pays?</button><div id=a style='display: none'><p>We do.</div>",
        "<button data-bs-toggle=collapse data-bs-target='#a'>Who pays?</button><div id=a hidden><p>We do.</div>",
        "<style>.p{display:none}</style><button class=accordion>Who pays?</button><div class=p><p>We do.</div>",
        "<div role=button aria-expanded=false>Who pays?</div><div hidden><p>We do.</div>",
        "<button popovertarget=a>Who pays?</button><div id=a popover><p>We do.</div>",
        "<button commandfor=a>Who pays?</button><dialog id=a><p>We do.</dialog>",
        "<details><summary>Who pays?</summary><p>We do.</details>",
        "<details><summary><h3>Who pays?</h3></summary><p>We do.</details>",
    ],
)
def test_a_control_is_the_heading_of_what_it_opens(tmp_path: Path, page: str) -> None:
    parsed = read(tmp_path, f"<main><h2>Returns</h2>{page}<p>Later.</p></main>")
    assert parsed.text == "Returns\n\nWho pays?\n\nWe do.\n\nLater."
    assert heading_of(parsed, "We do.") == ("Returns", "Who pays?")
    assert heading_of(parsed, "Later.") == ("Returns",)
    assert notes(parsed) == {}


def test_tabs_are_headings_of_their_panels(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "<h2>Install</h2><div role=tablist><a role=tab href='#l'>Linux</a><a role=tab href='#m'>macOS</a></div>"
        "<div id=l role=tabpanel><p>apt</p></div><div id=m role=tabpanel hidden><h2>First</h2><p>brew</p></div>"
        "<p>End</p>",
    )
    assert parsed.text == "Install\n\nLinux\n\napt\n\nmacOS\n\nFirst\n\nbrew\n\nEnd"
    assert heading_of(parsed, "brew") == ("Install", "macOS", "First")
    assert heading_of(parsed, "End") == ("Install",)


def test_controls_that_steer_are_no_headings(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "<button aria-controls=s>Back</button><button aria-controls=s>Next</button><div id=s><p>A picture</p></div>"
        "<p>Text</p><button>Add to basket</button><p hidden>template</p>",
    )
    assert texts(parsed) == ["A picture", "Text"]
    assert notes(parsed) == {"hidden_text": 1}


def test_a_link_to_a_hidden_part_opens_it_and_find_in_page_does(tmp_path: Path) -> None:
    parsed = read(
        tmp_path, "<p><a href='#x'>More</a></p><div id=x hidden>Rest</div><div hidden=until-found>Found</div>"
    )
    assert texts(parsed) == ["More", "Rest", "Found"]


# --- hidden and struck ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "<p hidden>secret</p>",
        "<p style='display:NONE'>secret</p>",
        "<p style='visibility: hidden'>secret</p>",
        "<p style='font-size:0'>secret</p>",
        "<p style='position:absolute;left:-9999px'>secret</p>",
        "<div style='mso-hide:all'>secret</div>",
        "<style>.off{display:none}</style><p class=off>secret</p>",
        "<style>@media screen { p.off, i {display:none} }</style><p class=off>secret</p>",
        "<style>.off{display:block} #x{display:none}</style><p class=off id=x>secret</p>",
        "<style>i:not(.a),p.off{display:none} b:not(#x):not(#y),p{display:block}</style><p class=off>secret</p>",
        "<style>.off{display:none !important}</style><p class=off style='display:block'>secret</p>",
        "<p style='color: #FFF'>secret</p>",
        "<p><font style='color:white'>secret</font></p>",
        "<dialog>secret</dialog>",
        "<div popover>secret</div>",
        "<table><tr><td>a<td hidden>secret<tr><td>b<td hidden></table>",
    ],
)
def test_what_is_hidden_is_left_out_with_a_note(tmp_path: Path, page: str) -> None:
    parsed = read(tmp_path, f"<p>Seen</p>{page}")
    assert "secret" not in parsed.text
    assert notes(parsed) == {"hidden_text": 1}


@pytest.mark.parametrize(
    "page",
    [
        "<p style='display:block'>seen</p>",
        "<div style='background:#111'><p style='color:white'>seen</p></div>",
        "<table bgcolor=navy><tr><td style='color:white'>seen</table>",
        "<style>p{background:navy}</style><p style='color:white'>seen</p>",
        "<dialog open>seen</dialog>",
        "<style>@media print {p{display:none}}</style><p>seen</p>",
        "<style>.a{display:none} .a.on{display:block}</style><p class='a on'>seen</p>",
        "<style>.a:hover{display:none} p::before{display:none}</style><p class=a>seen</p>",
        "<style>body{visibility:hidden; animation: show 1s}</style><p>seen</p>",
        "<style>.fade{opacity:0}</style><p class=fade>seen</p>",
        "<style>.a{display:none}</style><p class=a style='display:block'>seen</p>",
        "<p style='color:transparent; background-clip:text'>seen</p>",
    ],
)
def test_what_is_shown_is_kept(tmp_path: Path, page: str) -> None:
    assert read(tmp_path, page).text == "seen"


@pytest.mark.parametrize(
    "struck",
    [
        "<del>40</del>",
        "<s>40</s>",
        "<strike>40</strike>",
        "<span style='text-decoration: red line-through'>40</span>",
        "<style>.old{text-decoration-line:line-through}</style><i class=old>40</i>",
    ],
)
def test_struck_text_is_left_out_with_a_note(tmp_path: Path, struck: str) -> None:
    parsed = read(tmp_path, f"<p>Within {struck} <ins>30</ins> days.</p>")
    assert parsed.text == "Within 30 days."
    assert notes(parsed) == {"deleted_text": 1}


# --- menus and text ------------------------------------------------------------------------------------------------


def test_menus_of_a_page_are_left_out_with_a_note(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "<header><div><a href=/>Home</a> <a href=/s>Shop</a></div><h1>Returns</h1></header><nav>Menu</nav>"
        "<div class=side><ul><li><a href=1>One</a><li><a href=2>Two</a></ul></div>"
        "<main><p>Thirty days.</p><aside>Keep the box.</aside><article><p>More</p><footer>Valid from May</footer>"
        "</article>"
        "<aside><a href=3>A</a><a href=4>B</a><a href=5>C</a></aside></main>"
        "<div><p>Dogs are <a href=6>not</a> allowed.</p></div><aside>News</aside><footer>Imprint</footer>",
    )
    assert texts(parsed) == ["Thirty days.", "Keep the box.", "More", "Valid from May", "Dogs are not allowed."]
    assert heading_of(parsed, "Thirty") == ("Returns",)
    assert notes(parsed) == {"page_menu": 6}


def test_a_page_without_menus_is_read_whole(tmp_path: Path) -> None:
    parsed = read(tmp_path, "<h1>Rules</h1><p>No dogs.</p><aside>Cats neither.</aside><footer>Valid from May</footer>")
    assert texts(parsed) == ["No dogs.", "Cats neither.", "Valid from May"]


def test_two_articles_are_both_read(tmp_path: Path) -> None:
    long = "<p>In summer we open at nine.</p>" * 20
    assert texts(read(tmp_path, f"<article>{long}</article><article><p>In winter at ten.</article>"))[-1] == (
        "In winter at ten."
    )


# --- lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "numbered"),
    [
        ("<ol type=a><li>x<li>y</ol>", ["a. x", "b. y"]),
        ("<ol type=I start=3><li>x<li value=9>y<li>z</ol>", ["III. x", "IX. y", "X. z"]),
        ("<ol reversed><li>x<li>y</ol>", ["2. x", "1. y"]),
        ("<ol style='list-style: lower-roman inside'><li>x<li>y</ol>", ["i. x", "ii. y"]),
        ("<style>ol li{list-style-type:upper-alpha}</style><ol><li>x<li>y</ol>", ["A. x", "B. y"]),
        ("<ol style='list-style:none'><li>x</ol>", ["x"]),
        ("<ol start=0><li>x<ol><li>y</ol><li>z</ol>", ["0. x", "1. y", "1. z"]),
        ("<ol><li><p>x</p><p>more</p><li><p>y</p></ol>", ["1. x", "more", "2. y"]),
        ("<ul><li>x<ol><li>y</ol></ul>", ["x", "1. y"]),
        ("<dl><dt>A<dt>B<dd>one<dd>two<dt>Why?<dd><p>So.</p><dt>Alone</dl>", ["A, B: one", "two", "Why? So.", "Alone"]),
    ],
)
def test_lists_have_the_numbers_and_terms_shown(tmp_path: Path, page: str, numbered: list[str]) -> None:
    assert texts(read(tmp_path, page)) == numbered


# --- inline --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("moves 10<sup>6</sup> litres", "moves 10^6 litres"),
        ("H<sub>2</sub>O", "H2O"),
        ("costs 45<sup><a href='#n'>2</a></sup> euros", "costs 45 [2] euros"),
        ("costs 45<a href='#n'><sup>[2]</sup></a> euros", "costs 45 [2] euros"),
        ("on 3<sup>rd</sup> May", "on 3rd May"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup><mo>=</mo><mfrac><mn>1</mn><mi>n</mi></mfrac></math>", "x^2 = 1/n"),
        ("<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>", "漢字(かんじ)"),
        ("he said <q>no</q>", "he said “no”"),
        ("Period <input value='three months'>", "Period three months"),
        ("Pay <select><option>cash<option selected>card</select>", "Pay card"),
        ("<label><input type=checkbox checked> renews</label> <label><input type=checkbox> ends</label>",
         "☑ renews ☐ ends"),
        ("<input type=hidden value=no><input type=password value=no>seen", "seen"),
        ("<textarea>Ring twice</textarea>", "Ring twice"),
        ("see <img src=a.png alt='a map'>", "see a map"),
        ("<svg><title>no</title><text>Label</text></svg>", "Label"),
        ("<h2>Setup<a class=headerlink href='#setup'>¶</a></h2>", "Setup"),
    ],
)  # fmt: skip
def test_inline_text_is_as_shown(tmp_path: Path, page: str, text: str) -> None:
    assert read(tmp_path, page).text == text


def test_pictures_and_films_without_words_are_noted(tmp_path: Path) -> None:
    parsed = read(
        tmp_path, "<p>x<img src=a.png><img src=b.png alt=''><img src=c.png width=16><video src=v></video></p>"
    )
    assert notes(parsed) == {"picture": 1, "embedded_content": 1}


# --- tables --------------------------------------------------------------------------------------------------------


def test_tables(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "<table><tr><th>Model<th>Price<tr><th colspan=2>Bikes<tr><td>Wren<td>10<sup>3</sup>"
        "<tr><th>Branch<th>Open<tr><td>Graz<td><ul><li>9 to 12<li>14 to 18</ul></table>"
        "<table><tr><th>Founded<td>1975<tr><th>Staff<td></table>"
        "<table><tr><td>Holder<td>Wren Ltd<tr><td>Start<td>1 March</table>",
    )
    assert texts(parsed)[:3] == ["Bikes", "Model: Wren; Price: 10^3", "Branch: Graz; Open: 9 to 12 14 to 18"]
    assert texts(parsed)[3:5] == ["Founded: 1975", "Staff"]
    assert "Wren Ltd" in texts(parsed)[5]
    assert "March" not in texts(parsed)[5]


def test_a_cell_over_several_rows_is_in_each(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        "<table><tr><th>Model<th>2001<tr><td rowspan=2>Wren<td>73 kg<tr><td>83 kg<tr><td colspan=2>Heavy ones</table>",
    )
    assert texts(parsed) == ["Model: Wren; 2001: 73 kg", "Model: Wren; 2001: 83 kg", "Heavy ones"]


def test_a_page_nested_deeply_is_read(tmp_path: Path) -> None:
    depth = 20_000
    assert "x" in read(tmp_path, "<div>" * depth + "x" + "</div>" * depth).text
    assert read(tmp_path, "<table><tr><th>h<td>" * 300 + "x").text.endswith("x")
