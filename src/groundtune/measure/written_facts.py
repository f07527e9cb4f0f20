"""Score the facts of a written text: what it must state, and figures that it must not have. Never judges its form."""

from groundtune.common.conversations import transcript
from groundtune.languages.detection import detect
from groundtune.languages.quantities import Quantity
from groundtune.measure.claims import PHONE, amounts
from groundtune.measure.correctness import states_fact
from groundtune.measure.gold_values import same
from groundtune.measure.metrics import gold_texts
from groundtune.types import Example


def fact_score(text: str, example: Example, *, language: str) -> float:
    """Return the share of the facts that are right: those of the example that the text states, none of its own.

    A figure that nobody gave counts as one more fact, which is wrong. The example has facts. language: of the project.
    """
    spoken = detect(text, language)
    stated = sum(any(states_fact(text, wording, spoken) for wording in fact) for fact in example.facts)
    return stated / (len(example.facts) + len(wrong_figures(text, example, language=language)))


def wrong_figures(text: str, example: Example, *, language: str) -> list[str]:
    """Return the figures of the text that neither the input nor the example's facts, outputs and evidence have.

    A figure is a number, amount, date, time or telephone number that is written with digits.
    """
    given = "\n".join(
        [
            transcript(example.input, example.history),
            *([] if example.output is None else gold_texts(example.output)),
            *(wording for fact in example.facts for wording in fact),
            *(evidence.quote for evidence in example.evidence),
        ]
    )
    spoken = detect(text, language)
    phones, other_figures = _figures(text, spoken)
    given_phones, given_figures = _figures(given, detect(given, language), digits_only=False)
    return [
        *(phone for phone in phones if _digits(phone) not in map(_digits, given_phones)),
        *(
            text[figure.start : figure.end]
            for figure in other_figures
            if not any(same(other, figure, given, text, "", spoken) for other in given_figures)
        ),
    ]


def _figures(text: str, language: str, *, digits_only: bool = True) -> tuple[list[str], list[Quantity]]:
    """Return the telephone numbers and the quantities of a text. digits_only: without those written as words."""
    phones = list(PHONE.finditer(text))
    found = [
        quantity
        for quantity in amounts(text, language)
        if not any(phone.start() < quantity.end and quantity.start < phone.end() for phone in phones)
        and not (digits_only and _digits(text[quantity.start : quantity.end]) == "")
    ]
    return [phone.group() for phone in phones], found


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())
