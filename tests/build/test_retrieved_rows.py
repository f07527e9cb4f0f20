"""Training rows from what the real retriever finds in three documents: gold and distractors, sometimes no gold."""

import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from groundtune import build
from groundtune.approaches import prompts
from groundtune.approaches.context import RetrievedContext
from groundtune.approaches.output_formats import ObjectFormat, TextFormat
from groundtune.approaches.prompts import PASSAGES_ARE_DATA
from groundtune.build.resources import Resources
from groundtune.build.training_kinds.decontamination import Decontaminator
from groundtune.build.training_kinds.retrieved_rows import grounded_rows, retrieval_rows
from groundtune.citations.checking import check_citations
from groundtune.errors import MissingError
from groundtune.project import Project
from groundtune.tune.job import TrainingRow
from groundtune.types import Evidence, Example, Prompt, Question
from groundtune.workflows import tuning

pytestmark = pytest.mark.slow

HEAD = """name = "shop"
[documents]
include = ["docs/**/*"]
[[documents.access]]
include = ["docs/hr/**"]
groups = ["hr"]
"""
DOCS = {
    "docs/returns.md": "# Returns\n\n## How long\n\nA bike can be returned within 30 days of delivery. The customer "
    "pays the carriage.\n\n## Refunds\n\nRefunds go to the card that was used, within ten working days.\n",
    "docs/hours.md": "# Opening hours\n\nThe Marrowby store is open from 9 to 17 on weekdays and closed on Sundays.\n",
    "docs/hr/pay.md": "# Salary bands\n\nBand C starts at 31,000 pounds a year.\n",
}
RETURNED = Evidence("docs/returns.md", "within 30 days of delivery")
BAND = Evidence("docs/hr/pay.md", "starts at 31,000 pounds")
Shop = Callable[..., "Opened"]


class Opened:
    """An ingested project, with calls run on its event loop."""

    def __init__(self, folder: Path, toml: str, docs: dict[str, str]) -> None:
        for path, text in {"groundtune.toml": HEAD + toml, **docs}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self.folder = folder
        self.project = Project.open(folder)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.project.loop.run(work)

    @property
    def resources(self) -> Resources:
        async def current() -> Resources:
            async with self.project.session.resources() as resources:
                return resources

        resources: Resources = self.run(current())
        return resources

    def grounded(self, *examples: Example, seed: int = 0, output_format: Any = None, **more: Any) -> list[TrainingRow]:
        resources = self.resources
        output_format = output_format or resources.output_format
        rows: list[TrainingRow] = self.run(
            grounded_rows(self.project.config, resources, output_format, examples, seed=seed, **more)
        )
        return rows

    def retrieval(self, *examples: Example, negatives: int = 3, **more: Any) -> list[TrainingRow]:
        rows: list[TrainingRow] = self.run(retrieval_rows(self.resources, examples, negatives=negatives, **more))
        return rows


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shops: list[Opened] = []

    def shop(toml: str = "", *, docs: dict[str, str] = DOCS, ingest: bool = True) -> Opened:
        shops.append(Opened(tmp_path_factory.mktemp("shop"), toml, docs))
        if ingest:
            shops[-1].project.ingest()
        return shops[-1]

    yield shop
    for opened in shops:
        opened.project.close()


@pytest.fixture(scope="module")
def shop(make: Shop) -> Opened:
    return make()


def example(
    text: str = "How long may I keep a bike before I send it back?",
    output: Any = "30 days",
    evidence: Sequence[Evidence] = (RETURNED,),
    *,
    number: int = 0,
    groups: Sequence[str] = (),
) -> Example:
    return Example(f"q{number}", text, output, tuple(evidence), "train", groups=tuple(groups))


def many(count: int) -> list[Example]:
    return [example(f"How long may I keep bike number {n} before I send it back?", number=n) for n in range(count)]


def shown(row: TrainingRow) -> str:
    return row.messages[-2]["content"]


def reply(row: TrainingRow) -> str:
    return row.messages[-1]["content"]


# -- chats over passages -------------------------------------------------------------------------------------------


