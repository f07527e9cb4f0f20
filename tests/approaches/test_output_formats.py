"""The rules of each task, and how real replies of models are parsed."""

import json
from typing import Any

import pytest

from groundtune.approaches import prompts
from groundtune.approaches.output_formats import (
    AnswerFormat,
    LabelFormat,
    ObjectFormat,
    OutputFormat,
    ParsedReply,
    TextFormat,
)
from groundtune.approaches.schema_from_examples import derive_schema

LABELS = {
    "refund": "money back",
    "refund delayed": "money that should have come by now",
    "delivery_status": "where an order is",
    "Billing": "",
}
QUEUES = LabelFormat(LABELS)
INVOICE: dict[str, Any] = {"number": "R-7", "lines": [{"what": "saddle “Grande”", "price": 40.5}], "paid": None}
INVOICES = ObjectFormat(derive_schema([INVOICE]))
FORMS: list[tuple[OutputFormat, Any]] = [
    (AnswerFormat(), "It takes 30 days."),
    (QUEUES, "refund delayed"),
    (INVOICES, INVOICE),
    (TextFormat(), "Dear Ms Ardern,\n\nit is on its way."),
]


def label(reply: str, *names: str) -> ParsedReply:
    return LabelFormat(dict.fromkeys(names, "")).parse(reply)


# -- all tasks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("output_format", "gold"), FORMS)
def test_the_reply_to_a_right_output_is_read_as_that_output(output_format: OutputFormat, gold: Any) -> None:
    read = output_format.parse(output_format.gold_reply(gold))
    assert not read.abstained
    assert (read.text if read.output is None else read.output) == gold


@pytest.mark.parametrize(("output_format", "gold"), FORMS)
def test_the_reply_to_no_output_is_read_as_an_abstention(output_format: OutputFormat, gold: Any) -> None:
    read = output_format.parse(output_format.gold_reply(None))
    assert (read.abstained, read.output) == (True, None)
    assert output_format.abstention


@pytest.mark.parametrize("output_format", [AnswerFormat(), QUEUES, TextFormat()])
def test_of_several_right_outputs_the_first_is_the_reply(output_format: OutputFormat) -> None:
    for several in (["refund", "Billing"], ("refund", "Billing")):
        read = output_format.parse(output_format.gold_reply(several))
        assert (read.text, read.abstained) == ("refund", False)


@pytest.mark.parametrize("grounded", [False, True])
def test_the_instructions_of_the_project_stand_before_the_task(grounded: bool) -> None:
    output_formats: list[OutputFormat] = [
        AnswerFormat("  Customers of Ternhill ask.\n"),
        LabelFormat(LABELS, "  Customers of Ternhill ask.\n"),
        ObjectFormat({"type": "object"}, "  Customers of Ternhill ask.\n"),
        TextFormat("  Customers of Ternhill ask.\n"),
    ]
    for output_format in output_formats:
        rules = output_format.rules(grounded=grounded)
        assert rules.startswith("Customers of Ternhill ask.\n\n")
        assert rules == rules.strip()


@pytest.mark.parametrize(("output_format", "word"), [(AnswerFormat(), prompts.NOT_FOUND), (QUEUES, prompts.NO_LABEL)])
def test_the_rules_name_the_word_that_is_read_as_an_abstention(output_format: OutputFormat, word: str) -> None:
    for grounded in (False, True):
        assert f"reply with exactly {word}" in output_format.rules(grounded=grounded)
    assert output_format.parse(word).abstained


def test_passages_are_evidence_for_answers_and_background_for_the_rest() -> None:
    assert AnswerFormat().rules(grounded=True) == prompts.GROUNDED
    assert AnswerFormat().rules(grounded=False) == prompts.CLOSED
    for output_format in (QUEUES, INVOICES, TextFormat()):
        assert output_format.rules(grounded=True) == f"{output_format.rules(grounded=False)}\n\n{prompts.BACKGROUND}"
        assert not output_format.cites


# -- labels ------------------------------------------------------------------------------------------------------


