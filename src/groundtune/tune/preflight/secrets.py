"""Find secrets and personal data in texts (detector, rows, count), and mask them. Never returns what it found.

Detectors favour precision over recall: a number counts only if its check digits, country code or format identify it.
Finding nothing does not mean that nothing is there.
"""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Literal

from groundtune.common.text import format_count
from groundtune.tune.preflight.findings import PreflightFinding, make_finding

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PT": 25, "QA": 29, "RO": 24,
    "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country. Source: SWIFT IBAN registry."""
MOST = 1000
"""Matches that one detector checks in one text."""
KEPT = 2
"""Characters of a match that stay visible when it is masked."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector for one kind of text that should not go into weights."""

    name: str
    kind: Literal["secret", "personal"]
    pattern: re.Pattern[str]
    substrings: tuple[str, ...] = ()
    """Lower-case substrings, one of which every matching text contains; checked first because that is fast."""
    confirm: Callable[[re.Match[str]], bool] = field(default=bool)
    """Whether a match really is what it looks like."""


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """Result of one detector: how often it matched, and in which rows."""

    detector: str
    kind: Literal["secret", "personal"]
    times: int
    rows: tuple[str, ...]


def search(texts: Iterable[tuple[str, str]]) -> list[DetectorResult]:
    """Search texts, given as (row id, text); a row may have several. Detectors without a match are left out."""
    times: dict[str, int] = defaultdict(int)
    rows: dict[str, dict[str, None]] = defaultdict(dict)
    known: dict[str, dict[str, int]] = {}
    for row, text in texts:
        if text not in known:
            known[text] = detect(text)
        for name, number in known[text].items():
            times[name] += number
            rows[name][row] = None
    return [
        DetectorResult(detector.name, detector.kind, times[detector.name], tuple(rows[detector.name]))
        for detector in DETECTORS
        if detector.name in times
    ]


def detect(text: str) -> dict[str, int]:
    """Count matches by detector; each place in the text counts for the first detector only."""
    counts: dict[str, int] = {}
    taken: list[tuple[int, int]] = []
    for detector, match in _matches(text, most=MOST):
        start, end = match.span()
        if not any(start < last and first < end for first, last in taken):
            taken.append((start, end))
            counts[detector.name] = counts.get(detector.name, 0) + 1
    return counts


def mask(*pieces: str) -> tuple[str, ...]:
    """Mask whatever a detector finds in the pieces of one text; only the first `KEPT` characters stay: `sk…`."""
    starts = [0, *accumulate(map(len, pieces))]
    texts = [("".join(pieces), 0), *zip(pieces, starts, strict=False)]
    places = [(at + first, at + last) for text, at in texts for first, last in map(_span, _matches(text))]
    merged: list[tuple[int, int]] = []
    for first, last in sorted(places):
        if merged and first < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(
        _mask(piece, [(first - at, last - at) for first, last in merged])
        for piece, at in zip(pieces, starts, strict=False)
    )


def _mask(piece: str, places: Iterable[tuple[int, int]]) -> str:
    """Mask places in a piece. places: sorted, disjoint; they may begin before the piece and end after it."""
    parts, done = [], 0
    for first, last in places:
        if last > done and first < len(piece):
            parts += [piece[done : max(first, 0)], piece[first : min(first + KEPT, last)] if first >= 0 else "", "…"]
            done = last
    return "".join([*parts, piece[done:]])


def _span(detected: tuple[Detector, re.Match[str]]) -> tuple[int, int]:
    """Return the span to mask: only the value of a password; header and body of a private key."""
    match = detected[1]
    if "value" in match.re.groupindex:
        return match.span("value")
    if detected[0].name != PRIVATE_KEY:
        return match.span()
    body = _KEY_BODY.match(match.string, match.end())
    return match.start(), body.end() if body else match.end()


def _matches(text: str, *, most: int | None = None) -> Iterator[tuple[Detector, re.Match[str]]]:
    """Yield matches by detector, in detector order. most: matches per detector; None for all."""
    lowered = text.lower()
    digits = any(character.isdigit() for character in text)
    for detector in DETECTORS:
        if any(hint in lowered for hint in detector.substrings) if detector.substrings else digits:
            yield from (
                (detector, match) for match in islice(detector.pattern.finditer(text), most) if detector.confirm(match)
            )


def check(results: Iterable[DetectorResult]) -> list[PreflightFinding]:
    """Report secrets and personal data. Keys and passwords of unmistakable form are errors, all else is a warning."""
    findings = []
    for result in results:
        certain = result.detector in CERTAIN
        message = f"{result.detector}: {format_count(result.times, 'place')} in {format_count(len(result.rows))}"
        if result.kind == "secret":
            hint = "remove them and revoke them: anyone who queries the model may get them back"
        else:
            hint = "replace them with made-up data, unless the people concerned agreed: a model cannot unlearn them"
        findings.append(
            make_finding("error" if certain else "warning", "secrets", message, hint=hint, rows=result.rows)
        )
    return findings


PRIVATE_KEY = "private key"
_KEY_BODY = re.compile(r"(?s:.{0,8000}?)-----END [A-Z0-9 ]{0,60}-----|[A-Za-z0-9+/=\\\s]*")
"""Up to the end marker; without one, as long as it looks like a key."""
_NOBODY = (".example", ".test", ".invalid", "example.com", "example.org", "example.net")
_VERSION = re.compile(r"(?:\bv|version|release|firmware|software|build|update)[\s.:]*$", re.IGNORECASE)


