"""The experiments: the project of each, its trainings, and the approaches that are compared."""

import argparse
import asyncio
import json
import random
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.real_model.measure import measure
from benchmarks.real_model.stale import count_stale

from groundtune.errors import GroundtuneError
from groundtune.project import Project

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = '[models.default]\nkind = "local"\nmodel = "smollm2-135m"\nmax_output_tokens = {tokens}\n'
INTENT = "AddToPlaylist"
OBJECT_SPLITS = {"train": 72, "validation": 24, "test": 40}
UNTUNED = {"tuned": "prompt", "hybrid": "rag", "tuned-constrained": "constrained"}
"""Maps each trained approach to that of the untuned model with the same input."""
EDITED = 60
"""Replies of the model that are replaced by the reply of a person."""
FASTER_RATE = 1e-4
"""Ten times the learning rate that DPO has by default."""


def answers(folder: Path, options: argparse.Namespace) -> None:
    """Questions to the handbook, closed book and over passages; then ten documents change."""
    project = copy_example("handbook", folder / "answers", passages=3)
    _set(project, MODEL.format(tokens=64))
    _table(project, "closed_book", options.seeds)
    _table(project, "over_passages", options.seeds, context="retrieved", epochs=1)
    _open_to_everyone(project)
    measure(project, ("prompt", "fewshot", "rag", "tuned", "hybrid", "quote-hybrid"), untuned=UNTUNED)
    count_stale(project, options.seeds)


def tickets(folder: Path, options: argparse.Namespace) -> None:
    """Tickets to queues: the label as text, beside the encoder."""
    project = copy_example("triage", folder / "tickets")
    _set(project, MODEL.format(tokens=16))
    _table(project, "labels_as_text", options.seeds, epochs=1)
    names = ("prompt", "fewshot", "tuned:labels_as_text", "tuned:intents", "tuned:probe")
    measure(project, names, untuned={"tuned:labels_as_text": "prompt"})


def objects(folder: Path, options: argparse.Namespace) -> None:
    """Utterances of SNIPS to objects: untuned, with examples, constrained, tuned, and both."""
    if options.snips is None:
        raise SystemExit("objects needs --snips FOLDER")
    project = folder / "objects"
    project.mkdir(parents=True, exist_ok=True)
    _write(project / "examples.jsonl", _utterances(options.snips / INTENT))
    head = 'name = "objects"\ntask = "extract"\n[examples]\nfiles = ["examples.jsonl"]\n'
    (project / "groundtune.toml").write_text(head + MODEL.format(tokens=96), encoding="utf-8")
    _table(project, "objects", options.seeds, epochs=6)
    names = ("prompt", "fewshot", "constrained", "fewshot-constrained", "tuned", "tuned-constrained")
    measure(project, names, untuned=UNTUNED)


def letters(folder: Path, options: argparse.Namespace) -> None:
    """Replies to customers: the voice alone, and over retrieved facts."""
    project = _with_voice(folder / "letters", options.seeds)
    _table(project, "replies", options.seeds, context="retrieved", epochs=2)
    measure(project, ("prompt", "fewshot", "rag", "tuned", "hybrid"), untuned=UNTUNED)


def preferences(folder: Path, options: argparse.Namespace) -> None:
    """Edits of letters: the reply of a person is preferred to what the trained model wrote."""
    source, project = _with_voice(folder / "letters", options.seeds), folder / "preferences"
    with Project.open(source) as letters_project:
        letters_project.ingest()
        artifact = letters_project.tune("voice")
        print(f"trained voice: {artifact.metrics}", flush=True)
        base = source / ".groundtune" / "models" / artifact.id / artifact.details["serve"]["path"]
        if not project.exists():
            copy_example("letters", project, passages=3)
            rows = _rows(project / "letters.jsonl")
            edited = [row for row in rows if row["split"] == "train"][:EDITED]
            written = asyncio.run(_written(letters_project, [row["input"] for row in edited], f"tuned@{artifact.id}"))
            for row, text in zip(edited, written, strict=True):
                if text and text.strip() != row["output"].strip():
                    row["rejected"] = text
            _write(project / "letters.jsonl", rows)
    rows = _rows(project / "letters.jsonl")
    print(f"{sum('rejected' in row for row in rows)} edits", flush=True)
    text = (project / "groundtune.toml").read_text(encoding="utf-8")
    (project / "groundtune.toml").write_text(text.replace('model = "smollm2-135m"', f'model = "{base}"'), "utf-8")
    _table(project, "edits", options.seeds, mode="dpo", base=str(base), epochs=2)
    _table(project, "edits_faster", options.seeds, mode="dpo", base=str(base), epochs=2, learning_rate=FASTER_RATE)
    names = ("tuned:edits", "tuned:edits_faster")
    measure(project, ("prompt", *names), untuned=dict.fromkeys(names, "prompt"))


