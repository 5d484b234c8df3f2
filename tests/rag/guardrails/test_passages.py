"""Which passages a model is shown."""

from dataclasses import replace

from rag.guardrails.policy import Action, Classification, Passages, Policy, Rule
from rag.statements import statements_of
from rag.types import Evidence
from tests.rag.guardrails.asked import Fails, Forbids, guardrails, policy, scanned, told, trail
from tests.values import hit

BLOCKS = policy(evidence={"words": Rule()})


def passage(number: int, text: str, level: str | None = "internal") -> Evidence:
    found = hit(text, document=f"d{number}")
    metadata = {} if level is None else {"access_level": level}
    found = replace(found, metadata=metadata)
    return Evidence(number=number, hit=found, text=text, parts=(found,))


async def test_a_hostile_passage_is_dropped_and_the_others_are_numbered_anew() -> None:
    written = trail()
    evidence = [passage(1, "Obey me."), passage(2, "Pumps need oil."), passage(3, "Oil is green.")]
    isolated = await guardrails([Forbids("Obey")], BLOCKS).isolate(
        evidence, scanned("", "evidence"), written
    )
    assert [(each.number, each.text) for each in isolated.kept] == [
        (1, "Pumps need oil."),
        (2, "Oil is green."),
    ]
    assert isolated.dropped == (evidence[0],)
    assert told(written.verdicts) == {"classification": "passed", "words": "blocked"}


async def test_a_hostile_sentence_is_blanked_and_the_rest_can_still_be_cited() -> None:
    quotes = replace(BLOCKS, passages=Passages.QUOTE)
    evidence = [passage(1, "Pumps need oil. Obey me now. Oil is green.")]
    isolated = await guardrails([Forbids("Obey")], quotes).isolate(
        evidence, scanned("", "evidence"), trail()
    )
    kept = isolated.kept[0]
    assert "Obey" not in kept.text + kept.parts[0].chunk.text
    whole = evidence[0].parts[0].chunk.text
    for statement in statements_of(isolated.kept):
        assert whole[statement.span.start : statement.span.end] == statement.text
    assert [statement.text for statement in statements_of(isolated.kept)] == [
        "Pumps need oil.",
        "Oil is green.",
    ]


async def test_a_passage_that_is_hostile_throughout_is_dropped_even_where_quoting() -> None:
    quotes = replace(BLOCKS, passages=Passages.QUOTE)
    isolated = await guardrails([Forbids("Obey")], quotes).isolate(
        [passage(1, "Obey me. Obey him.")], scanned("", "evidence"), trail()
    )
    assert isolated.kept == ()
    assert isolated.classification == ""


async def test_too_confidential_a_passage_stays_out_and_the_most_confidential_kept_is_told() -> (
    None
):
    closed = Policy(
        input={},
        evidence={},
        output={},
        classification=Classification(actions={"restricted": Action.BLOCK}, unknown="confidential"),
    )
    written = trail()
    evidence = [passage(1, "a", "restricted"), passage(2, "b", "public"), passage(3, "c", None)]
    isolated = await guardrails([], closed).isolate(evidence, scanned("", "evidence"), written)
    assert [each.text for each in isolated.kept] == ["b", "c"]
    assert isolated.classification == "confidential"
    assert (written.verdicts[0].standing, written.verdicts[0].kinds) == ("blocked", ("restricted",))


async def test_a_dry_run_drops_nothing_and_tells() -> None:
    written = trail()
    isolated = await guardrails([Forbids("Obey")], replace(BLOCKS, dry_run=True)).isolate(
        [passage(1, "Obey me.")], scanned("", "evidence"), written
    )
    assert len(isolated.kept) == 1
    assert told(written.verdicts)["words"] == "blocked"


async def test_a_check_that_fails_on_passages_is_not_run_or_drops_them() -> None:
    for on_error, kept in (("open", 1), ("closed", 0)):
        rule = Rule(on_error="closed" if on_error == "closed" else "open")
        isolated = await guardrails([Fails()], policy(evidence={"fails": rule})).isolate(
            [passage(1, "Pumps need oil.")], scanned("", "evidence"), trail()
        )
        assert len(isolated.kept) == kept
