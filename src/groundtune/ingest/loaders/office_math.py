"""Write a formula of an Office document in one line: (a+b)/(2c), x^(n+1), √(x). Never computes it."""

import re
from collections.abc import Iterator
from typing import Any

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_VAL = f"{M}val"
_LONGEST = 20_000
_SIMPLE = re.compile(r"[-−+]?[\w.,]+")
_DEGREES = {"∘": "°", "°": "°", "′": "′", "″": "″"}


def linear(element: Any) -> str:
    """Return the formula of an `m:oMath` or a part of one."""
    return "".join(_children(element))[:_LONGEST]


def _children(element: Any) -> Iterator[str]:
    ends_raised = False
    for child in element:
        written = _written(child)
        if ends_raised and written[:1].isalnum():
            yield " "  # x^2 y is not x^2y
        yield written
        if written:
            ends_raised = child.tag in _SCRIPTED


def _written(element: Any) -> str:
    tag = element.tag
    if not isinstance(tag, str) or not tag.startswith(M):
        return ""
    name = tag[len(M) :]
    if name == "t":
        return element.text or ""
    write = _WRITERS.get(name)
    return write(element) if write else "" if name.endswith("Pr") else "".join(_children(element))


def _part(element: Any, name: str) -> str:
    found = element.find(f"{M}{name}")
    return "" if found is None else "".join(_children(found)).strip()


def _grouped(text: str) -> str:
    """Return the text in brackets unless it reads as one thing."""
    one = (
        len(text) < 2 or _SIMPLE.fullmatch(text) or (text[0] in "([" and text[-1] in ")]" and text.count(text[0]) == 1)
    )
    return text if one else f"({text})"


def _fraction(element: Any) -> str:
    above, below = _part(element, "num"), _part(element, "den")
    kind = element.find(f"{M}fPr/{M}type")
    if kind is not None and kind.get(_VAL) == "noBar":
        return f"({above} over {below})"
    return f"{_grouped(above)}/{_grouped(below)}"


def _scripts(element: Any) -> str:
    return _grouped(_part(element, "e")) + _below_above(element)


def _before(element: Any) -> str:
    return f"{_below_above(element)}{_part(element, 'e')}"


def _below_above(element: Any) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    if above in _DEGREES and not below:
        return _DEGREES[above]
    return (f"_{_grouped(below)}" if below else "") + (f"^{_grouped(above)}" if above else "")


def _root(element: Any) -> str:
    degree = _part(element, "deg")
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree)
    return f"{sign or f'root {degree} of '}({_part(element, 'e')})"


def _large_operator(element: Any) -> str:
    sign = element.find(f"{M}naryPr/{M}chr")
    return f"{(sign.get(_VAL) if sign is not None else None) or '∫'}{_below_above(element)} {_part(element, 'e')}"


def _delimited(element: Any) -> str:
    signs = {"begChr": "(", "sepChr": "|", "endChr": ")"}
    for name in signs:
        stated = element.find(f"{M}dPr/{M}{name}")
        if stated is not None:
            signs[name] = stated.get(_VAL) or ""
    parts = ["".join(_children(part)) for part in element.iterchildren(f"{M}e")]
    return signs["begChr"] + signs["sepChr"].join(parts) + signs["endChr"]


def _limit(element: Any) -> str:
    return f"{_part(element, 'e')}_{_grouped(_part(element, 'lim'))}"


def _function(element: Any) -> str:
    name, argument = _part(element, "fName"), _part(element, "e")
    return f"{name}{'' if argument.startswith(('(', '[')) else ' '}{argument}"


def _matrix(element: Any) -> str:
    rows = (
        ", ".join("".join(_children(cell)) for cell in row.iterchildren(f"{M}e"))
        for row in element.iterchildren(f"{M}mr")
    )
    return f"[{'; '.join(rows)}]"


def _lines(element: Any) -> str:
    return "; ".join("".join(_children(line)) for line in element.iterchildren(f"{M}e"))


def _phantom(element: Any) -> str:
    shown = element.find(f"{M}phantPr/{M}show")
    return "" if shown is None or shown.get(_VAL) in ("0", "off") else _part(element, "e")


_SCRIPTED = {f"{M}{name}" for name in ("sSup", "sSub", "sSubSup", "f")}
_WRITERS = {
    "f": _fraction,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "sPre": _before,
    "rad": _root,
    "nary": _large_operator,
    "d": _delimited,
    "limLow": _limit,
    "limUpp": _limit,
    "func": _function,
    "m": _matrix,
    "eqArr": _lines,
    "phant": _phantom,
}


_MATHML = "{http://www.w3.org/1998/Math/MathML}"


def linear_mathml(element: Any) -> str:
    """Return the formula of a MathML element in one line."""
    name = str(element.tag).removeprefix(_MATHML)
    if name in ("annotation", "annotation-xml", "mphantom"):
        return ""
    parts = [linear_mathml(child) for child in element if isinstance(child.tag, str)]
    match name, parts:
        case "mfrac", [above, below]:
            return f"{_grouped(above)}/{_grouped(below)}"
        case "msup" | "mover", [base, above]:
            return f"{_grouped(base)}{_DEGREES.get(above) or f'^{_grouped(above)}'}"
        case "msub" | "munder", [base, below]:
            return f"{_grouped(base)}_{_grouped(below)}"
        case "msubsup" | "munderover", [base, below, above]:
            return f"{_grouped(base)}_{_grouped(below)}^{_grouped(above)}"
        case "msqrt", _:
            return f"√({''.join(parts)})"
        case "mroot", [base, degree]:
            return f"root {degree} of ({base})"
        case "mtable", _:
            return f"[{'; '.join(parts)}]"
        case "mtr", _:
            return ", ".join(parts)
    return (element.text or "").strip() + "".join(parts)
