"""Answers made wrong in six ways, and the same said lightly otherwise, by a seeded chance.

Nothing here knows how the grounding check works: it changes the text as a careless model would.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("number", "entity", "negation", "unit", "swapped source", "invented sentence")

_SMALL = "two three four five six seven eight nine ten eleven twelve".split()
_KLEIN = "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split()
_NUMBER = re.compile(r"(?<![\w.,:/-])\d[\d.,]*(?<=\d)(?![\w/-]*\d)")
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_SMALL + _KLEIN)})\b")
_NAME = re.compile(r"(?<=[a-zäöüß,;] )(?:[A-ZÄÖÜ][\wäöüß-]{2,}|[A-Z]{2,}[-\d\w]*)")
_CODE = re.compile(r"\b[A-Z]{1,5}[-\d]*-\d[\w-]*\b")
_VERB = re.compile(
    r"\b(is|are|was|were|has|have|had|can|will|could|would|may|must|shall|should)\b(?! not)"
)
_VERB_DE = re.compile(r"\b(ist|sind|war|wird|werden|wurde|hat|haben|kann|darf|muss|müssen)\b")
_DENIED = re.compile(r"\b(not|never|nicht) ")
_OPPOSITES = (
    ("allowed", "forbidden"),
    ("permitted", "prohibited"),
    ("always", "never"),
    ("before", "after"),
    ("at least", "at most"),
    ("above", "below"),
    ("more than", "less than"),
    ("with", "without"),
    ("included", "excluded"),
    ("higher", "lower"),
    ("increased", "decreased"),
    ("open", "closed"),
    ("accepted", "rejected"),
    ("minimum", "maximum"),
    ("erlaubt", "verboten"),
    ("mindestens", "höchstens"),
    ("nach", "vor"),
    ("über", "unter"),
)
_UNITS = (
    ("seconds", "minutes", "hours", "days", "weeks", "months", "years"),
    ("second", "minute", "hour", "day", "week", "month", "year"),
    ("Minuten", "Stunden", "Tage", "Wochen", "Monate", "Jahre"),
    ("mm", "cm", "m", "km"),
    ("metres", "centimetres", "millimetres", "kilometres"),
    ("miles", "kilometers", "feet", "inches"),
    ("mg", "g", "kg", "tonnes"),
    ("ml", "litres", "m³"),
    ("bar", "psi", "kPa"),
    ("rpm", "Hz"),
    ("W", "kW", "MW"),
    ("kWh", "MWh"),
    ("Nm", "kNm"),
    ("GBP", "EUR", "USD"),
    ("pounds", "euros", "dollars"),
    ("£", "€", "$"),
    ("million", "billion", "thousand"),
    ("°C", "°F"),
    ("%", "‰", "ppm"),
    ("percent", "per mille"),
    ("Euro", "Pfund", "Dollar"),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a corruption may draw on."""

    names_nearby: Sequence[str]
    """Of the evidence that the sentence is checked against."""
    names_elsewhere: Sequence[str]
    topics: Sequence[str]
    """What the evidence is about: titles, and words that it uses often."""


def names_in(text: str) -> list[str]:
    """Words that look like names, codes among them, in order."""
    return list(dict.fromkeys(match[0] for match in _NAME.finditer(text) if len(match[0]) > 2))


def other_number(sentence: str, chance: random.Random) -> str | None:
    found = [*_NUMBER.finditer(sentence), *_NUMBER_WORD.finditer(sentence)]
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + _another(match[0], chance) + sentence[match.end() :]


def _another(number: str, chance: random.Random) -> str:
    for words in (_SMALL, _KLEIN):
        if number in words:
            return chance.choice([word for word in words if word != number])
    at = chance.choice([place for place, char in enumerate(number) if char.isdigit()])
    digits = [d for d in "0123456789" if d != number[at] and not (at == 0 and d == "0")]
    return number[:at] + chance.choice(digits) + number[at + 1 :]


def other_entity(
    sentence: str, around: Surroundings, chance: random.Random, *, nearby: bool
) -> str | None:
    found = [*_NAME.finditer(sentence), *_CODE.finditer(sentence)]
    if not found:
        return None
    match = chance.choice(found)
    names = around.names_nearby if nearby else around.names_elsewhere
    others = [name for name in names if name.casefold() not in sentence.casefold()]
    if not others:
        return None
    return sentence[: match.start()] + chance.choice(others) + sentence[match.end() :]


