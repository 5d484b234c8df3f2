"""Personal data is found by its form, and what merely looks like it is let be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.access import TenantId
from rag.guardrails.checks import NotRun, Report, Scanned, asked
from rag.guardrails.hits import Hit, apart, covering
from rag.guardrails.personal_data import patterns_in
from rag.guardrails.pii import Depth, PersonalData, PersonalDataCheck, Places
from rag.trail import UseCase


def found(text: str) -> dict[str, str]:
    return {text[hit.start : hit.end]: hit.kind for hit in apart(patterns_in(text))}


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("Mail anna.berg@example.com.", "anna.berg@example.com", "email"),
        ("Call +49 30 1234567 now", "+49 30 1234567", "phone"),
        ("Phone: 083 564 9312", "083 564 9312", "phone"),
        ("They are not answering at 71-33-52-22", "71-33-52-22", "phone"),
        ("Desk: (898)666-3621x0135", "(898)666-3621x0135", "phone"),
        ("IBAN DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00", "iban"),
        ("my iban is gb42 nawi 0445 4264 7886 19", "gb42 nawi 0445 4264 7886 19", "iban"),
        ("paid with 4111 1111 1111 1111", "4111 1111 1111 1111", "credit_card"),
        ("my card # 4288471682657067 is lost", "4288471682657067", "credit_card"),
        ("SSN 853-37-1694", "853-37-1694", "national_id"),
        ("her passport number is C01X00T47", "c01X00T47".upper(), "passport"),
        ("my driver's license number is F162823540116", "F162823540116", "driver_licence"),
        ("Kennzeichen KS-AB 1234", "KS-AB 1234", "licence_plate"),
        ("blocked 41.173.96.26 again", "41.173.96.26", "ip"),
        ("from 2001:db8::8a2e:370:7334 today", "2001:db8::8a2e:370:7334", "ip"),
        ("the card 00:1B:44:11:3A:B7 is", "00:1B:44:11:3A:B7", "mac"),
        ("see https://example.com/~berg.", "https://example.com/~berg", "url"),
        ("pay 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "wallet"),
        ("She was born on 7/14/1995 in Leeds", "7/14/1995", "birth_date"),
        ("geboren am 14. Juli 1995", "14. Juli 1995", "birth_date"),
        ("Patient is a 35-year-old male", "35", "age"),
        ("He just turned 64.", "64", "age"),
        ("wohnt in der Holländischen Straße 12", "Straße 12", "address"),
        ("lives at 12 Baker Street", "12 Baker Street", "address"),
        ("lives at 33 avenue de Provence", "33 avenue de Provence", "address"),
        ("send it to P.O. Box 149", "P.O. Box 149", "address"),
        ("34117 Kassel", "34117 Kassel", "address"),
        ("My zip code is 35350", "35350", "postcode"),
        ("London SW1A 1AA", "SW1A 1AA", "postcode"),
        ("Miami, FL 33101", "FL 33101", "postcode"),
        ("Toronto ON M5H 1A1", "M5H 1A1", "postcode"),
        ("Cork T12 X8N4", "T12 X8N4", "postcode"),
        ("H-6041 Vác", "H-6041 Vác", "address"),
        ("wohnt An der Mühle 11 in Bebra", "An der Mühle 11", "address"),
        ("lost at 53°47'59\"N 1°32'57\"W today", "53°47'59\"N", "address"),
        ("at 51.31272, 9.47971 today", "51.31272, 9.47971", "address"),
        ("the van AB12 CDE is", "AB12 CDE", "licence_plate"),
        ("Geburtstag von Emil ist der 5. Mai", "5. Mai", "birth_date"),
        ("The patient (f, 67) was seen", "67", "age"),
    ],
)
def test_what_has_a_form_is_found(text: str, value: str, kind: str) -> None:
    places = found(text)
    holding = [each for each in places if value in each or each in value]
    assert holding, places
    assert places[holding[0]] == kind


@pytest.mark.parametrize(
    "text",
    [
        "The pump AP-450X runs at 7 bar and 2,900 rpm, see TG-014 of 2025.",
        "Invoices are paid within 30 days; the limit is 12,500.00 euros.",
        "Version 2.14.0 of Tidewater 8.2 fixes 17 bugs.",
        "ISO 9001:2015 and EN 10204 3.1 apply from 2026-03-31.",
        "Between 10:30 and 11:45 the lift 3 is out of order.",
        "The part 1.4408 replaces 1.4581 in 3 of 4 cases.",
        "Bestellung 4711 umfasst 250 Stück zu je 3,20 Euro.",
        "Values are root mean square, 10 to 1000 Hz.",
        "HLA-B27 and PD-L1 were measured in 40 samples.",
        "Im Abschnitt 3 steht mehr, in der Tabelle 2 auch.",
        "The water has 15 °C, the seal 95 °C.",
    ],
)
def test_what_merely_has_numbers_is_let_be(text: str) -> None:
    assert found(text) == {}


@given(st.text(st.sampled_from("aB1 .,:-/@+()\n#xé0ß"), max_size=120))
def test_any_text_can_be_looked_through_and_every_place_is_in_it(text: str) -> None:
    for hit in patterns_in(text):
        assert 0 <= hit.start < hit.end <= len(text)


def test_places_that_overlap_become_one_of_the_kind_that_says_most() -> None:
    hits = [Hit(0, 5, "name"), Hit(3, 9, "person"), Hit(9, 12, "phone"), Hit(10, 11, "number")]
    assert covering(hits) == [Hit(0, 9, "person"), Hit(9, 12, "phone")]


async def scan(text: str) -> Report | NotRun:
    scanned = Scanned(text=text, direction="input", tenant=TenantId("acme"), use_case=UseCase.ASK)
    return await asked(PersonalDataCheck(finder=PersonalData()), scanned)


async def test_the_check_names_kinds_and_places_alone() -> None:
    report = await scan("Mail anna.berg@example.com, she is 35 years old")
    assert isinstance(report, Report) and report.score == 1.0
    assert [finding.kind for finding in report.findings] == ["email"]
    assert "anna" not in repr(report)


async def test_what_tells_nobody_apart_is_no_finding() -> None:
    report = await scan("She is 35 years old, see https://example.com")
    assert report == Report(0.0)


async def test_no_text_is_no_pass() -> None:
    assert isinstance(await scan(" \n"), NotRun)


async def test_long_texts_are_looked_through_whole() -> None:
    report = await scan("The pump is fine. " * 500 + "Mail anna.berg@example.com")
    assert isinstance(report, Report) and [each.kind for each in report.findings] == ["email"]


@given(
    st.lists(
        st.sampled_from(["[1] Mail a@b.de\n", "[2] Anna Berg\n", "tel +49 30 1234567 ", "\n", "x"])
    )
)
async def test_a_passage_that_was_seen_before_has_the_same_places(parts: list[str]) -> None:
    text = "".join(parts)
    finder = PersonalData()
    first = await finder.find(text, depth=Depth.LIKELY)
    assert await finder.find(text, depth=Depth.LIKELY) == first
    assert await PersonalData().find(text, depth=Depth.LIKELY) == first
    assert not [hit for hit in first if "a@b" in text[hit.start : hit.end] and hit.kind != "email"]


async def test_what_is_remembered_of_a_passage_is_no_text_and_not_for_ever() -> None:
    places = Places(most=2)
    finder = PersonalData(places=places)
    for name in ("anna", "otto", "emma"):
        await finder.find(f"Mail {name}@example.com", depth=Depth.PATTERNS)
    assert "example" not in repr(vars(places)) and len(vars(places)["_kept"]) == 2
