"""Words that a reply states and words that it only mentions, in the languages of the project file."""

import pytest

from groundtune.approaches.stated_words import Setting, are_listed, setting
from groundtune.languages.language import LANGUAGES
from groundtune.languages.reply_words import UNSPACED, reply_words

KINDS = ("answer", "so", "because", "not", "or")
WORDS = {language: entry for language, entry in reply_words().items() if "answer" in entry}


def of(reply: str, word: str = "X7") -> Setting:
    start = reply.index(word)
    return setting(reply, start, start + len(word))


def test_every_language_of_the_project_file_has_words() -> None:
    assert WORDS.keys() == {*LANGUAGES, UNSPACED}
    for entry in WORDS.values():
        assert all(word == word.lower() and word.strip() == word for kind in KINDS for word in entry[kind])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_a_language_introduce_conclude_reject_and_list(language: str) -> None:
    words = WORDS[language]
    for answer in words["answer"]:
        assert of(f"Ehm {answer} X7.").rank == of(f"Ehm {answer}: X7").rank == 2
    for so in words["so"]:
        assert of(f"Ehm, {so} X7.").stated
    for because in words["because"]:
        assert of(f"X7, {because} ehm").stated
    for no in words["not"]:
        assert of(f"Ehm {no} X7.").rejected
    assert all(are_listed(f" {word} ") for word in words["or"])


@pytest.mark.parametrize("mark", WORDS[UNSPACED]["answer"])
def test_scripts_without_spaces_need_none(mark: str) -> None:
    assert of(f"这{mark}X7。").rank == 2


@pytest.mark.parametrize(
    ("reply", "rank"),
    [
        *(
            ("X7", 1),
            ("**X7**.", 1),
            ("So it goes.\n\nX7\n\nBye.", 1),
            ("Ehm: X7", 1),
            ("Ehm – X7", 1),
            ("X7 (ehm)", 1),
        ),
        *(("The answer is X7.", 2), ("Answer:\nX7", 2), ("X7 is the right answer.", 2), ("Final answer: X7", 3)),
        *(("The code X7 is here.", 0), ("X7 is here.", 0), ("Ehm X7.", 0), ("The answer is X7 in Graz.", 0)),
    ],
)
def test_what_is_called_the_answer_counts_more(reply: str, rank: int) -> None:
    assert of(reply).rank == rank


def test_markers_are_no_words() -> None:
    assert of("[1] X7 [Passage 2]【3†source】").followed == "end"
    assert of("[Source 1]: X7").alone


def test_a_list_is_not_a_new_sentence() -> None:
    assert [are_listed(between) for between in (", ", " / ", " or a ", ", and ", ". ", "\n", ", not ")] == [
        *(True, True, True, True),
        *(False, False, False),
    ]
