"""Write a formula of MathML in one line: x^2, (a + b)/c, √(x). Leaves out its source in another notation."""

from selectolax.lexbor import LexborNode

_LEFT_OUT = frozenset(("annotation", "annotation-xml", "mphantom", "mspace"))
_TOKENS = frozenset(("mi", "mn", "mo", "mtext", "ms"))
_SPACED = frozenset("=<>≤≥≠≈≡→⇒∈∉⊂⊆+−±×÷·-*")
_PRIMES = frozenset("'′″‴*†")
_DEEPEST = 100


def write_formula(node: LexborNode, depth: int = 0) -> str:
    tag = node.tag or ""
    if tag in _LEFT_OUT:
        return ""
    if tag in _TOKENS or depth > _DEEPEST:
        text = " ".join(node.text().split()).strip("\u2061\u2062\u2063\u2064")
        return f" {text} " if tag == "mo" and text in _SPACED else text
    parts = [write_formula(child, depth + 1) for child in node.iter()]
    if tag == "semantics":
        return parts[0] if parts else ""
    if tag in ("msup", "msub", "mover", "munder") and len(parts) == 2:
        return parts[0] + _script(parts[1], "^" if tag in ("msup", "mover") else "_")
    if tag in ("msubsup", "munderover") and len(parts) == 3:
        return parts[0] + _script(parts[1], "_") + _script(parts[2], "^")
    if tag == "mfrac" and len(parts) == 2:
        return f"{_group(parts[0])}/{_group(parts[1])}"
    if tag == "msqrt":
        return f"√{_group(''.join(parts))}"
    if tag == "mroot" and len(parts) == 2:
        return f"{_group(parts[0])}^(1/{parts[1].strip()})"
    if tag == "mtable":
        return "; ".join(part.strip() for part in parts)
    if tag in ("mtr", "mlabeledtr"):
        return ", ".join(part.strip() for part in parts)
    return "".join(parts)


def _script(text: str, sign: str) -> str:
    text = "".join(text.split())
    if not text or text in _PRIMES:
        return text
    return sign + (text if text.isalnum() else f"({text})")


def _group(text: str) -> str:
    text = text.strip()
    return text if text.isalnum() else f"({text})"
