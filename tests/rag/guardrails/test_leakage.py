"""An answer tells no secret, nothing of the system prompt, and nobody's data that it was not given."""

import pytest

from rag.access import TenantId
from rag.guardrails.checks import NotRun, Report, Scanned, asked
from rag.guardrails.leakage import LeakageCheck
from rag.guardrails.secrets_check import SecretsCheck
from rag.prompts.registry import load_prompt, new_canary, render_values
from rag.trail import UseCase
from tests.routes import evidence as an_evidence

CANARY = new_canary()
SYSTEM = render_values(
    load_prompt("answer", "v2"), {"evidence": "-", "question": "-"}, canary=CANARY
)[0].content
QUOTED = (
    "You answer questions of an organisation's staff from passages of its own documents, and from"
    " nothing else."
)


async def kinds(
    text: str, *, question: str = "", evidence: str = "The pump stops.", system: str = SYSTEM
) -> list[str]:
    scanned = Scanned(
        text=text,
        direction="output",
        tenant=TenantId("acme"),
        use_case=UseCase.ASK,
        question=question,
        evidence=an_evidence(evidence),
        system=system,
    )
    report = await asked(LeakageCheck(canary=lambda: CANARY), scanned)
    assert isinstance(report, Report)
    assert (report.score == 1.0) == bool(report.findings)
    for finding in report.findings:
        assert finding.span is not None and 0 <= finding.span.start < finding.span.end <= len(text)
    return sorted({finding.kind for finding in report.findings})


@pytest.mark.parametrize(
    "told",
    [
        f"It says: {CANARY}",
        CANARY.upper(),
        " ".join(CANARY),
        CANARY[::-1],
        "-".join(CANARY[4:14]),
    ],
    ids=["as it is", "capitals", "spaced", "backwards", "a part with dashes"],
)
async def test_the_canary_is_seen_however_it_is_told(told: str) -> None:
    assert "canary" in await kinds(told)


async def test_the_canary_is_found_where_it_stands_behind_letters_that_grow_when_small() -> None:
    text = f"{'İ' * 40} {CANARY}"
    scanned = Scanned(
        text=text, direction="output", tenant=TenantId("acme"), use_case=UseCase.ASK, system=SYSTEM
    )
    report = await asked(LeakageCheck(canary=lambda: CANARY), scanned)
    assert isinstance(report, Report)
    [finding] = report.findings
    assert finding.span is not None
    assert text[finding.span.start : finding.span.end] in CANARY


async def test_what_repeats_the_system_prompt_is_seen() -> None:
    assert await kinds(f"My rules: {QUOTED}") == ["system_prompt"]
    assert await kinds(QUOTED.upper().replace(" ", "\n")) == ["system_prompt"]


async def test_what_the_evidence_says_too_may_be_quoted() -> None:
    assert await kinds(QUOTED, evidence=f"The handbook says: {QUOTED}") == []
    assert await kinds(QUOTED, question=QUOTED) == []


async def test_an_ordinary_answer_passes() -> None:
    assert await kinds("The pump stops at 7 bar [1]. See section 4 of the manual.") == []


@pytest.mark.parametrize(
    "value", ["anna.berg@example.com", "+49 30 1234567", "DE89370400440532013000"]
)
async def test_personal_data_must_come_from_the_question_or_the_evidence(value: str) -> None:
    assert await kinds(f"Write to {value}.") != []
    assert await kinds(f"Write to {value}.", question=f"is {value} right?") == []
    spaced = " ".join(value[at : at + 4] for at in range(0, len(value), 4))
    assert await kinds(f"Write to {value}.", evidence=f"Contact: {value} or {spaced}") == []


async def test_secrets_may_come_from_nowhere() -> None:
    key = "AKIA" + "Q3ZT5WXN2LK7RM4P"
    assert "aws_key" in await kinds(f"The key is {key}", evidence=f"key {key}", question=key)


async def test_no_text_is_no_pass() -> None:
    scanned = Scanned(text=" ", direction="output", tenant=TenantId("a"), use_case=UseCase.ASK)
    assert isinstance(await asked(LeakageCheck(), scanned), NotRun)
    assert isinstance(await asked(SecretsCheck(), scanned), NotRun)


async def test_secrets_are_found_by_form_in_texts_of_any_length() -> None:
    text = "The pump is fine. " * 1_500 + "password: kX9#vT2qLm and postgresql://a:Tz8kvQ2m@db/erp"
    scanned = Scanned(text=text, direction="input", tenant=TenantId("a"), use_case=UseCase.ASK)
    report = await asked(SecretsCheck(), scanned)
    assert isinstance(report, Report)
    assert {finding.kind for finding in report.findings} == {"assigned_secret", "connection_string"}
    assert "kX9" not in repr(report)
