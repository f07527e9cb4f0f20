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


def test_passages_are_evidence_for_answers_and_texts_and_background_for_the_rest() -> None:
    assert AnswerFormat().rules(grounded=True).startswith("Answer the question from the numbered passages")
    assert "passage" not in AnswerFormat().rules(grounded=False)
    background, sources = prompts.BACKGROUND, prompts.WRITTEN_FROM
    for output_format, of_passages in ((QUEUES, background), (INVOICES, background), (TextFormat(), sources)):
        assert output_format.rules(grounded=True) == f"{output_format.rules(grounded=False)}\n\n{of_passages}"
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
    ("reply", "parsed"),
    [
        ("The customer asks for a refund.\n\nBilling", "Billing"),
        ("Billing: the customer asks for a refund", "Billing"),
        ("The customer wants the money back, so the label is **refund**.\n\nAnything else?", "refund"),
        ("First thought: Billing.\nFinal answer: refund", "refund"),
        ("It is no refund. It is Billing.", "Billing"),
        ("refund, not refund delayed", "refund"),
        ("refund (none of the others fits)", "refund"),
        ("1. refund", "refund"),
        ("refund (0.95)", "refund"),
        ("Possible labels: refund, Billing.\nLabel: Billing", "Billing"),
        ("This isn't refund; it's Billing.", "Billing"),
        ("refund, since the customer mentions Billing", "refund"),
        ("**Label:** `delivery\\_status`", "delivery_status"),
        ('```json\n{"label": "Billing"}\n```', "Billing"),
        ('{"label": "refund", "reason": "not Billing"}', "refund"),
        ('{"label": "refund", "alternatives": ["Billing"]}', "refund"),
        ('{"thought": "A refund is no matter of Billing.", "category": "refund"}', "refund"),
        ('{"refund": true, "Billing": false}', "refund"),
        ("<label>refund</label>", "refund"),
        ("$\\boxed{\\text{refund}}$", "refund"),
        ("Das passende Etikett ist Billing.", "Billing"),
        ("La respuesta es Billing, porque pide una factura y no un refund.", "Billing"),
    ],
)
def test_a_label_is_read_out_of_what_surrounds_it(reply: str, parsed: str) -> None:
    assert QUEUES.parse(reply) == ParsedReply(parsed, parsed)


@pytest.mark.parametrize("reply", ["refunds", "delivery", "something else entirely", "prerefund", "It is not refund."])
def test_what_names_no_label_is_its_own_output(reply: str) -> None:
    assert QUEUES.parse(reply) == ParsedReply(reply, reply)


@pytest.mark.parametrize(
    "reply",
    [
        "refund or Billing",
        "refund, Billing",
        "refund / Billing",
        "refund\nBilling",
        "Label: refund\nLabel: Billing",
        '{"labels": ["refund", "Billing"]}',
        '{"refund": 0.1, "Billing": 0.9}',
        '{"refund": true, "Billing": true}',
        '{"first": "refund", "second": "Billing"}',
        "Label: refund, Billing",
        "The label is refund or Billing.",
        "Etikett: refund oder Billing",
        "NONE or refund",
        "It could be refund or Billing; I cannot tell.",
    ],
)
def test_of_two_labels_none_is_guessed(reply: str) -> None:
    read = QUEUES.parse(reply)
    assert read.unreadable is not None
    assert "2 labels" in read.unreadable
    assert (read.text, read.output) == (reply, None)


@pytest.mark.parametrize(
    "reply",
    [
        *("NONE", "none", "None.", '"NONE"', "**NONE**", "", "  \n", "Label: NONE", "The answer is none.", "- NONE"),
        "This is about the weather.\n\nNONE",
        "None of the labels fits.",
        "Not refund, not Billing: NONE",
        "Keine Kategorie passt, daher NONE.",
    ],
)
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