def test_a_row_shows_gold_and_distractors_and_cites_the_gold(shop: Opened) -> None:
    answered = [row for row in shop.grounded(*many(8)) if reply(row) != prompts.NOT_FOUND]
    assert answered
    for row in answered:
        assert [turn["role"] for turn in row.messages] == ["system", "user", "assistant"]
        assert {"docs/returns.md", "docs/hours.md"} <= set(re.findall(r"\[\d\] <passage>\n(\S+)", shown(row)))
        number = re.fullmatch(r"A bike can be returned within 30 days of delivery \[(\d)\]\.", reply(row))
        assert number, reply(row)
        place = shown(row).index(f"[{number[1]}] <passage>\ndocs/returns.md")
        assert "within 30 days of delivery" in shown(row)[place:]
        assert row.output == reply(row)
        assert row.messages[0]["content"].startswith("Answer the question from the numbered passages")


def test_a_written_reply_over_passages_is_the_gold_text_without_markers(shop: Opened) -> None:
    letter = "Dear Ann,\n\nyou have 30 days.\n\nBest wishes"
    output_format = TextFormat("Write letters.")
    asked, unproven, unknown = shop.grounded(
        example(output=letter),
        example("Write to Bo.", letter, (), number=1),
        example("Write to Cy.", letter, (Evidence("docs/returns.md", "for nine years"),), number=2),
        example("Write to nobody.", None, (), number=3),
        output_format=output_format,
    )
    assert (reply(asked), reply(unproven), reply(unknown)) == (letter, letter, "")
    assert [row.id for row in (asked, unproven, unknown)] == ["q0", "q1", "q3"]
    assert "within 30 days of delivery" in shown(asked)
    assert shown(asked).endswith("Input: How long may I keep a bike before I send it back?")
    assert asked.messages[0]["content"] == f"{output_format.rules(grounded=True)}\n\n{PASSAGES_ARE_DATA}"


def test_an_object_over_passages_is_the_gold_object(shop: Opened) -> None:
    output_format = ObjectFormat({"type": "object"})
    (row,) = shop.grounded(example(output={"days": 30}), output_format=output_format)
    assert (reply(row), row.output) == ('{"days": 30}', '{"days": 30}')


def test_every_citation_passes_the_check_applied_to_answers(shop: Opened) -> None:
    resources = shop.resources
    assert resources.index is not None
    gather = RetrievedContext(resources.index.retriever, resources.index.document, passages=6)
    for source_example, row in zip(many(8), shop.grounded(*many(8)), strict=True):
        if reply(row) == prompts.NOT_FOUND:
            continue
        _, citations = check_citations(reply(row), shop.run(gather.gather(Question(source_example.input))))
        assert [citation.support for citation in citations] == ["exact"]
        assert citations[0].source == "docs/returns.md"


def test_the_cited_sentence_is_cut_in_the_language_of_the_project(make: Shop) -> None:
    rules = "# Anträge\n\nAnträge werden bis zum 3. Mai im Büro angenommen. Danach ist das Büro geschlossen.\n"
    office = make(docs={"groundtune.toml": f'language = "german"\n{HEAD}', "docs/regeln.md": rules})
    gold = Evidence("docs/regeln.md", "Mai im Büro")
    examples = [
        example(f"Bis wann werden Anträge von Gruppe {n} angenommen?", "3. Mai", (gold,), number=n) for n in range(4)
    ]
    replies = {reply(row) for row in office.grounded(*examples)} - {prompts.NOT_FOUND}
    assert replies == {"Anträge werden bis zum 3. Mai im Büro angenommen [1]."}


def test_some_rows_lack_the_gold_and_there_the_model_must_abstain(shop: Opened) -> None:
    rows = shop.grounded(*many(60))
    without = [row for row in rows if reply(row) == prompts.NOT_FOUND]
    assert 0.05 < len(without) / 60 < 0.35
    assert all("within 30 days" not in shown(row) for row in without)
    assert all("docs/hours.md" in shown(row) for row in without), "the distractors stay"
    assert all("within 30 days" in shown(row) for row in rows if row not in without)


def test_the_seed_alone_decides_which_rows_lack_the_gold(shop: Opened) -> None:
    first = shop.grounded(*many(30), seed=1)
    assert first == shop.grounded(*many(30), seed=1)
    assert [reply(row) for row in first] != [reply(row) for row in shop.grounded(*many(30), seed=2)]


