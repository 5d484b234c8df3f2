"""Whether a number may be somebody's: of a house, an account, a telephone, a birth. What is counted,
measured or paid, and what numbers the parts of a document, is nobody's."""

import re
from collections.abc import Sequence

from rag.guardrails import name_words as sets
from rag.guardrails.name_tokens import Token
from rag.guardrails.words import Kind, Word

_MEASURE = re.compile(
    r"\s?(?:[%€$£°]|(?i:percent|prozent|euros?|dollars?|(?:milli|micro|nano)?seconds?|minutes?|minuten|hours?|stunden?|days?"
    r"|tage?n?|weeks?|wochen?|months?|monate?n?|pages?|seiten?|pieces?|stück|times|mal|uhr|rpm|gbp|eur|usd|chf)(?!\w)"
    r"|(?:kg|mg|g|mm|cm|m|km|l|ml|bar|V|kV|A|W|kW|kWh|MB|GB|KB|TB|mb|gb|ms|s(?!-[A-Z])|Hz|kHz|GHz|x|m³|µm|N(?!\. [A-Z])|Nm|nm|kN|MPa|Pa|dBA?)(?!\w))"
)
_AGED = re.compile(
    r"\s?-?(?:years?[ -]olds?|y/?o\b|yrs?\b|-?years?-old|jahre? alt|jährige?[nrs]?|(?:years|jahre)(?=\s?[,;)]|\s?$))",
    re.IGNORECASE,
)
_ENUMERATED = re.compile(r"\s*\d{1,3}[.)]\s")
_OF_THIS_TIME = re.compile(
    r"20(?:2[3-9]|3\d)(?:-\d{3}|-(?:0\d|1[0-2])-[0-3]\d|[./](?:0?\d|1[0-2])[./][0-3]?\d)?"
    r"|[0-3]?\d[./-](?:0?\d|1[0-2])[./-](?:20)?(?:2[3-9]|3\d)|(?:0?\d|1[0-2])/[0-3]?\d/20(?:2[3-9]|3\d)"
)
"""A year or a date that is no adult's birth, or the number of a case of such a year."""
_YEAR_AFTER_MONTH = re.compile(r"20(?:1[3-9]|[23]\d)")
_DECIMAL = re.compile(
    r"\d{1,3}[.,]\d{1,3}|\d{1,3}(?:,\d{3}\.|\.\d{3},)\d{1,2}|\d\.\d{4}|\d{1,2}:\d\d|\d{1,2}-\d{1,2}"
)
_CURRENCY = re.compile(r"(?:[€$£]|\b(?:gbp|eur|usd|chf)) ?\Z", re.IGNORECASE)
_LONG, _LONGEST_QUANTITY = 4, 8
"""Digits."""
_GAPS = frozenset({" ", "-", "/", " / ", " - ", ") ", ")", "."})
_LONG_IN_A_ROW, _FEWEST_PAIRS = 7, 3
_NOTHING = Word("", "", 0)


def is_suspect_number(text: str, tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    written = token.word.text
    digits = sum(map(str.isdigit, written))
    if is_age(text, token) or (digits > _LONGEST_QUANTITY and not is_decimal(written)):
        return True
    is_paid = _CURRENCY.search(text, max(0, token.start - 4), token.start)
    if digits < 2 or is_paid or is_measure(text, token):
        return False
    before = tokens[at - 1].word if at and not token.opens else _NOTHING
    if before.small in sets.CALLED_BY_NUMBER:
        return True
    if _OF_THIS_TIME.fullmatch(written) or is_decimal(written) or _is_numbering(before, written):
        return False
    around = text[max(0, token.start - 1) : token.start] + text[token.end : token.end + 1]
    return digits >= _LONG or around[:1] in {"#", "+"} or around == "()"


def _is_numbering(before: Word, written: str) -> bool:
    """Whether a document or a month is what has that number."""
    is_year = before.kinds & Kind.MONTH and _YEAR_AFTER_MONTH.fullmatch(written)
    return bool(is_year) or before.small in sets.NUMBERED


def is_age(text: str, token: Token) -> bool:
    return _AGED.match(text, token.end) is not None


def is_measure(text: str, token: Token) -> bool:
    """Whether a unit follows it."""
    return _MEASURE.match(text, token.end) is not None


def is_decimal(written: str) -> bool:
    """Whether it is a quantity, a time or the number of a version: 8.2, 1,250.00, 10:30."""
    return _DECIMAL.fullmatch(written) is not None


def begins_list(text: str, token: Token) -> bool:
    """Whether the number is that of a line in a list or of a heading: `2. Close the valve`."""
    begins = text.rfind("\n", 0, token.start) + 1
    is_first = not text[begins : token.start].strip(" #")
    return is_first and _ENUMERATED.match(text, token.start) is not None


def find_rows(tokens: Sequence[Token], numbers: Sequence[int], suspect: list[bool]) -> None:
    """Short numbers in a row that are a long one together are suspect: `06 50 96 65 40`."""
    row: list[int] = []
    for at in (*numbers, len(tokens)):
        if row and at == row[-1] + 1 and at < len(tokens) and tokens[at].gap in _GAPS:
            row.append(at)
            continue
        written = "".join(tokens[place].word.text for place in row)
        is_long = sum(map(str.isdigit, written)) >= _LONG_IN_A_ROW
        if len(row) > 1 and (is_long or _are_pairs(tokens, row)):
            suspect[row[0] : row[-1] + 1] = [True] * len(row)
        row = [at]


def _are_pairs(tokens: Sequence[Token], row: Sequence[int]) -> bool:
    """`84 23 30`, as telephones are written in the north."""
    return len(row) >= _FEWEST_PAIRS and all(
        len(tokens[at].word.text) == 2 and (at == row[0] or tokens[at].gap == " ") for at in row
    )