def test_a_negation_is_a_label_only_where_it_is_stated() -> None:
    answers = LabelFormat({"yes": "there is", "no": "there is none"})
    assert answers.parse("No, there is no limit.").output == "no"
    assert answers.parse("No limit, so the label is yes.").output == "yes"
    assert answers.parse("Yes and no.").unreadable
    for reply in ("no label fits", "There is no information about it."):
        assert answers.parse(reply).output == reply


def test_a_label_within_a_compound_is_another_word() -> None:
    moods = LabelFormat({"positive": "", "negative": ""})
    assert moods.parse("non-negative").output == "non-negative"
    assert moods.parse("The review is negative-sounding: negative").output == "negative"


def test_labels_of_signs_alone_are_read() -> None:
    assert [label(reply, "+", "-").output for reply in ("+", "-", "")] == ["+", "-", None]


def test_a_label_inside_another_one_in_other_case_does_not_make_two() -> None:
    assert label("The label is refund delayed.", "Refund", "refund_delayed").output == "refund_delayed"


def test_a_reply_that_names_two_overlapping_labels_names_two() -> None:
    """Otherwise `refund or refund delayed` would be read as one of them."""
    assert label("refund or refund delayed", "refund", "refund delayed").unreadable
    assert label("art or cartoon", "art", "cartoon").unreadable
    assert label("no or timer", "no", "timer").unreadable
    assert label("This is not spam", "spam", "not spam").output == "not spam"


def test_a_reply_that_begins_with_a_label_gives_its_reason_in_any_words() -> None:
    replies = ("Yes, there is no limit.", "**No**, but last year it was yes.", "No.")
    assert [label(reply, "yes", "no").output for reply in replies] == ["yes", "no", "no"]
    assert label("Yes, no, who knows?", "yes", "no").unreadable


def test_of_a_reply_that_was_cut_off_a_mention_is_no_label() -> None:
    cut = "The customer wants a refund, which"
    assert QUEUES.parse(cut).output == "refund"
    assert QUEUES.parse(cut, whole=False) == ParsedReply(cut, cut)
    assert QUEUES.parse("Label: refund\n\nThe customer", whole=False).output == "refund"


def test_signs_belong_to_a_label_in_a_sentence_too() -> None:
    names = ("C", "C++", "C#")
    replies = ("I would say C.", "The language is C++.", "Label: C#")
    assert [label(reply, *names).output for reply in replies] == [*names]


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
        f"```json\n{OBJECT}",
        f"The object is {OBJECT}",
        f"{OBJECT}\n\nThe date is not in the text.",
        f"{OBJECT}\n{OBJECT}",
        f"[{OBJECT}]",
        '{"number": "R-7", "total": 40.5,}',
        "{'number': 'R-7', 'total': 40.5, // in euros\n}",
        json.dumps(OBJECT),
    ],
)
def test_an_object_is_read_also_out_of_a_fence(reply: str) -> None:
    read = INVOICES.parse(reply)
    assert (read.output, read.abstained) == (READ, False)
    assert read.text == reply.strip()


@pytest.mark.parametrize(
    "reply",
    [f'{OBJECT}\n{{"number": "R-8"}}', f"{OBJECT}\n\nnull", f'```\n{OBJECT}\n```\n```\n{{"number": "R-8"}}\n```'],
)
def test_of_two_objects_none_is_guessed(reply: str) -> None:
    read = INVOICES.parse(reply)
    assert read.unreadable
    assert (read.text, read.output) == (reply, None)


@pytest.mark.parametrize(
    "reply",
    [
        *("null", " null\n", "```json\nnull\n```", "", "  ", "**null**", "Answer: null", "None", "[]"),
        "There is no invoice.\n\nnull",
        "There is nothing here. So: null.",
        "null (the text is about bikes)",
    ],
)
def test_null_is_an_abstention(reply: str) -> None:
    read = INVOICES.parse(reply)
    assert (read.abstained, read.text) == (True, reply.strip())


