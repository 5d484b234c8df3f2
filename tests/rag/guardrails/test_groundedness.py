"""How much of an answer the evidence carries, sentence by sentence."""

from rag.access import TenantId
from rag.grounding import GroundingCheck
from rag.guardrails.checks import NotRun, Report, Scanned
from rag.guardrails.groundedness import GroundednessCheck, groundedness_of
from rag.testing import HashEmbedder
from rag.trail import UseCase
from rag.types import Evidence
from tests.values import hit

FOUND = hit("The pump seal is replaced every 12 months. Gloves are worn.", document="manual")
EVIDENCE = (Evidence(number=1, hit=FOUND, text=FOUND.chunk.text, parts=(FOUND,)),)
CHECK = GroundednessCheck(grounding=GroundingCheck(embedder=HashEmbedder()))


def scanned(text: str, *, evidence: tuple[Evidence, ...] = EVIDENCE) -> Scanned:
    return Scanned(
        text=text,
        direction="output",
        tenant=TenantId("t"),
        use_case=UseCase.ASK,
        evidence=evidence,
    )


async def test_an_answer_that_the_evidence_carries_is_passed() -> None:
    text = "The pump seal is replaced every 12 months [1]. Gloves are worn [1]."
    assert await CHECK.scan(scanned(text)) == Report(0.0)


async def test_the_sentence_that_it_does_not_carry_is_named_by_its_place_and_why() -> None:
    text = "The pump seal is replaced every 18 months [1]. Gloves are worn [1]."
    report = await CHECK.scan(scanned(text))
    assert isinstance(report, Report)
    [finding] = report.findings
    assert finding.kind == "numbers"
    assert finding.span is not None
    assert "18 months" in text[finding.span.start : finding.span.end]
    assert 0.5 < report.score < 1


async def test_without_evidence_or_text_it_was_not_run() -> None:
    assert isinstance(await CHECK.scan(scanned("Gloves are worn.", evidence=())), NotRun)
    assert isinstance(await CHECK.scan(scanned("NO ANSWER")), NotRun)


async def test_a_marker_alone_says_nothing() -> None:
    judged = await groundedness_of("[1]", EVIDENCE, CHECK.grounding)
    assert judged.score == 1.0
