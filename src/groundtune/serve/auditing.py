"""Say what of an answer is recorded, and record it before its client has it. A request fails when it cannot be."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib.metadata import version
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from groundtune.common.answers import retrieval_scores
from groundtune.common.files import digest_text
from groundtune.config.serve_table import ServeConfig
from groundtune.project import Project
from groundtune.records.audit_log import SHADOW_OF, AuditLog
from groundtune.review.queue import ReviewQueue
from groundtune.review.reasons import is_held
from groundtune.serve.doors.callers import Caller
from groundtune.types import Answer, Hit, Message

VERSION = version("groundtune")
Marks = Mapping[str, Any]
"""Keys of a record that say how the answer is compared with others: `shadow`, `shadow_of`, `split`."""


class Auditor:
    """Records answers, unless `[serve] audit` is off, and deletes those whose time has passed."""

    def __init__(self, log: AuditLog, queue: ReviewQueue, settings: ServeConfig) -> None:
        self._log = log
        self._queue = queue
        self._settings = settings
        self._expired: date | None = None
        """The day on which old records were last deleted."""
        self._writing: set[asyncio.Task[None]] = set()

    async def answered(
        self,
        project: Project,
        caller: Caller,
        model: str | None,
        question: str,
        answer: Answer,
        *,
        history: Sequence[Message] = (),
        filters: Mapping[str, str | Sequence[str]] = MappingProxyType({}),
        marks: Marks = MappingProxyType({}),
    ) -> bool:
        """Record an answer that was completed, and return whether it waits for a person before it is sent.

        history: the turns before the question. filters: conditions on metadata. marks: further keys of its record.
        """
        record = {
            **_who(caller, model),
            "filters": {key: value if isinstance(value, str) else list(value) for key, value in filters.items()},
            "id": answer.id,
            "time": answer.time,
            "status": answer.status,
            "approach": answer.approach,
            "route": list(answer.route),
            "degradation": answer.degradation,
            "generator": answer.trace.model,
            "index": await project.aindex_version(),
            "passages": _passages(answer.hits),
            "citations": [_citation(asdict(citation)) for citation in answer.citations],
            "confidence": answer.confidence,
            "best_score": retrieval_scores(answer.hits)[0],
            "steps": dict(answer.steps),
            "cut": answer.cut,
            "warnings": len(answer.warnings),
            "usage": asdict(answer.usage),
            "paid": answer.paid,
            **marks,
        }
        texts = {"question": question, "answer": answer.text}
        if history:
            texts["history"] = json.dumps([[turn.role, turn.content] for turn in history])
        if answer.output is not None:
            texts["output"] = json.dumps(answer.output)
        review = project.config.review
        held = SHADOW_OF not in marks and is_held(record, review.hold, low_confidence=review.low_confidence)
        if held:
            record["held"] = True
        await self._append(record, texts)
        return held

    def broken_off(
        self,
        caller: Caller,
        model: str | None,
        question: str,
        text: str,
        hits: Sequence[Hit],
        why: str,
        *,
        marks: Marks = MappingProxyType({}),
    ) -> None:
        """Record an answer that was not completed, after its request has ended. text: what was sent."""
        record = {
            **_who(caller, model),
            "id": uuid4().hex,
            "time": _now(),
            "status": "broken off",
            "reason": why,
            "passages": _passages(hits),
            **marks,
        }
        task = asyncio.get_running_loop().create_task(self._append(record, {"question": question, "answer": text}))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def finish(self) -> None:
        """Wait until everything is written."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _append(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        if self._settings.audit:
            await asyncio.to_thread(self._write, record, texts)

    def _write(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        self._log.append({**record, "groundtune": VERSION}, texts)
        today = datetime.now(UTC).date()
        if self._settings.audit_days is not None and self._expired != today:
            self._queue.fill()
            self._log.expire(days=self._settings.audit_days)
            self._expired = today


def _who(caller: Caller, model: str | None) -> dict[str, Any]:
    return {"caller": caller.name, "key": caller.key, "groups": list(caller.groups), "model": model}


def _passages(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Return where each passage stands, and the digest of its words."""
    passages = [hit.passage for hit in hits]
    return [
        {"id": each.id, "source": each.source, "start": each.start, "end": each.end, "text": digest_text(each.text)}
        for each in passages
    ]


def _citation(fields: dict[str, Any]) -> dict[str, Any]:
    """Return where a citation points and how far it holds; its words are in the answer and in the passage."""
    names = ("marker", "support", "passage_id", "document_id", "source", "start", "end", "added")
    return {name: fields[name] for name in names}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
