"""Build pages like those of a comparison: the example handbook with six simulated approaches, hard texts, labels."""

import json
import random
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

HANDBOOK = Path(__file__).parents[2] / "examples" / "handbook"

APPROACHES: dict[str, dict[str, float]] = {
    "rag-large": {"skill": 0.86, "usd": 0.0021, "seconds": 1.9, "errors": 0.01, "cites": 0.95},
    "hybrid-small": {"skill": 0.83, "usd": 0.0004, "seconds": 0.8, "errors": 0.0, "cites": 0.93},
    "rag-small": {"skill": 0.78, "usd": 0.00035, "seconds": 0.9, "errors": 0.02, "cites": 0.9},
    "fewshot-large": {"skill": 0.6, "usd": 0.0026, "seconds": 2.4, "errors": 0.05, "cites": 0.0},
    "tuned-small": {"skill": 0.56, "usd": 0.00012, "seconds": 0.4, "errors": 0.0, "cites": 0.0},
    "prompt-small": {"skill": 0.34, "usd": 0.0001, "seconds": 0.5, "errors": 0.0, "cites": 0.0},
}
KINDS = ("rag", "hybrid", "context", "fewshot", "fewshot-fixed", "tuned", "prompt")
SENTENCE = "Use hybrid-small: as correct as rag-large as far as these examples can tell, at a fifth of the price."


def passages() -> dict[str, dict[str, Any]]:
    """Paragraphs of the Markdown files of the handbook, with their offsets."""
    passages_by_id: dict[str, dict[str, Any]] = {}
    for path in sorted(HANDBOOK.glob("docs/**/*.md")):
        text, source = path.read_text(encoding="utf-8"), path.relative_to(HANDBOOK).as_posix()
        title, heading, at = "", "", 0
        for block in text.split("\n\n"):
            if block.startswith("# "):
                title = block[2:].split("\n")[0]
            elif block.startswith("#"):
                heading = block.lstrip("# ").split("\n")[0]
            elif block.strip() and not block.startswith(("---", "|")):
                path_of = " > ".join(filter(None, (title, heading)))
                passages_by_id[f"{source}:{at}"] = {
                    "source": source, "heading": path_of, "page": None, "start": at, "text": block,
                }  # fmt: skip
            at += len(block) + 2
    return passages_by_id


