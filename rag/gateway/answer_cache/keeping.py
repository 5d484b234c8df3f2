"""Which answers may be given again at all: those that are nobody's own, whole, and beyond doubt."""

import re
from enum import StrEnum

from rag.gateway.answer_cache.questions import CacheQuestion
from rag.gateway.answer_cache.wording import MOMENT, PERSON, POLITE
from rag.gateway.routing import ANSWERS
from rag.trail import GuardVerdict, Trail
from rag.types import Answer, Refusal

_PERSON = re.compile(PERSON, re.IGNORECASE)
_MOMENT = re.compile(MOMENT, re.IGNORECASE)
_POLITE = tuple(re.compile(pattern, re.IGNORECASE) for pattern in POLITE)
_GUESSED = frozenset({"name"})
"""The kind of what merely looks like a name."""
_PERSONAL_DATA = re.compile(r"\S@\S|(?<!\w)(?:\+?\d[ ./-]?){9,}|\b[A-Z]{2}\d{2}(?: ?\w{4}){3,}")
"""Mail addresses, telephone and account numbers: no question with one is written down."""


class NotKept(StrEnum):
    """Why an answer is not kept."""

    OFF = "the cache is switched off"
    CACHED = "it came from the cache"
    REFUSAL = "it is a refusal"
    CONVERSATION = "it needs what was said before, or is too long"
    PERSONAL = "it is about the asker"
    PERSONAL_DATA = "the question names personal data"
    MOMENT = "it depends on when it is asked"
    TRUNCATED = "it was cut short"
    UNGROUNDED = "a citation is not verified"
    MASKED = "something in it was masked"
    DOUBTED = "a check found something, or could not look"
    QUOTED = "a budget was spent, and passages were quoted instead"
    EXPERIMENT = "an experiment chose the prompt, the model or the profile"


def why_not_asked(question: CacheQuestion) -> NotKept | None:
    """Why no cached answer is even looked for; None where one is."""
    if not question.is_open_to_caching:
        return NotKept.CONVERSATION
    text = " ".join(question.text.split())
    for polite in _POLITE:
        text = polite.sub("", text)
    if _PERSON.search(text):
        return NotKept.PERSONAL
    if _MOMENT.search(text):
        return NotKept.MOMENT
    return NotKept.PERSONAL_DATA if _PERSONAL_DATA.search(text) else None


def why_not_kept(
    question: CacheQuestion, outcome: Answer | Refusal, trail: Trail, *, finish_reason: str
) -> NotKept | None:
    """Why `outcome` may not be given again; None where it may. `finish_reason` is the model's."""
    if isinstance(outcome, Refusal):
        return NotKept.REFUSAL
    if trail.cache in {"exact", "semantic"}:
        return NotKept.CACHED
    if trail.rollout or trail.budget_spent:
        return NotKept.EXPERIMENT if trail.rollout else NotKept.QUOTED
    answered = [each.outcome for each in trail.attempts if each.step in ANSWERS]
    if finish_reason != "stop" or (answered and answered[-1] != "ok"):
        return NotKept.TRUNCATED
    if not outcome.citations or not all(citation.verified for citation in outcome.citations):
        return NotKept.UNGROUNDED
    return _doubt(trail) or why_not_asked(question)


def _masked_something(verdict: GuardVerdict) -> bool:
    """Whether something was masked that is known to be personal or secret. Towards models outside
    whatever may be a name is masked, product codes too: that alone says nothing of the answer."""
    return verdict.standing == "masked" and not (
        verdict.check == "masking" and _GUESSED.issuperset(verdict.kinds)
    )


def _doubt(trail: Trail) -> NotKept | None:
    """A policy that only watches has found what it has found: dry runs count too."""
    standings = {verdict.standing for verdict in trail.verdicts}
    if any(_masked_something(verdict) for verdict in trail.verdicts):
        return NotKept.MASKED
    unseen = any(
        verdict.standing == "not_run" and verdict.direction == "output"
        for verdict in trail.verdicts
    )
    return NotKept.DOUBTED if unseen or standings & {"flagged", "blocked"} else None
