"""Hold the replies of a local model to JSON Schemas while it writes them. Never loosens a schema without a word.

Before each token, `llguidance` says which tokens can still lead to a text that satisfies the schema, and the decoder
chooses among these. An object is written on one line, as `json.dumps` writes it, with its keys in the order of the
schema, so that no tokens are spent on layout and trained models find the form that they were trained on.

A thought before the answer stays free: the schema holds once it has ended. The prompt stays the same with and without a
schema, so thinking is not switched off for it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.common.text import one_line
from groundtune.errors import need
from groundtune.models.chat_template import decode_reply
from groundtune.models.reasoning import ReasoningSeparator

_FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def why_not_enforceable(schema: Mapping[str, Any]) -> str | None:
    """Return what in a schema a decoder cannot be held to, such as a keyword; None if it can. Raises MissingError."""
    matcher = need("llguidance", extra="local").LLMatcher
    is_error, messages = matcher.validate_grammar_with_warnings(_grammar(schema))
    return one_line(messages[0]) if is_error else None


class TokenGrammar:
    """The tokens of a model, as `llguidance` reads them. Made once for a model: it takes about a second."""

    def __init__(self, tokenizer: Any, *, vocabulary: int, ends: Sequence[int]) -> None:
        """vocabulary: the number of logits. Raises MissingError, and ValueError for a tokenizer that is too old."""
        library = need("llguidance.hf", extra="local")
        self._tokenizer = tokenizer
        size = max(vocabulary, len(tokenizer))
        self._tokens = library.from_tokenizer(tokenizer, n_vocab=size, eos_token=list(ends) or None)

    def hold(self, schema: Mapping[str, Any], *, prompt: str) -> "HeldReply":
        """Begin a reply that satisfies the schema. prompt: as it was rendered. Raises ValueError."""
        if reason := why_not_enforceable(schema):
            raise ValueError(reason)
        matcher = need("llguidance", extra="local").LLMatcher(self._tokens, _grammar(schema), log_level=0)
        return HeldReply(matcher, self._tokenizer, prompt)


class HeldReply:
    """A reply that is being written under a schema."""

    def __init__(self, matcher: Any, tokenizer: Any, prompt: str) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._written: list[int] = []
        self._begun = False
        """Whether the answer has begun; before it, the model thinks."""

    @property
    def is_complete(self) -> bool:
        """Whether the text satisfies the schema and nothing can follow it."""
        return self._begun and bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    @property
    def error(self) -> str | None:
        """Why the schema can no longer be held, such as a parser that needs too long; None if it can."""
        if not self._matcher.is_error():
            return None
        return one_line(self._matcher.get_error().partition("<state>")[0])

    def restrict(self, torch: Any, scores: Any) -> Any:
        """Return the scores of the next token, with those that the schema rules out at minus infinity."""
        if not self._begun and self._thinks(int(scores.argmax())):
            return scores
        self._begun = True
        allowed = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8) > 0
        return scores.masked_fill(~allowed[: scores.shape[-1]].to(scores.device), float("-inf"))

    def add(self, token: int) -> None:
        """Take note of the token that was chosen."""
        self._written.append(token)
        if self._begun and not self._matcher.is_stopped():
            self._matcher.consume_token(token)

    def _thinks(self, token: int) -> bool:
        """Whether this token, which the model would choose, begins or continues a thought."""
        separator = ReasoningSeparator(hold=False)
        separator.add(decode_reply(self._tokenizer, [*self._written, token], prompt=self._prompt))
        return separator.is_thinking


def _grammar(schema: Mapping[str, Any]) -> str:
    matcher = need("llguidance", extra="local").LLMatcher
    grammar: str = matcher.grammar_from_json_schema(json.dumps(schema), overrides=_FORM)
    return grammar