def answer_page(examples: int | None = None, *, seed: int = 7) -> dict[str, Any]:
    """A comparison on the handbook; more examples than it has repeat it under other ids."""
    chance = random.Random(seed)
    known = passages()
    rows = [json.loads(line) for line in (HANDBOOK / "examples.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if all(proof["source"].endswith(".md") for proof in row["evidence"])]
    rows = [rows[at % len(rows)] | {"id": _id(rows, at)} for at in range(examples or len(rows))]
    cells = {row["id"]: {name: _cell(row, name, known, chance) for name in APPROACHES} for row in rows}
    return page_of(rows, cells, known)


def page_of(
    rows: list[dict[str, Any]], cells: dict[str, dict[str, Any]], known: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Summaries, pairs and tags computed from the cells; the intervals are rough, which is enough for drawing."""
    names = list(next(iter(cells.values()))) if cells else list(APPROACHES)
    summaries = [_summary(name, [row[name] for row in cells.values() if name in row]) for name in names]
    summaries.sort(key=lambda summary: -(summary["mean"] or 0))
    tags = Counter(tag for row in rows for tag in row.get("tags", ()))
    page: dict[str, Any] = {
        "title": "ternhill-handbook",
        "made": "2026-11-21T10:00:00+00:00",
        "run": "20261121-100000",
        "complete": True,
        "task": "answer",
        "primary": "correct",
        "choice": names[1] if len(names) > 1 else names[0],
        "sentence": SENTENCE,
        "n": len(rows),
        "approaches": summaries,
        "comparisons": [_difference(a, b, cells) for at, a in enumerate(names) for b in names[at + 1 :]],
        "verdict": {
            "reasons": [
                "hybrid-small answers 0.83 of the examples correctly; rag-large, the best by the mean, 0.85.",
                "No measurable difference between the two: +0.02 [−0.04, 0.08], p = 1.00.",
                "It costs $0.40 per 1,000 questions; rag-large costs $2.10.",
                "93% of its answers carry a citation that supports them; at least 90 % are required.",
            ],
            "leaders": names[:3],
            "ruled_out": {name: ["citations are required; it gives none"] for name in names[3:5]},
            "flips": [
                "If a correct answer more were worth over $0.09, rag-large would be cheaper in total.",
                "If the documents stayed the same for months, tuned-small would cost least; it misses citations.",
            ],
            "caveats": [
                "Prices are those of 2026-11-14; tokens of the local model are counted, its electricity is not.",
                "38 of the examples were written by one person.",
            ],
            "more_examples": 640,
        },
        "unavailable": {"context-large": "The corpus has 412,000 tokens; the window of large holds 200,000."},
        "tags": [_tag(tag, n, rows, cells, names) for tag, n in tags.most_common()],
        "guides": [
            {
                "guide": "A",
                "title": "When to use each",
                "says": "rag",
                "because": "citations are asked for",
                "place": "1",
                "remarks": [],
                "by_default": False,
                "source": "",
                "figures": "right",
            },
            {
                "guide": "B",
                "title": "<b>Vs</b>",
                "says": "fine-tune",
                "because": "",
                "place": "",
                "remarks": [],
                "by_default": True,
                "source": "",
                "figures": "wrong",
            },
        ],
        "diagnosis": [_diagnosis(name, cells) for name in names],
        "examples": rows,
        "cells": cells,
        "passages": known,
    }
    return page | more


def crowded_page() -> dict[str, Any]:
    """A page with the fourteen approaches of a project with two models."""
    kinds = zip(KINDS, (*APPROACHES, "rag-small"), strict=True)
    names = {f"{kind}:{model}": like for kind, like in kinds for model in ("large", "cheap-mini")}
    page = answer_page()
    cells = {key: {name: row[like] for name, like in names.items()} for key, row in page["cells"].items()}
    return page_of(page["examples"], cells, page["passages"])


def labelled_page(labels: int = 30, examples: int = 600, *, seed: int = 3) -> dict[str, Any]:
    """A classification: two approaches, many labels, neighbours mixed up."""
    chance = random.Random(seed)
    names = [f"{'account order parcel refund invoice'.split()[at % 5]} {at // 5 + 1}" for at in range(labels)]
    rows, cells = [], {}
    counts = {name: [[0] * labels for _ in names] for name in ("tuned-classifier", "prompt-large")}
    for at in range(examples):
        gold = at % labels
        rows.append({"id": f"t{at}", "input": f"Ticket {at}: about {names[gold]}", "output": names[gold], "tags": []})
        cells[f"t{at}"] = {}
        for name, skill in (("tuned-classifier", 0.92), ("prompt-large", 0.8)):
            got = gold if chance.random() < skill else (gold + chance.choice((1, 5, 5, 10))) % labels
            counts[name][gold][got] += 1
            cells[f"t{at}"][name] = _row("answered", names[got], {"correct": float(got == gold)}, 0.01, 0.0001)
    classes = {name: _classes(names, matrix) for name, matrix in counts.items()}
    return page_of(rows, cells, {}, task="classify", classes=classes, choice="tuned-classifier", title="tickets")


def hard_page() -> dict[str, Any]:
    """Texts that break pages: markup, quotes, other scripts, long words, emoji; and fields, a judge, gaps."""
    emoji = "🚲 Bikes 🚲 come with a lock. Ask <b>first</b>. Then ride."
    known = {
        "p:1": {
            "source": "docs/<i>bikes</i>.md",
            "heading": 'Fleet > "Locks" & keys',
            "page": 3,
            "start": 100,
            "text": emoji,
        },
    }
    begin = 100 + emoji.index("Bikes")  # counted by code points, as Python does
    cite = {"page": 3, "source": "docs/<i>bikes</i>.md", "heading": known["p:1"]["heading"], "document_id": "d"}
    exact = {
        "marker": 1, "sentence": "Bikes 🚲 come with a lock.", "support": "exact", "passage_id": "p:1", **cite,
        "quote": "Bikes 🚲 come with a lock.", "start": begin, "end": begin + 25,
    }  # fmt: skip
    lost = {"marker": 7, "sentence": "They are free.", "support": "missing", "passage_id": None, "document_id": None,
            "source": None, "heading": "", "page": None, "quote": "", "start": None, "end": None}  # fmt: skip
    rows = [
        {"id": "</script><script>alert(1)</script>", "input": "Do bikes come with a lock? </script><!-- <script>",
         "tags": ["a&b"], "output": "yes",
         "evidence": [{"source": "docs/<i>bikes</i>.md", "quote": "come with a lock"}]},
        {"id": "rtl/1?x=#2", "input": "مرحبا، كم يومًا \u202e من الإجازة؟ " + "x" * 900, "output": ["a", "b"]},
        {"id": "constructor", "input": "line\u2028separator\x00 \ud800 lone", "output": None, "tags": ["__proto__"]},
        {"id": "states", "input": "Which states are there?", "output": "many"},
        {"id": "fields", "input": "Read the letter.", "output": {"name": "Ada", "items": [{"n": 1}, {"n": 2}]}},
    ]  # fmt: skip
    text = 'Bikes 🚲 come with a lock [1]. They are free [7]. See rows[3] & "more" {{page}}.'
    wrong = {"correct": 0.0}
    cells = {
        rows[0]["id"]: {
            "rag": _row("answered", text, {"correct": 1.0}, 0.2, None) | {"citations": [exact, lost]},
            "prompt": _row("answered", "<img src=x onerror=alert(1)>", wrong, 0.1, None),
        },
        "rtl/1?x=#2": {"rag": _row("answered", "ב" * 500, {"correct": float("nan")}, 0.2, None)},
        "constructor": {
            "rag": _row("abstained", "", {"correct": 1.0}, 0.2, None),
            "prompt": _row("error", None, {}, 0.2, None)
            | {"error": {"kind": "bad_response", "message": "</script> " * 50}},
        },
        "states": {
            "rag": _row(
                "answered",
                "Bikes 🚲 come with a lock [1]. Locks are fine [2]. So they say [3]. Pigs <b>fly</b>.",
                {"correct": 1.0},
                0.2,
                None,
            )
            | {
                "citations": [
                    exact | {"added": True},
                    exact
                    | {"marker": 2, "sentence": "Locks are fine.", "support": "unchecked", "quote": "", "start": None},
                    exact | {"marker": 3, "sentence": "So they say.", "support": "<i>half</i> true", "end": None},
                    _uncited("Pigs <b>fly</b>."),
                ]
            },
            "prompt": _row("answered", "Bikes come with a lock.", wrong, 0.1, None)
            | {"citations": [_uncited("Bikes come with a lock.")]},
        },
        "fields": {
            "rag": _row("answered", {"name": "ada", "items": [{"n": 1}]}, {"correct": 0.0, "f1": 0.8}, 0.2, None)
            | {"judge": {"score": 0.4, "reason": "One item is lost."}},
            "prompt": _row("answered", {"name": "Bob"}, {"correct": 0.25}, 0.2, None)
            | {"cut": "max_output_tokens", "warnings": ["the server read <b>half</b> of the prompt"]},
        },
    }
    verdict = {"reasons": ["</style><b>bold</b>"], "leaders": ["rag"], "ruled_out": {}, "flips": [], "caveats": [],
               "more_examples": None}  # fmt: skip
    more = {"title": "</title><script>alert(2)</script>", "choice": None,
            "sentence": "No clear winner: “rag” & <prompt>.", "verdict": verdict,
            "complete": False, "unavailable": {}, "comparisons": []}  # fmt: skip
    return page_of(rows, cells, known, **more)


def _id(rows: list[dict[str, Any]], at: int) -> str:
    return rows[at % len(rows)]["id"] + (f".{at // len(rows)}" if at >= len(rows) else "")


def _row(status: str, output: Any, scores: dict[str, float], seconds: float, usd: float | None) -> dict[str, Any]:
    usage = {"input_tokens": 812, "cached_tokens": None, "output_tokens": 42, "seconds": seconds, "usd": usd}
    return {"status": status, "output": output, "citations": [], "scores": scores, "usage": usage, "error": None}


def _cell(row: dict[str, Any], name: str, known: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    profile = APPROACHES[name]
    usd, seconds = profile["usd"] * chance.uniform(0.8, 1.2), profile["seconds"] * chance.uniform(0.5, 2)
    if chance.random() < profile["errors"]:
        failed = _row("error", None, {}, seconds, None)
        return failed | {"error": {"kind": "rate_limit", "message": "429 from https://api.example.com/v1: slow down"}}
    right = chance.random() < profile["skill"]
    if (row["output"] is None) == right or (not right and chance.random() < 0.3):
        scores = {"correct": float(row["output"] is None), "abstention": float(row["output"] is None)}
        return _row("abstained", "The documents do not answer this.", scores, seconds, usd)
    gold = [
        (key, known[key])
        for proof in row["evidence"]
        for key in known
        if known[key]["source"] == proof["source"] and " ".join(proof["quote"].split()) in known[key]["text"]
    ]
    key, passage = gold[0] if gold and right else chance.choice(list(known.items()))
    sentence = passage["text"].replace("\n", " ").split(". ")[0].rstrip(".") + "."
    lead = "According to the handbook, this is settled:" if chance.random() < 0.3 else ""
    text, citations = f"{lead} {sentence} ".lstrip(), []
    if chance.random() < profile["cites"]:
        support = "exact" if right or chance.random() < 0.5 else chance.choice(("close", "missing"))
        end = passage["start"] + len(sentence) - 1
        spot = {"quote": sentence, "start": passage["start"], "end": end} if support != "missing" else {}
        citations.append(_citation(1, sentence, support, key, passage) | spot)
        text = f"{lead} {sentence.rstrip('.')} [1]. ".lstrip()
        if chance.random() < 0.4:
            other, more = chance.choice(list(known.items()))
            citations.append(_citation(2, "Ask the people team when in doubt.", "missing", other, more))
            text += "Ask the people team when in doubt [2]."
    else:
        citations.append(_uncited(sentence))
    scores = {"correct": float(right and row["output"] is not None), "abstention": float(row["output"] is not None),
              "f1": round(chance.random(), 3)}  # fmt: skip
    if citations:
        scores["supported"] = fmean(float(citation["support"] in ("exact", "close")) for citation in citations)
    judged = (
        {"judge": {"score": scores["f1"], "reason": "Says what the gold answer says."}} if len(key) % 3 == 0 else {}
    )
    return _row("answered", text.strip(), scores, seconds, usd) | {"citations": citations} | judged


def _citation(marker: int, sentence: str, support: str, key: str, passage: dict[str, Any]) -> dict[str, Any]:
    place = {"source": passage["source"], "heading": passage["heading"], "page": passage["page"]}
    return {"marker": marker, "sentence": sentence, "support": support, "passage_id": key, "document_id": "d", **place,
            "quote": "", "start": None, "end": None}  # fmt: skip


def _uncited(sentence: str) -> dict[str, Any]:
    return {"marker": None, "sentence": sentence, "support": "uncited", "passage_id": None, "document_id": None,
            "source": None, "heading": "", "page": None, "quote": "", "start": None, "end": None}  # fmt: skip


def _interval(values: list[float]) -> dict[str, Any]:
    if not values:
        return {"mean": None, "low": None, "high": None, "n": 0}
    mean = fmean(values)
    half = 1.96 * (max(mean * (1 - mean), 0.01) / len(values)) ** 0.5
    return {"mean": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half), "n": len(values)}


def _summary(name: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    without_error = [cell for cell in cells if cell["status"] != "error"]
    answered = [cell for cell in without_error if cell["status"] == "answered"]
    times = sorted(cell["usage"]["seconds"] for cell in without_error)
    costs = [cell["usage"]["usd"] for cell in without_error]
    metrics = {key for cell in without_error for key in cell["scores"]}
    cited = [any(c["support"] in ("exact", "close") for c in cell["citations"]) for cell in answered]
    return {
        "name": name,
        **_interval([cell["scores"]["correct"] for cell in without_error if "correct" in cell["scores"]]),
        "errors": len(cells) - len(without_error),
        "answered": len(answered),
        "abstained": len(without_error) - len(answered),
        "usd_per_1k": 1000 * fmean(costs) if costs and None not in costs else None,
        "p50_seconds": times[len(times) // 2] if times else None,
        "p95_seconds": times[int(len(times) * 0.95)] if times else None,
        "cited": fmean(cited) if cited else None,
        "metrics": {
            key: _interval([x["scores"][key] for x in without_error if key in x["scores"]]) for key in sorted(metrics)
        },
        "failures": dict(Counter(cell["error"]["kind"] for cell in cells if cell["error"])),
        "cut": dict(Counter(cell["cut"] for cell in cells if cell.get("cut"))),
    }


def _difference(a: str, b: str, cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    both = [(row[a]["scores"], row[b]["scores"]) for row in cells.values() if a in row and b in row]
    gaps = [x["correct"] - y["correct"] for x, y in both if "correct" in x and "correct" in y] or [0.0]
    mean = fmean(gaps)
    half = 1.96 * (max(fmean([g * g for g in gaps]) - mean**2, 0.001) / len(gaps)) ** 0.5
    p = 1.0 if half > abs(mean) else 0.0004
    detectable = 1.43 * half
    needed = int(len(gaps) * (detectable / abs(mean)) ** 2) if mean else None
    return {"a": a, "b": b, "difference": mean, "low": mean - half, "high": mean + half, "p": p, "p_adjusted": p,
            "n": len(gaps), "detectable": detectable, "needed": needed}  # fmt: skip


def _tag(
    tag: str, n: int, rows: list[dict[str, Any]], cells: dict[str, dict[str, Any]], names: list[str]
) -> dict[str, Any]:
    ids = [row["id"] for row in rows if tag in row.get("tags", ())]
    scores = {
        name: [
            cells[i][name]["scores"]["correct"] for i in ids if "correct" in cells[i].get(name, {}).get("scores", {})
        ]
        for name in names
    }
    return {"tag": tag, "n": n, "approaches": {name: _interval(values) for name, values in scores.items()}}


def _diagnosis(name: str, cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Causes that the sign of a cell shows; the real ones need what was in each prompt."""
    causes: dict[str, list[str]] = {}
    rows = {example: row[name] for example, row in cells.items() if name in row}
    for example, cell in rows.items():
        if cell["status"] == "error":
            causes.setdefault("error", []).append(example)
        elif cell["scores"].get("correct", 1) < 1:
            wrong = "abstained wrongly" if cell["status"] == "abstained" else "evidence not retrieved"
            causes.setdefault(wrong, []).append(example)
    found = []
    for cause, failing in sorted(causes.items(), key=lambda item: -len(item[1])):
        share = _interval([float(example in failing) for example in rows])
        advice = f"no tuning of <b>{name}</b> will help: groundtune evaluate shows why"
        found.append({"cause": cause, "count": len(failing), "share": share, "gain_at_most": share["mean"],
                      "examples": failing[:3], "advice": advice})  # fmt: skip
    return {"approach": name, "n": len(rows), "failures": sum(map(len, causes.values())), "causes": found}


def _classes(names: list[str], matrix: list[list[int]]) -> dict[str, Any]:
    per = []
    for at, name in enumerate(names):
        row, column = sum(matrix[at]), sum(line[at] for line in matrix)
        precision, recall = matrix[at][at] / column if column else None, matrix[at][at] / row if row else None
        f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
        per.append({"label": name, "precision": precision, "recall": recall, "f1": f1, "n": row})
    macro = fmean(entry["f1"] for entry in per)
    return {"labels": names, "confusion": matrix, "per_class": per, "macro_f1": macro}