def wordings(folder: Path, options: argparse.Namespace) -> None:
    """Questions to the handbook over passages, untuned, in each built-in wording; none of the test split."""
    project = copy_example("handbook", folder / "wordings", passages=3)
    _set(project, MODEL.format(tokens=64))
    _set(project, '[compare]\nprompts = ["full", "short", "example"]\n')
    names = ("rag/short", "rag/example")
    for split in ("validation", "train"):
        print(f"the {split} split", flush=True)
        measure(project, ("rag", *names), untuned=dict.fromkeys(names, "rag"), split=split)


async def _written(project: Project, inputs: Sequence[str], approach: str) -> list[str | None]:
    """Return what an approach writes to each input; None where it fails."""
    asked = (project.aask(text, approach=approach) for text in inputs)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, GroundtuneError):
            raise answer
    return [None if isinstance(answer, BaseException) else answer.text for answer in answers]


def _with_voice(project: Path, seeds: int) -> Path:
    """Copy the letters, and add the training of the voice alone."""
    copy_example("letters", project, passages=3)
    _table(project, "voice", seeds, epochs=3)
    return project


def copy_example(example: str, project: Path, *, passages: int | None = None) -> Path:
    """Copy an example project without its own trainings of causal models. passages: in a prompt."""
    if not project.exists():
        ignored = shutil.ignore_patterns(".groundtune", "sources", "make_binaries.py")
        shutil.copytree(EXAMPLES / example, project, ignore=ignored)
        file = project / "groundtune.toml"
        text = file.read_text(encoding="utf-8").partition("\n# The voice alone")[0]
        if passages is not None:
            answers = f"\n[answers]\nmax_passages = {passages}\ncalibration_questions = 0\n"
            text = text.replace("[answers]\nmax_passages = 4\n", "") + answers
        file.write_text(text, encoding="utf-8")
    return project


def _set(project: Path, text: str) -> None:
    """Add a section to the project file, once."""
    file = project / "groundtune.toml"
    before = file.read_text(encoding="utf-8")
    if text.splitlines()[0] not in before:
        file.write_text(f"{before}\n{text}", encoding="utf-8")


def _table(project: Path, name: str, seeds: int, **settings: Any) -> None:
    """Add a training to the project file, once."""
    settings = {"kind": "lora", "base": "smollm2-135m", "seeds": seeds} | settings
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    _set(project, f"[tune.{name}]\n{lines}")


def _open_to_everyone(project: Path) -> None:
    """Leave out the questions of people with more access, so that everyone may use what is trained."""
    file = project / "examples.jsonl"
    _write(file, [row for row in _rows(file) if not row.get("groups")])


def _utterances(folder: Path) -> list[dict[str, Any]]:
    """Read utterances of one intent as examples: what it names, by field."""
    parts: dict[str, list[list[Mapping[str, str]]]] = {}
    for split, name in (("train", f"train_{INTENT}_full.json"), ("test", f"validate_{INTENT}.json")):
        (utterances,) = json.loads((folder / name).read_text(encoding="utf-8", errors="replace")).values()
        parts[split] = [utterance["data"] for utterance in utterances]
    random.Random(0).shuffle(parts["train"])
    count = OBJECT_SPLITS["train"]
    parts["validation"] = parts["train"][count : count + OBJECT_SPLITS["validation"]]
    return [
        _utterance(f"{split}-{at}", split, pieces)
        for split, limit in OBJECT_SPLITS.items()
        for at, pieces in enumerate(parts[split][:limit])
    ]


def _utterance(name: str, split: str, pieces: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    found = defaultdict[str, list[str]](list)
    for piece in pieces:
        if "entity" in piece:
            found[piece["entity"]].append(piece["text"].strip())
    text = "".join(piece["text"] for piece in pieces).strip()
    return {"id": name, "input": text, "output": dict(found), "split": split}


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
