"""Personal data that a form or the words beside it give away, for what is sent to a model.

Beside `identifiers`: addresses of machines, links, wallets, dates of birth and ages, addresses (see
`addresses`), and numbers that are only told by what they are called. Names are not here: they have no
form (see `likely_names` and the name finder).
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from rag.guardrails.addresses import ADDRESS_RULES
from rag.guardrails.form_rule import FormRule, has_digit
from rag.guardrails.hits import Hit, plain
from rag.guardrails.identifiers import identifiers_in

_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|\\^{}\[\]()]{3,2000}", re.IGNORECASE)
_URL_ENDS = ".,;:!?"
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])")
_MAC = re.compile(
    r"(?<![\w:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])"
)
_WALLET = re.compile(
    r"(?<!\w)(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{25,60}|0x[0-9a-fA-F]{40})(?!\w)"
)
_SMALL_IBAN = re.compile(r"(?<![a-z0-9])[a-z]{2}\d{2}(?: ?[a-z0-9]){11,30}(?![a-z0-9])")
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")

_MONTH = (
    r"(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|m.rz|apr(?:il)?|may|mai|june?|juni?|july?|juli?"
    r"|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)"
)
_DATE = (
    rf"(?:\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}|\d{{4}}-\d\d-\d\d|\d{{1,2}}(?:st|nd|rd|th|\.)? {_MONTH}\.?,? \d{{4}}"
    rf"|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_BORN = re.compile(
    rf"(?:\bborn|birth ?day|date of birth|\bd\.?o\.?b\b|geboren|geburtsdatum|geb\.)[^\d\n]{{0,40}}?({_DATE})"
)
_BIRTHDAY = re.compile(
    rf"(?:birth ?day|geburtstag)[^\d\n]{{0,40}}?(\d{{1,2}}(?:st|nd|rd|th|\.)?(?: of)? ?{_MONTH}\b|\d{{1,2}}[./]\d{{1,2}}\b"
    rf"|{_MONTH}\b\.? \d{{1,2}})"
)
_OF_SEX = re.compile(r"(?<!\w)(?:male|female|m|f|w|d),? ?(\d{1,3})(?=\)|,)")
_AGE = re.compile(
    r"(?<![\w.])(\d{1,3})(?=\s?-?(?:years?[ -]olds?\b|y/?o\b|jahre alt|j.hrige?[nrs]?\b))"
)
_AGED = re.compile(
    r"\b(?:aged?|alter|turn(?:ed|s|ing)?|age of|(?:when|as) (?:he|she|i|they) (?:was|were)):? (\d{1,3})(?![\w%]|[.,]\d)"
)
_NUMBER_CALLED = re.compile(
    r"(?:passport|reisepass|passnummer|ausweis\w{0,10}|driver'?s?\W? licen[cs]e|driving licen[cs]e|f.hrerschein\w{0,8}"
    r"|licen[cs]e plate|number plate|kennzeichen|\bcards?|\bcc\b|kreditkarte\w{0,8}|kartennummer|account|konto\w{0,8}"
    r"|social security|\bssn\b|insurance|versicherten\w{0,8}|sozialversicherung\w{0,10}|\btax|steuernummer|personalnummer"
    r"|employee (?:id|number)|\bnational id|\bid card)"
    r"[^\d\n.;]{0,24}?(?<!\w)((?=[a-z-]{0,4}[ -]?\d)[a-z]{0,4}[ -]?\d[\da-z]*(?:[ -]\d[\da-z]*){0,6})(?!\w)"
)
_CALLED_NEEDLES = (
    "passport reisepass passnummer ausweis driv hrerschein plate kennzeichen card cc kreditkarte kartennummer account konto"
    " social ssn insurance versicher tax steuernummer personalnummer employee national".split()
)
_CALLED_KINDS = (
    (("passport", "reisepass", "passnummer"), "passport"),
    (("driver", "driving", "hrerschein"), "driver_licence"),
    (("plate", "kennzeichen"), "licence_plate"),
    (("card", "cc", "kredit", "karten"), "credit_card"),
    (("account", "konto"), "bank_account"),
)
_SHORTEST_WALLET = 26
_LEAST_DIGITS, _LEAST_OF_CARDS = 4, 8
_PHONE = re.compile(
    r"(?<![\w.,+/-])(?:\(\d{1,4}\)[ -]?)?\d{2,5}(?:[ .\-/]\d{2,8}){1,4}(?:x\d{1,5})?(?![\w]|[.,-]\d|\s?[%€$£])"
)
_CALLING = "call phone tel fax mobil desk office dial reach answering message text registered handy ruf cell".split()
_PLATE = re.compile(r"(?<![\w-])[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} \d{1,4}[EH]?(?![\w-])")
_BRITISH_PLATE = re.compile(r"(?<![\w-])[A-Z]{2}\d{2} [A-Z]{3}(?![\w-])")
_FRENCH_PLATE = re.compile(r"(?<![\w-])[A-Z]{2}-\d{3}-[A-Z]{2}(?![\w-])")
_CLOSE = 64
"""Characters. No pattern has so many between a word and the number that it tells of."""
_SHAPE = bytes(
    48 if 48 <= sign < 58 else 65 if 65 <= sign < 91 else 97 if 97 <= sign < 123 else sign
    for sign in range(256)
)
IDENTIFYING = frozenset(
    "email phone iban credit_card national_id passport driver_licence licence_plate bank_account birth_date wallet"
    " address mac".split()
)
"""Kinds that tell who somebody is. A link, an age or a postcode alone does not."""


def patterns_in(text: str) -> Iterator[Hit]:
    """Where personal data stands that has a form. The same place may be named twice.

    Half a millisecond of CPU for 1,000 characters that hold some; much less for texts that hold none.
    """
    yield from identifiers_in(text)
    if "://" in text or "www." in text:
        for found in _URL.finditer(text):
            yield Hit(found.start(), found.start() + len(found[0].rstrip(_URL_ENDS)), "url")
    shape = _shape_of(text)
    if b"0" not in shape:
        return
    twin = plain(text)
    near = _near_digits(twin, shape)
    for rule in _RULES:
        if not (
            (rule.shapes and any(map(shape.__contains__, rule.shapes)))
            or (rule.words and any(map(near.__contains__, rule.words)))
            or (rule.may_hold is not None and rule.may_hold(text))
        ):
            continue
        for found in rule.pattern.finditer(twin if rule.ignores_case else text):
            group = found.lastindex or 0
            if rule.holds(found[group]):
                yield Hit(found.start(group), found.end(group), rule.kind)
    yield from _called(twin, near)
    yield from _phones(text, twin, near)


def _near_digits(twin: str, shape: bytes) -> str:
    """What stands close to a digit: words that tell of a number are looked for there alone."""
    at = shape.find(b"0")
    pieces: list[str] = []
    while at >= 0:
        end = at + 1
        while (following := shape.find(b"0", end, end + _CLOSE)) >= 0:
            end = following + 1
        pieces.append(twin[max(0, at - _CLOSE) : end + _CLOSE])
        at = shape.find(b"0", end)
    return "\n".join(pieces)


def _shape_of(text: str) -> bytes:
    """`text` with every digit as `0` and every letter as `A` or `a`: what is searched first, for
    looking for a few bytes is many times quicker than any pattern."""
    return text.encode("ascii", "replace").translate(_SHAPE)


def _called(twin: str, near: str) -> Iterator[Hit]:
    """Numbers that are told by the words before them."""
    if not any(map(near.__contains__, _CALLED_NEEDLES)):
        return
    for found in _NUMBER_CALLED.finditer(twin):
        kind = _kind_called(found[0])
        least = _LEAST_OF_CARDS if kind == "credit_card" else _LEAST_DIGITS
        if sum(map(str.isdigit, found[1])) >= least:
            yield Hit(found.start(1), found.end(1), kind)


def _kind_called(match: str) -> str:
    for words, kind in _CALLED_KINDS:
        if any(word in match for word in words):
            return kind
    return "national_id"


def _phones(text: str, twin: str, near: str) -> Iterator[Hit]:
    """Numbers of telephones in a national form, near a word that speaks of calling."""
    if not any(map(near.__contains__, _CALLING)):
        return
    for found in _PHONE.finditer(text):
        digits = sum(map(str.isdigit, found[0]))
        near = twin[max(0, found.start() - 60) : found.end() + 12]
        if 7 <= digits <= 15 and any(map(near.__contains__, _CALLING)):
            yield Hit(found.start(), found.end(), "phone")


# --- what a match must satisfy --------------------------------------------------------------------


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return any(map(str.isalnum, value))


def _has_eight_digits(value: str) -> bool:
    return sum(map(str.isdigit, value)) >= 8


def _is_mixed(value: str) -> bool:
    return has_digit(value) and any(map(str.isalpha, value))


def _is_age(value: str) -> bool:
    return 0 < int(value) < 130


def _has_colons(text: str) -> bool:
    return text.count(":") > 1


def _has_five_marks(text: str) -> bool:
    return text.count(":") > 4 or text.count("-") > 4


def _has_long_word(text: str) -> bool:
    return max(map(len, text.split()), default=0) >= _SHORTEST_WALLET


_AGES = ("year", "y/o", "jahr", "j?hr", "age", "alter", "turn", " was ", " were ")
_RULES = (
    FormRule(kind="ip", pattern=_IPV4, shapes=(b"0.0",), holds=_is_address),
    FormRule(kind="ip", pattern=_IPV6, may_hold=_has_colons, holds=_is_address),
    FormRule(kind="mac", pattern=_MAC, may_hold=_has_five_marks),
    FormRule(kind="wallet", pattern=_WALLET, may_hold=_has_long_word, holds=_is_mixed),
    FormRule(kind="national_id", pattern=_SSN, shapes=(b"000-00-0000",)),
    FormRule(
        kind="iban",
        pattern=_SMALL_IBAN,
        words=("iban",),
        ignores_case=True,
        holds=_has_eight_digits,
    ),
    FormRule(
        kind="birth_date",
        pattern=_BORN,
        words=("born", "birth", "dob", "d.o.b", "gebor", "geburt", "geb."),
        ignores_case=True,
    ),
    FormRule(
        kind="birth_date", pattern=_BIRTHDAY, words=("birth", "geburtstag"), ignores_case=True
    ),
    FormRule(
        kind="age",
        pattern=_OF_SEX,
        words=("(m", "(f", "(w", "(d", "male"),
        ignores_case=True,
        holds=_is_age,
    ),
    FormRule(kind="age", pattern=_AGE, words=_AGES, ignores_case=True, holds=_is_age),
    FormRule(kind="age", pattern=_AGED, words=_AGES, ignores_case=True, holds=_is_age),
    FormRule(kind="licence_plate", pattern=_PLATE, shapes=(b"-A 0", b"-AA 0")),
    FormRule(kind="licence_plate", pattern=_BRITISH_PLATE, shapes=(b"AA00 AAA",)),
    FormRule(kind="licence_plate", pattern=_FRENCH_PLATE, shapes=(b"AA-000-AA",)),
    *ADDRESS_RULES,
)
