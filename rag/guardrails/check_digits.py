"""Check digits: what tells a number that was given out from one that merely looks like it."""

from collections.abc import Mapping
from types import MappingProxyType

IBAN_LENGTHS: Mapping[str, int] = MappingProxyType(
    {
        "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
        "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
        "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
        "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
        "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
        "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
        "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
        "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28,
        "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    }
)  # fmt: skip
"""By country, as SWIFT's IBAN registry has them."""

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CODICE_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)  # fmt: skip


def is_iban(value: str) -> bool:
    """ISO 13616: letters as numbers from 10, the first four characters last, modulo 97 is 1."""
    if IBAN_LENGTHS.get(value[:2]) != len(value) or not (value.isascii() and value.isalnum()):
        return False
    return int("".join(str(int(sign, 36)) for sign in value[4:] + value[:4])) % 97 == 1


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1: payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def is_german_tax_id(digits: str) -> bool:
    """Steuerliche Identifikationsnummer: ISO 7064 MOD 11,10, and of the first ten digits exactly
    one stands there twice or three times."""
    if len(digits) != 11 or digits[0] == "0":
        return False
    repeated = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    if repeated[-1] not in {2, 3} or repeated[-2] != 1:
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def is_german_pension_number(value: str) -> bool:
    """Rentenversicherungsnummer: digit sums of the weighted digits, the letter as two of them."""
    if len(value) != 12 or not value[8].isalpha() or not (value[:8] + value[9:]).isdigit():
        return False
    if not (1 <= int(value[4:6]) <= 12 and 1 <= int(value[2:4]) % 50 <= 31):
        return False
    digits = f"{value[:8]}{ord(value[8]) - 64:02d}{value[9:11]}"
    weighted = (
        int(digit) * weight
        for digit, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
    )
    return sum(number // 10 + number % 10 for number in weighted) % 10 == int(value[11])


def is_nhs_number(digits: str) -> bool:
    """England's NHS number: weights 10 to 2, modulo 11."""
    if len(digits) != 10:
        return False
    total = sum(
        int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)
    )
    return (11 - total % 11) % 11 == int(digits[9])


def is_spanish_dni(value: str) -> bool:
    """Documento nacional de identidad: eight digits modulo 23 name the letter."""
    return (
        len(value) == 9
        and value[:8].isdigit()
        and value[8] == _DNI_LETTERS[int(value[:8]) % len(_DNI_LETTERS)]
    )


def is_french_nir(value: str) -> bool:
    """Numéro de sécurité sociale: thirteen digits and 97 minus their remainder by 97."""
    if len(value) != 15:
        return False
    number = value[:13].replace("2A", "19").replace("2B", "18")
    return (
        number.isdigit()
        and value[13:].isdigit()
        and number[0] in "12"
        and 97 - int(number) % 97 == int(value[13:])
    )


def is_codice_fiscale(value: str) -> bool:
    """Italy's tax code: odd and even places are valued differently; the sum names the last letter."""
    if len(value) != 16 or not (value.isascii() and value.isalnum()):
        return False
    total = 0
    for place, sign in enumerate(value[:15]):
        number = int(sign) if sign.isdigit() else ord(sign) - 65
        total += number if place % 2 else _CODICE_ODD[number]
    return chr(65 + total % 26) == value[15]
