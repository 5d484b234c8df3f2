"""Dates written out that may be somebody's birth: those of a year so long ago that it may be an adult's."""

import re
from collections.abc import Iterator

from rag.guardrails.hits import plain

MONTH = (
    r"(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|m.rz|apr(?:il)?|may|mai|june?|juni?|july?|juli?"
    r"|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)"
)
_YEAR = r"(?:(?P<year{0}>\d{{4}})(?!\d)|'\d\d(?!\d))"
_DATE = re.compile(
    rf"(?<!\w)\d{{1,2}}(?:st|nd|rd|th|\.)?[ -](?:of )?{MONTH}\b\.?[, -]{{1,2}}{_YEAR.format(1)}"
    rf"|(?<!\w){MONTH}\b\.? \d{{1,2}}(?:st|nd|rd|th)?,? {_YEAR.format(2)}"
)
_NEEDLES = "jan feb mar rz apr may mai jun jul aug sep oct okt nov dec dez".split()
_NO_BIRTH = range(2013, 2040)


def old_dates_in(text: str) -> Iterator[tuple[int, int]]:
    """Where they stand, day, month and year."""
    twin = plain(text)
    if not any(map(twin.__contains__, _NEEDLES)):
        return
    for found in _DATE.finditer(twin):
        year = found["year1"] or found["year2"]
        if year is None or int(year) not in _NO_BIRTH:
            yield found.span()
