"""Each preflight finding on a small crafted case, false alarms it must not give, and 15,000 rows in seconds."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from groundtune.dataset.examples import read_examples
from groundtune.errors import MissingError
from groundtune.tune.hosted.upload_files import example_tokens
from groundtune.tune.job import Bounds, TrainingRow, TuneError
from groundtune.tune.lora import loss_mask
from groundtune.tune.preflight import chats as chat_check
from groundtune.tune.preflight import (
    extraction,
    labels,
    leakage,
    lengths,
    near_duplicate_rows,
    restricted_rows,
    secrets,
)
from groundtune.tune.preflight.findings import PreflightFinding
from groundtune.tune.preflight.run import PreflightInputs, bounds_text, raise_errors, run_preflight
from groundtune.types import Example, Message
from tests.models.tiny import NO_SYSTEM, TEMPLATE, tiny_tokenizer
from tests.tune.extraction import chat

ROOT = Path(__file__).parents[2]
NO_END = TEMPLATE.replace("<|end|>", " ")
DROPS = TEMPLATE.replace("{{ m.content }}", "{{ m.content.split('think')[-1] }}")
OTHERWISE = "{{ messages | length }}" + TEMPLATE


def row(name: str, text: str, output: Any = "x", **more: Any) -> TrainingRow:
    return TrainingRow(name, text, output, **more)


def talk(
    name: str, question: str, reply: str, *, system: str | None = None, rejected: str | None = None
) -> TrainingRow:
    first = () if system is None else ({"role": "system", "content": system},)
    turns = (*first, {"role": "user", "content": question}, {"role": "assistant", "content": reply})
    return TrainingRow(name, question, reply, turns, rejected=rejected)


def said(findings: Sequence[PreflightFinding], level: str | None = None) -> list[str]:
    return [problem.message for problem in findings if level in (None, problem.level)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer(["the capital of France is Paris", "what is the colour of the sky?"])


def marked(shown: chat_check.RenderedRow) -> str:
    """Return prompt, trained part between ⟦ and ⟧, and truncated part after ✂; then the rejected reply."""
    text = f"{shown.prompt}⟦{shown.trained}⟧" + (f"✂{shown.cut}" if shown.cut else "")
    return text + (f"\nrather than ⟦{shown.rejected}⟧" if shown.rejected else "")


def format_of(tokenizer: Any, template: str = TEMPLATE) -> loss_mask.ChatFormat:
    template_tokenizer = (
        tiny_tokenizer(["what is the colour of the sky?"], template=template) if template != TEMPLATE else tokenizer
    )
    return loss_mask.find_chat_format(template_tokenizer, [], name="tiny")


# -- lengths ---------------------------------------------------------------------------------------------------------


def test_lengths_come_as_a_histogram() -> None:
    measured = lengths.measure({f"r{n}": n for n in range(3, 103)}, limit=None)
    assert measured is not None
    assert sum(bucket.rows for bucket in measured.bins) == 100
    assert len(measured.bins) <= lengths.BINS + 1
    assert [(bucket.low, bucket.high) for bucket in measured.bins[:2]] == [(0, 9), (10, 19)]
    assert (measured.median, measured.p95, measured.longest) == (52, 98, 102)
    assert lengths.measure({}, limit=8) is None
    single = lengths.measure({"r": 7}, limit=7)
    assert single is not None
    assert single.truncated == ()


def test_longer_rows_are_refused_unless_truncation_is_allowed() -> None:
    measured = lengths.measure({"a": 5, "b": 12, "c": 20}, limit=10, starts={"a": 1, "b": 4, "c": 10})
    assert measured is not None
    assert (measured.truncated, measured.dropped) == (("b",), ("c",))
    cut = [problem for problem in lengths.check(measured, allowed=0) if "longer than" in problem.message]
    assert (cut[0].level, cut[0].rows, cut[0].hint) == (
        "error", ("b",),
        "raise max_tokens up to the context window, shorten them, or set allow_truncation = 1 (--allow-truncation 1)",
    )  # fmt: skip
    capped = [problem.hint for problem in lengths.check(measured, allowed=0, capped=True)]
    larger = "use a base model with a larger context window"
    assert [str(problem).partition(",")[0] for problem in capped] == [larger] * 2
    allowed = lengths.check(measured, allowed=1)
    assert [problem.level for problem in allowed] == ["error", "warning"]
    assert "with nothing left to train on" in allowed[0].message


# -- chats -----------------------------------------------------------------------------------------------------------


def test_a_row_is_shown_with_what_is_trained(tokenizer: Any) -> None:
    rows = [talk("a", "what is the colour of the sky?", "blue", system="Be brief.")]
    result = chat_check.check_rendering(rows, format_of(tokenizer), split="train", limit=None)
    (shown,) = result.shown
    assert marked(shown) == (
        "<|system|>Be brief.<|end|><|user|>what is the colour of the sky?<|end|><|assistant|>⟦blue<|end|>⟧"
    )
    assert (shown.tokens, shown.trained_tokens) == (result.tokens["a"], result.tokens["a"] - result.starts["a"])
    assert result.findings == ()
    cut = chat_check.check_rendering(rows, format_of(tokenizer), split="train", limit=result.starts["a"] + 1).shown[0]
    assert cut.trained_tokens == 1
    assert marked(cut).endswith("<|end|>")
    assert "⟧✂" in marked(cut)


def test_tokens_are_those_of_the_trainer(tokenizer: Any) -> None:
    rows = [talk(f"r{n}", f"what is {n} of the sky?", "Paris " * n, system="s" if n % 2 else None) for n in range(1, 9)]
    given = format_of(tokenizer)
    trained = {encoded.id: encoded for encoded in loss_mask.encode(rows, given, limit=None)}
    checked = chat_check.check_rendering(rows, given, split="train", limit=None, first=8)
    assert checked.tokens == {name: len(encoded.token_ids) for name, encoded in trained.items()}
    assert checked.starts == {name: encoded.reply_start for name, encoded in trained.items()}
    assert [(shown.prompt, shown.trained, shown.cut) for shown in checked.shown] == [
        (*map(given.tokenizer.decode, (ids[: encoded.reply_start], ids[encoded.reply_start :])), "")
        for encoded in trained.values()
        for ids in [list(encoded.token_ids)]
    ]


def test_rows_that_are_not_chats_are_found() -> None:
    bad = [
        talk("empty", "a", " "),
        TrainingRow("none", "a", "b"),
        TrainingRow("open", "a", "b", ({"role": "user", "content": "a"},)),
        TrainingRow("alone", "a", "b", ({"role": "assistant", "content": "b"},)),
        talk("fine", "a", "b"),
    ]
    result = chat_check.check_structure(bad, split="train")
    assert {problem.rows[0]: problem.message for problem in result} == {
        "empty": "train: 1 row: the chat has an empty assistant turn",
        "none": "train: 1 row: the chat has no messages",
        "open": "train: 1 row: the chat does not end with an assistant turn",
        "alone": "train: 1 row: the chat has no user turn",
    }
    assert {problem.level for problem in result} == {"error"}
    earlier = talk("early", "a", "b")
    turns = ({"role": "user", "content": "q"}, {"role": "assistant", "content": ""}, *earlier.messages)
    assert len(chat_check.check_structure([replace(earlier, messages=turns)], split="train")) == 1
    pairs = [talk("a", "a", "b"), talk("b", "a", "b", rejected="b"), talk("c", "a", "b", rejected="d")]
    assert [problem.rows for problem in chat_check.check_structure(pairs, split="train", pairs=True)] == [
        ("a",),
        ("b",),
    ]


@pytest.mark.parametrize(
    ("template", "level", "says"),
    [
        (DROPS, "error", "drops part of the reply"),
        (OTHERWISE, "error", "renders the prompt differently"),
        (NO_END, "error", "no end-of-turn token after any reply"),
        ("{{ raise_exception('no') }}", "error", "rejects it: no"),
        ("{{ messages[0].content", "error", "rejects it"),
    ],
)
def test_templates_that_teach_the_wrong_thing(template: str, level: str, says: str) -> None:
    given = format_of(None, template)
    result = chat_check.check_rendering([talk("a", "why?", "think so")], given, split="train", limit=None)
    assert any(says in message for message in said(result.findings, level))


def test_a_system_message_is_folded_where_the_template_has_none() -> None:
    given = format_of(None, NO_SYSTEM)
    result = chat_check.check_rendering([talk("a", "why?", "so", system="Be brief.")], given, split="train", limit=None)
    assert result.findings == ()
    assert result.shown[0].prompt == "<|user|>Be brief.\n\nwhy?<|end|><|assistant|>"


def test_an_end_of_turn_that_is_always_truncated_is_an_error(tokenizer: Any) -> None:
    rows = [talk("a", "what is the colour of the sky?", "Paris " * 20)]
    result = chat_check.check_rendering(rows, format_of(tokenizer), split="train", limit=30)
    assert said(result.findings, "error") == [
        "train: the end of the turn is truncated in every row, so the model would never learn to stop"
    ]


def test_pad_and_end() -> None:
    shared = tiny_tokenizer(["why"])
    shared.pad_token = "<|end|>"
    given, findings = chat_check.check_format(shared, [], name="tiny")
    assert given is not None
    assert given.pad_id not in given.end_ids
    assert (
        said(findings, "note")[0]
        == "the tokenizer pads with <|end|>, an end-of-turn token; <pad> is used for padding instead"
    )
    alone = tiny_tokenizer(["why"])
    alone.pad_token = "<|end|>"
    ends = [alone.convert_tokens_to_ids(problem) for problem in ("<pad>", "<|end|>")]
    given, findings = chat_check.check_format(alone, ends, name="tiny")
    assert given is None
    assert "pads with its end-of-turn token" in findings[0].message
    assert (findings[0].level, bool(findings[0].hint)) == ("error", True)


def test_a_template_that_is_missing_or_has_no_mask() -> None:
    given, findings = chat_check.check_format(tiny_tokenizer(["why"], template=None), [], name="tiny")
    assert given is None
    assert "has no chat template" in said(findings, "error")[0]
    _, findings = chat_check.check_format(tiny_tokenizer(["why"]), [], name="tiny")
    assert "marks no assistant turns" in said(findings, "note")[0]
    masked = TEMPLATE.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}")
    assert chat_check.check_format(tiny_tokenizer(["why"], template=masked), [], name="tiny")[1] == []


# -- duplicates and leakage ------------------------------------------------------------------------------------------


def test_duplicates_near_duplicates_and_leaks() -> None:
    train = [
        row("t1", "How do I send the cargo bike back to you?"),
        row("t2", "how do I  send the cargo bike back to you?"),
        row("t3", "How do I send the cargo bike back to you please?"),
        row("t4", "Where is my order?"),
    ]
    test = [
        row("e1", "where is my order?"),
        row("e2", "So how do I send the cargo bike back to you?"),
        row("e3", "Something else entirely"),
        row("e4", "The battery smokes"),
    ]
    validation = [row("v1", "SOMETHING else  entirely"), row("v2", "Is the shop open?")]
    splits = {"train": train, "validation": validation, "test": test}
    about = {"documents": {"t4": ["a.md"], "e4": ["b.md", "a.md"]}, "groups": {"t1": "g", "v2": "g"}}
    assert said(leakage.find_duplicates(train)) == ["train: 1 row with the same input and output as another row"]
    findings, leaks = leakage.find_leaks(splits, **about)  # type: ignore[arg-type]
    assert [(item.split, item.row, item.train, item.how) for item in leaks] == [
        ("validation", "v2", "t1", "group"),
        ("test", "e1", "t4", "exact"),
        ("test", "e2", "t1", "near"),
        ("test", "e4", "t4", "document"),
    ]
    assert 0.8 <= leaks[2].similarity < 1
    assert [(item.level, item.rows) for item in findings] == [
        ("note", ("t3",)), ("warning", ("v2",)), ("error", ("e1",)), ("warning", ("e2",)), ("warning", ("e4",)),
        ("warning", ("e3",)),
    ]  # fmt: skip
    assert "test: 1 of 4 rows also in train (e1 = t4)" in said(findings, "error")
    assert "test: 1 row also in validation (e3)" in said(findings)


def test_the_same_words_after_another_conversation_are_no_leak_where_it_is_seen() -> None:
    norway = ({"role": "user", "content": "How long does a parcel to Norway take?"},)
    spares = ({"role": "user", "content": "Do you sell brake pads for the Robin?"},)
    train = [row("t1", "And to Iceland?", history=norway), row("t2", "And to Iceland?", "y", history=spares)]
    test = [row("e1", "And to Iceland?", history=(*norway, *spares)), row("e2", "and to Iceland?", history=norway)]
    assert leakage.find_duplicates([*train, row("t3", "and to iceland?", history=norway)]) != []
    assert leakage.find_duplicates(train) == []
    assert labels.conflicts(train, labelled=True) == []
    _, leaks = leakage.find_leaks({"train": train, "test": test})
    assert [(leak.row, leak.train, leak.how) for leak in leaks if leak.how == "exact"] == [("e2", "t1", "exact")]
    blind = [replace(each, history=()) for each in train]
    assert labels.conflicts(blind, labelled=True) != []

    def example(name: str, earlier: str) -> Example:
        return Example(name, "And to Iceland?", "x", history=(Message("user", earlier),))

    examples, held_out = [example("a", "Norway?"), example("b", "Sweden?")], [example("c", "norway?")]
    assert leakage.remove_test_examples(examples, held_out) == ([examples[1]], {"a": "c"})
    assert leakage.remove_test_examples(examples, held_out, with_history=False) == ([], {"a": "c", "b": "c"})


def test_a_shared_instruction_is_not_similarity() -> None:
    chance = random.Random(0)
    words = "bike order refund brake battery lease tyre charger invoice theft key manual app phone store".split()
    frame = "Read the following message of a customer with care and say which of our sixteen teams must act first: "
    inputs = [" ".join(chance.choices(words, k=6)) for _ in range(200)]
    plain, framed = near_duplicate_rows.NearDuplicateIndex(), near_duplicate_rows.NearDuplicateIndex()
    alone = [plain.add(text) for text in near_duplicate_rows.strip_frames(inputs)]
    around = [
        framed.add(text)
        for text in near_duplicate_rows.strip_frames([f"{frame}{text}. Answer with its name." for text in inputs])
    ]
    assert alone == around


def test_near_duplicates_are_found_as_often_as_promised() -> None:
    chance = random.Random(1)
    words = [f"w{n}" for n in range(500)]
    texts = [chance.choices(words, k=40) for _ in range(300)]
    changed = [[chance.choice(words) if chance.random() < 0.05 else edited for edited in text] for text in texts]
    index = near_duplicate_rows.NearDuplicateIndex()
    for text in texts:
        index.add(" ".join(text))
    pairs = [
        (index.find(" ".join(edited)), " ".join(edited), " ".join(original))
        for edited, original in zip(changed, texts, strict=True)
    ]
    true = [
        (match, n)
        for n, (match, edited, original) in enumerate(pairs)
        if _jaccard(edited, original) >= near_duplicate_rows.NEAR
    ]
    assert len(true) > 100
    assert sum(match is not None and match[0] == n for match, n in true) >= 0.99 * len(true)
    assert index.find("nothing like it") is None
    assert index.find("") is None


def _jaccard(first: str, second: str) -> float:
    return near_duplicate_rows._similarity(near_duplicate_rows._runs(first), near_duplicate_rows._runs(second))


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise MissingError("datasketch is not installed", hint="pip install 'groundtune[local]'")

    monkeypatch.setattr(near_duplicate_rows, "need", missing)
    findings, leaks = leakage.find_leaks({"train": [row("t", "a")], "test": [row("e", "A ")]})
    assert "near-duplicates were not checked" in said(findings, "warning")[0]
    assert [problem.how for problem in leaks] == ["exact"]


# -- labels ----------------------------------------------------------------------------------------------------------


def test_conflicts() -> None:
    rows = [row("a", "Where is it?", "x"), row("b", "where is it? ", "y"), row("c", "Why?", {"a": 1, "b": 2})]
    rows.append(row("d", "Why?", {"b": 2, "a": 1}))
    (result,) = labels.conflicts(rows, labelled=True)
    assert (result.level, result.rows, result.message) == (
        "warning", ("a", "b"), "train: 1 input has different outputs (a ≠ b)"
    )  # fmt: skip
    assert [problem.level for problem in labels.conflicts(rows, labelled=False)] == ["note"]
    assert labels.conflicts(rows[2:], labelled=True) == []


def test_labels_with_few_examples_and_imbalance() -> None:
    train = [row(f"t{n}", str(n), "often") for n in range(60)] + [row("s", "s", "single")]
    train += [row(f"f{n}", f"f{n}", "few") for n in range(3)] + [row("n", "n", None)]
    validation = [row("v", "v", "unseen")]
    findings = labels.check({"train": train, "validation": validation}, labels=("often", "never"), weighted=False)
    assert said(findings) == [
        "train: 1 label with one example (single)",
        "train: 1 label with fewer than 5 examples (few)",
        "train: 1 of the project's labels without examples (never)",
        "validation: 1 label missing from train (unseen)",
        "validation: every row has a label, so the abstention threshold cannot be calibrated",
        "train: often has 60 examples, single has 1: 60 times as many",
    ]
    assert [problem.level for problem in findings] == ["warning", "note", "warning", "warning", "note", "warning"]
    assert findings[0].rows == ("s",)
    assert labels.counts(train) == {"often": 60, "few": 3, "single": 1}
    assert "class_weights compensates for it" in said(labels.check({"train": train}, weighted=True), "note")[-1]
    assert said(labels.check({"train": train[:3]}), "error") == ["train: 1 label; at least two are needed"]


# -- secrets ---------------------------------------------------------------------------------------------------------

REAL = {
    "private key": ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "-----BEGIN PRIVATE KEY-----"],
    "AWS access key": ["AKIA" + "IOSFODNN7EXAMPLE"],
    "OpenAI API key": ["sk-" + "a1B2" * 12, "sk-proj-" + "a1B2_" * 10],
    "Anthropic API key": ["sk-ant-" + "api03-" + "x1" * 20],
    "GitHub token": ["ghp_" + "a1B2" * 9, "github_pat_" + "a1" * 30],
    "GitLab token": ["glpat-" + "a1B2" * 5],
    "Hugging Face token": ["hf_" + "aB" * 17],
    "Google API key": ["AIza" + "a" * 35],
    "Slack token": ["xoxb-" + "1234567890-abc"],
    "Stripe key": ["sk_live_" + "a1" * 12],
    "JSON Web Token": ["eyJ" + "hbGciOiJI.eyJ" + "zdWIiOiIx.SflKxwRJSM"],
    "password in an address": ["postgres://shop:tern7hill@db.internal/orders"],
    "password": ["my password is Heron!2024", "password: hunter22", "API_KEY=abc123def456", "Passwort: geheim_99"],
    "e-mail address": ["write to ann.bell@ternhill.co.uk.", "ANN+1@gmail.com"],
    "phone number": ["+44 20 7946 0958", "(0161) 496 0000", "07700900123", "call 07700 900 123", "+49 (0)30 901820",
                     "(212) 555-0142", "212-555-0142", "0044 20 7946 0958", "030 901820 12", "030 90182012",
                     "01 42 68 53 00"],
    "IBAN": ["GB29 NWBK 6016 1331 9268 19", "DE89370400440532013000", "IBAN FR14 2004 1010 0505 0001 3M02 606 ok"],
    "credit card": ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"],
    "IP address": ["from 8.8.8.8", "2a00:1450:4009:81f::200e"],
    "US social security number": ["536-90-4399"],
    "UK national insurance number": ["JG 10 37 59 A", "JG103759A"],
}  # fmt: skip
INNOCENT = [
    "order 40655 of 2025-03-12, 14:30:15, £1,299.00", "version 1.2.3.4 or v8.0.0.1", "10.0.0.1 and 192.168.1.20",
    "127.0.0.1:8080", "ann@example.com", "ISBN 978-3-16-148410-0", "4111 1111 1111 1112", "GB29 NWBK 6016 1331 9268 18",
    "frame number WTN 2024 118 0032", "I forgot my password and cannot log in", "the password is wrong",
    "password: forgotten", "reset the password, please", "sk-learn and sk-image", "http://host:8080/path@2x.png",
    "12:30:45:10", "000-12-3456", "0000000000", "2024/2025 0.5-1.5 km", "tickets 100-200-3000",
    "box 000 4417 02", "1000000000000000", "see https://groundtune.dev/a?b=0771234567890",
    "the API key is in the vault",
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REAL.items() for text in texts])
def test_detectors_find(name: str, text: str) -> None:
    assert secrets.detect(f"Hello, {text} and so on") == {name: 1}
    assert secrets.detect(text) == {name: 1}


@pytest.mark.parametrize("text", INNOCENT)
def test_detectors_ignore_lookalikes(text: str) -> None:
    assert secrets.detect(text) == {}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REAL.items() for text in texts])
def test_shown_text_is_masked(name: str, text: str) -> None:
    (shown,) = secrets.mask(f"Hello, {text} and so on")
    assert secrets.detect(shown) == {}
    assert text not in shown
    assert shown.startswith("Hello, ")
    assert shown.endswith(" and so on") or name == "private key", "what is not secret stays"
    assert "…" in shown


@pytest.mark.parametrize("text", [text for name, texts in REAL.items() if name != "password" for text in texts])
def test_no_piece_of_a_masked_text_reveals_the_rest(text: str) -> None:
    """A limit may truncate the text anywhere."""
    for at in range(1, len(text)):
        before, after = secrets.mask(f"Hello, {text[:at]}", f"{text[at:]} and so on")
        assert text[len(text) // 2 :] not in before + after
        assert secrets.detect(before) == secrets.detect(after) == {}


def test_masks_leave_two_characters_and_harmless_text() -> None:
    assert secrets.mask("sk-" + "a1" * 12 + ", ann@b.de; DE89370400440532013000.") == ("sk…, an…; DE….",)
    assert secrets.mask("my password is Heron!2024 now") == ("my password is He… now",)
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----"
    assert secrets.mask(f"{key} is mine") == ("--… is mine",)
    assert secrets.mask(f"{key[:45]}<|end|>") == ("--…<|end|>",)
    assert [secrets.mask(text) for text in INNOCENT] == [(text,) for text in INNOCENT]
    assert secrets.mask() == ()


def test_no_secret_of_a_shown_row_is_printed() -> None:
    examples = [text for texts in REAL.values() for text in texts]
    question, replied, worse = (f"{part}: " + " ; ".join(examples) + " ." for part in ("Asked", "Replied", "Worse"))
    chat_format = format_of(tiny_tokenizer([question]))
    pair = talk("a", question, replied, rejected=worse)
    (shown,) = chat_check.check_rendering([pair], chat_format, split="train", limit=None, pairs=True).shown
    assert (shown.trained[:12], shown.rejected[:10]) == ("Replied: --…", "Worse: --…")
    assert "…" in shown.prompt
    assert "…" in shown.rejected
    for part in (
        shown,
        *chat_check.check_rendering([talk("a", "x", replied)], chat_format, split="train", limit=40).shown,
    ):
        assert not [text for text in examples if text in marked(part)]


def test_findings_never_hold_what_was_found() -> None:
    texts = [(f"{name} {n}", text) for name, result in REAL.items() for n, text in enumerate(result)]
    result = secrets.search([*texts, ("twice", "ann@b.de and bob@c.de")])
    assert {problem.detector for problem in result} == set(REAL)
    mails = next(problem for problem in result if problem.detector == "e-mail address")
    assert (mails.times, mails.rows[-1]) == (4, "twice")
    findings = secrets.check(result)
    printed = json.dumps([[problem.message, problem.hint] for problem in findings])
    assert not any(text in printed for _, text in texts)
    levels = {problem.message.partition(":")[0]: problem.level for problem in findings}
    assert (levels["OpenAI API key"], levels["password"], levels["IBAN"]) == ("error", "warning", "warning")


def test_the_bundled_examples() -> None:
    tickets = read_examples(ROOT / "examples/triage/tickets.jsonl")
    result = secrets.search((example.id, example.input) for example in tickets)
    assert [example.detector for example in result] == ["phone number"]
    assert len(result[0].rows) <= 10  # numbers that customers really give
    assert all("0" in example.input for example in tickets if example.id in result[0].rows)
    pages = [path for path in (ROOT / "examples/handbook/docs").rglob("*") if path.suffix in (".md", ".html", ".csv")]
    assert len(pages) > 20
    assert secrets.search((path.name, path.read_text(encoding="utf-8")) for path in pages) == []


@pytest.mark.parametrize("text", ["1 ", "a@", "1-", "a.", "://", "password ", "+1 ", "AA11 ", "eyJ", "-----BEGIN "])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    secrets.detect(text * 30_000)
    assert time.process_time() - began < 5  # 0.03 s


# -- values of extractors --------------------------------------------------------------------------------------------


def orders(count: int) -> list[TrainingRow]:
    """`n` does not occur in every third row; `mood` occurs in none and differs each time."""
    rows = []
    for number in range(count):
        count_text = "a few" if number % 3 == 0 else str(number + 2)
        output = {"city": "Leeds", "n": number + 2, "mood": f"mood {number}", "urgent": number % 2 == 0}
        rows.append(row(f"r{number}", f"Send {count_text} bikes to Leeds", output))
    return rows


def test_values_missing_from_the_text_are_reported() -> None:
    train = [row("none", "hello", None), *orders(30)]
    report = run_preflight(PreflightInputs("object", {}, train, orders(3)))
    values = [problem for problem in report.findings if problem.check == "values"]
    assert [problem.level for problem in values] == ["warning", "warning", "note"]
    assert values[0].message == (
        "train: 40 of 120 values cannot be marked: they do not occur in their input as written (mood 30, n 10)"
    )
    assert (values[0].count, values[0].rows[:2]) == (30, ("r0", "r1"))
    assert values[1].message.startswith("train: no value of mood occurs in its input")
    assert values[2].message.startswith("validation: 4 of 12 values")
    assert "causal model" in str(values[0].hint)


def test_values_that_all_occur_are_no_finding() -> None:
    rows = [row(f"r{n}", f"Send {n} bikes to Leeds", {"city": "leeds", "n": n, "urgent": n % 2 == 0}) for n in range(9)]
    assert extraction.check(rows, rows[:2], schema=None) == []
    assert extraction.check([*rows, row("x", "y", "no object")], [], schema=None) == []
    assert extraction.check([], [], schema=None) == []


def test_an_extractor_that_could_mark_next_to_nothing_is_refused() -> None:
    rows = [row(f"r{n}", "Send some bikes", {"n": n, "city": f"city {n}"}) for n in range(9)]
    (result,) = extraction.check(rows, [], schema=None)
    assert (result.level, result.check) == ("error", "values")
    assert result.message.startswith("18 of 18 values not found in their input")


@pytest.mark.slow
def test_15000_objects_take_seconds() -> None:
    began = time.process_time()
    rows = orders(15_000)
    assert len(extraction.check(rows, rows[:2000], schema=None)) == 3
    assert time.process_time() - began < 20  # 2 s


# -- access ----------------------------------------------------------------------------------------------------------


def test_restricted_documents_are_refused_unless_named() -> None:
    rows = [row("a", "1"), row("b", "2"), row("c", "3"), row("d", "4"), row("e", "5")]
    documents = {"a": ["open.md"], "b": ["hr.md"], "c": ["both.csv#7"], "d": ["gone.md"], "e": []}
    groups = {"open.md": ("*",), "hr.md": ("hr",), "both.csv": ("hr", "board")}
    result = restricted_rows.check_access(rows, documents=documents, access=groups)
    assert [(problem.level, problem.rows) for problem in result] == [
        ("error", ("c",)),
        ("error", ("b",)),
        ("warning", ("d",)),
    ]
    assert result[1].message == "train: 1 row with evidence that only hr may read (hr.md)"
    assert result[1].hint == 'remove them from train, or set allow_groups = ["hr"]'
    allowed = restricted_rows.check_access(rows, documents=documents, access=groups, allowed=("hr",))
    assert [(problem.level, problem.rows) for problem in allowed][:2] == [("error", ("c",)), ("warning", ("b",))]
    assert 'allow_groups = ["board", "hr"]' in str(allowed[0].hint)
    both = restricted_rows.check_access(rows, documents=documents, access=groups, allowed=("hr", "board"))
    assert [problem.level for problem in both] == ["warning", "warning"]


# -- all of it -------------------------------------------------------------------------------------------------------


def tickets(count: int, prefix: str, seed: int) -> list[TrainingRow]:
    chance = random.Random(seed)
    words = [f"word{n}" for n in range(2000)]
    return [row(f"{prefix}{n}", " ".join(chance.choices(words, k=9)), f"label{n % 50}") for n in range(count)]


def counter(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) + 2 for text in texts]


def test_a_sound_job_has_no_errors(tokenizer: Any) -> None:
    train, validation = tickets(300, "t", 1), tickets(60, "v", 2)
    given = PreflightInputs("label", {"class_weights": True}, train, validation, tickets(60, "e", 3),
                   count_tokens=counter,
                   window=256, bounds=Bounds(30, 900, 0.0), free_memory_mb=8000)  # fmt: skip
    report = run_preflight(given)
    assert (report.errors, report.warnings) == ((), ())
    assert report.rows == {"train": 300, "validation": 60, "test": 60}
    assert report.lengths is not None
    assert report.lengths.longest == 11
    assert len(report.labels) == 50
    assert bounds_text(given.bounds or Bounds(None, None, None)) == "30 s, 900 MB of memory, $0.00"
    raise_errors(report)


def test_the_window_of_the_base_limits_max_tokens(tokenizer: Any) -> None:
    rows = [row("a", "one two three"), row("b", "four " * 20, "y")]
    given = PreflightInputs("label", {"max_tokens": 1024}, rows, count_tokens=counter, window=16)
    result = [problem for problem in run_preflight(given).errors if problem.check == "length"]
    assert [problem.message for problem in result] == [
        "train: 1 row longer than 16 tokens; the longest has 22",
        "max_tokens = 1,024, but the base model's limit is 16",
    ]
    assert str(result[0].hint).startswith("use a base model with a larger context window, shorten them")
    assert result[1].hint == "set max_tokens = 16, or use a base model with a larger context window"
    shorter = run_preflight(replace(given, settings={"max_tokens": 8})).errors
    assert "raise max_tokens up to the context window" in str(
        next(problem for problem in shorter if problem.check == "length").hint
    )
    assert not [
        problem for problem in run_preflight(replace(given, settings={})).findings if "max_tokens =" in problem.message
    ]
    cut = chat_check.check_rendering(
        [talk("a", "why?", "so")], format_of(tokenizer), split="train", limit=2, capped=True
    ).findings
    assert cut[0].hint == "use a base model with a larger context window, or shorten the rows"


def test_every_part_reaches_the_report(tokenizer: Any) -> None:
    train = [talk("a", "what is the colour of the sky?", "blue", system="Ask ann@shop.de"), talk("b", "Why?", " ")]
    given = PreflightInputs(
        form="chat",
        settings={"max_tokens": 20, "allow_truncation": 0, "max_minutes": 1, "max_usd": 1.0},
        train=train,
        test=[talk("e", "why?", "so")],
        tokenizer=tokenizer,
        window=4096,
        documents={"a": ["hr.md"]},
        access={"hr.md": ("hr",)},
        bounds=Bounds(7200, 20_000, 12.5, "3 epochs"),
        free_memory_mb=4000,
        caveats=("gpt-9 will be shut down on 2027-01-14",),
    )
    report = run_preflight(given)
    assert {problem.check for problem in report.errors} == {"chat", "leakage", "length", "access", "bounds", "template"}
    assert {problem.check for problem in report.warnings} == {"rows", "secrets", "base", "bounds"}
    assert [problem.level for problem in report.findings] == sorted(
        (problem.level for problem in report.findings), key=["error", "warning", "note"].index
    )
    assert [problem.id for problem in report.shown] == ["a"]
    assert [problem.detector for problem in report.found] == ["e-mail address"]
    assert report.leaks[0].row == "e"
    assert bounds_text(Bounds(None, None, None)) == "an unknown time, an unknown price"
    with pytest.raises(TuneError) as caught:
        raise_errors(report)
    assert caught.value.message.startswith(f"training was not started because of {len(report.errors)} problems:\n  ")


def test_empty_rows() -> None:
    assert "the train split is empty" in said(run_preflight(PreflightInputs("label", {}, [])).errors)
    blank = run_preflight(PreflightInputs("label", {}, [row("a", " ", "x"), row("b", "c", "y")])).errors
    assert said(blank) == ["train: 1 row with an empty input"]
    bare = PreflightInputs("passages", {}, [row("a", "b", None, positives=("p",)), row("c", "d", None)])
    assert (
        said(run_preflight(bare).warnings)[-1]
        == "train: 1 row without a passage that answers the question; not trained on"
    )
    assert run_preflight(replace(bare, train=bare.train[1:])).errors


def test_documents_that_contain_test_rows_are_named() -> None:
    documents = {"b.csv#e1": ("e1",), "b.csv#e2": ("e2", "e1"), "a.md": ("e1",)}
    given = PreflightInputs("chat", {}, [talk("a", "why?", "so")], leaking_sources=documents, skipped_examples=["u"])
    warnings = {problem.check: problem for problem in run_preflight(given).warnings}
    assert warnings["leakage"].message.startswith(
        "test: 2 rows with question and answer in indexed documents (a.md, b.csv)"
    )
    assert warnings["leakage"].rows == ("e1", "e2")
    assert "exclude" in str(warnings["leakage"].hint)
    texts = said(run_preflight(given).warnings)
    assert [
        problem
        for problem in texts
        if problem.endswith("contains their answer except passages that contain a test row")
    ]


def test_a_retriever_counts_its_passages() -> None:
    given = PreflightInputs(
        "passages", {"max_tokens": 8}, [row("a", "b", None, positives=("p " * 20,))], count_tokens=counter
    )
    assert "train: 1 row longer than 8 tokens; the longest has 22" in said(run_preflight(given).errors)


def test_hosted_rows_are_checked_without_a_tokenizer() -> None:
    rows = [talk("a", "b", "c"), talk("d", "e", "f", rejected="g")]
    report = run_preflight(PreflightInputs("pair", {}, rows))
    assert said(report.errors) == ["train: 1 row: the chat has no rejected reply"]
    assert any("tokenizer is not available" in message for message in said(report.notes))
    assert report.lengths is None


def test_hosted_rows_are_estimated_and_compared_with_provider_limits() -> None:
    rows = [talk("a", "b", "c " * 400), talk("d", "e", "f")]
    given = PreflightInputs("chat", {}, rows, window=100, least_rows=10,
                   row_tokens=partial(example_tokens, method="supervised"))  # fmt: skip
    report = run_preflight(given)
    assert report.lengths is not None
    assert said(report.errors) == [
        "train: 2 rows; at least 10 are needed",
        "train: 1 row longer than 100 tokens; the longest has about 208",
    ]
    assert any("lengths are estimated at four bytes per token" in message for message in said(report.notes))
    allowed = replace(given, settings={"allow_truncation": 1}, least_rows=1)
    assert run_preflight(allowed).errors == ()


def test_a_refusal_of_the_trainer_is_an_error_of_the_report() -> None:
    given = PreflightInputs(
        "label", {}, [row("a", "b", "x"), row("c", "d", "y")], trainer_error=TuneError("too dear", hint="x")
    )
    assert [(problem.check, problem.message, problem.hint) for problem in run_preflight(given).errors] == [
        ("trainer", "too dear", "x")
    ]
    twice = run_preflight(replace(given, train=[row("a", " ", "x"), row("c", "d", "y")]))
    assert said(twice.errors) == ["train: 1 row with an empty input"], "the trainer most likely says the same again"


def test_every_error_is_listed() -> None:
    report = run_preflight(PreflightInputs("label", {}, [row("a", " ", "x")], least_rows=3))
    assert len(report.errors) == 3
    with pytest.raises(TuneError) as caught:
        raise_errors(report)
    assert all(problem.message in caught.value.message for problem in report.errors)
    assert all((problem.hint or "") in caught.value.message for problem in report.errors)


@pytest.mark.slow
def test_15000_rows_take_seconds(tokenizer: Any) -> None:
    train, test = tickets(15_000, "t", 1), tickets(3_000, "e", 2)
    began = time.process_time()
    report = run_preflight(
        PreflightInputs("label", {}, train, tickets(1_000, "v", 3), test, count_tokens=counter, window=256)
    )
    assert report.errors == ()
    assert time.process_time() - began < 60  # 4 s
    assert report.seconds > 0
    alike = [
        replace(ticket, input=f"Please refund order {n} which came broken on a Monday, {ticket.input[:8]}")
        for n, ticket in enumerate(train)
    ]
    began = time.process_time()
    leakage.find_leaks({"train": alike, "test": alike[:1000]})
    assert time.process_time() - began < 90  # 6 s: everything resembles everything


@pytest.mark.slow
def test_chats_of_15000_rows_take_seconds(tokenizer: Any) -> None:
    rows = [talk(ticket.id, ticket.input, str(ticket.output), system="Sort it.") for ticket in tickets(15_000, "t", 1)]
    began = time.process_time()
    result = chat_check.check_rendering(rows, format_of(tokenizer), split="train", limit=256)
    assert len(result.tokens) == 15_000
    assert time.process_time() - began < 75  # 5 s


def test_rows_with_thinking_are_counted() -> None:
    plain = [chat(f"{n}", "yes?", "no") for n in range(3)]
    thinking = [replace(row, reasoning="it may be") for row in plain]
    thinks = tiny_tokenizer([], template=TEMPLATE.replace("{{ m.content }}", "<think></think>{{ m.content }}"))
    mixed = chat_check.check_thinking([*plain[:2], thinking[2]], thinks)
    assert [(found.level, found.rows) for found in mixed] == [("warning", ("2",))]
    assert "1 of 3 rows have thinking" in mixed[0].message
    assert "learns to answer at once" in chat_check.check_thinking(plain, thinks)[0].message
    assert chat_check.check_thinking(plain, tiny_tokenizer([])) == []
    assert chat_check.check_thinking(thinking, thinks)[0].level == "note"
    assert "left out" in chat_check.check_thinking(thinking, None)[0].message
    assert chat_check.check_thinking(plain, None) == []


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"epochs": 3, "accumulate": 4}, "remove epochs and accumulate, which then follow from the number of rows"),
        ({"epochs": None, "accumulate": None}, "add examples, or set epochs"),
    ],
)
def test_a_training_of_few_steps_is_named(settings: dict[str, Any], hint: str) -> None:
    given = PreflightInputs("text", settings, [TrainingRow("a", "red 3", "x")], bounds=Bounds(30, 900, 0.0, steps=15))
    (short,) = [problem for problem in run_preflight(given).warnings if problem.check == "steps"]
    assert short.message.startswith("training takes only 15 steps of the optimiser")
    assert short.hint == hint
    enough = replace(given, bounds=Bounds(30, 900, 0.0, steps=50))
    unknown = replace(given, bounds=Bounds(30, 900, 0.0))
    for other in (enough, unknown):
        assert "steps" not in {problem.check for problem in run_preflight(other).findings}