def test_every_label_is_listed_with_what_belongs_under_it() -> None:
    rules = QUEUES.rules(grounded=False).splitlines()
    assert "- refund: money back" in rules
    assert "- Billing" in rules, "without a description the name stands alone"


@pytest.mark.parametrize(
    ("reply", "parsed"),
    [
        ("refund", "refund"),
        ("  refund\n", "refund"),
        ("REFUND", "refund"),
        ("billing", "Billing"),
        ('"refund"', "refund"),
        ("`refund`.", "refund"),
        ("**Refund**", "refund"),
        ("refund delayed", "refund delayed"),
        ("Refund-Delayed", "refund delayed"),
        ("delivery status", "delivery_status"),
        ("Delivery_Status", "delivery_status"),
        ("Label: refund", "refund"),
        ("The right label is “refund delayed”.", "refund delayed"),
        ("I would sort this under Billing, because of the tax.", "Billing"),
        ("- delivery_status: where an order is", "delivery_status"),
    ],
)
def test_a_label_is_read_in_any_formatting(reply: str, parsed: str) -> None:
    assert QUEUES.parse(reply) == ParsedReply(parsed, parsed)


@pytest.mark.parametrize(
    "reply",
    [
        "refund or Billing",
        "It is no refund. It is Billing.",
        "refunds",
        "delivery",
        "something else entirely",
        "prerefund",
    ],
)
def test_what_names_no_label_or_several_is_its_own_output(reply: str) -> None:
    assert QUEUES.parse(reply) == ParsedReply(reply, reply)


@pytest.mark.parametrize("reply", ["NONE", "none", "None.", '"NONE"', "**NONE**", "", "  \n"])
def test_no_label_is_an_abstention(reply: str) -> None:
    read = QUEUES.parse(reply)
    assert (read.abstained, read.output) == (True, None)


def test_labels_in_other_scripts_are_read() -> None:
    assert label("Rückgabe", "rückgabe").output == "rückgabe"
    assert label("配送", "配送", "返金").output == "配送"
    assert label("STRASSE", "straße").output == "straße"


def test_a_label_with_the_signs_of_a_pattern_is_no_pattern() -> None:
    assert label("The label is a.b (c)", "a.b (c)", "axb c").output == "a.b (c)"


def test_labels_that_differ_in_their_signs_are_told_apart() -> None:
    names = ("C", "C++", "C#")
    assert [label(name, *names).output for name in names] == [*names]


def test_labels_of_signs_alone_are_read() -> None:
    assert [label(reply, "+", "-").output for reply in ("+", "-", "")] == ["+", "-", None]


def test_a_label_inside_another_one_in_other_case_does_not_make_two() -> None:
    assert label("The label is refund delayed.", "Refund", "refund_delayed").output == "refund_delayed"


@pytest.mark.parametrize(
    ("reply", "names"),
    [("refund, not refund delayed", ("refund", "refund delayed")), ("art or cartoon", ("art", "cartoon"))],
)
def test_a_sentence_that_names_two_overlapping_labels_names_two(reply: str, names: tuple[str, str]) -> None:
    """Otherwise `refund, not refund delayed` would be read as `refund delayed`, the opposite of what it says."""
    assert label(reply, *names).output == reply


def test_a_label_that_is_called_none_is_not_the_word_for_no_label() -> None:
    output_format = LabelFormat({"none": "no allergy", "nuts": "allergic to nuts"})
    assert output_format.parse(output_format.gold_reply("none")).output == "none"
    assert output_format.parse(output_format.gold_reply(None)).abstained


# -- objects -----------------------------------------------------------------------------------------------------

OBJECT = '{"number": "R-7", "total": 40.5}'
READ = {"number": "R-7", "total": 40.5}


