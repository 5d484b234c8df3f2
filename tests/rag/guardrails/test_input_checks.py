"""Length, language, topics and tone."""

import pytest

from rag.adapters.language_detector import FastLanguageDetector
from rag.adapters.policy_file import policies_of
from rag.errors import ConfigurationError
from rag.guardrails.checks import NotRun, Report, asked
from rag.guardrails.language import LanguageCheck
from rag.guardrails.length import LengthCheck
from rag.guardrails.linear import load_linear
from rag.guardrails.policy import Policies
from rag.guardrails.remembering import Remembering
from rag.guardrails.topics import TopicCheck
from rag.guardrails.toxicity import ToxicityCheck
from tests.rag.guardrails.asked import Notes, scanned


def policies(**default: object) -> Policies:
    return policies_of({"default": default}, name="test")


async def kinds(check: LengthCheck | LanguageCheck | TopicCheck, text: str) -> set[str]:
    said = await asked(check, scanned(text))
    assert isinstance(said, Report)
    return {finding.kind for finding in said.findings}


async def test_a_text_may_be_as_long_as_the_policy_says() -> None:
    check = LengthCheck(policies(max_characters=10))
    assert await kinds(check, "x" * 10) == set()
    assert await kinds(check, "x" * 11) == {"too_long"}


async def test_characters_that_nobody_types_are_found_where_they_stand() -> None:
    said = await asked(LengthCheck(policies()), scanned("a\x07b\u202ec\nd\te"))
    assert isinstance(said, Report)
    assert [(each.kind, each.span and each.span.start) for each in said.findings] == [
        ("control", 1),
        ("smuggled", 3),
    ]


async def test_a_language_that_is_not_allowed_is_found() -> None:
    check = LanguageCheck(FastLanguageDetector(), policies(languages=["en", "de"]))
    assert await kinds(check, "How many days of leave may I carry over to next year?") == set()
    assert await kinds(check, "Wie viele Urlaubstage darf ich ins nächste Jahr mitnehmen?") == set()
    french = "Combien de jours de congé puis-je reporter à l'année prochaine ?"
    assert await kinds(check, french) == {"fr"}


async def test_a_text_that_tells_no_language_is_not_judged() -> None:
    check = LanguageCheck(FastLanguageDetector(), policies(languages=["en"]))
    assert isinstance(await asked(check, scanned("AP-450X 12")), NotRun)
    every = LanguageCheck(FastLanguageDetector(), policies())
    assert isinstance(await asked(every, scanned("a long enough English text")), NotRun)


async def test_a_denied_topic_is_found_by_its_words_and_its_sentences() -> None:
    check = TopicCheck(policies(topics={"denied": ["investment_advice", "medical_advice"]}))
    assert await kinds(check, "Should I buy shares of our customer?") == {"investment_advice"}
    assert await kinds(check, "Welches Medikament soll ich nehmen?") == {"medical_advice"}
    assert await kinds(check, "Who approves the invoice of the canteen?") == set()


async def test_only_allowed_topics_pass_where_there_are_any() -> None:
    described = {"leave": ["leave vacation holiday urlaub", "how many days off do i have"]}
    check = TopicCheck(
        policies_of({"default": {"topics": {"allowed": ["leave"]}}, "topics": described}, name="t")
    )
    assert await kinds(check, "Can I take my holiday in May?") == set()
    assert await kinds(check, "Where is the bypass valve?") == {"off_topic"}


def test_a_topic_that_nobody_described_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="'astrology' is not described"):
        TopicCheck(policies(topics={"denied": ["astrology"]}))


@pytest.mark.parametrize(
    ("text", "toxic"),
    [
        ("You are a stupid worthless idiot and nobody wants you here", True),
        ("I will kill you", True),
        ("Du bist ein Arschloch", True),
        ("Thank you for the quick answer, that helped a lot.", False),
        ("How do I kill a hanging process?", False),
        ("Which seals are approved for hot water?", False),
    ],
)
def test_insults_and_threats_are_told_from_ordinary_words(text: str, *, toxic: bool) -> None:
    assert (ToxicityCheck(load_linear("toxicity")).look(text).score >= 0.7) == toxic


async def test_passages_are_remembered_and_questions_are_not() -> None:
    notes = Notes()
    check = Remembering(notes, most=2)
    for text in ("a", "b", "a", "c", "b"):
        await asked(check, scanned(text, "evidence"))
    await asked(check, scanned("a"))
    await asked(check, scanned("a"))
    assert notes.seen == ["a", "b", "c", "b", "a", "a"]
