"""Secrets and personal data in texts: which detector, which rows, how many; masks them. Never hands out what it found.

Detectors prefer silence to noise: numbers count only where their check digits, their country code or their form says
what they are. Nothing found does not mean that nothing is there.
"""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Literal

from groundtune.tune.preflight.findings import Finding, counted, finding

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
"""Places of one text that one detector looks at."""
KEPT = 2
"""Characters that are left of what is masked."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of thing that should not go into weights."""

    name: str
    kind: Literal["secret", "personal"]
    pattern: re.Pattern[str]
    hints: tuple[str, ...] = ()
    """Of these one stands in every text that can match, in lower case; looked for first, since that is quick."""
    holds: Callable[[re.Match[str]], bool] = field(default=bool)
    """Whether what matched is really one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one detector found: how often, and in which rows."""

    detector: str
    kind: Literal["secret", "personal"]
    times: int
    rows: tuple[str, ...]


def search(texts: Iterable[tuple[str, str]]) -> list[Found]:
    """texts: id of a row and one of its texts; a row may have several. Detectors that found nothing are left out."""
    times: dict[str, int] = defaultdict(int)
    rows: dict[str, dict[str, None]] = defaultdict(dict)
    known: dict[str, dict[str, int]] = {}
    for row, text in texts:
        if text not in known:
            known[text] = detect(text)
        for name, number in known[text].items():
            times[name] += number
            rows[name][row] = None
    return [Found(one.name, one.kind, times[one.name], tuple(rows[one.name])) for one in DETECTORS if one.name in times]


def detect(text: str) -> dict[str, int]:
    """Detector to how often it found something; each place of the text counts for the first detector alone."""
    found: dict[str, int] = {}
    taken: list[tuple[int, int]] = []
    for one, match in _matches(text, most=MOST):
        start, end = match.span()
        if not any(start < last and first < end for first, last in taken):
            taken.append((start, end))
            found[one.name] = found.get(one.name, 0) + 1
    return found


def masked(*pieces: str) -> tuple[str, ...]:
    """The pieces of one text, of whatever a detector finds in it the first `KEPT` characters alone: `sk…`."""
    starts = [0, *accumulate(map(len, pieces))]
    texts = [("".join(pieces), 0), *zip(pieces, starts, strict=False)]
    places = [(at + first, at + last) for text, at in texts for first, last in map(_place, _matches(text))]
    merged: list[tuple[int, int]] = []
    for first, last in sorted(places):
        if merged and first < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(
        _without(piece, [(first - at, last - at) for first, last in merged])
        for piece, at in zip(pieces, starts, strict=False)
    )


def _without(piece: str, places: Iterable[tuple[int, int]]) -> str:
    """places: in order, apart; they may begin before the piece and end behind it."""
    said, done = [], 0
    for first, last in places:
        if last > done and first < len(piece):
            said += [piece[done : max(first, 0)], piece[first : min(first + KEPT, last)] if first >= 0 else "", "…"]
            done = last
    return "".join([*said, piece[done:]])


def _place(found: tuple[Detector, re.Match[str]]) -> tuple[int, int]:
    """What must not be seen: of a password the value alone; of a private key, which is known by its head, the body."""
    match = found[1]
    if "value" in match.re.groupindex:
        return match.span("value")
    if found[0].name != PRIVATE_KEY:
        return match.span()
    body = _KEY_BODY.match(match.string, match.end())
    return match.start(), body.end() if body else match.end()


def _matches(text: str, *, most: int | None = None) -> Iterator[tuple[Detector, re.Match[str]]]:
    """By detector, in their order. most: places that one detector looks at; None for all."""
    lowered = text.lower()
    digits = any(one.isdigit() for one in text)
    for one in DETECTORS:
        if any(hint in lowered for hint in one.hints) if one.hints else digits:
            yield from ((one, match) for match in islice(one.pattern.finditer(text), most) if one.holds(match))


def check(found: Iterable[Found]) -> list[Finding]:
    """Keys and passwords are errors where their form leaves no doubt, all else is a warning."""
    findings = []
    for one in found:
        certain = one.detector in CERTAIN
        message = f"{one.detector}: {counted(one.times, 'place')} in {counted(len(one.rows))}"
        if one.kind == "secret":
            hint = "take them out, and revoke them: what is learnt can be said again by anyone who asks"
        else:
            hint = "replace them by invented ones, unless the people agreed: what is learnt cannot be deleted again"
        findings.append(finding("error" if certain else "warning", "secrets", message, hint=hint, rows=one.rows))
    return findings


PRIVATE_KEY = "private key"
_KEY_BODY = re.compile(r"(?s:.{0,8000}?)-----END [A-Z0-9 ]{0,60}-----|[A-Za-z0-9+/=\\\s]*")
"""Up to its end; where that is missing, as long as it looks like one."""
_NOBODY = (".example", ".test", ".invalid", "example.com", "example.org", "example.net")
_VERSION = re.compile(r"(?:\bv|version|release|firmware|software|build|update)[\s.:]*$", re.IGNORECASE)


def _luhn(match: re.Match[str]) -> bool:
    """Check digit of ISO/IEC 7812, first digits and lengths of the large issuers."""
    digits = re.sub(r"\D", "", match[0])
    lengths = {"3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 19), "2": (16,)}
    if len(digits) not in lengths.get(digits[0], ()) or len(set(digits)) < 2:
        return False
    if digits[0] == "2" and not 2221 <= int(digits[:4]) <= 2720:
        return False
    if digits[0] == "5" and digits[1] not in "12345":
        return False
    doubled = [int(one) * (1 + place % 2) for place, one in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def _iban(match: re.Match[str]) -> bool:
    """Country, length and check digits of ISO 13616; what follows the last character does not count."""
    text = re.sub(r"[ -]", "", match[0]).upper()
    length = IBAN_LENGTHS.get(text[:2])
    if length is None or len(text) < length:
        return False
    turned = text[4:length] + text[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def _public_address(match: re.Match[str]) -> bool:
    """Addresses of private networks, of this machine and of documentation point at nobody; versions are none."""
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
    """Those of domains that are kept for examples belong to nobody (RFC 2606); `icon@2x.png` is a file."""
    domain = match[0].rpartition("@")[2].lower()
    return not domain.endswith((*_NOBODY, ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"))


def _password(match: re.Match[str]) -> bool:
    """A value with digits or signs in it, not a word of the sentence."""
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
"""In the order in which they are asked; the first that finds a place has it."""
CERTAIN = frozenset(one.name for one in DETECTORS if one.kind == "secret") - {"password", "password in an address"}
"""Of a form that nothing else has."""
