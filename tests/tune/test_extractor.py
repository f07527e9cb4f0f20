"""Train a tiny extractor for real: what is aligned, learned, saved, and resumed after a kill."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.build.training_kinds import training_kind
from groundtune.errors import MissingError
from groundtune.models.extractor_generator import ExtractorGenerator, _scores
from groundtune.models.span_decoding import (
    ANY_ITEM,
    Field,
    Layout,
    Span,
    build_object,
    decode_spans,
    encode_tags,
    group_tokens,
    layout_from_json,
    layout_to_json,
    viterbi,
)
from groundtune.tune.artifacts import read_artifact, verify_artifact
from groundtune.tune.encoders import extractor
from groundtune.tune.encoders.align import align, candidates, empty_object
from groundtune.tune.job import Job, TrainingResult, TrainingRow, TrainingStep, TuneError, read_progress, write_job
from groundtune.tune.worker import run_training
from tests.tune.encoders import FILLERS, SETTINGS, STRANGE, WORDS, tiny_encoder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),
]

INTENTS = {"pay": "money refund reimburse paid", "move": "parcel courier shipped arrive"}
SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["pay_now", "move_it"]},
        "place": {"type": ["string", "null"]},
        "count": {"type": "integer"},
        "words": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["intent", "place", "words"],
}


def objects(n: int, *, seed: int, empty: int = 0) -> list[TrainingRow]:
    """Return rows such as `12 Volcano shipped …`: an intent that is not in the text, a place, sometimes a count, a list
    of words.
    """
    rng = random.Random(seed)
    rows = []
    for number in range(n):
        intent = rng.choice(["pay", "move"])
        place, count = rng.choice(STRANGE).title(), rng.choice([None, rng.randint(2, 90)])
        words = rng.sample(WORDS["password"].split(), rng.randint(0, 2))
        text_words = [
            rng.choice(INTENTS[intent].split()),
            *rng.sample(FILLERS, 3),
            place,
            *rng.sample(FILLERS, 2),
            *words,
        ]
        text_words += [str(count)] if count else []
        output = {"intent": {"pay": "pay_now", "move": "move_it"}[intent], "place": place, "words": words}
        rows.append(
            TrainingRow(f"{seed}-{number}", " ".join(text_words), {**output, **({"count": count} if count else {})})
        )
    return [*rows, *(TrainingRow(f"none-{seed}-{n}", " ".join(rng.sample(FILLERS, 4)), None) for n in range(empty))]


def extractor_job(
    folder: Path,
    base: Path,
    *,
    train: Sequence[TrainingRow] | None = None,
    validation: Sequence[TrainingRow] | None = None,
    schema: Any = SCHEMA,
    **settings: Any,
) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(folder, "fields", "extractor", str(base), {**SETTINGS, "epochs": 12, **settings}, {"schema": schema})
    write_job(
        job,
        objects(120, seed=1, empty=12) if train is None else train,
        objects(30, seed=2, empty=5) if validation is None else validation,
    )
    return job


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


def run(job: Job) -> tuple[TrainingResult, list[TrainingStep]]:
    steps: list[TrainingStep] = []
    return extractor.train(job, steps.append), steps


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_it_learns(mode: str, base: Path, tmp_path: Path) -> None:
    trained, steps = run(extractor_job(tmp_path / "job", base, mode=mode))
    assert trained.metrics["span_f1"] >= 0.9
    assert trained.metrics["exact"] >= 0.7
    assert trained.unusable is None
    assert trained.files == ("model",)
    assert trained.details["parity"]["difference"] <= 1e-3
    assert trained.details["chosen"] == {"intent": 3}
    assert sorted(trained.details["spans"]) == ["count", "place", "words[]"]
    assert trained.details["unaligned"] == {}
    assert "1 classified: intent" in steps[0].note
    assert not (tmp_path / "job" / "checkpoint").exists()


def test_the_saved_model_matches_the_trained_one(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    real = extractor.write_model
    texts = [row.input for row in objects(8, seed=9, empty=2)]

    def spied(folder: Path, encoder: Any, heads: Any, **about: Any) -> None:
        layout = layout_from_json(about["config"]["layout"])
        given = extractor.tokenize(encoder, texts, layout)
        kept["scores"] = extractor.predict_scores(encoder, heads, given, exact=True)
        kept["said"] = extractor.predictions_of(encoder, heads, layout, texts, given, exact=True)
        real(folder, encoder, heads, **about)

    monkeypatch.setattr(extractor, "write_model", spied)
    for kind in ("bert", "distilbert"):
        job = extractor_job(tmp_path / kind, tiny_encoder(tmp_path / f"base-{kind}", kind=kind), epochs=2)
        trained, _ = run(job)
        model = ExtractorGenerator(job.folder, trained.details)
        for (tags, choices), (wanted, others) in zip(
            _scores(model._load(), *model._read(model._load(), texts)), kept["scores"], strict=True
        ):
            assert np.abs(tags - wanted).max() <= 1e-3
            assert np.abs(choices[0] - others[0]).max() <= 1e-3
        assert [extracted.output for extracted in model.extract(texts)] == [
            extracted.output for extracted in kept["said"]
        ]


def test_the_worker_writes_an_artifact_last(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = extractor_job(tmp_path / "job", base, epochs=1)
    real = extractor.write_model

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extractor, "write_model", fails)
    assert run_training(job.folder, training_kind) == 1
    assert not (job.folder / "artifact.json").exists()
    monkeypatch.setattr(extractor, "write_model", real)
    assert run_training(job.folder, training_kind) == 0
    artifact = read_artifact(job.folder)
    verify_artifact(job.folder, artifact)
    assert {"model/extractor.json", "model/heads.safetensors"} <= set(artifact.files)


WAITS = """
import sys, time
from pathlib import Path
from groundtune.build.training_kinds import training_kind
from groundtune.tune.encoders import training_loop as encoder_fit
from groundtune.tune.worker import run_training
encoder_fit.SAVE_SECONDS = encoder_fit.REPORT_SECONDS = 0.0
real = encoder_fit._EncoderTraining.one_step
def waits(self, places):
    while self.progress.step == 10:
        time.sleep(0.02)
    return real(self, places)
