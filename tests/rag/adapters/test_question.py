"""What a question asks for."""

import pytest

from rag.adapters.question import asked_of, gives_what_is_wanted, questions_in


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "How much leave do I get, and for how many days may I volunteer?",
            ("How much leave do I get", "for how many days may I volunteer?"),
        ),
        (
            "Wie lange wird er gehalten und bei welchem Druck?",
            ("Wie lange wird er gehalten und bei welchem Druck?",),
        ),
        (
            "Wer bestellt Dichtungen und wann werden Dichtungen geliefert?",
            ("Wer bestellt Dichtungen", "wann werden Dichtungen geliefert?"),
        ),
        (
            "Where are gloves and glasses kept?",
            ("Where are gloves and glasses kept?",),
        ),
        (
            "Tell me the torque and when it was set",
            ("Tell me the torque and when it was set",),
        ),
    ],
)
def test_two_questions_in_one_are_told_apart(question: str, parts: tuple[str, ...]) -> None:
    assert questions_in(question) == parts


def test_a_part_of_a_code_is_no_name() -> None:
    asked = asked_of("What does Elmsbeck pay for an AP-300?")
    assert asked.names == {"elmsbeck"}
    assert asked.codes == {"AP-300"}


@pytest.mark.parametrize(
    ("question", "text", "given"),
    [
        ("Why was the line stopped?", "The line was stopped because of a leak.", True),
        ("Why was the line stopped?", "The line was stopped at noon.", False),
        ("How many fitters work at night?", "Six fitters work at night.", True),
        ("How many fitters work at night?", "Fitters work at night.", False),
        ("When does the canteen open?", "It opens at 11:30.", True),
        ("When does the canteen open?", "It opens soon.", False),
        ("Who leads the team?", "The team is led by Priya Venkatesan.", True),
        ("Who leads the team?", "The team is led well.", False),
    ],
)
def test_the_kind_of_answer_is_looked_for(question: str, text: str, *, given: bool) -> None:
    assert gives_what_is_wanted(asked_of(question), text) is given