@pytest.mark.parametrize(
    "reply",
    [
        OBJECT,
        f"  {OBJECT}\n",
        json.dumps(READ, indent=2),
        f"```json\n{OBJECT}\n```",
        f"```\n{OBJECT}\n```",
        f"Here it is:\n```json\n{OBJECT}\n```\nAnything else?",
    ],
)
def test_an_object_is_read_also_out_of_a_fence(reply: str) -> None:
    read = INVOICES.parse(reply)
    assert (read.output, read.abstained) == (READ, False)
    assert read.text == reply.strip()


@pytest.mark.parametrize("reply", ["null", " null\n", "```json\nnull\n```", "", "  "])
def test_null_is_an_abstention(reply: str) -> None:
    read = INVOICES.parse(reply)
    assert (read.abstained, read.text) == (True, reply.strip())


@pytest.mark.parametrize(
    "reply",
    [
        "There is no invoice in this text.",
        f"The object is {OBJECT}",
        "{'number': 'R-7'}",
        '{"number": "R-7"',
        '{"total": NaN}',
        '{"total": -Infinity}',
        "[1, 2]",
        "42",
        '"R-7"',
        "true",
        "[" * 100_000,
        f'{{"total": {"9" * 5_000}}}',
    ],
)
def test_what_is_no_json_object_is_its_own_output(reply: str) -> None:
    read = INVOICES.parse(reply)
    assert (read.output, read.abstained) == (reply, False)


def test_the_schema_is_in_the_rules_and_asked_of_the_endpoint() -> None:
    output_format = ObjectFormat({"type": "object", "properties": {"straße": {"type": "string"}}})
    assert '{"type": "object", "properties": {"straße": {"type": "string"}}}' in output_format.rules(grounded=False)
    assert output_format.schema["properties"] == {"straße": {"type": "string"}}
    assert QUEUES.schema is AnswerFormat().schema is TextFormat().schema is None


def test_a_shot_shows_the_object_as_the_model_should_write_it() -> None:
    assert INVOICES.gold_reply(INVOICE) == json.dumps(INVOICE, ensure_ascii=False)
    assert INVOICES.gold_reply(None) == prompts.NO_OBJECT


def test_a_number_that_is_too_large_is_no_number() -> None:
    json.dumps(INVOICES.parse('{"total": 1e999}').output, allow_nan=False)


@pytest.mark.parametrize("reply", ['{"number": null, "lines": [], "paid": null}', "{}"])
def test_an_object_without_a_value_is_an_abstention(reply: str) -> None:
    """A strict `response_format` leaves no other way to report that there is nothing to extract."""
    assert INVOICES.parse(reply).abstained


@pytest.mark.parametrize("fence", ["```JSON\n", "```json5\n", "``` json\n"])
def test_a_fence_of_any_name_is_a_fence(fence: str) -> None:
    assert INVOICES.parse(f"{fence}{OBJECT}\n```").output == READ


# -- answers and texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [prompts.NOT_FOUND, f"{prompts.NOT_FOUND}.", f" `{prompts.NOT_FOUND.lower()}`\n", ""])
def test_an_answer_that_is_not_found_is_an_abstention(reply: str) -> None:
    assert AnswerFormat().parse(reply).abstained


@pytest.mark.parametrize(
    ("output_format", "reply"),
    [
        (AnswerFormat(), f"{prompts.NOT_FOUND}. The passages speak of bikes only."),
        (AnswerFormat(), f"{prompts.NOT_FOUND} [1]"),
        (QUEUES, f"{prompts.NO_LABEL} (this is advertising)"),
    ],
)
def test_holding_back_with_a_reason_is_an_abstention(output_format: OutputFormat, reply: str) -> None:
    assert output_format.parse(reply).abstained


@pytest.mark.parametrize("reply", ["It is not in the documents.", "30 days [1].", "NONE", "null"])
def test_every_other_reply_is_an_answer(reply: str) -> None:
    assert AnswerFormat().parse(f"{reply}\n") == ParsedReply(reply)


def test_a_text_is_taken_as_it_stands() -> None:
    text = "Dear all,\n\n  - indented\n\nNONE"
    assert TextFormat().parse(f"\n{text}\n\n") == ParsedReply(text)
    assert TextFormat().parse(" \n").abstained
