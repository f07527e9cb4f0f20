"""Let a loader say that it is still at work, so that its time limit starts again. Set by the worker of the sandbox."""

from collections.abc import Callable
from contextvars import ContextVar

after_page: ContextVar[Callable[[], None]] = ContextVar("after_page", default=lambda: None)
"""Called after each page of a file that takes long, such as one read by OCR."""
