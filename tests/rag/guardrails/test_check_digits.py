"""Check digits: published examples hold, and no single wrong digit passes."""

import string

from hypothesis import assume, given
from hypothesis import strategies as st

from rag.guardrails.check_digits import (
    IBAN_LENGTHS,
    is_codice_fiscale,
    is_french_nir,
    is_german_pension_number,
    is_german_tax_id,
    is_iban,
    is_nhs_number,
    is_spanish_dni,
    passes_luhn,
)

DIGITS = st.text(string.digits, min_size=12, max_size=18)


def test_published_examples_hold() -> None:
    assert is_iban("DE89370400440532013000") and is_iban("GB29NWBK60161331926819")
    assert passes_luhn("4111111111111111") and passes_luhn("378282246310005")
    assert is_german_tax_id("86095742719") and is_german_tax_id("65929970489")
    assert is_german_pension_number("15070649C103")
    assert is_nhs_number("9434765919")
    assert is_spanish_dni("12345678Z")
    assert is_french_nir("255081416802538")
    assert is_codice_fiscale("RSSMRA85T10A562S")


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_an_iban_with_its_check_digits_passes_and_with_one_other_sign_does_not(
    country: str, data: st.DataObject
) -> None:
    account = data.draw(
        st.text(
            string.ascii_uppercase + string.digits,
            min_size=IBAN_LENGTHS[country] - 4,
            max_size=IBAN_LENGTHS[country] - 4,
        )
    )
    number = int("".join(str(int(sign, 36)) for sign in f"{account}{country}00"))
    iban = f"{country}{98 - number % 97:02d}{account}"
    assert is_iban(iban)
    place = data.draw(st.integers(4, len(iban) - 1))
    assume(iban[place].isdigit())
    other = data.draw(st.sampled_from(string.digits.replace(iban[place], "")))
    assert not is_iban(iban[:place] + other + iban[place + 1 :])


@given(DIGITS, st.data())
def test_luhn_notices_every_single_digit_and_takes_exactly_one_last_digit(
    digits: str, data: st.DataObject
) -> None:
    passing = [last for last in string.digits if passes_luhn(digits + last)]
    assert len(passing) == 1
    card = digits + passing[0]
    place = data.draw(st.integers(0, len(card) - 1))
    other = data.draw(st.sampled_from(string.digits.replace(card[place], "")))
    assert not passes_luhn(card[:place] + other + card[place + 1 :])


@given(st.permutations("123456789"), st.integers(0, 8), st.integers(1, 9))
def test_at_most_one_last_digit_makes_a_german_tax_id(
    digits: list[str], repeated: int, place: int
) -> None:
    first = [*digits[:place], digits[repeated], *digits[place:]]
    assert sum(is_german_tax_id("".join(first) + last) for last in string.digits) == 1


@given(st.text(string.digits, min_size=9, max_size=9))
def test_at_most_one_last_digit_makes_an_nhs_number(digits: str) -> None:
    assert sum(is_nhs_number(digits + last) for last in string.digits) <= 1


@given(st.integers(0, 99_999_999))
def test_one_letter_makes_a_spanish_number(number: int) -> None:
    letters = [
        letter for letter in string.ascii_uppercase if is_spanish_dni(f"{number:08d}{letter}")
    ]
    assert len(letters) == 1


@given(st.text(max_size=40))
def test_no_text_makes_a_check_fail(text: str) -> None:
    for check in (
        is_iban,
        is_german_pension_number,
        is_spanish_dni,
        is_french_nir,
        is_codice_fiscale,
    ):
        assert check(text) in {True, False}
