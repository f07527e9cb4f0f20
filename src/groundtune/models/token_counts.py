"""How many tokens a text has, without its tokenizer: at least, and likely. Never loads a tokenizer."""

import re

TOKENS_PER_WORD = 0.75
"""Least tokens of a word. Most tokenizers split at spaces, so that a word has one or more; SuperBPE joins words."""
CHARACTERS_PER_LONG_TOKEN = 12
"""Most characters of a token, on average, in words that are longer: compounds, tables and code without spaces."""
LETTERS_PER_TOKEN = 4
"""Most letters of a token, on average, in scripts without spaces; common words of two letters have their own."""
CHARACTERS_PER_TOKEN = 3
"""Characters in a token, by a cautious estimate, in Latin script: English has about four."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

_REPEATED = re.compile(r"(.)\1{3,}", re.DOTALL)
"""A line of signs, which may be one token."""

_HALVES = re.compile("[\u0250-\u08ff]")
"""Letters of which about two make a token: Greek, Cyrillic, Hebrew, Arabic."""
_WHOLES = re.compile("[\u0900-\u1fff\u2c00-\U0010ffff]")
"""Letters that may each take a token: of India, Korea, China, Japan, and emoji."""


def least_tokens(text: str) -> int:
    """Return a number of tokens that the text has at least, with any tokenizer in use."""
    letters = len(_UNSPACED.findall(text))
    words = _REPEATED.sub(r"\1", _UNSPACED.sub(" ", text)).split()
    in_words = sum(max(TOKENS_PER_WORD, len(word) / CHARACTERS_PER_LONG_TOKEN) for word in words)
    return int(in_words + letters / LETTERS_PER_TOKEN)


def likely_tokens(text: str) -> int:
    """Return an estimate of the tokens, rather too high than too low: more for a letter outside of Latin script."""
    halves, wholes = len(_HALVES.findall(text)), len(_WHOLES.findall(text))
    return (len(text) - halves - wholes) // CHARACTERS_PER_TOKEN + halves // 2 + wholes
