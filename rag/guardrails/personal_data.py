"""Personal data that a form or the words beside it give away, for what is sent to a model.

Beside `identifiers`: addresses of machines, links, wallets, dates of birth and ages, streets and
postcodes, and numbers that are only told by what they are called. Names are not here: they have no
form (see `likely_names` and the name finder).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

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
_LEAST_DIGITS, _LEAST_OF_CARDS = 4, 8
_PHONE = re.compile(
    r"(?<![\w.,+/-])(?:\(\d{1,4}\)[ -]?)?\d{2,5}(?:[ .\-/]\d{2,8}){1,4}(?:x\d{1,5})?(?![\w]|[.,-]\d|\s?[%€$£])"
)
_CALLING = "call phone tel fax mobil desk office dial reach answering message text registered handy ruf cell".split()
_PLATE = re.compile(r"(?<![\w-])[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} \d{1,4}[EH]?(?![\w-])")
_UK_POSTCODE = re.compile(r"(?<!\w)[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)")
_POSTCODE = re.compile(
    r"(?:\bzip|postal ?code|postcode|plz|postleitzahl)(?: code)?\W{0,3}(?:(?:is|ist|lautet)\W{1,2})?([a-z]{0,2}-?\d[\da-z]{1,5}(?:[ -]?[\da-z]{2,4})?)(?!\w)"
)
_NAME = r"[A-ZÄÖÜÀ-Þ][\w’'.-]{1,30}"
_STREET_WORD = (
    r"(?:Street|St\.?|Road|Rd\.?|Avenue|Ave\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Way|Court|Ct\.?|Place|Square"
    r"|Terrace|Crescent|Straße|Allee|Platz|Weg|Gasse)"
)
_STREET = re.compile(
    rf"(?<!\w)(?:\d{{1,5}}[a-z]?,? )?(?:{_NAME} ){{0,3}}"
    rf"(?:{_NAME}(?:straße|strasse|str\.|gasse|weg|platz|allee|damm|ufer|gata|gatan|veien|vägen)|{_NAME} {_STREET_WORD})"
    r"(?!\w)(?:,? \d{1,5}[a-z]?(?!\w))?"
)
_STREETS = tuple(
    " street, st, road, rd, avenue, ave, lane, ln, drive, dr, boulevard, blvd, way, court, ct, place, square, terrace"
    ", crescent, stra?e,stra?e, allee, weg,strasse,str.,gasse,weg,platz,allee,damm,ufer,gata,veien,v?gen".split(
        ","
    )
)
_OF = r"(?: (?:de|des|du|della?|do|da|la|les|los|del)){0,3}"
_WAY = re.compile(
    rf"(?<!\w)\d{{1,5}},? (?:bis )?(?:rue|avenue|boulevard|place|via|piazza|calle|avenida|rua){_OF}(?: {_NAME}){{1,4}}"
    rf"|(?<!\w)(?:Rue|Avenue|Via|Piazza|Calle|Avenida|Rua|Paseo|Plaza|Viale|Corso){_OF}(?: {_NAME}){{1,4}},? \d{{1,5}}"
)
_WAYS = (
    "rue ", "avenue ", "boulevard ", "place ", "via ", "piazza ", "calle ", "avenida ", "rua ", "paseo ", "plaza ",
    "viale ", "corso ",
)  # fmt: skip
_UNITS = ("box ", "postfach ", "psc ", "unit ", "suite ", "apt", "apartment ")
_UNIT = re.compile(
    r"(?<!\w)(?:p\.? ?o\.? box|postfach|psc|unit|suite|apt\.?|apartment|box)\s(?:#|no\.? )?\d{1,6}(?!\w)(?:, box \d{1,6})?"
)
_GERMAN_CITY = re.compile(rf"(?<!\w)(?:D-)?\d{{5}} {_NAME}")
_US_STATE_ZIP = re.compile(
    r"(?<!\w)(?:A[AEKLPRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT"
    r"|V[AIT]|W[AIVY]) \d{5}(?:-\d{4})?(?!\w)"
)


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

    0.4 to 0.8 ms of CPU for 1,000 characters that hold some; much less for texts that hold none.
    """
    yield from identifiers_in(text)
    if "://" in text or "www." in text:
        for found in _URL.finditer(text):
            yield Hit(found.start(), found.start() + len(found[0].rstrip(_URL_ENDS)), "url")
    shape = _shape_of(text)
    if b"0" not in shape:
        return
    twin = plain(text)
    for rule in _RULES:
        if not (
            any(map(shape.__contains__, rule.shapes)) or any(map(twin.__contains__, rule.words))
        ):
            continue
        for found in rule.pattern.finditer(twin if rule.ignores_case else text):
            group = found.lastindex or 0
            if rule.holds(found[group]):
                yield Hit(found.start(group), found.end(group), rule.kind)
    yield from _called(twin)
    yield from _phones(text, twin)


