"""A follow-up as a question of its own, by rule at once, and by a model where one is quick enough."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from rag.conversation.follow_ups import Leans, Standalone, carried_over, leaning_of
from rag.conversation.turns import Turn
from rag.terms import codes_of, content_words, numbers_of

_LONGEST = 500

AskModel = Callable[[], Awaitable[str]]
"""Asks a model with the prompt `rewrite`, within budgets and guardrails as any call."""


def by_rule(question: str, turns: Sequence[Turn]) -> Standalone:
    """`question` with the words of the latest turn that it leans on; as it is, where it does not."""
    if not turns:
        return Standalone(question, Leans.NOT)
    return carried_over(question, turns[-1].standalone, turns[-1].answer)


def retold(said: Iterable[tuple[str, str]], *, at: datetime) -> tuple[Turn, ...]:
    """The turns of a conversation that somebody else keeps, from its questions and answers, oldest
    first. Each question stands alone as far as the rules and the turns before it make it."""
    turns: list[Turn] = []
    for question, answer in said:
        ruled = by_rule(question, turns)
        turns.append(Turn(question=question, standalone=ruled.text, answer=answer, at=at))
    return tuple(turns)


async def standalone(
    question: str,
    turns: Sequence[Turn],
    *,
    ask: AskModel | None,
    deadline_s: float,
    summary: str = "",
) -> Standalone:
    """`question` so that it can be searched by itself.

    A model is asked only where the question leans on what was said before; its text is taken if it
    comes in time and says nothing that nobody said, in `turns` or before them in what `summary` was
    made of; else the rules' is. Start it beside the search for the question as it stands. Errors:
    those of `ask`.
    """
    ruled = by_rule(question, turns)
    if ask is None or not turns or leaning_of(question) is Leans.NOT:
        return ruled
    try:
        async with asyncio.timeout(deadline_s):
            written = await ask()
    except TimeoutError:
        return ruled
    rewritten = " ".join(written.split())
    may_stand = _may_stand(rewritten, question, turns, summary)
    return Standalone(rewritten, ruled.how) if may_stand else ruled


def _may_stand(rewritten: str, question: str, turns: Sequence[Turn], summary: str) -> bool:
    """Whether a model's rewriting stands alone, in words that were said, and keeps the codes and
    numbers of `question`."""
    if len(rewritten) > _LONGEST or leaning_of(rewritten) is not Leans.NOT:
        return False
    said = " ".join(
        [question, summary, *(f"{turn.standalone} {turn.question} {turn.answer}" for turn in turns)]
    )
    known = set(content_words(said))
    words = set(content_words(rewritten))
    return (
        codes_of(rewritten) <= codes_of(said)
        and numbers_of(rewritten) <= numbers_of(said)
        and codes_of(question) <= codes_of(rewritten)
        and numbers_of(question) <= numbers_of(rewritten)
        and len(words & known) * 4 >= len(words) * 3
    )