def negated(sentence: str, chance: random.Random) -> str | None:
    ways: list[str] = []
    if denied := _DENIED.search(sentence):
        ways.append(sentence[: denied.start()] + sentence[denied.end() :])
    elif verb := _VERB.search(sentence):
        ways.append(f"{sentence[: verb.end()]} not{sentence[verb.end() :]}")
    elif verb := _VERB_DE.search(sentence):
        ways.append(f"{sentence[: verb.end()]} nicht{sentence[verb.end() :]}")
    for one, other in _OPPOSITES:
        for old, new in ((one, other), (other, one)):
            if match := re.search(rf"\b{old}\b", sentence):
                ways.append(sentence[: match.start()] + new + sentence[match.end() :])
    return chance.choice(ways) if ways else None


def other_unit(sentence: str, chance: random.Random) -> str | None:
    ways: list[str] = []
    for units in _UNITS:
        for unit in units:
            symbol = not unit[0].isalpha()
            pattern = (
                rf"(?<!\w){re.escape(unit)}"
                if symbol
                else rf"(?<=[\d\w)] ){re.escape(unit)}(?![\w-])"
            )
            for match in re.finditer(pattern, sentence):
                lead = sentence[: match.start()].rstrip()
                counted = bool(
                    re.search(r"\d$", lead) or re.search(_NUMBER_WORD.pattern + r"$", lead)
                ) or (symbol and re.match(r"\d", sentence[match.end() :]) is not None)
                if not counted:
                    continue
                other = chance.choice([each for each in units if each != unit])
                ways.append(sentence[: match.start()] + other + sentence[match.end() :])
    return chance.choice(ways) if ways else None


_INVENTIONS = (
    "{topic} is reviewed by an outside panel every spring.",
    "An exception applies to {name}, who may ask for a refund.",
    "{topic} was introduced after a complaint by {name}.",
    "Anyone who disagrees may appeal to the ombudsman within a fortnight.",
    "The costs of {topic} are shared equally with the neighbouring town.",
    "{name} has announced that {topic} will be replaced soon.",
    "Most people prefer {topic} because it saves time and money.",
    "A training video about {topic} can be watched in the library.",
    "{topic} gilt auch für Besucher und deren Angehörige.",
    "In addition, {topic} includes free parking and a monthly newsletter.",
)


def invented(around: Surroundings, chance: random.Random) -> str:
    topic = chance.choice(around.topics) if around.topics else "This"
    name = chance.choice(around.names_nearby or around.names_elsewhere)
    return chance.choice(_INVENTIONS).format(topic=topic, name=name)


# --- the same, said otherwise ------------------------------------------------------------------

_SAME = (
    ("must", "has to"),
    ("may", "can"),
    ("per cent", "%"),
    ("up to", "at most"),
    ("at least", "no less than"),
    ("within", "in at most"),
    ("is not", "isn't"),
    ("are not", "aren't"),
    ("each", "every"),
    ("yearly", "annual"),
    ("above", "over"),
    ("employees", "staff"),
    ("purchase", "buy"),
    ("höchstens", "maximal"),
    ("mindestens", "wenigstens"),
)


def said_otherwise(sentence: str, chance: random.Random) -> str | None:
    """`sentence` with one small change that leaves what it says as it is; None where none fits."""
    ways = [*_other_words(sentence), *_other_digits(sentence), *_other_order(sentence)]
    return chance.choice(ways) if ways else None


def _other_words(sentence: str) -> list[str]:
    return [
        sentence[: match.start()] + new + sentence[match.end() :]
        for one, other in _SAME
        for old, new in ((one, other), (other, one))
        if (match := re.search(rf"(?<!\w){re.escape(old)}(?!\w)", sentence))
    ]


def _other_digits(sentence: str) -> list[str]:
    ways: list[str] = []
    for value, word in enumerate(_SMALL, start=2):
        if match := re.search(rf"\b{word}\b", sentence):
            ways.append(sentence[: match.start()] + str(value) + sentence[match.end() :])
        if match := re.search(rf"(?<![\w.,:/-]){value}(?= [a-z]{{3,}})", sentence):
            ways.append(sentence[: match.start()] + word + sentence[match.end() :])
    if match := re.search(r"(?<![\d,])(\d{1,3}),(\d{3})\b(?!,)", sentence):
        ways.append(sentence.replace(match[0], match[1] + match[2]))
    return ways


def _other_order(sentence: str) -> list[str]:
    ways: list[str] = []
    if match := re.match(
        r"((?:In|On|From|At|For|After|Before|Until) [^,.]{3,40}), (.+?)\.?$", sentence
    ):
        ways.append(f"{match[2][0].upper()}{match[2][1:]} {match[1][0].lower()}{match[1][1:]}.")
    if match := re.search(r" \([^()]*\)", sentence):
        ways.append(sentence[: match.start()] + sentence[match.end() :])
    if not re.match(r"[-*|]", sentence) and len(sentence) > 20:
        first = (
            sentence[0].lower() if re.match(r"(The|A|An|All|Each|It)\b", sentence) else sentence[0]
        )
        ways.append(f"According to the document, {first}{sentence[1:]}")
    return ways
