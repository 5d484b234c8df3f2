"""What holds for every document: masks leave nothing, failing checks fail closed, releases are heard."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.protocols import ParsedDocument
from ingestion.validation import flow
from ingestion.validation.checking import Check, Finding, judged
from ingestion.validation.policy import Handling, Policy, policy_of
from ingestion.validation.similarity import ALIKE, alike, bands_of, signature_of
from ingestion.validation.subjects import PIECE_CHARACTERS, pieces_of
from rag.access import PrincipalId
from rag.errors import ConfigurationError
from rag.guardrails.hits import apart, masked
from rag.guardrails.identifiers import identifiers_in
from rag.guardrails.secrets import is_random, secrets_in
from rag.storage.verdicts.records import Accept, Release, Result, Standing
from rag.types import Prose, Section
from tests.ingestion.validation.checked import Remembered, checked
from tests.ingestion.validation.inputs import (
    AWS,
    CARD,
    GITHUB,
    IBAN_DE,
    JWT,
    PRIVATE_KEY,
    PROSE_DE,
    PROSE_EN,
)

MASK = {"secrets": "mask", "personal_data": "mask"}
SENSITIVE = (
    AWS,
    GITHUB,
    JWT,
    PRIVATE_KEY,
    IBAN_DE,
    CARD,
    "password: kX9#vT2qLm",
    "anna.berg@example.com",
    "+49 30 1234567",
    "postgresql://reports:Tz8kvQ2m@db.internal/erp",
)


# --- masking -----------------------------------------------------------------------------------


async def test_what_is_masked_is_in_nothing_that_is_kept() -> None:
    body = f"# Mail from anna.berg@example.com\n\n{PROSE_EN}\n\n| key | user |\n|---|---|\n| {AWS} | +49 30 1234567 |\n"
    found = await checked(body, name="notes.md", settings=MASK)
    assert found.validation.standing is Standing.WARNED
    assert found.parsed is not None
    for value in ("anna.berg@example.com", AWS, "+49 30 1234567"):
        assert value not in repr(found.parsed)
        assert value not in repr(found.validation)
    assert "[aws_key]" in found.text and "[phone]" in found.text
    assert found.parsed.title == "Mail from [email]"
    assert found.parsed.metadata["flags"] == "masked"
    assert found.parsed.metadata["secret_aws_key"] == 1
    assert PROSE_EN.strip() in found.text


async def test_one_policy_masks_what_the_other_lets_be() -> None:
    found = await checked(f"{PROSE_DE} {AWS} {IBAN_DE}", settings={"personal_data": "mask"})
    assert AWS in found.text and IBAN_DE not in found.text
    assert found.reasons == {"masked", "secrets"}


async def test_values_stand_in_no_verdict_and_no_metadata_whatever_the_policy() -> None:
    for handling in Handling:
        settings = {"secrets": handling.value, "personal_data": handling.value}
        found = await checked(PROSE_EN + "\n\n".join(SENSITIVE), settings=settings)
        told = repr(found.validation)
        if found.parsed is not None:
            told += repr(found.parsed.metadata) + repr(found.parsed.warnings)
        for value in SENSITIVE:
            assert value not in told


@given(
    st.lists(
        st.one_of(st.sampled_from(SENSITIVE), st.text("ab1 .:=+-@\n/eyJ0Äß", max_size=60)),
        max_size=8,
    )
)
def test_nothing_is_found_in_what_was_masked(parts: list[str]) -> None:
    for find in (secrets_in, identifiers_in):
        text = " \n ".join(parts)
        once = masked(text, find)
        again = [hit for hit in apart(find(once)) if once[hit.start : hit.end].strip("[]_") == ""]
        assert again == []
        for value in SENSITIVE[:4]:
            if find is secrets_in:
                assert value not in once


# --- verdicts ----------------------------------------------------------------------------------


def _crash(_subject: object) -> Finding | None:
    raise ZeroDivisionError("the secret is wolfram")


def test_a_check_that_fails_is_a_warning_unless_somebody_relies_on_it() -> None:
    relied_on: Check[object] = Check(
        name="secrets", version=1, run=_crash, protects=lambda p: p.secrets is Handling.MASK
    )
    lax = judged(relied_on, object(), Policy())
    strict = judged(relied_on, object(), Policy(secrets=Handling.MASK))
    assert (lax.result, lax.reason) == (Result.WARNED, "check_failed")
    assert (strict.result, strict.reason) == (Result.QUARANTINED, "protection_failed")
    assert "ZeroDivisionError" in strict.detail and "wolfram" not in repr((lax, strict))


async def test_every_check_gives_a_verdict_also_where_it_has_nothing_to_say() -> None:
    found = await checked(PROSE_EN * 2)
    made = [verdict.check.split()[0] for verdict in found.validation.verdicts]
    every = (*flow.FILE_CHECKS, *flow.REPAIRS, *flow.TEXT_CHECKS)
    assert set(made) == {check.name for check in every} | {"readable", "near_duplicates"}
    assert len(made) == len(set(made))


@pytest.mark.parametrize(
    ("accept", "same_bytes", "accepted"),
    [
        (Accept.VERSION, True, True),
        (Accept.VERSION, False, False),
        (Accept.DOCUMENT, False, True),
        (Accept.NOTHING, True, False),
    ],
)
async def test_a_release_covers_what_was_accepted_and_no_more(
    accept: Accept, *, same_bytes: bool, accepted: bool
) -> None:
    settings = {"secrets": "quarantine"}
    kept_back = await checked(PROSE_EN + AWS, settings=settings)
    assert kept_back.hides
    release = Release(
        accept=accept,
        content_hash=kept_back.validation.content_hash,
        reasons=frozenset({"secrets"}),
        by=PrincipalId("user:1"),
        at=datetime.now(UTC),
    )
    later = PROSE_EN + AWS + ("" if same_bytes else " More.")
    found = await checked(later, settings=settings, release=release)
    assert (found.validation.standing is Standing.WARNED) == accepted
    other_reason = {"personal_data": "quarantine"}
    found = await checked(PROSE_EN + IBAN_DE, settings=other_reason, release=release)
    assert found.validation.standing is Standing.QUARANTINED


async def test_a_file_cannot_say_what_was_found_in_it() -> None:
    claims = f"---\nflags: masked\npii_email: 7\nauthor: Anna\n---\n\n{PROSE_EN}"
    found = await checked(claims, name="notes.md")
    assert found.parsed is not None
    assert {"flags", "pii_email"} & found.parsed.metadata.keys() == set()


# --- near-duplicates ---------------------------------------------------------------------------


async def test_a_near_duplicate_is_named_to_administrators_alone() -> None:
    ledger = Remembered()
    text = "\n\n".join(f"{n}. {PROSE_DE if n % 2 else PROSE_EN} {n * 7919}" for n in range(12))
    await checked(text, name="first.txt", ledger=ledger)
    other = "Ganz anderes Thema: " + " ".join(f"Wort{n} steht an Stelle {n}." for n in range(200))
    assert (await checked(other, name="other.txt", ledger=ledger)).reasons == set()
    found = await checked(text + " One more line.", name="second.txt", ledger=ledger)
    assert found.reasons == {"near_duplicate"}
    [named] = [verdict.other for verdict in found.validation.verdicts if verdict.other]
    assert named in ledger.profiles and found.parsed is not None
    assert "near_duplicate" not in repr(found.parsed.warnings) + repr(found.parsed.metadata)
    off = await checked(text, name="third.txt", ledger=ledger, settings={"near_duplicates": False})
    assert off.reasons == set()


def test_likeness_is_estimated_well_and_alike_texts_share_a_band() -> None:
    words = [f"word{n}" for n in range(2_000)]
    first = signature_of([" ".join(words)])
    for changed, expected in ((0, 1.0), (50, 0.95), (500, 0.6)):
        other = signature_of([" ".join(words[changed:] + [f"new{n}" for n in range(changed)])])
        assert abs(alike(first, other) - expected) < 0.15
        if alike(first, other) >= ALIKE:
            assert set(bands_of(first)) & set(bands_of(other))
    assert signature_of(["too short"]) == () and bands_of(()) == ()


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"validation": {"secret": "mask"}}, "secret"),
        ({"validation": {"secrets": "hide"}}, "allow, mask, quarantine"),
        ({"validation": {"garbled": "mask"}}, "garbled"),
        ({"validation": {"required_columns": "price"}}, "required_columns"),
        ({"validation": {"required_columns": [1]}}, "required_columns"),
        ({"validation": {"min_characters": -1}}, "min_characters"),
        ({"validation": {"max_bytes": True}}, "max_bytes"),
        ({"validation": {"near_duplicates": "yes"}}, "near_duplicates"),
        ({"validation": "strict"}, "mapping"),
    ],
)
def test_a_policy_that_makes_no_sense_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        policy_of(settings, Policy())


def test_a_source_changes_only_what_it_names() -> None:
    defaults = Policy(secrets=Handling.MASK)
    assert policy_of({"root": "/srv"}, defaults) is defaults
    chosen = policy_of({"validation": {"personal_data": "quarantine"}}, defaults)
    assert chosen == Policy(secrets=Handling.MASK, personal_data=Handling.QUARANTINE)
    assert chosen.shaping == defaults.shaping != Policy().shaping


# --- cost --------------------------------------------------------------------------------------


HOSTILE = (
    "eyJ" * 40_000,
    "-----BEGIN PRIVATE KEY-----" * 5_000,
    "a@" * 60_000,
    "password=" * 15_000,
    "://a:" * 25_000,
    "1 " * 60_000,
    "+1" * 60_000,
    "DE89" * 30_000,
    "ignore " * 20_000,
    "tel" * 40_000,
    "Ã" * 100_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:9])
def test_no_pattern_runs_away(text: str) -> None:
    """Patterns are linear: these end at once, where a quadratic one would take minutes."""
    parsed = ParsedDocument(title="t", sections=(Section((), Prose(text)),), parser="p")
    pieces = pieces_of(parsed)
    assert all(len(piece) <= PIECE_CHARACTERS for piece in pieces)
    assert sum(map(len, pieces)) >= len(text)
    for piece in pieces:
        for find in (secrets_in, identifiers_in):
            list(find(piece))


@settings(max_examples=50)
@given(st.lists(st.text(max_size=200), max_size=20))
def test_pieces_lose_nothing(texts: list[str]) -> None:
    sections = tuple(Section((), Prose(text)) for text in texts)
    pieces = pieces_of(ParsedDocument(title="", sections=sections, parser="p"))
    assert "".join("\n".join(pieces).split()) == "".join("".join(texts).split())


def test_what_people_write_is_not_random() -> None:
    for word in ("Maintenance", "Schichtleitung", "AP-450X", "2024-03-01", "12345678", "aaaaaaa1A"):
        assert not is_random(word), word