def test_training_prompts_match_those_of_hybrid(shop: Opened) -> None:
    sent: list[Prompt] = []

    class Spy:
        name = "spy"

        async def generate(self, prompt: Prompt) -> Any:
            sent.append(prompt)
            raise MissingError("enough")

    resources, config = shop.resources, shop.project.config
    assert resources.index is not None
    gather = RetrievedContext(resources.index.retriever, resources.index.document, passages=config.answers.max_passages)
    hybrid = build.compose_approach(config, "hybrid", Spy(), output_format=resources.output_format, context=gather)
    answerable = example()
    row = next(
        row for seed in range(20) for row in shop.grounded(answerable, seed=seed) if reply(row) != prompts.NOT_FOUND
    )
    with pytest.raises(MissingError):
        shop.run(hybrid.answer(Question(answerable.input)))
    assert [(turn["role"], turn["content"]) for turn in row.messages[:-1]] == [
        (message.role, message.content) for message in sent[0].messages
    ]


def test_rows_contain_only_passages_the_asker_may_read(shop: Opened) -> None:
    text, gold = "What does band C earn in a year?", "31,000 pounds"
    (outside,) = shop.grounded(example(text, gold, [BAND]))
    assert "31,000" not in shown(outside)
    assert reply(outside) == prompts.NOT_FOUND
    inside = [shop.grounded(example(text, gold, [BAND], groups=["hr"]), seed=seed)[0] for seed in range(8)]
    cited = [row for row in inside if reply(row) != prompts.NOT_FOUND]
    assert cited
    assert all("31,000 pounds a year" in shown(row) and "31,000" in reply(row) for row in cited)


def test_unanswerable_examples_become_abstentions_over_passages(shop: Opened) -> None:
    (row,) = shop.grounded(example("Do you deliver to Iceland?", None, []))
    assert reply(row) == prompts.NOT_FOUND
    assert "[1] <passage>\ndocs/" in shown(row)


def test_an_answer_without_evidence_is_not_taught_as_an_abstention(shop: Opened) -> None:
    rows = shop.grounded(example(evidence=[]))
    assert [reply(row) for row in rows if reply(row) == prompts.NOT_FOUND] == []


def test_no_row_abstains_over_the_gold_passage(shop: Opened) -> None:
    quote = "A bike can be returned within thirty days after it came"  # half of its words stand there in one run
    for row in shop.grounded(example(evidence=[Evidence("docs/returns.md", quote)])):
        assert reply(row) != prompts.NOT_FOUND or "can be returned within 30 days" not in shown(row)


def test_the_answer_is_gone_from_all_documents_when_the_model_must_abstain(make: Shop) -> None:
    faq = "# Questions\n\n## Can I send it back?\n\nYes. A bike can be returned within 30 days of delivery. Call us.\n"
    shop = make(docs={**DOCS, "docs/faq.md": faq})
    without = [row for row in shop.grounded(*many(30)) if reply(row) == prompts.NOT_FOUND]
    assert without
    assert not [row for row in without if "within 30 days of delivery" in shown(row)]


def test_without_an_index_there_are_no_rows(make: Shop) -> None:
    shop = make(ingest=False)
    with pytest.raises(MissingError, match="no index yet") as caught:
        shop.grounded(example())
    assert caught.value.hint == "groundtune ingest"
    with pytest.raises(MissingError, match="no index yet"):
        shop.retrieval(example())


# -- test examples among the documents -----------------------------------------------------------------------------

EXPORTED = """id,input,output
e1,"How long may I keep a bike, please, before I send it BACK?",30 days
e2,When does the shop open in the morning on weekdays?,at nine
e3,How long is it?,30 days
"""
TEST = [
    Example("e1", "How long may I keep a bike, please, before I send it back", ["a month", "30 days"], split="test"),
    Example("e2", "When does the shop open in the morning on weekdays?", "at ten", split="test"),
    Example("e3", "How long is it?", "30 days", split="test"),
]