encoder_fit._EncoderTraining.one_step = waits
sys.exit(run_training(Path(sys.argv[1]), training_kind))
"""


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_killed_and_resumed_training_ends_the_same(mode: str, base: Path, tmp_path: Path) -> None:
    whole, cut = (extractor_job(tmp_path / name, base, mode=mode, epochs=2) for name in ("whole", "cut"))
    assert run_training(whole.folder, training_kind) == 0
    process = subprocess.Popen([sys.executable, "-c", WAITS, str(cut.folder)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while max((step_seen.step for step_seen in read_progress(cut.folder)), default=0) < 10:
        assert process.poll() is None, (cut.folder / "failure.json").read_text()
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(600) == -signal.SIGKILL
    assert not (cut.folder / "artifact.json").exists()
    other = extractor_job(tmp_path / "cut", base, mode=mode, epochs=3)
    with pytest.raises(TuneError, match="made with different data, settings or base model"):
        run(other)
    extractor_job(tmp_path / "cut", base, mode=mode, epochs=2)
    assert run_training(cut.folder, training_kind) == 0
    uninterrupted, resumed = read_artifact(whole.folder), read_artifact(cut.folder)
    assert resumed.details["resumed"] == [10]
    assert any("resumed after step" in step.note for step in read_progress(cut.folder))
    assert resumed.details["steps"] == uninterrupted.details["steps"]
    assert resumed.details["final_loss"] == pytest.approx(uninterrupted.details["final_loss"], abs=1e-3)
    assert resumed.metrics == pytest.approx(dict(uninterrupted.metrics), abs=1e-3)


def test_a_loss_that_is_not_finite(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = extractor._loss, [0]

    def loss(*args: Any) -> Any:
        calls[0] += 1
        return real(*args) * (math.nan if calls[0] > after else 1)

    monkeypatch.setattr(extractor, "_loss", loss)
    after = 0
    with pytest.raises(TuneError, match="NaN or infinite at step 0"):
        run(extractor_job(tmp_path / "none", base))
    job, after, calls[0] = extractor_job(tmp_path / "some", base, epochs=6), 60, 0
    trained, steps = run(job)
    assert trained.details["stopped"] == "loss"
    assert 0 < trained.details["best_step"] <= 60
    assert trained.unusable is None
    assert any("NaN or infinite" in step.note for step in steps)


def test_a_missing_base_and_outputs_that_are_no_objects(base: Path, tmp_path: Path) -> None:
    for train in (extractor.estimate, lambda job: extractor.train(job, lambda _: None)):
        with pytest.raises(MissingError, match="no model at"):
            train(extractor_job(tmp_path / "a", tmp_path / "nowhere"))  # type: ignore[operator]
    with pytest.raises(TuneError, match="the output of row x is not an object: str"):
        run(extractor_job(tmp_path / "b", base, train=[TrainingRow("x", "text", "label")]))
    with pytest.raises(TuneError, match="no example has a value"):
        run(extractor_job(tmp_path / "c", base, train=[TrainingRow("x", "text", None)]))
    bounds = extractor.estimate(extractor_job(tmp_path / "d", base))
    assert bounds.usd == 0.0
    assert bounds.seconds


def test_without_validation_rows_and_with_a_time_limit(base: Path, tmp_path: Path) -> None:
    trained, _ = run(extractor_job(tmp_path / "job", base, validation=[], epochs=100, max_minutes=1e-6))
    assert trained.metrics == {}
    assert trained.details["stopped"] == "max_minutes"
    long = [TrainingRow("long", "volcano " * 100, {"place": "volcano"})]
    with pytest.raises(TuneError, match="1 of 1 row longer than 64 tokens would"):
        run(extractor_job(tmp_path / "long", base, train=long))


def test_values_are_found_as_they_are_written() -> None:
    text = "Send 1,200 LARGE  boxes and two bags to New York, not New Jersey; 12 of 1200."
    assert [text[a:b] for a, b in candidates(text, 1200, "integer")] == ["1,200", "1200"]
    assert [text[a:b] for a, b in candidates(text, 2, "integer")] == ["two"]
    assert [text[a:b] for a, b in candidates(text, "large boxes", "string")] == ["LARGE  boxes"]
    assert [text[a:b] for a, b in candidates(text, "new", "string")] == ["New", "New"]
    assert candidates(text, "bo", "string") == []
    assert candidates("1.234,5 €", 1234.5, "number", comma=True) == [(0, 7)]
    assert candidates("at 3pm", 3, "integer") == [(3, 4)]
    assert candidates("from -4 to 4", -4, "integer") == [(5, 7)]


def test_an_ambiguous_value_is_placed_beside_the_usual_words() -> None:
    rows: list[tuple[str, Any]] = [(f"table for {n} at {n + 3} pm", {"people": n, "hour": n + 3}) for n in range(2, 9)]
    aligned = align([*rows, ("at 5 pm a table for 5", {"people": 5, "hour": 5})], None)
    names = [field.path[0] for field in aligned.layout.fields]
    assert {names[span.field]: span.start for span in aligned.spans[-1]} == {"hour": 3, "people": 20}


def test_values_that_cannot_be_learned_are_counted_or_refused() -> None:
    rows: list[tuple[str, Any]] = [(f"red car number {n}", {"colour": "red", "note": f"secret {n}"}) for n in range(6)]
    aligned = align([*rows, ("a blue one", {"colour": "blue"}), ("no colour", {"colour": "blue"})], None)
    assert aligned.unaligned == {"note": 6, "colour": 1}
    with pytest.raises(TuneError, match=r"14 of 21 values not found in .* \(a 7, b 7\)"):
        align([(f"x {n}", {"a": f"p{n}", "b": f"q{n}", "c": "x"}) for n in range(7)], None)


def test_objects_in_lists_and_what_the_schema_requires() -> None:
    schema = {
        "properties": {
            "items": {"type": "array", "items": {"properties": {"n": {"type": "integer"}, "what": {"type": "string"}}}},
            "from": {"$ref": "#/$defs/who"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["items", "note", "from"],
        "$defs": {"who": {"type": "object", "properties": {"name": {"type": "string"}}}},
    }
    output = {"items": [{"n": 2, "what": "tea"}, {"n": 3, "what": "rum"}], "from": {"name": "Ann"}, "note": None}
    text = "Ann wants 2 tea and 3 rum"
    aligned = align([(text, output)], schema)
    assert empty_object(schema) == {"items": [], "note": None, "from": {}}
    assert build_object(aligned.layout, text, aligned.spans[0], []) == output
    assert build_object(aligned.layout, text, [], []) is None
    assert aligned.unaligned == {}


def test_a_list_that_is_left_out_around_a_single_value() -> None:
    rows: list[tuple[str, Any]] = [("tea and rum", {"what": ["tea", "rum"]}), ("no tea", {"what": "tea"})]
    aligned = align(rows, None)
    for (text, output), spans in zip(rows, aligned.spans, strict=True):
        assert build_object(aligned.layout, text, spans, []) == output
    assert layout_from_json(json.loads(json.dumps(layout_to_json(aligned.layout)))) == aligned.layout


def test_of_two_values_for_one_field_the_more_confident_wins() -> None:
    layout = Layout((Field(("size",), allowed=("small", "large")), Field(("n", ANY_ITEM), "integer")), (), {})
    spans = [Span(0, 0, 5, -2.0), Span(0, 6, 12, -0.1), Span(1, 13, 15), Span(1, 16, 19)]
    assert build_object(layout, "Small larger 12 two", spans, []) == {"size": "large", "n": [12, 2]}
    assert json.dumps(build_object(layout, "green", [Span(0, 0, 5)], [])) == "null"


def test_the_most_likely_tag_sequence_is_decoded() -> None:
    draw = np.random.default_rng(0)
    allowed = [(a, b) for a in range(5) for b in range(5) if b in (0, 1, 3) or a in (b - 1, b)]
    for _ in range(20):
        scores = draw.normal(size=(4, 5)) * 3
        rows = [row for row in product(range(5), repeat=4) if row[0] not in (2, 4) and set(pairwise(row)) <= {*allowed}]
        best = max(rows, key=lambda row: sum(scores[place, tag] for place, tag in enumerate(row)))
        assert viterbi(scores) == list(best)
    assert viterbi(np.zeros((0, 5))) == []


def test_words_or_pieces_carry_tags() -> None:
    text = "at  3pm Rome"
    offsets, words = [(0, 0), (0, 2), (4, 5), (5, 7), (7, 12), (0, 0)], [None, 0, 1, 1, 2, None]
    by_word, by_piece = (group_tokens(offsets, words, text=text, by=by) for by in ("word", "piece"))  # type: ignore[arg-type]
    assert [text[unit.start : unit.end] for unit in by_word] == ["at", "3pm", "Rome"]
    assert [text[unit.start : unit.end] for unit in by_piece] == ["at", "3", "pm", "Rome"]
    gold = [Span(0, 4, 5), Span(1, 8, 12)]
    assert decode_spans(encode_tags(gold, by_piece), by_piece) == gold
    assert decode_spans(encode_tags(gold, by_word), by_word) == [Span(0, 4, 7), Span(1, 8, 12)]
