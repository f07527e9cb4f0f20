"""Turn the numbers of a comparison, or drafts to review, into one self-contained HTML page. Never measures or reads."""

import html
import json
import math
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

STYLES = ("report.css", "views.css")
SCRIPTS = (
    "base.js", "marks.js", "plot.js", "verdict.js", "sliders.js", "costs.js", "volume.js", "breakdown.js",
    "diagnosis.js", "outcomes.js", "matrix.js", "cited.js", "values.js", "example.js", "report.js",
)  # fmt: skip
"""Concatenated in this order into one script."""
REVIEW_STYLES, REVIEW_SCRIPTS = ("report.css", "review.css"), ("base.js", "review.js")
HEAD = 1_000
"""Bytes within which the policy of a page stands."""
LARGE = ("examples", "cells", "passages", "draws")
"""Embedded separately, so that the verdict is on screen before these are parsed."""

NAVIGATION = b"<!-- navigation -->"
"""Where a server puts the links to its other pages."""
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_UNSAFE = re.compile("[<\u2028\u2029\ud800-\udfff]")


def render_page(page: Mapping[str, Any]) -> str:
    """Return the text of `report.html`. It opens from disk, loads nothing and runs only its own script.

    page, as plain JSON values (NaN and infinity become null):

        {"title", "made": ISO time, "run", "complete": bool, "task", "primary": metric, "n",
         "choice": name or null, "sentence",
         "approaches": [{fields of types.ApproachSummary}], "comparisons": [{fields of types.Difference}],
         "verdict": {fields of types.Verdict, without choice and sentence},
         "unavailable": {name: reason}, "threshold_sentences": [sentence], "prompt_sentences": [sentence],
         "curve_sentences": [sentence], "curve": {fields of workflows.curve_file.LearningCurve} or null,
         "routing_sentence": sentence or null, "stopping": {fields of workflows.stopping.Stopping} or null,
         "tags": [{"tag", "n", "approaches": {name: {"mean", "low", "high", "n"}}, "asserted_wrong": the same}],
         "classes": {name: {"labels", "confusion": [row: gold label, column: predicted label], "macro_f1",
                            "per_class": [{"label", "precision", "recall", "f1", "n"}]}}, for labelled tasks,
         "guides": [{fields of advice.guides.Opinion, "figures": whether they agree}],
         "diagnosis": [{fields of decide.diagnosis.Diagnosis}],
         "live": {content of `groundtune live --json`} or null,
         "costs": {content of `groundtune costs --json`}, "moves": [{"key", "now": number or null, "stretches":
                   [{"low", "includes_low", "choice", "eligible"}]}], as report_page.py computes them,
         "draws": {"months", "volume": draws, "machine": draws, "approaches": {name: {"setup", "monthly", "model",
                   "other", "correct", "setup_hours", "monthly_hours", "model_hours"}}},
                   where draws are a number, null, or float32 values in base64,
         "examples": [{"id", "input", "output", "tags", "evidence": [{"source", "quote"}]}],
         "cells": {example id: {approach: row of results.jsonl, plus "judge": {"score", "reason"} if judged}},
         "passages": {id: {"source", "heading", "page", "start", "text"}}}

    `start` of a passage and `start` and `end` of a citation are offsets in the same document.
    """
    style, script = _assets(STYLES, SCRIPTS)
    small = {key: value for key, value in page.items() if key not in LARGE}
    values = {
        "policy": _policy_element(style, script),
        "title": html.escape(f"{page.get('title') or 'comparison'}: groundtune report"),
        "name": html.escape(str(page.get("title") or "comparison")),
        "sentence": html.escape(str(page.get("sentence") or "")),
        "style": style,
        "script": script,
        "page": embedded_json(small),
        **{key: embedded_json(page.get(key) or ([] if key == "examples" else {})) for key in LARGE},
    }
    # A single pass: text in an answer that looks like a placeholder is never replaced.
    return _PLACEHOLDER.sub(lambda match: values[match[1]], _asset("report.html"))


def is_current(head: bytes) -> bool:
    """Whether a report.html that begins so has the style and the script of this version."""
    return _policy_element(*_assets(STYLES, SCRIPTS)).encode() in head


def served_page(page: bytes, navigation: str, *, passages: str) -> tuple[bytes, str]:
    """Return a current report.html as part of a server, and the content security policy that belongs to it.

    navigation: HTML. passages: beginning of the addresses under which the server shows passages.
    """
    style, script = _assets(STYLES, SCRIPTS)
    placed = page.replace(_policy_element(style, script).encode(), b"", 1).replace(NAVIGATION, navigation.encode(), 1)
    root = f'<html lang="en" data-passages="{html.escape(passages)}">'
    return placed.replace(b'<html lang="en">', root.encode(), 1), _policy(style, script, forms="'self'")


def render_review(page: Mapping[str, Any]) -> str:
    """Return the text of a page for reviewing drafted examples; it saves the decisions as a file.

    page, as plain JSON values: {"file": name of the examples file, "examples": [{"id", "kind", "input", "output",
    "history": [{"role", "content"}], "evidence": [{"source", "before", "quote", "after"}]}]}.
    """
    style, script = _assets(REVIEW_STYLES, REVIEW_SCRIPTS)
    values = {
        "policy": _policy_element(style, script),
        "title": html.escape(f"{page['file']}: groundtune review"),
        "name": html.escape(str(page["file"])),
        "style": style,
        "script": script,
        "page": embedded_json(page),
    }
    return _PLACEHOLDER.sub(lambda match: values[match[1]], _asset("review.html"))


@cache
def _assets(styles: tuple[str, ...], scripts: tuple[str, ...]) -> tuple[str, str]:
    style = "\n".join(map(_asset, styles))
    script = "\n".join(map(_asset, scripts))
    return style, f'"use strict";\n(() => {{\n{script}}})();\n'


def _asset(name: str) -> str:
    return files("groundtune.report").joinpath("page", name).read_text(encoding="utf-8")


def _policy_element(style: str, script: str) -> str:
    return f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">'


def _policy(style: str, script: str, *, forms: str = "'none'") -> str:
    """Content security policy that allows only this style and script, so no document text can run as code."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        f"img-src data:; base-uri 'none'; form-action {forms}"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def embedded_json(value: Any) -> str:
    """JSON that is safe inside a script element: no `<`, no line separator, no lone surrogate."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