def test_a_test_example_that_is_a_document_is_not_trained_on(make: Shop) -> None:
    shop = make("[answers]\nmax_passages = 2\n", docs={**DOCS, "docs/exported.csv": EXPORTED})
    with_it = shop.grounded(*many(4))
    assert all("please, before I send it BACK" in shown(row) for row in with_it), "it is the best hit"
    decontaminator = Decontaminator(TEST)
    without = shop.grounded(*many(4), decontaminator=decontaminator)
    assert [row.id for row in without] == ["q0", "q1", "q2", "q3"]
    for row in without:
        assert "send it BACK" not in shown(row)
        assert len(re.findall(r"^\[\d\] ", shown(row), re.MULTILINE)) == 2 or reply(row) == prompts.NOT_FOUND
        assert "docs/exported.csv#e1" not in row.sources
    assert decontaminator.leaks == {"docs/exported.csv#e1": ("e1",)}, "other answers and short questions are no proof"
    negatives = shop.retrieval(*many(1), negatives=20, decontaminator=Decontaminator(TEST[:1]))[0].negatives
    assert negatives
    assert "send it BACK" not in " ".join(negatives)


def test_gold_only_beside_a_test_example_does_not_count_as_missing(make: Shop) -> None:
    faq = "# Q\n\nMay a bike come back after a month? Yes. A bike can be returned within 30 days of delivery.\n"
    shop = make(docs={"docs/faq.md": faq, "docs/hours.md": DOCS["docs/hours.md"]})
    train_example = example(evidence=[Evidence("docs/faq.md", "within 30 days of delivery")])
    assert [row.id for row in shop.grounded(train_example)] == ["q0"]
    test_example = Example("e", "May a bike come back after a month?", "yes", split="test")
    assert shop.grounded(train_example, decontaminator=Decontaminator([test_example])) == []


def test_the_preflight_names_documents_that_hold_test_examples(make: Shop) -> None:
    lines = LINE % ("q", QUESTION, "train") + LINE % ("v", f"{QUESTION} by post", "validation")
    lines += LINE % ("e1", TEST[0].input, "test")
    shop = make(FINDER, docs={**DOCS, "q.jsonl": lines, "docs/exported.csv": EXPORTED})
    warnings = shop.project.preflight("x").warnings
    (leak_warning,) = [warning for warning in warnings if "question and answer" in warning.message]
    assert leak_warning.message.startswith(
        "test: 1 row with question and answer in indexed documents (docs/exported.csv);"
    )
    assert (leak_warning.rows, leak_warning.check) == (("e1",), "leakage")


# -- what the rows are made of -------------------------------------------------------------------------------------

LORA = '[examples]\nfiles = ["q.jsonl"]\n[tune.x]\nkind = "lora"\nbase = "tiny"\ncontext = "retrieved"\n'
FINDER = '[examples]\nfiles = ["q.jsonl"]\n[tune.x]\nkind = "retriever"\n'
LINE = (
    '{"id": "%s", "input": "%s", "output": "30 days", "split": "%s", "groups": ["hr"], '
    '"evidence": [{"source": "docs/returns.md", "quote": "within 30 days of delivery"}]}\n'
)
QUESTION = "How long may I keep a bike before I send it back"


def prepared(shop: Opened) -> Any:
    validation = [example for example in shop.project.session.examples() if example.split == "validation"]
    project = shop.project
    return shop.run(tuning.build_job(project.workspace, project.config, shop.resources, "x", validation=validation))


def test_the_documents_of_distractors_are_known_to_be_seen(make: Shop) -> None:
    shop = make(LORA, docs={**DOCS, "q.jsonl": LINE % ("q", QUESTION, "train")})
    job, train, _ = prepared(shop)
    sources = {source for row in train for source in re.findall(r"\[\d\] <passage>\n(docs/\S+)", shown(row))}
    assert "docs/hours.md" in sources
    assert sources <= set(job.details["documents"])


def test_restricted_passages_are_refused_as_distractors_too(make: Shop) -> None:
    lines = LINE % ("q", QUESTION, "train") + LINE % ("v", f"{QUESTION} by post", "validation")
    shop = make(FINDER, docs={**DOCS, "q.jsonl": lines})
    _, train, _ = prepared(shop)
    assert any("31,000 pounds" in text for row in train for text in row.negatives)
    assert "access" in [error.check for error in shop.project.preflight("x").errors]


