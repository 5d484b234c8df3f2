"""E-mail addresses, telephone and bank account numbers, payment cards and national numbers.

What has check digits is told by them; the rest by a form that little else has, or by the word in
front of it. Patterns are linear, and run only where a text holds what they need.
"""

import re
from collections.abc import Callable, Iterator

from rag.guardrails.check_digits import (
    is_codice_fiscale,
    is_french_nir,
    is_german_pension_number,
    is_german_tax_id,
    is_iban,
    is_nhs_number,
    is_spanish_dni,
    passes_luhn,
)
from rag.guardrails.hits import Hit, plain

_LOCAL_PART = re.compile(r"[\w.+-]{1,64}\Z")
_DOMAIN = re.compile(r"@(?=[A-Za-z0-9])(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_INTERNATIONAL = re.compile(r"\+(?<![\w+]\+)[1-9]\d{0,2}[ \-./()\d]{5,18}\d(?!\d)")
_DIALLED_OUT = re.compile(
    r"00(?<![\w+]00)(?=(?:1|3[0-69]|4[013-9])[ /-])[1-9]\d{0,2}[ \-./()\d]{5,18}\d(?!\d)"
)
_NAMED = re.compile(
    r"(?:tel(?:efon|ephone)?|phone|fax|mobil(?:e|funk)?|handy|cell)\b\.?"
    r"(?:[ -]?(?:nr|no|number|nummer))?\.?\s{0,3}[:.]?\s{0,3}(\(?\d[\d ()/.\-]{5,18}\d)(?!\d)"
)
"""Over a plain twin of the text, like every pattern that goes by a word."""
_NAMED_NEEDLES = ("tel", "phone", "fax", "mobil", "handy", "cell")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\w.,+-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)")
_CARD_FORM = re.compile(r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")
_ISSUER = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|6(?:011|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}"
)
_PENSION = re.compile(r"(?<!\w)\d{2} ?\d{6} ?[A-Z] ?\d{3}(?!\w)")
_DNI = re.compile(r"(?<!\w)\d{8}-?[A-Z](?!\w)")
_NIR = re.compile(r"(?<!\w)[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?!\w)")
_CODICE = re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)")
_NINO = re.compile(
    r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    r"(?: ?\d\d){3} ?[A-D](?!\w)"
)
_TAX_ID = re.compile(
    r"(?:steuer-?\s?id|idnr|steuerliche identifikations|tax id)[^\d\n]{0,30}"
    r"(\d{2}(?: ?\d{3}){3})(?!\d)"
)
_NHS = re.compile(r"\bnhs\b[^\d\n]{0,30}(\d{3}[ -]?\d{3}[ -]?\d{4})(?!\d)")
_SSN = re.compile(
    r"(?:\bssn\b|social security)[^\d\n]{0,30}((?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4})(?!\d)"
)
_NATIONAL: tuple[tuple[tuple[bytes, ...], re.Pattern[str], Callable[[str], bool]], ...] = (
    ((b"00000000A000",), _PENSION, is_german_pension_number),
    ((b"00000000A",), _DNI, is_spanish_dni),
    ((b"0" * 15, b"000000A00000000"), _NIR, is_french_nir),
    ((b"AAAAAA00A00A000A",), _CODICE, is_codice_fiscale),
    ((b"AA000000A",), _NINO, lambda _value: True),
)
"""What the form of a text must hold, see `_form_of`, for the pattern to run."""
_NATIONAL_BY_NAME: tuple[tuple[tuple[str, ...], re.Pattern[str], Callable[[str], bool]], ...] = (
    (("steuer", "idnr", "tax id"), _TAX_ID, is_german_tax_id),
    (("nhs",), _NHS, is_nhs_number),
    (("ssn", "social security"), _SSN, lambda _value: True),
)
_FORM = bytes(
    ord("0") if chr(sign).isdigit() else ord("A") if 65 <= sign <= 90 else sign
    for sign in range(128)
) + bytes(range(128, 256))
_GAPS = str.maketrans("", "", " \u00a0-")


def identifiers_in(text: str) -> Iterator[Hit]:
    """Where they stand. The same place may be named twice."""
    if "@" in text:
        yield from _emails(text)
    form = _form_of(text)
    if b"000" not in form:
        return
    twin = plain(text)
    yield from _accounts(text, form)
    yield from _national_numbers(text, twin, form)
    yield from _phones(text, twin)


def _form_of(text: str) -> bytes:
    """`text` without gaps, every digit as `0` and every capital as `A`: what is searched first, for
    looking for a few bytes is a hundred times quicker than any pattern."""
    return text.encode("ascii", "replace").translate(_FORM, b" -?")


def _emails(text: str) -> Iterator[Hit]:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at)
        local = _LOCAL_PART.search(text, max(0, at - 64), at) if domain else None
        if domain and local:
            yield Hit(local.start(), domain.end(), "email")
        at = text.find("@", at + 1)


def _phones(text: str, twin: str) -> Iterator[Hit]:
    for needle, pattern in (("+", _INTERNATIONAL), ("00", _DIALLED_OUT)):
        if needle in text:
            for found in pattern.finditer(text):
                if 8 <= _digits(found[0]) <= 17:
                    yield Hit(found.start(), found.end(), "phone")
    if any(needle in twin for needle in _NAMED_NEEDLES):
        for found in _NAMED.finditer(twin):
            starts_a_word = found.start() == 0 or not twin[found.start() - 1].isalpha()
            if starts_a_word and 6 <= _digits(found[1]) <= 15:
                yield Hit(found.start(1), found.end(1), "phone")


def _digits(value: str) -> int:
    return sum(map(str.isdigit, value))


def _accounts(text: str, form: bytes) -> Iterator[Hit]:
    if b"AA00" in form:
        for found in _IBAN.finditer(text):
            end = _end_of_iban(found[0])
            if end:
                yield Hit(found.start(), found.start() + end, "iban")
    if b"0" * 13 not in form:
        return
    for found in _CARD.finditer(text):
        digits = found[0].translate(_GAPS)
        if (
            _CARD_FORM.fullmatch(found[0])
            and _ISSUER.fullmatch(digits)
            and passes_luhn(digits)
            and len(set(digits)) > 1
        ):
            yield Hit(found.start(), found.end(), "credit_card")


def _end_of_iban(written: str) -> int:
    """How much of `written` is the account number: a word in capitals may follow it. 0: nothing."""
    for end in range(len(written), 14, -1):
        if written[end - 1] not in " \u00a0" and is_iban(written[:end].translate(_GAPS)):
            return end
    return 0


def _national_numbers(text: str, twin: str, form: bytes) -> Iterator[Hit]:
    for forms, pattern, holds in _NATIONAL:
        if any(each in form for each in forms):
            for found in pattern.finditer(text):
                if holds(found[0].translate(_GAPS)):
                    yield Hit(found.start(), found.end(), "national_id")
    for needles, pattern, holds in _NATIONAL_BY_NAME:
        if any(needle in twin for needle in needles):
            for found in pattern.finditer(twin):
                if holds(found[1].translate(_GAPS)):
                    yield Hit(found.start(1), found.end(1), "national_id")