@pytest.mark.parametrize(
    "reply",
    [
        "There is no invoice in this text.",
        '{"number": "R-7"',
        '{"lines": [{"what": "saddle"}, {"what": "pum',
        "The total is null.",
        "number: R-7\ntotal: null",
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


def test_of_two_objects_the_only_one_that_satisfies_the_schema_is_read() -> None:
    totals = ObjectFormat({"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]})
    assert totals.parse(f'Step 1: {{"text": "it costs 40.50"}}\nStep 2: {OBJECT}').output == READ


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


ABSTENTIONS = [
    *("NOT_IN_DOCUMENTS", "NOT_IN_DOCUMENTS.", " `not_in_documents`\n", "NOT\\_IN\\_DOCUMENTS", "NOT IN DOCUMENTS."),
    *(
        "**not in documents**",
        "Not-in-documents",
        '"Not in the documents."',
        "NOT_IN_DOCUMENTS [1]",
        "[NOT_IN_DOCUMENTS]",
    ),
    *("NOT_IN_DOCUMENTS【1†source】", "> NOT_IN_DOCUMENTS", "- NOT_IN_DOCUMENTS", "### Answer\nNOT_IN_DOCUMENTS"),
    *(
        "Answer: NOT_IN_DOCUMENTS",
        "**Answer:** NOT_IN_DOCUMENTS",
        "The answer is NOT_IN_DOCUMENTS.",
        "Answer:\nNOT_IN_DOCUMENTS",
    ),
    *("<answer>NOT_IN_DOCUMENTS</answer>", '{"answer": "NOT_IN_DOCUMENTS"}', "```\nNOT_IN_DOCUMENTS\n```"),
    *("$\\boxed{NOT\\_IN\\_DOCUMENTS}$", '{"answer": "NOT_IN_DOCUMENTS", "reason": "it is about Austria"}'),
    *("I must reply with exactly NOT_IN_DOCUMENTS.", "The answer is not in the documents."),
    "The passages are about delivery in Austria, not Iceland.\n\nNOT_IN_DOCUMENTS",
    "The passages speak only of Austria [1].\n\n**NOT\\_IN\\_DOCUMENTS**",
    "The passages speak of Austria.\nNOT_IN_DOCUMENTS\nPlease ask the shop.",
    "Iceland is not mentioned: NOT_IN_DOCUMENTS",
    "Iceland is not mentioned – NOT_IN_DOCUMENTS",
    "Iceland is not mentioned (NOT_IN_DOCUMENTS).",
    "Iceland is not mentioned, so NOT_IN_DOCUMENTS.",
    "NOT_IN_DOCUMENTS. The passages speak of Austria.",
    "NOT_IN_DOCUMENTS The passages speak of Austria.",
    "NOT_IN_DOCUMENTS, the passages speak of Austria.",
    "NOT_IN_DOCUMENTS because the passages speak of Austria",
    "I'm sorry, NOT_IN_DOCUMENTS.",
    "Based on the passages, NOT_IN_DOCUMENTS [1].",
    '"NOT_IN_DOCUMENTS" is my answer.',
    "Reason: Iceland is not mentioned.\nAnswer: NOT_IN_DOCUMENTS",
    "- Answer: NOT_IN_DOCUMENTS\n- Reason: only Austria",
    "Not in documents. The passages speak of Austria.",
    "Die Antwort lautet: NOT_IN_DOCUMENTS",
    "Die Antwort ist NOT_IN_DOCUMENTS, weil nur Österreich vorkommt.",
    "The price for Iceland is NOT_IN_DOCUMENTS.",
    "Island kommt nicht vor, daher NOT_IN_DOCUMENTS.",
    "La réponse est NOT_IN_DOCUMENTS",
    "答案是NOT_IN_DOCUMENTS。",
    "&quot;NOT_IN_DOCUMENTS&quot;",
    "&#39;NOT_IN_DOCUMENTS&#39;.",
    "The answer is &ldquo;NOT_IN_DOCUMENTS&rdquo;.",
    "&lt;NOT_IN_DOCUMENTS&gt; because Iceland is not named",
    "I have to say NOT_IN_DOCUMENTS.",
    "Iceland is not named, so I can only say: NOT_IN_DOCUMENTS",
    "Iceland is not named, which means NOT_IN_DOCUMENTS.",
    "Island kommt nicht vor, also muss ich sagen: NOT_IN_DOCUMENTS.",
    "Island kommt nicht vor, das heißt NOT_IN_DOCUMENTS.",
    "L'Islande n'est pas citée, ce qui signifie NOT_IN_DOCUMENTS.",
    "Debo decir NOT_IN_DOCUMENTS.",
    "",
]
MENTIONS = [
    "The code NOT_IN_DOCUMENTS is printed on page 3 [1].",
    "NOT_IN_DOCUMENTS is printed on page 3 [1].",
    "The code on page 3 is NOT_IN_DOCUMENTS [1].",
    "Die Kennung NOT_IN_DOCUMENTS steht auf Seite 3 [1].",
    "Two days [1]. The page lists the codes OK, ERROR and NOT_IN_DOCUMENTS [2].",
    "Two days. The fee is NOT_IN_DOCUMENTS.",
    "The status is one of OK, LATE, NOT_IN_DOCUMENTS [1].",
    "Two days [1]. I did not have to reply NOT_IN_DOCUMENTS.",
    "The code &quot;NOT_IN_DOCUMENTS&quot; is printed on page 3 [1].",
    "&quot;NOT_IN_DOCUMENTS&quot; is printed on page 3 [1].",
    "Staff have to say NOT_IN_DOCUMENTS [1].",
    "The code E7 means NOT_IN_DOCUMENTS [1].",
    "Two days [1]. I do not have to say NOT_IN_DOCUMENTS.",
    "This means NOT_IN_DOCUMENTS is printed on page 3 [1].",
    "Delivery: two days [1]\nFee: NOT_IN_DOCUMENTS",
    "| Delivery | two days [1] |\n| Fee | NOT_IN_DOCUMENTS |",
    "It isn't NOT_IN_DOCUMENTS: delivery takes two days [1].",
    "- Delivery: two days [1].\n- Return fee: NOT_IN_DOCUMENTS",
    "It is not in the documents.",
    "Der Preis steht nicht in den Dokumenten 1 und 2, sondern in 3: 5 Euro [3].",
    "The form is online (not in the documents) [1].",
    "The price is not in documents 1 and 2 but in 3: 5 euros [3].",
]


@pytest.mark.parametrize("reply", ABSTENTIONS)
def test_an_abstention_is_read_in_any_dress(reply: str) -> None:
    assert AnswerFormat().parse(reply).abstained


@pytest.mark.parametrize(
    "reply",
    [
        "NICHT_IN_DOKUMENTEN",
        "Nicht in den Dokumenten.",
        "**No está en los documentos**",
        "НЕТ_В_ДОКУМЕНТАХ",
        "文档中没有。",
    ],
)
def test_an_abstention_is_read_in_translation(reply: str) -> None:
    assert AnswerFormat().parse(reply).abstained


@pytest.mark.parametrize("reply", MENTIONS)
def test_a_sentence_about_the_word_is_an_answer(reply: str) -> None:
    assert AnswerFormat().parse(reply) == ParsedReply(reply)


@pytest.mark.parametrize("reply", ABSTENTIONS)
@pytest.mark.parametrize("around", ["{}", "Delivery takes two days [1]. {}", "It is so.\n{}\nThat is all."])
def test_nothing_before_an_abstention_belongs_to_it(reply: str, around: str) -> None:
    """While a reply is written, only the text is handed on in which no abstention can begin, whatever follows."""
    whole = around.format(reply)
    explanation = AnswerFormat().parse(whole)
    for end in range(len(whole) + 1):
        certain = AnswerFormat().before_abstention(whole[:end])
        assert whole.startswith(certain)
        if explanation.abstained:
            assert len(certain.strip()) <= len(explanation.explanation)


@pytest.mark.parametrize(
    ("output_format", "reply"),
    [
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
