"""Sentences in many languages with numbers, dates and signs, each with a word that no other sentence has."""

import random

TEMPLATES: dict[str, tuple[str, ...]] = {
    "en": (
        "The {word} costs {n} EUR from 3 March 2025.",
        "Within {n} days the {word} is returned at −5 °C or below.",
        "At least {n}% of each {word} is paid by 17:45, i.e. before closing.",
        "Write to {word}@example.com or call +44 20 7946 0{n}.",
        "A {word} of ≤ {n} kg needs no licence (see § 4.2).",
    ),
    "de": (
        "Die {word} kostet ab dem 3. März 2025 {n},50 €.",
        "Für jede {word} gelten 1.{n} Kilometer und ± 2 %.",
        "Größe und Übergabe der {word}: spätestens {n} Tage später.",
    ),
    "fr": ("Le prix du {word} est de {n},90 € dès le 1er août.", "L’{word} n’est pas remboursée après {n} jours."),
    "es": ("¿Cuánto cuesta la {word}? Son {n} euros al año.", "El {word} pesa más de {n} kilogramos."),
    "pl": ("Każda {word} kosztuje {n} złotych od 12 października.",),
    "tr": ("Her {word} için {n} gün içinde ödeme yapılır.",),
    "ru": ("Срок возврата {word} составляет {n} дней.", "Цена {word} равна {n} рублей."),
    "el": ("Η τιμή του {word} είναι {n} ευρώ.",),
    "he": ("אפשר להחזיר את {word} בתוך {n} ימים.",),
    "ar": ("يمكن إرجاع {word} خلال {n} يوما.",),
    "zh": ("{word}的价格是{n}元，三天内可以退货。",),
    "ja": ("{word}は{n}日以内に返品できます。",),
}
"""{word} is a word of Latin letters, {n} a number of two or three digits."""

RIGHT_TO_LEFT = {"he", "ar"}
WITHOUT_FONT = {"zh", "ja"}
"""Languages that no font of a plain Debian shows: left out where a file is rendered."""

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"


class Words:
    """Words of Latin letters, none of them twice, and numbers."""

    def __init__(self, choices: random.Random) -> None:
        self._choices = choices
        self._used: set[str] = set()

    def word(self) -> str:
        while True:
            word = "".join(self._choices.choice(_CONSONANTS) + self._choices.choice(_VOWELS) for _ in range(4))
            if word not in self._used:
                self._used.add(word)
                return word
            self._used.add(word + "n")
            return word + "n"

    def number(self) -> int:
        return self._choices.randint(11, 989)

    def sentence(self, language: str) -> str:
        template = self._choices.choice(TEMPLATES[language])
        return template.format(word=self.word(), n=self.number())

    def name(self) -> str:
        return self.word().capitalize()
