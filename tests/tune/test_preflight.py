"""Each finding of the preflight on a small crafted case; what it must not find; and 15,000 rows in seconds."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import MissingError
from groundtune.measure.examples import read_examples
from groundtune.tune import chat
from groundtune.tune.hosted.rows import example_tokens
from groundtune.tune.job import Bounds, Row, TuneError
from groundtune.tune.preflight import access, extraction, labels, leakage, lengths, secrets, similar
from groundtune.tune.preflight import chats as chat_check
from groundtune.tune.preflight.check import Inputs, bounds_text, insist, preflight
from groundtune.tune.preflight.findings import Finding
from tests.models.tiny import NO_SYSTEM, TEMPLATE, tiny_tokenizer

ROOT = Path(__file__).parents[2]
NO_END = TEMPLATE.replace("<|end|>", " ")
DROPS = TEMPLATE.replace("{{ m.content }}", "{{ m.content.split('think')[-1] }}")
OTHERWISE = "{{ messages | length }}" + TEMPLATE


def row(name: str, text: str, output: Any = "x", **more: Any) -> Row:
    return Row(name, text, output, **more)


def talk(name: str, asked: str, said: str, *, system: str | None = None, rejected: str | None = None) -> Row:
    first = () if system is None else ({"role": "system", "content": system},)
    turns = (*first, {"role": "user", "content": asked}, {"role": "assistant", "content": said})
    return Row(name, asked, said, turns, rejected=rejected)


def said(findings: Sequence[Finding], level: str | None = None) -> list[str]:
    return [one.message for one in findings if level in (None, one.level)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer(["the capital of France is Paris", "what is the colour of the sky?"])


def form(tokenizer: Any, template: str = TEMPLATE) -> chat.Format:
    made = tiny_tokenizer(["what is the colour of the sky?"], template=template) if template != TEMPLATE else tokenizer
    return chat.find_format(made, [], name="tiny")


# -- lengths ---------------------------------------------------------------------------------------------------------


def test_lengths_come_as_a_histogram() -> None:
    found = lengths.measure({f"r{n}": n for n in range(3, 103)}, limit=None)
    assert found is not None
    assert sum(one.rows for one in found.bins) == 100
    assert len(found.bins) <= lengths.BINS + 1
    assert [(one.low, one.high) for one in found.bins[:2]] == [(0, 9), (10, 19)]
    assert (found.median, found.p95, found.longest) == (52, 98, 102)
    assert lengths.measure({}, limit=8) is None
    single = lengths.measure({"r": 7}, limit=7)
    assert single is not None
    assert single.truncated == ()


def test_longer_rows_are_refused_unless_some_may_be_cut() -> None:
    found = lengths.measure({"a": 5, "b": 12, "c": 20}, limit=10, starts={"a": 1, "b": 4, "c": 10})
    assert found is not None
    assert (found.truncated, found.dropped) == (("b",), ("c",))
    cut = [one for one in lengths.check(found, allowed=0) if "longer than" in one.message]
    assert (cut[0].level, cut[0].rows, cut[0].hint) == (
        "error", ("b",),
        "raise max_tokens as far as the base goes, shorten them, or allow_truncation = 1 (--allow-truncation 1)",
    )  # fmt: skip
    capped = [one.hint for one in lengths.check(found, allowed=0, capped=True)]
    assert [str(one).partition(",")[0] for one in capped] == ["take a base that reads more"] * 2
    allowed = lengths.check(found, allowed=1)
    assert [one.level for one in allowed] == ["error", "warning"]
    assert "would train nothing" in allowed[0].message


# -- chats -----------------------------------------------------------------------------------------------------------


def test_a_row_is_shown_with_what_is_trained(tokenizer: Any) -> None:
    rows = [talk("a", "what is the colour of the sky?", "blue", system="Be brief.")]
    found = chat_check.look(rows, form(tokenizer), split="train", limit=None)
    (shown,) = found.shown
    assert shown.marked == (
        "<|system|>Be brief.<|end|><|user|>what is the colour of the sky?<|end|><|assistant|>⟦blue<|end|>⟧"
    )
    assert (shown.tokens, shown.trained_tokens) == (found.tokens["a"], found.tokens["a"] - found.starts["a"])
    assert found.ended == {"a"}
    assert found.findings == ()
    cut = chat_check.look(rows, form(tokenizer), split="train", limit=found.starts["a"] + 1).shown[0]
    assert cut.trained_tokens == 1
    assert cut.marked.endswith("<|end|>")
    assert "⟧✂" in cut.marked


def test_tokens_are_those_of_the_trainer(tokenizer: Any) -> None:
    rows = [talk(f"r{n}", f"what is {n} of the sky?", "Paris " * n, system="s" if n % 2 else None) for n in range(1, 9)]
    given = form(tokenizer)
    trained = {one.id: one for one in chat.encode(rows, given, limit=None)}
    found = chat_check.look(rows, given, split="train", limit=None, first=8)
    assert found.tokens == {name: len(one.ids) for name, one in trained.items()}
    assert found.starts == {name: one.start for name, one in trained.items()}
    assert [one.marked for one in found.shown] == [chat.marked(one, given) for one in trained.values()]


def test_rows_that_are_no_chats_are_found() -> None:
    bad = [
        talk("empty", "a", " "),
        Row("none", "a", "b"),
        Row("open", "a", "b", ({"role": "user", "content": "a"},)),
        Row("alone", "a", "b", ({"role": "assistant", "content": "b"},)),
        talk("fine", "a", "b"),
    ]
    found = chat_check.structure(bad, split="train")
    assert {one.rows[0]: one.message for one in found} == {
        "empty": "train: 1 row: the chat has an empty assistant turn",
        "none": "train: 1 row: the chat has no messages",
        "open": "train: 1 row: the chat does not end with the assistant",
        "alone": "train: 1 row: the chat asks nothing",
    }
    assert {one.level for one in found} == {"error"}
    earlier = talk("early", "a", "b")
    turns = ({"role": "user", "content": "q"}, {"role": "assistant", "content": ""}, *earlier.messages)
    assert len(chat_check.structure([replace(earlier, messages=turns)], split="train")) == 1
    pairs = [talk("a", "a", "b"), talk("b", "a", "b", rejected="b"), talk("c", "a", "b", rejected="d")]
    assert [one.rows for one in chat_check.structure(pairs, split="train", pairs=True)] == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("template", "level", "says"),
    [
        (DROPS, "error", "leaves out part of the reply"),
        (OTHERWISE, "error", "renders the prompt otherwise"),
        (NO_END, "error", "no token that ends a turn behind any reply"),
        ("{{ raise_exception('no') }}", "error", "refuses it: no"),
        ("{{ messages[0].content", "error", "refuses it"),
    ],
)
def test_templates_that_teach_the_wrong_thing(template: str, level: str, says: str) -> None:
    given = form(None, template)
    found = chat_check.look([talk("a", "why?", "think so")], given, split="train", limit=None)
    assert any(says in message for message in said(found.findings, level))


def test_a_system_message_is_folded_where_the_template_has_none() -> None:
    given = form(None, NO_SYSTEM)
    found = chat_check.look([talk("a", "why?", "so", system="Be brief.")], given, split="train", limit=None)
    assert found.findings == ()
    assert found.shown[0].prompt == "<|user|>Be brief.\n\nwhy?<|end|><|assistant|>"


def test_an_end_that_is_always_cut_off_is_an_error(tokenizer: Any) -> None:
    rows = [talk("a", "what is the colour of the sky?", "Paris " * 20)]
    found = chat_check.look(rows, form(tokenizer), split="train", limit=30)
    assert said(found.findings, "error") == [
        "train: the end of the turn is cut off in every row: it would never learn to stop"
    ]


def test_pad_and_end() -> None:
    shared = tiny_tokenizer(["why"])
    shared.pad_token = "<|end|>"
    given, findings = chat_check.look_at_format(shared, [], name="tiny")
    assert given is not None
    assert given.pad not in given.ends
    assert said(findings, "note")[0] == "the tokenizer pads with <|end|>, which ends an answer; <pad> pads here instead"
    alone = tiny_tokenizer(["why"])
    alone.pad_token = "<|end|>"
    ends = [alone.convert_tokens_to_ids(one) for one in ("<pad>", "<|end|>")]
    given, findings = chat_check.look_at_format(alone, ends, name="tiny")
    assert given is None
    assert "pads with the token that ends an answer" in findings[0].message
    assert (findings[0].level, bool(findings[0].hint)) == ("error", True)


def test_a_template_that_is_missing_or_has_no_mask() -> None:
    given, findings = chat_check.look_at_format(tiny_tokenizer(["why"], template=None), [], name="tiny")
    assert given is None
    assert "has no chat template" in said(findings, "error")[0]
    _, findings = chat_check.look_at_format(tiny_tokenizer(["why"]), [], name="tiny")
    assert "marks no assistant turns" in said(findings, "note")[0]
    masked = TEMPLATE.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}")
    assert chat_check.look_at_format(tiny_tokenizer(["why"], template=masked), [], name="tiny")[1] == []


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
    assert said(leakage.duplicates(train)) == ["train: 1 row with input and output of another row"]
    findings, leaks = leakage.overlap(splits, **about)  # type: ignore[arg-type]
    assert [(one.split, one.row, one.train, one.how) for one in leaks] == [
        ("validation", "v2", "t1", "group"),
        ("test", "e1", "t4", "exact"),
        ("test", "e2", "t1", "near"),
        ("test", "e4", "t4", "document"),
    ]
    assert 0.8 <= leaks[2].similarity < 1
    assert [(one.level, one.rows) for one in findings] == [
        ("note", ("t3",)), ("warning", ("v2",)), ("error", ("e1",)), ("warning", ("e2",)), ("warning", ("e4",)),
        ("warning", ("e3",)),
    ]  # fmt: skip
    assert "test: 1 of 4 rows also in train (e1 = t4)" in said(findings, "error")
    assert "test: 1 row also in validation (e3)" in said(findings)


def test_an_instruction_around_every_input_is_no_resemblance() -> None:
    chance = random.Random(0)
    words = "bike order refund brake battery lease tyre charger invoice theft key manual app phone store".split()
    frame = "Read the following message of a customer with care and say which of our sixteen teams must act first: "
    made = [" ".join(chance.choices(words, k=6)) for _ in range(200)]
    plain, framed = similar.Similar(), similar.Similar()
    alone = [plain.add(one) for one in similar.comparable(made)]
    around = [framed.add(one) for one in similar.comparable([f"{frame}{one}. Answer with its name." for one in made])]
    assert alone == around


def test_resemblance_is_found_as_often_as_promised() -> None:
    chance = random.Random(1)
    words = [f"w{n}" for n in range(500)]
    texts = [chance.choices(words, k=40) for _ in range(300)]
    changed = [[chance.choice(words) if chance.random() < 0.05 else one for one in text] for text in texts]
    index = similar.Similar()
    for text in texts:
        index.add(" ".join(text))
    pairs = [(index.find(" ".join(one)), " ".join(one), " ".join(two)) for one, two in zip(changed, texts, strict=True)]
    true = [(found, n) for n, (found, one, two) in enumerate(pairs) if _jaccard(one, two) >= similar.NEAR]
    assert len(true) > 100
    assert sum(found is not None and found[0] == n for found, n in true) >= 0.99 * len(true)
    assert index.find("nothing like it") is None
    assert index.find("") is None


def _jaccard(one: str, two: str) -> float:
    return similar._similarity(similar._runs(one), similar._runs(two))


def test_without_the_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise MissingError("datasketch is not installed", hint="pip install 'groundtune[local]'")

    monkeypatch.setattr(similar, "need", missing)
    findings, leaks = leakage.overlap({"train": [row("t", "a")], "test": [row("e", "A ")]})
    assert "near-duplicates were not looked for" in said(findings, "warning")[0]
    assert [one.how for one in leaks] == ["exact"]


# -- labels ----------------------------------------------------------------------------------------------------------


def test_conflicts() -> None:
    rows = [row("a", "Where is it?", "x"), row("b", "where is it? ", "y"), row("c", "Why?", {"a": 1, "b": 2})]
    rows.append(row("d", "Why?", {"b": 2, "a": 1}))
    (found,) = labels.conflicts(rows, labelled=True)
    assert (found.level, found.rows, found.message) == (
        "warning", ("a", "b"), "train: 1 input has different outputs (a ≠ b)"
    )  # fmt: skip
    assert [one.level for one in labels.conflicts(rows, labelled=False)] == ["note"]
    assert labels.conflicts(rows[2:], labelled=True) == []


def test_labels_with_few_examples_and_imbalance() -> None:
    train = [row(f"t{n}", str(n), "often") for n in range(60)] + [row("s", "s", "single")]
    train += [row(f"f{n}", f"f{n}", "few") for n in range(3)] + [row("n", "n", None)]
    held = [row("v", "v", "unseen")]
    found = labels.check({"train": train, "validation": held}, labels=("often", "never"), weighted=False)
    assert said(found) == [
        "train: 1 label with one example (single)",
        "train: 1 label with fewer than 5 examples (few)",
        "train: 1 label of the project without an example (never)",
        "validation: 1 label that train does not have (unseen)",
        "validation: no row without a label: when to say that none fits cannot be fitted",
        "train: often has 60 examples, single has 1: 60 times as many",
    ]
    assert [one.level for one in found] == ["warning", "note", "warning", "warning", "note", "warning"]
    assert found[0].rows == ("s",)
    assert labels.counts(train) == {"often": 60, "few": 3, "single": 1}
    assert "class_weights makes up for it" in said(labels.check({"train": train}, weighted=True), "note")[-1]
    assert said(labels.check({"train": train[:3]}), "error") == ["train: 1 label; there is nothing to tell apart"]


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
def test_detectors_keep_silent(text: str) -> None:
    assert secrets.detect(text) == {}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REAL.items() for text in texts])
def test_what_is_shown_is_masked(name: str, text: str) -> None:
    (shown,) = secrets.masked(f"Hello, {text} and so on")
    assert secrets.detect(shown) == {}
    assert text not in shown
    assert shown.startswith("Hello, ")
    assert shown.endswith(" and so on") or name == "private key", "what is not secret stays"
    assert "…" in shown


@pytest.mark.parametrize("text", [text for name, texts in REAL.items() if name != "password" for text in texts])
def test_no_part_of_a_masked_text_has_the_rest_of_it(text: str) -> None:
    """A limit may cut it anywhere."""
    for at in range(1, len(text)):
        before, after = secrets.masked(f"Hello, {text[:at]}", f"{text[at:]} and so on")
        assert text[len(text) // 2 :] not in before + after
        assert secrets.detect(before) == secrets.detect(after) == {}


def test_masks_leave_two_characters_and_what_is_innocent() -> None:
    assert secrets.masked("sk-" + "a1" * 12 + ", ann@b.de; DE89370400440532013000.") == ("sk…, an…; DE….",)
    assert secrets.masked("my password is Heron!2024 now") == ("my password is He… now",)
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----"
    assert secrets.masked(f"{key} is mine") == ("--… is mine",)
    assert secrets.masked(f"{key[:45]}<|end|>") == ("--…<|end|>",)
    assert [secrets.masked(one) for one in INNOCENT] == [(one,) for one in INNOCENT]
    assert secrets.masked() == ()


def test_nothing_of_a_shown_row_is_printed_whole() -> None:
    found = [text for texts in REAL.values() for text in texts]
    asked, replied, worse = (f"{one}: " + " ; ".join(found) + " ." for one in ("Asked", "Replied", "Worse"))
    made = form(tiny_tokenizer([asked]))
    pair = talk("a", asked, replied, rejected=worse)
    (shown,) = chat_check.look([pair], made, split="train", limit=None, pairs=True).shown
    assert (shown.trained[:12], shown.rejected[:10]) == ("Replied: --…", "Worse: --…")
    assert "…" in shown.prompt
    assert "…" in shown.rejected
    for one in (shown, *chat_check.look([talk("a", "x", replied)], made, split="train", limit=40).shown):
        assert not [text for text in found if text in one.marked]


def test_findings_never_hold_what_was_found() -> None:
    texts = [(f"{name} {n}", text) for name, found in REAL.items() for n, text in enumerate(found)]
    found = secrets.search([*texts, ("twice", "ann@b.de and bob@c.de")])
    assert {one.detector for one in found} == set(REAL)
    mails = next(one for one in found if one.detector == "e-mail address")
    assert (mails.times, mails.rows[-1]) == (4, "twice")
    findings = secrets.check(found)
    printed = json.dumps([[one.message, one.hint] for one in findings])
    assert not any(text in printed for _, text in texts)
    levels = {one.message.partition(":")[0]: one.level for one in findings}
    assert (levels["OpenAI API key"], levels["password"], levels["IBAN"]) == ("error", "warning", "warning")


def test_the_examples_that_come_along() -> None:
    tickets = read_examples(ROOT / "examples/triage/tickets.jsonl")
    found = secrets.search((one.id, one.input) for one in tickets)
    assert [one.detector for one in found] == ["phone number"]
    assert len(found[0].rows) <= 10  # numbers that customers really give
    assert all("0" in one.input for one in tickets if one.id in found[0].rows)
    pages = [path for path in (ROOT / "examples/handbook/docs").rglob("*") if path.suffix in (".md", ".html", ".csv")]
    assert len(pages) > 20
    assert secrets.search((path.name, path.read_text(encoding="utf-8")) for path in pages) == []


@pytest.mark.parametrize("text", ["1 ", "a@", "1-", "a.", "://", "password ", "+1 ", "AA11 ", "eyJ", "-----BEGIN "])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    secrets.detect(text * 30_000)
    assert time.process_time() - began < 5  # 0.03 s


# -- values of extractors --------------------------------------------------------------------------------------------


def orders(count: int) -> list[Row]:
    """`n` is not there in every third row, `mood` is in none of them and another one each time."""
    made = []
    for number in range(count):
        said = "a few" if number % 3 == 0 else str(number + 2)
        output = {"city": "Leeds", "n": number + 2, "mood": f"mood {number}", "urgent": number % 2 == 0}
        made.append(row(f"r{number}", f"Send {said} bikes to Leeds", output))
    return made


def test_values_that_do_not_stand_in_the_text_are_told() -> None:
    train = [row("none", "hello", None), *orders(30)]
    told = preflight(Inputs("extractor", {}, train, orders(3)))
    values = [one for one in told.findings if one.check == "values"]
    assert [one.level for one in values] == ["warning", "warning", "note"]
    assert values[0].message == (
        "train: 40 of 120 values cannot be marked: they do not stand in their input as they are written (mood 30, n 10)"
    )
    assert (values[0].count, values[0].rows[:2]) == (30, ("r0", "r1"))
    assert values[1].message.startswith("train: no value of mood can be marked")
    assert values[2].message.startswith("validation: 4 of 12 values")
    assert "causal model" in str(values[0].hint)


def test_values_that_all_stand_there_are_no_finding() -> None:
    rows = [row(f"r{n}", f"Send {n} bikes to Leeds", {"city": "leeds", "n": n, "urgent": n % 2 == 0}) for n in range(9)]
    assert extraction.check(rows, rows[:2], schema=None) == []
    assert extraction.check([*rows, row("x", "y", "no object")], [], schema=None) == []
    assert extraction.check([], [], schema=None) == []


def test_an_extractor_that_could_mark_next_to_nothing_is_refused() -> None:
    rows = [row(f"r{n}", "Send some bikes", {"n": n, "city": f"city {n}"}) for n in range(9)]
    (found,) = extraction.check(rows, [], schema=None)
    assert (found.level, found.check) == ("error", "values")
    assert found.message.startswith("18 of 18 values do not stand in their input")


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
    found = access.check(rows, documents=documents, access=groups)
    assert [(one.level, one.rows) for one in found] == [("error", ("c",)), ("error", ("b",)), ("warning", ("d",))]
    assert found[1].message == "train: 1 row with evidence that only hr may read (hr.md)"
    assert found[1].hint == 'take them out of train, or allow_groups = ["hr"]'
    allowed = access.check(rows, documents=documents, access=groups, allowed=("hr",))
    assert [(one.level, one.rows) for one in allowed][:2] == [("error", ("c",)), ("warning", ("b",))]
    assert 'allow_groups = ["board", "hr"]' in str(allowed[0].hint)
    both = access.check(rows, documents=documents, access=groups, allowed=("hr", "board"))
    assert [one.level for one in both] == ["warning", "warning"]


# -- all of it -------------------------------------------------------------------------------------------------------


def tickets(count: int, prefix: str, seed: int) -> list[Row]:
    chance = random.Random(seed)
    words = [f"word{n}" for n in range(2000)]
    return [row(f"{prefix}{n}", " ".join(chance.choices(words, k=9)), f"label{n % 50}") for n in range(count)]


def counter(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) + 2 for text in texts]


def test_a_sound_job_has_no_errors(tokenizer: Any) -> None:
    train, held = tickets(300, "t", 1), tickets(60, "v", 2)
    given = Inputs("classifier", {"class_weights": True}, train, held, tickets(60, "e", 3), count_tokens=counter,
                   window=256, bounds=Bounds(30, 900, 0.0), free_memory_mb=8000)  # fmt: skip
    report = preflight(given)
    assert (report.errors, report.warnings) == ((), ())
    assert report.rows == {"train": 300, "validation": 60, "test": 60}
    assert report.lengths is not None
    assert report.lengths.longest == 11
    assert len(report.labels) == 50
    assert bounds_text(given.bounds or Bounds(None, None, None)) == "30 s, 900 MB of memory, $0.00"
    insist(report)


def test_what_the_base_reads_goes_before_max_tokens(tokenizer: Any) -> None:
    rows = [row("a", "one two three"), row("b", "four " * 20, "y")]
    given = Inputs("classifier", {"max_tokens": 1024}, rows, count_tokens=counter, window=16)
    found = [one for one in preflight(given).errors if one.check == "length"]
    assert [one.message for one in found] == [
        "train: 1 row longer than 16 tokens; the longest has 22",
        "max_tokens = 1,024, and the base reads 16: the limit is 16",
    ]
    assert str(found[0].hint).startswith("take a base that reads more, shorten them")
    assert found[1].hint == "max_tokens = 16, or a base that reads more"
    shorter = preflight(replace(given, settings={"max_tokens": 8})).errors
    assert "raise max_tokens as far as the base goes" in str(next(one for one in shorter if one.check == "length").hint)
    assert not [one for one in preflight(replace(given, settings={})).findings if "max_tokens =" in one.message]
    cut = chat_check.look([talk("a", "why?", "so")], form(tokenizer), split="train", limit=2, capped=True).findings
    assert cut[0].hint == "take a base that reads more, or shorten the rows"


def test_every_part_reaches_the_report(tokenizer: Any) -> None:
    train = [talk("a", "what is the colour of the sky?", "blue", system="Ask ann@shop.de"), talk("b", "Why?", " ")]
    given = Inputs(
        kind="lora",
        settings={"max_tokens": 20, "allow_truncation": 0, "max_minutes": 1, "max_usd": 1.0},
        train=train,
        test=[talk("e", "why?", "so")],
        tokenizer=tokenizer,
        window=4096,
        documents={"a": ["hr.md"]},
        access={"hr.md": ("hr",)},
        bounds=Bounds(7200, 20_000, 12.5, "3 epochs"),
        free_memory_mb=4000,
        notices=("gpt-9 is shut down on 2027-01-14",),
    )
    report = preflight(given)
    assert {one.check for one in report.errors} == {"chat", "leakage", "length", "access", "bounds", "template"}
    assert {one.check for one in report.warnings} == {"rows", "secrets", "base", "bounds"}
    assert [one.level for one in report.findings] == sorted(
        (one.level for one in report.findings), key=["error", "warning", "note"].index
    )
    assert [one.id for one in report.shown] == ["a"]
    assert [one.detector for one in report.found] == ["e-mail address"]
    assert report.leaks[0].row == "e"
    assert bounds_text(Bounds(None, None, None)) == "an unknown time, an unknown price"
    with pytest.raises(TuneError) as caught:
        insist(report)
    assert caught.value.message.startswith(f"{len(report.errors)} problems before training:\n  ")


def test_rows_with_nothing_in_them() -> None:
    assert "the train split is empty" in said(preflight(Inputs("classifier", {}, [])).errors)
    blank = preflight(Inputs("classifier", {}, [row("a", " ", "x"), row("b", "c", "y")])).errors
    assert said(blank) == ["train: 1 row with an empty input"]
    bare = Inputs("retriever", {}, [row("a", "b", None, positives=("p",)), row("c", "d", None)])
    assert (
        said(preflight(bare).warnings)[-1] == "train: 1 row without a passage that answers: nothing is learnt of them"
    )
    assert preflight(replace(bare, train=bare.train[1:])).errors


def test_documents_that_give_test_rows_away_are_named() -> None:
    found = {"b.csv#e1": ("e1",), "b.csv#e2": ("e2", "e1"), "a.md": ("e1",)}
    given = Inputs("lora", {}, [talk("a", "why?", "so")], given_away=found, unlearnt=["u"])
    told = {one.check: one for one in preflight(given).warnings}
    assert told["leakage"].message.startswith(
        "test: 2 rows with question and answer in indexed documents (a.md, b.csv)"
    )
    assert told["leakage"].rows == ("e1", "e2")
    assert "exclude" in str(told["leakage"].hint)
    texts = said(preflight(given).warnings)
    assert [one for one in texts if one.endswith("shows their answer but what gives a test row away")]


def test_a_retriever_counts_its_passages() -> None:
    given = Inputs("retriever", {"max_tokens": 8}, [row("a", "b", None, positives=("p " * 20,))], count_tokens=counter)
    assert "train: 1 row longer than 8 tokens; the longest has 22" in said(preflight(given).errors)


def test_hosted_rows_are_checked_without_a_tokenizer() -> None:
    rows = [talk("a", "b", "c"), talk("d", "e", "f", rejected="g")]
    report = preflight(Inputs("hosted", {"method": "dpo"}, rows))
    assert said(report.errors) == ["train: 1 row: the chat has no rejected reply"]
    assert any("no tokenizer" in message for message in said(report.notes))
    assert report.lengths is None


def test_hosted_rows_are_counted_about_and_held_against_the_limits_of_the_provider() -> None:
    rows = [talk("a", "b", "c " * 400), talk("d", "e", "f")]
    given = Inputs("hosted", {"method": "supervised"}, rows, window=100, least_rows=10,
                   row_tokens=partial(example_tokens, method="supervised"))  # fmt: skip
    report = preflight(given)
    assert report.lengths is not None
    assert said(report.errors) == [
        "train: 2 rows; 10 are the least that is taken",
        "train: 1 row longer than 100 tokens; the longest has about 208",
    ]
    assert any("lengths are estimated at four bytes a token" in message for message in said(report.notes))
    allowed = replace(given, settings={"method": "supervised", "allow_truncation": 1}, least_rows=1)
    assert preflight(allowed).errors == ()


def test_what_the_trainer_refuses_is_an_error_of_the_report() -> None:
    given = Inputs("classifier", {}, [row("a", "b", "x"), row("c", "d", "y")], refusal=TuneError("too dear", hint="x"))
    assert [(one.check, one.message, one.hint) for one in preflight(given).errors] == [("trainer", "too dear", "x")]
    twice = preflight(replace(given, train=[row("a", " ", "x"), row("c", "d", "y")]))
    assert said(twice.errors) == ["train: 1 row with an empty input"], "the trainer most likely says the same again"


def test_every_error_is_told() -> None:
    report = preflight(Inputs("classifier", {}, [row("a", " ", "x")], least_rows=3))
    assert len(report.errors) == 3
    with pytest.raises(TuneError) as caught:
        insist(report)
    assert all(one.message in caught.value.message for one in report.errors)
    assert all((one.hint or "") in caught.value.message for one in report.errors)


def test_15000_rows_take_seconds(tokenizer: Any) -> None:
    train, test = tickets(15_000, "t", 1), tickets(3_000, "e", 2)
    began = time.process_time()
    report = preflight(Inputs("classifier", {}, train, tickets(1_000, "v", 3), test, count_tokens=counter, window=256))
    assert report.errors == ()
    assert time.process_time() - began < 60  # 4 s
    assert report.seconds > 0
    alike = [replace(one, input=f"Please refund order {n} which came broken on a Monday, {one.input[:8]}") for n, one in
             enumerate(train)]  # fmt: skip
    began = time.process_time()
    leakage.overlap({"train": alike, "test": alike[:1000]})
    assert time.process_time() - began < 90  # 6 s: everything resembles everything


def test_chats_of_15000_rows_take_seconds(tokenizer: Any) -> None:
    rows = [talk(one.id, one.input, str(one.output), system="Sort it.") for one in tickets(15_000, "t", 1)]
    began = time.process_time()
    found = chat_check.look(rows, form(tokenizer), split="train", limit=256)
    assert len(found.tokens) == 15_000
    assert time.process_time() - began < 75  # 5 s
