"""Text without spaces between words."""

import pytest

from groundtune.citations.quote_matching import find
from groundtune.ingest.loaders import load
from groundtune.languages.segmentation import SEPARATOR, denials, separated, unwrap
from groundtune.languages.text import sentences, words

RETURNS = "自行车送达后三十天内可以退货。退货时必须附上两把钥匙。"


def test_words_are_those_of_a_dictionary() -> None:
    assert {"自行", "三十", "可以"} <= set(words(RETURNS))
    assert {"三十日", "以内"} <= set(words("返品は配達から三十日以内です。"))
    assert {"จักรยาน", "สามสิบ", "วัน"} <= set(words("คืนจักรยานได้ภายในสามสิบวัน"))
    assert words("iPhone手机 30天") == ["iphone", "手机", "30", "天"]
    assert words("자전거는 반품할 수") == words("자전거는") + words("반품할") + words("수")


def test_sentences_end_at_full_width_stops() -> None:
    expected = [f"{part}。" for part in RETURNS.split("。")[:2]]
    assert [RETURNS[start:end] for start, end in sentences(RETURNS)] == expected


def test_other_text_is_left_alone() -> None:
    assert separated("Orders are sent.") == "Orders are sent."
    assert separated(RETURNS).replace(SEPARATOR, "") == RETURNS
    assert f"{SEPARATOR}三十{SEPARATOR}" in separated(RETURNS)


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("三十\n天内", "三十天内"),
        ("สาม\nสิบ", "สามสิบ"),
        ("thirty\ndays", "thirty days"),
        ("三十\ndays", "三十 days"),
        ("삼십일\n이내", "삼십일 이내"),
    ],
)
def test_lines_are_joined_without_a_space_where_none_belongs(text: str, joined: str) -> None:
    assert unwrap(text) == joined


@pytest.mark.parametrize("name", ["a.md", "a.txt"])
def test_a_line_break_within_a_sentence_is_no_space(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("docs") / name
    file.write_text(RETURNS.replace("三十", "三十\n"), "utf-8")
    (document,) = load(file)
    assert RETURNS in document.text


def test_a_list_of_names_stays_a_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("docs") / "a.txt"
    file.write_text("自行车\n手机\n钥匙", "utf-8")
    (document,) = load(file)
    assert document.text == "自行车\n手机\n钥匙"


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("三十天内可以退货", RETURNS),
        ("返品は三十日以内", "返品は三十日以内です。"),
        ("ภายในสามสิบวัน", "คืนจักรยานได้ภายในสามสิบวันหลังจากได้รับสินค้า"),
    ],
)
def test_a_part_of_a_sentence_is_a_quote(quote: str, text: str) -> None:
    span = find(quote, text)
    assert span is not None
    assert text[slice(*span)] == quote


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("三十天内可以退货", "一百三十天内可以退货。"),
        ("可以退货", "三十天内不可以退货。"),
        ("可以退货", "没有钥匙可以退货的人。"),
        ("返品でき", "返品できません。"),
        ("คืนได้", "ไม่สามารถคืนได้"),
        ("三", "三十天"),
    ],
)
def test_a_denied_part_or_half_a_number_is_none(quote: str, text: str) -> None:
    assert find(quote, text) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("不可以退货", 1), ("非常特别的免费商品", 0), ("没有不同", 1),
        ("ではありません", 1), ("必ず返品できます", 0), ("返品できない", 1),
        ("ไม่สามารถคืนได้", 1), ("เดือนมิถุนายน", 0), ("no returns", 0),
    ],
)  # fmt: skip
def test_words_that_deny_are_counted(text: str, count: int) -> None:
    assert denials(text) == count
