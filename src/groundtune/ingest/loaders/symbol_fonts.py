"""Write characters of the fonts Symbol and Wingdings as the Unicode characters that they show. Never reads files."""

_SYMBOL = {
    start + at: char
    for start, chars in {
        0x22: "∀", 0x24: "∃", 0x27: "∍", 0x2A: "∗", 0x2D: "−", 0x40: "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ",
        0x5C: "∴", 0x5E: "⊥", 0x61: "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", 0x7E: "∼",
        0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨",
        0xDB: "⇔⇐⇑⇒⇓◊⟨®©™∑", 0xF1: "⟩∫",
    }.items()
    for at, char in enumerate(chars)
}  # fmt: skip
"""Source: Adobe, Symbol encoding."""
_WINGDINGS = {
    0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x46: "☞", 0x4A: "☺", 0x4C: "☹", 0x4F: "⚐", 0x6C: "●", 0x6E: "■", 0x6F: "☐",
    0x70: "☐", 0x71: "❑", 0x72: "❒", 0x73: "⬧", 0x74: "⧫", 0x76: "❖", 0x77: "⬥", 0x78: "☒", 0x9F: "•", 0xA7: "▪",
    0xA8: "☐", 0xAB: "★", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xEF: "⇦", 0xF0: "⇨",
    0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
    **{0x81 + at: chr(0x2460 + at) for at in range(9)}, **{0x8C + at: chr(0x2776 + at) for at in range(9)},
}  # fmt: skip
"""Source: Unicode, mapping of Wingdings; the characters that stand in documents for themselves."""
_WINGDINGS_2 = {
    0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0x2A: "☐", 0x30: "☐", 0xA3: "☐", 0x98: "⦿",
    0x99: "○",
}  # fmt: skip
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}
_TICKS = frozenset("☐☑☒✓✔✗✘✕✖❑❒□")
_PRIVATE = range(0xF000, 0xF100)


def is_tick(text: str) -> bool:
    """Whether a bullet says something about its item: an empty box, a tick, a cross."""
    return text.strip() in _TICKS


def write_symbols(text: str, font: str | None) -> str:
    """Return the text of a run in a font; a text in no symbol font stays as it is."""
    table = _FONTS.get(font.lower()) if font else None
    if table is None:
        return text
    return "".join(table.get(ord(char) - (0xF000 if ord(char) in _PRIVATE else 0), char) for char in text)
