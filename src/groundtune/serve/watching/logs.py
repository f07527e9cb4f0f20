"""Write the log of the server as JSON, one object a line, with the id of the request that a line belongs to."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from groundtune.serve.observing import Ended
from groundtune.serve.watching.request_id import request_id

answers = logging.getLogger("groundtune.serve.answers")
"""A line for each request to a model, without any text."""
FIELDS = "fields"
"""Attribute of a record with further values for its line."""


def log_as_json() -> None:
    """Send the log of this process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("groundtune").setLevel(logging.INFO)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None})


def log_ended(ended: Ended) -> None:
    """Log how a request to a model ended. Holds no text of questions and answers."""
    answer = ended.answer
    usage = answer.usage if answer else None
    fields = {
        "operation": ended.operation,
        "model": ended.model,
        "caller": ended.caller.name,
        "seconds": round(ended.seconds, 4),
        "error": ended.error,
        "answer": answer.id if answer else None,
        "status": answer.status if answer else None,
        "approach": answer.approach if answer else None,
        "degraded": bool(answer.degradation) if answer else None,
        "usd": usage.usd if usage else None,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
    }
    answers.info(ended.error or (answer.status if answer else "ended"), extra={FIELDS: fields})
