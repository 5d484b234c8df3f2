"""Evidence in fewer tokens: the sentences that bear on the question, and the best passages at the ends.

Sentences are left out, never changed, so what is quoted still stands in the document. What an
answer is checked against is the whole passage all the same: only the prompt becomes shorter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from rag.packing import CountTokens
from rag.sentence_ranking import scores_of
from rag.sentences import split_sentences
from rag.terms import is_german
from rag.types import Evidence, Span

OMITTED = " […] "
"""What stands where sentences were left out."""
_RANK_SHARE = 0.35
"""What a passage's place among the others counts for, beside the words of its sentences."""
_FOREIGN_SHARE = 0.4
"""What each sentence of a passage in the other language gets: words cannot tell which one answers."""
_NEIGHBOUR_SHARE = 0.5
"""What a sentence gets of the score of the one beside it: an answer often stands next to the words."""


_SHARE = 0.65
"""Of the evidence's tokens, what a prompt gets."""
_WHOLE = 400
"""Tokens up to which there is nothing to win."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence or a row, which is shown whole or not at all."""

    passage: int
    span: Span
    text: str
    always: bool
    """Whether it goes with whatever is shown of its passage: a table's columns, a heading line."""


def for_prompt(
    evidence: Sequence[Evidence], question: str, *, count_tokens: CountTokens
) -> tuple[Evidence, ...]:
    """`evidence` as a model is shown it that reads: two thirds of a long one, the best at the ends."""
    whole = sum(count_tokens([each.text for each in evidence]))
    budget = max(_WHOLE, round(whole * _SHARE))
    return best_at_the_ends(
        compress(evidence, question, budget_tokens=budget, count_tokens=count_tokens)
    )


def compress(
    evidence: Sequence[Evidence],
    question: str,
    *,
    budget_tokens: int,
    count_tokens: CountTokens,
) -> tuple[Evidence, ...]:
    """`evidence` with at most about `budget_tokens` of text, in its own order and numbering.

    Evidence that fits is left as it is. A passage of which nothing is kept is left out; the best
    sentence of the first passage always stands.
    """
    if sum(count_tokens([each.text for each in evidence])) <= budget_tokens:
        return tuple(evidence)
    units = [unit for at, each in enumerate(evidence) for unit in _units(at, each.text)]
    scores = _scores(units, question, len(evidence))
    costs = count_tokens([unit.text for unit in units])
    kept: set[int] = set()
    spent = 0
    for place in sorted(range(len(units)), key=lambda place: (-scores[place], place)):
        wanted = {place, *_columns_of(units, place)} - kept
        cost = sum(costs[each] for each in wanted)
        if not kept or spent + cost <= budget_tokens:
            kept |= wanted
            spent += cost
    return tuple(
        replace(
            evidence[passage], text=_text_of(evidence[passage].text, [units[at] for at in places])
        )
        for passage, places in _by_passage(units, kept)
    )


def best_at_the_ends(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The best first and the second best last: models read the middle of a prompt least well
    (Liu et al. 2023, "Lost in the Middle"). Numbers stay, so that citations do."""
    return (*evidence[::2], *reversed(evidence[1::2]))


def _units(passage: int, text: str) -> list[_Unit]:
    found: list[_Unit] = []
    rows = 0
    for span in split_sentences(text):
        written = text[span.start : span.end]
        rows = rows + 1 if written.startswith("|") else 0
        found.append(_Unit(passage, span, written, always=rows in (1, 2)))
    return found


def _columns_of(units: Sequence[_Unit], place: int) -> list[int]:
    """The lines of the table's columns that the row at `place` stands under."""
    if not units[place].text.startswith("|"):
        return []
    first = place
    while (
        first
        and units[first - 1].passage == units[place].passage
        and units[first - 1].text.startswith("|")
    ):
        first -= 1
    return [at for at in range(first, place + 1) if units[at].always]


def _scores(units: Sequence[_Unit], question: str, passages: int) -> list[float]:
    told = scores_of(question, [unit.text for unit in units])
    most = max(told, default=0.0) or 1.0
    german = is_german(question)
    foreign = {
        passage
        for passage, each in groupby(units, key=lambda unit: unit.passage)
        if is_german(" ".join(unit.text for unit in each)) != german
    }
    told = [
        max(score / most, _FOREIGN_SHARE if unit.passage in foreign else 0.0)
        for unit, score in zip(units, told, strict=True)
    ]
    beside = [
        max(
            (
                told[at]
                for at in (place - 1, place + 1)
                if 0 <= at < len(units) and units[at].passage == units[place].passage
            ),
            default=0.0,
        )
        for place in range(len(units))
    ]
    return [
        max(told[place], _NEIGHBOUR_SHARE * beside[place])
        + _RANK_SHARE * (1 - unit.passage / passages)
        for place, unit in enumerate(units)
    ]


def _by_passage(units: Sequence[_Unit], kept: set[int]) -> list[tuple[int, list[int]]]:
    return [
        (passage, list(places))
        for passage, places in groupby(sorted(kept), key=lambda place: units[place].passage)
    ]


def _text_of(text: str, kept: Sequence[_Unit]) -> str:
    """The kept units as they stand in `text`, with `OMITTED` where one was left out between two."""
    pieces = [kept[0].text]
    for before, unit in pairwise(kept):
        between = text[before.span.end : unit.span.start]
        pieces.append(between if not between.strip() else OMITTED)
        pieces.append(unit.text)
    return "".join(pieces)
