"""What of a conversation is recalled, and what evidence is left where there is little room."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rag.compression import OMITTED, best_at_the_ends, compress
from rag.confidence import Signs, confidence_of
from rag.conversation.turns import Turn, recall, transcript
from rag.types import Evidence
from tests.values import hit


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def turn(number: int, answer: str) -> Turn:
    question = f"Question {number}?"
    at = datetime(2026, 5, 4, tzinfo=UTC)
    return Turn(question=question, standalone=question, answer=answer, at=at)


def passage(number: int, text: str) -> Evidence:
    found = hit(text, document=f"doc{number}")
    return Evidence(number=number, hit=found, text=text, parts=(found,))


def test_the_latest_turns_stand_whole_and_of_the_others_what_bears_on_the_question() -> None:
    turns = [
        turn(1, "The pump weighs 80 kg. The canteen opens at noon."),
        turn(2, "Rain is likely."),
        turn(3, "It is blue [2]."),
    ]
    found = recall(
        turns, question="What does the pump weigh?", budget_tokens=16, count_tokens=words
    )
    assert found.turns == (turns[2],)
    assert found.gist.startswith("The pump weighs 80 kg.")
    assert "[2]" not in transcript(found)
    assert sum(words([transcript(found)])) <= 16


def test_of_no_turns_nothing_is_recalled() -> None:
    found = recall([], question="Why?", budget_tokens=10, count_tokens=words)
    assert transcript(found) == ""


def test_a_summary_stands_before_the_turns_where_there_is_room_for_it() -> None:
    turns = [turn(number, "It is blue.") for number in range(1, 5)]
    for summary, budget, how in (
        ("Pumps were talked of.", 24, "summary"),
        ("Pumps were talked of.", 3, "extract"),
        ("", 24, "extract"),
        ("", 60, "turns"),
    ):
        found = recall(
            turns, question="Why?", budget_tokens=budget, count_tokens=words, summary=summary
        )
        assert found.how == how
        assert transcript(found).startswith("Pumps were") == (how == "summary")
        assert sum(words([transcript(found)])) <= budget


LONG = "The hall is large. Gloves are worn. The seal is replaced every 12 months. Rain is likely."


def test_what_bears_on_the_question_is_kept_and_the_gaps_are_shown() -> None:
    evidence = [passage(1, LONG), passage(2, "The canteen opens at noon. Soup is served.")]
    [first, *_] = compress(
        evidence, "How often is the seal replaced?", budget_tokens=11, count_tokens=words
    )
    assert "The seal is replaced every 12 months." in first.text
    assert len(first.text) < len(LONG)
    assert all(piece in LONG for piece in first.text.split(OMITTED))
    assert first.parts == evidence[0].parts


def test_evidence_that_fits_is_left_as_it_is() -> None:
    evidence = (passage(1, LONG),)
    assert compress(evidence, "Why?", budget_tokens=100, count_tokens=words) == evidence


def test_a_row_that_is_kept_keeps_its_columns() -> None:
    table = "| Grade | Midpoint |\n| --- | --- |\n| G5 | 45200 |\n| G6 | 54900 |"
    [kept] = compress(
        [passage(1, table)], "What is the midpoint of G6?", budget_tokens=17, count_tokens=words
    )
    assert "| Grade | Midpoint |" in kept.text
    assert "54900" in kept.text
    assert "45200" not in kept.text


def test_the_best_stand_first_and_last() -> None:
    evidence = [passage(number, "x") for number in range(1, 6)]
    assert [each.number for each in best_at_the_ends(evidence)] == [1, 3, 5, 4, 2]


def test_a_weak_sign_is_not_made_up_for() -> None:
    sure = confidence_of(Signs(groundedness=1.0, agreement=1.0, model=0.9))
    unsure = confidence_of(Signs(groundedness=1.0, agreement=1.0, model=0.2))
    assert 0 <= unsure < sure <= 1
    assert confidence_of(Signs(groundedness=0.0, agreement=1.0)) < 0.1
