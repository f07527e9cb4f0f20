"""Turn the numbers of a comparison into one self-contained HTML page. Never measures, never reads a run from disk."""

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
    "base.js", "marks.js", "plot.js", "verdict.js", "breakdown.js", "outcomes.js", "matrix.js", "cited.js",
    "values.js", "example.js", "report.js",
)  # fmt: skip
"""In this order they are one script."""
LARGE = ("examples", "cells", "passages")
"""Kept apart, so that the verdict is on the screen before these are read."""

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_UNSAFE = re.compile("[<\u2028\u2029\ud800-\udfff]")


def render(page: Mapping[str, Any]) -> str:
    """The text of `report.html`: works from a file, loads nothing, runs no script but its own.

    page, in plain JSON (NaN and infinity become null):

        {"title", "made": ISO time, "run", "complete": bool, "task", "primary": metric, "n",
         "choice": name or null, "sentence",
         "approaches": [{fields of types.Standing}], "comparisons": [{fields of types.Difference}],
         "verdict": {fields of types.Verdict, without choice and sentence},
         "unavailable": {name: reason},
         "tags": [{"tag", "n", "approaches": {name: {"mean", "low", "high", "n"}}}],
         "classes": {name: {"labels", "confusion": [row a gold label, column a predicted one], "macro_f1",
                            "per_class": [{"label", "precision", "recall", "f1", "n"}]}}, where there are labels,
         "examples": [{"id", "input", "output", "tags", "evidence": [{"source", "quote"}]}],
         "cells": {example id: {approach: row of results.jsonl, and "judge": {"score", "reason"} where there is one}},
         "passages": {id: {"source", "heading", "page", "start", "text"}}}

    `start` of a passage and `start`, `end` of a citation are offsets in the same document.
    """
    style, script = _assets()
    small = {key: value for key, value in page.items() if key not in LARGE}
    places = {
        "policy": _policy(style, script),
        "title": html.escape(f"{page.get('title') or 'comparison'}: groundtune report"),
        "name": html.escape(str(page.get("title") or "comparison")),
        "sentence": html.escape(str(page.get("sentence") or "")),
        "style": style,
        "script": script,
        "page": _json(small),
        **{key: _json(page.get(key) or ([] if key == "examples" else {})) for key in LARGE},
    }
    # One pass: what an answer says is never taken for a place of the template.
    return _PLACE.sub(lambda match: places[match[1]], _asset("report.html"))


@cache
def _assets() -> tuple[str, str]:
    style = "\n".join(map(_asset, STYLES))
    script = "\n".join(map(_asset, SCRIPTS))
    return style, f'"use strict";\n(() => {{\n{script}}})();\n'


def _asset(name: str) -> str:
    return files("groundtune.decide").joinpath("page", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content security policy: this style, this script, nothing else; so no text of a document can become code."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that may stand in a script element: no `<`, no line separator, no lone surrogate."""
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