def test_an_empty_validation_split_is_not_reported_as_missing_evidence(make: Shop) -> None:
    shop = make(FINDER, docs={**DOCS, "q.jsonl": LINE % ("q", QUESTION, "train")})
    _, train, validation = prepared(shop)
    assert (len(train), validation) == (1, [])


# -- questions with passages ---------------------------------------------------------------------------------------


def test_a_question_has_the_passages_of_its_evidence_and_the_best_of_the_others(shop: Opened) -> None:
    (row,) = shop.retrieval(example())
    assert (row.id, row.output, row.messages) == ("q0", None, ())
    assert [("within 30 days of delivery" in text) for text in row.positives] == [True]
    assert row.negatives
    assert all("within 30 days" not in text and "31,000" not in text for text in row.negatives)
    assert not set(row.positives) & set(row.negatives)
    (most,) = shop.retrieval(example(), negatives=1)
    assert most.negatives == row.negatives[:1]
    assert shop.retrieval(example(), negatives=0)[0].negatives == ()


def test_passages_of_groups_are_negatives_only_for_those_who_may_read_them(shop: Opened) -> None:
    def texts(*groups: str) -> str:
        return " ".join(shop.retrieval(example(groups=groups), negatives=20)[0].negatives)

    assert "31,000" not in texts()
    assert "31,000" in texts("hr")


def test_a_passage_with_the_answer_is_never_a_negative(make: Shop) -> None:
    shop = make(docs={**DOCS, "docs/faq.md": DOCS["docs/returns.md"], "docs/zfaq.md": DOCS["docs/returns.md"]})
    for source in ("docs/returns.md", "docs/faq.md", "docs/zfaq.md"):
        for row in shop.retrieval(example(evidence=[Evidence(source, RETURNED.quote)])):
            assert not [text for text in row.negatives if "within 30 days of delivery" in text]


def test_passages_are_read_as_the_index_embeds_them(shop: Opened) -> None:
    (row,) = shop.retrieval(example())
    assert row.positives[0].startswith("Returns > How long\nA bike can be returned")
    (row,) = shop.run(retrieval_rows(shop.resources, [example()], negatives=3, part="reranker"))
    assert row.positives[0].startswith("Returns > How long\nA bike can be returned"), "heading path and text"


def test_the_served_ranking_can_be_rebuilt_from_the_rows(shop: Opened) -> None:
    """The cosines of the row texts and the BM25 scores in the rows give the same order as the retriever."""
    resources = shop.resources
    assert resources.index is not None
    examples = [example(), example("When is the Marrowby store open?", "9 to 17", [RETURNED], number=1, groups=["hr"])]
    rows = shop.run(retrieval_rows(resources, examples, negatives=3, measured=True))
    texts: dict[str, str] = {}
    for row in rows:
        assert not texts.keys() & row.ranking.texts.keys(), "each text is given once"
        texts.update(row.ranking.texts)
    assert [len(row.ranking.found) for row in rows] == [3, 4], "pay is for hr alone"
    weight = resources.index.retriever.dense_weight
    for source_example, row in zip(examples, rows, strict=True):
        vectors = shop.run(resources.index.embedder.embed([texts[key] for key in row.ranking.found]))
        cosines = vectors @ shop.run(resources.index.embedder.embed_queries([source_example.input]))[0]
        lexical = [row.ranking.lexical.get(key, row.ranking.floor) for key in row.ranking.found]
        scores = [weight * float(a) + (1 - weight) * b for a, b in zip(cosines, lexical, strict=True)]
        assert scores == sorted(scores, reverse=True)
    (unmeasured,) = shop.retrieval(example())
    assert unmeasured.ranking is not None
    assert unmeasured.ranking.found == ()


def test_the_embedder_in_use_is_the_base(make: Shop) -> None:
    lines = LINE % ("q", QUESTION, "train") + LINE % ("v", f"{QUESTION} by post", "validation")
    shop = make(FINDER + "[retrieval]\ndense_weight = 0.7\n", docs={**DOCS, "q.jsonl": lines})
    job, _, validation = prepared(shop)
    assert job.base == "bundled"
    assert (job.details["embedder"], job.details["dense_weight"], job.details["dense_weight_fixed"]) == (
        "bundled",
        0.7,
        True,
    )
    (row,) = validation
    assert len(row.ranking.found) == 4