def _luhn(match: re.Match[str]) -> bool:
    """Check digit of ISO/IEC 7812, and first digits and lengths of the large issuers."""
    digits = re.sub(r"\D", "", match[0])
    lengths = {"3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 19), "2": (16,)}
    if len(digits) not in lengths.get(digits[0], ()) or len(set(digits)) < 2:
        return False
    if digits[0] == "2" and not 2221 <= int(digits[:4]) <= 2720:
        return False
    if digits[0] == "5" and digits[1] not in "12345":
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def _iban(match: re.Match[str]) -> bool:
    """Check country, length and check digits of ISO 13616; ignore what follows the last character."""
    text = re.sub(r"[ -]", "", match[0]).upper()
    length = IBAN_LENGTHS.get(text[:2])
    if length is None or len(text) < length:
        return False
    turned = text[4:length] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _public_address(match: re.Match[str]) -> bool:
    """Exclude addresses of private networks, this machine and documentation, and version numbers."""
    if _VERSION.search(match.string[max(0, match.start() - 16) : match.start()]):
        return False
    try:
        return ipaddress.ip_address(match[0]).is_global
    except ValueError:
        return False


def _phone(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match[0])
    return 9 <= len(digits) <= 15 and len(set(digits)) > 2


def _mail(match: re.Match[str]) -> bool:
    """Exclude domains reserved for examples (RFC 2606), and file names such as `icon@2x.png`."""
    domain = match[0].rpartition("@")[2].lower()
    return not domain.endswith((*_NOBODY, ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"))


def _password(match: re.Match[str]) -> bool:
    """Require a value with digits or symbols, not a word of a sentence."""
    value = match["value"]
    return bool(re.search(r"\d", value) or re.search(r"[^\w.,;:!?'\"…()-]", value)) and len(set(value)) > 3


def _personal(name: str, pattern: str, *hints: str, holds: Callable[[re.Match[str]], bool] = bool) -> Detector:
    return Detector(name, "personal", re.compile(pattern, re.ASCII), hints, holds)


def _secret(name: str, pattern: str, *hints: str, holds: Callable[[re.Match[str]], bool] = bool) -> Detector:
    return Detector(name, "secret", re.compile(pattern, re.ASCII), hints, holds)


DETECTORS = (
    _secret(PRIVATE_KEY, r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----", "private key"),
    _secret("AWS access key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", "akia", "asia"),
    _secret("Anthropic API key", r"\bsk-ant-[A-Za-z0-9_-]{20,}", "sk-ant-"),
    _secret("OpenAI API key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}", "sk-"),
    _secret("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,})", "ghp_", "gho_", "ghu_", "ghs_",
            "ghr_", "github_pat_"),
    _secret("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}", "glpat-"),
    _secret("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}\b", "hf_"),
    _secret("Google API key", r"\bAIza[A-Za-z0-9_-]{35}\b", "aiza"),
    _secret("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", "xox"),
    _secret("Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{16,}", "k_live_"),
    _secret("JSON Web Token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", "eyj"),
    _secret("password in an address", r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@]{1,64}:[^\s/@]{3,64}@[^\s/]", "://"),
    _secret(
        "password",
        r"(?i)\b(?:password|passwort|passwd|pwd|passcode|secret|api[_ -]?key|access[_ -]?token)\b"
        r"(?:\s{0,3}[:=]\s{0,3}|\s+(?:is|was|ist|lautet)\s+)[\"'`]?(?P<value>[^\s\"'`]{6,64})",
        "passw", "pwd", "passcode", "secret", "api", "token", holds=_password,
    ),
    _personal("IBAN", r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])",
              holds=_iban),
    _personal("credit card", r"(?<![\w.,/+-])\d(?:[ -]?\d){12,18}(?![\w/]|[.,-]\d)", holds=_luhn),
    _personal("e-mail address", r"(?<![\w.%+-])[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}\b",
              "@", holds=_mail),
    _personal("US social security number", r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])", "-"),
    _personal("UK national insurance number",
              r"(?<!\w)(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)"),
    _personal("IP address", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", holds=_public_address),
    _personal("IP address", r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,6}(?![\w:])", ":",
              holds=_public_address),
    _personal(
        "phone number",
        r"(?<![\w.,/+-])(?:"
        r"(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(0?\d{1,5}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,4}"  # with a country code
        r"|\(0\d{1,5}\) ?\d{3,5}(?:[ -]?\d{2,5}){1,2}|0[1-9]\d{1,3}[ -]\d{3,8}(?:[ -]\d{2,5}){0,2}|07\d{9}"  # Europe
        r"|0[1-9](?:[ .-]\d{2}){4}"  # France
        r"|(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}"  # North America
        r")(?![\w/]|[.,-]\d)",
        holds=_phone,
    ),
)  # fmt: skip
"""In order of precedence; a place counts for the first detector that finds it."""
CERTAIN = frozenset(each.name for each in DETECTORS if each.kind == "secret") - {"password", "password in an address"}
"""Names of detectors whose matches are unmistakable."""