def _shape_of(text: str) -> bytes:
    """`text` with every digit as `0` and every letter as `A` or `a`: what is searched first, for
    looking for a few bytes is many times quicker than any pattern."""
    return text.encode("ascii", "replace").translate(_SHAPE)


def _called(twin: str) -> Iterator[Hit]:
    """Numbers that are told by the words before them."""
    if not any(map(twin.__contains__, _CALLED_NEEDLES)):
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


def _phones(text: str, twin: str) -> Iterator[Hit]:
    """Numbers of telephones in a national form, near a word that speaks of calling."""
    if not any(map(twin.__contains__, _CALLING)):
        return
    for found in _PHONE.finditer(text):
        digits = sum(map(str.isdigit, found[0]))
        near = twin[max(0, found.start() - 60) : found.end() + 12]
        if 7 <= digits <= 15 and any(map(near.__contains__, _CALLING)):
            yield Hit(found.start(), found.end(), "phone")


# --- what a match must satisfy --------------------------------------------------------------------


def _always(_value: str) -> bool:
    return True


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return any(map(str.isalnum, value))


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def _has_eight_digits(value: str) -> bool:
    return sum(map(str.isdigit, value)) >= 8


def _is_mixed(value: str) -> bool:
    return _has_digit(value) and any(map(str.isalpha, value))


def _is_age(value: str) -> bool:
    return 0 < int(value) < 130


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    kind: str
    pattern: re.Pattern[str]
    """Its last group, where it has one, is the value."""
    shapes: tuple[bytes, ...] = ()
    words: tuple[str, ...] = ()
    """One of these, or of the shapes, must be there for the pattern to run."""
    ignores_case: bool = False
    holds: Callable[[str], bool] = _always


_AGES = ("year", "y/o", "jahr", "j?hr", "age", "alter", "turn", " was ", " were ")
_RULES = (
    _Rule(kind="ip", pattern=_IPV4, shapes=(b"0.0",), holds=_is_address),
    _Rule(kind="ip", pattern=_IPV6, words=(":",), holds=_is_address),
    _Rule(kind="mac", pattern=_MAC, words=(":", "-")),
    _Rule(kind="wallet", pattern=_WALLET, words=("0x", "bc1", "1", "3"), holds=_is_mixed),
    _Rule(kind="national_id", pattern=_SSN, shapes=(b"000-00-0000",)),
    _Rule(
        kind="iban",
        pattern=_SMALL_IBAN,
        words=("iban",),
        ignores_case=True,
        holds=_has_eight_digits,
    ),
    _Rule(
        kind="birth_date",
        pattern=_BORN,
        words=("born", "birth", "dob", "d.o.b", "gebor", "geburt", "geb."),
        ignores_case=True,
    ),
    _Rule(kind="age", pattern=_AGE, words=_AGES, ignores_case=True, holds=_is_age),
    _Rule(kind="age", pattern=_AGED, words=_AGES, ignores_case=True, holds=_is_age),
    _Rule(kind="licence_plate", pattern=_PLATE, shapes=(b"-A 0", b"-AA 0")),
    _Rule(kind="postcode", pattern=_UK_POSTCODE, shapes=(b" 0AA",)),
    _Rule(
        kind="postcode",
        pattern=_POSTCODE,
        words=("zip", "postal", "postcode", "plz", "postleitzahl"),
        ignores_case=True,
    ),
    _Rule(kind="postcode", pattern=_US_STATE_ZIP, shapes=(b"AA 00000",)),
    _Rule(kind="address", pattern=_GERMAN_CITY, shapes=(b"00000 A",)),
    _Rule(kind="address", pattern=_STREET, words=_STREETS, holds=_has_digit),
    _Rule(kind="address", pattern=_WAY, words=_WAYS),
    _Rule(kind="address", pattern=_UNIT, words=_UNITS, ignores_case=True),
)
