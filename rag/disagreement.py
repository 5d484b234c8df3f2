"""In what a sentence says other than the evidence does: numbers, units, names, or the opposite."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from rag.claims import Claim, Word, claim_of
from rag.quantities import ORDINAL, Quantity
from rag.statements import Statement, TableRow
from rag.terms import Date, content_words, words_of
from rag.units import Unit, unit_of

Disagreement = Literal["words", "numbers", "units", "names", "negation"]

_ORDINAL = Unit(ORDINAL)
_LONGEST_EXCHANGE = 4
"""Words that one text may have in the place of others, for the two to be exchanged."""
_NEXT_TO = 2
"""Words on either side that a number or a name stands next to."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a statement says, by itself and with what it stands under."""

    statement: Statement
    spoken: Claim
    """Of the statement alone; of a table's row, the cells that the sentence speaks of."""
    alone: Claim
    whole: Claim
    """With title, headings, and the table's columns or the line that leads to a list."""


def shown_by(statement: Statement, said: Claim) -> Shown:
    alone = claim_of(statement.text)
    return Shown(
        statement,
        alone if statement.row is None else claim_of(_spoken_of(statement.row, said)),
        alone,
        claim_of(f"{statement.text}\n{statement.context}"),
    )


def _spoken_of(row: TableRow, said: Claim) -> str:
    """What of a row the sentence is about: a row's `no` negates its own column, and no other."""
    return " | ".join(
        cell
        for column, cell in zip(row.columns, row.cells, strict=True)
        if not said.words.isdisjoint(content_words(column))
        or (len(words_of(cell)) > 1 and not said.words.isdisjoint(content_words(cell)))
    )


def lacking(said: Claim, shown: Shown, beside: Sequence[Claim] = ()) -> Disagreement | None:
    """What the sentence names and counts that the statement does not; None where nothing is.

    What the statement lacks may stand in one `beside` it, together with the words that it stands
    among in the sentence.
    """
    if not (
        all(_counted(each, said, shown, beside) for each in said.quantities)
        and all(_dated(place, date, said, shown, beside) for place, date in said.dates)
    ):
        return "numbers"
    if _measures_otherwise(said, shown, beside):
        return "units"
    if not said.codes <= shown.whole.codes or not all(
        _named(word, said, shown, beside) for word in said.sequence if word.is_name
    ):
        return "names"
    return None


def turned(said: Claim, shown: Shown, beside: Sequence[Claim] = ()) -> Disagreement | None:
    """What stands in the place of another, or is denied, in the one and not in the other."""
    # A row is read out by its columns' names, in an order of the reader's own.
    prose = shown.statement.row is None
    if prose and (exchanged := _exchanged(said, shown.alone)) is not None:
        return exchanged
    denied = (each.polarity for each in beside)
    return "negation" if said.polarity.contradicts(shown.spoken.polarity, denied) else None


def _counted(quantity: Quantity, said: Claim, shown: Shown, beside: Sequence[Claim]) -> bool:
    if quantity.unit == _ORDINAL and quantity.values == frozenset({"1"}):
        return True  # `first` is more often a turn of phrase than a number
    return _says_quantity(shown.whole, quantity) or any(
        _says_quantity(each, quantity) and _among_the_same(quantity.start, said, each)
        for each in beside
    )


def _says_quantity(claim: Claim, quantity: Quantity) -> bool:
    return any(
        quantity.is_as_much_as(each) or quantity.equals(each) for each in claim.quantities
    ) or any(str(date.year) in quantity.values for _, date in claim.dates)


def _dated(place: int, date: Date, said: Claim, shown: Shown, beside: Sequence[Claim]) -> bool:
    return any(date.agrees_with(other) for _, other in shown.whole.dates) or any(
        any(date.agrees_with(other) for _, other in each.dates)
        and _among_the_same(place, said, each)
        for each in beside
    )


def _named(name: Word, said: Claim, shown: Shown, beside: Sequence[Claim]) -> bool:
    return shown.whole.says_name(name.stem) or any(
        each.says_name(name.stem) and _among_the_same(name.start, said, each) for each in beside
    )


def _among_the_same(place: int, said: Claim, other: Claim) -> bool:
    """Whether most of the words that stand next to `place` in the sentence are `other`'s too.

    Those of the same part of the sentence, where there are any: another part may come from
    another statement.
    """
    carrying = [word for word in said.sequence if word.carries]
    part = next((word.part for word in said.sequence if word.start >= place), None)
    return _most_are_of(other, [word for word in carrying if word.part == part], place) or (
        _most_are_of(other, carrying, place)
    )


def _most_are_of(other: Claim, words: Sequence[Word], place: int) -> bool:
    before = [word.stem for word in words if word.start < place][-_NEXT_TO:]
    after = [word.stem for word in words if word.start > place][:_NEXT_TO]
    near = {stem for stem in (*before, *after) if stem.isalpha()}
    return bool(near) and len(near & other.stems) * 2 > len(near)


def _measures_otherwise(said: Claim, shown: Shown, beside: Sequence[Claim]) -> bool:
    """Whether a number of the sentence counts something else than it does in the statement."""
    for one in said.quantities:
        if one.unit is None or one.unit == _ORDINAL:
            continue
        known = [*shown.whole.quantities, *(q for each in beside for q in each.quantities)]
        same = [each for each in known if one.is_as_much_as(each)]
        if any(each.unit == one.unit for each in same) or any(map(one.equals, known)):
            continue
        if same and not any(each.unit is None for each in same):
            return True
        if one.unit not in shown.whole.units and (shown.whole.units or shown.statement.row is None):
            return True
    rates = shown.whole.units.union(shown.whole.rates, *(each.units for each in beside))
    return not said.rates <= rates


def _exchanged(said: Claim, alone: Claim) -> Disagreement | None:
    """What stands in the sentence where the statement has another of its kind.

    The two are laid side by side, as a reader would to find the differing word. Something is
    exchanged where the one is not in the statement, or the other not in the sentence.
    """
    mine = [word.stem for word in said.sequence]
    theirs = [word.stem for word in alone.sequence]
    often, shown_often = Counter(mine), Counter(theirs)
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "replace" or max(b - a, d - c) > _LONGEST_EXCHANGE or abs(b - a - d + c) > 1:
            continue
        new = [w for w in said.sequence[a:b] if often[w.stem] > shown_often[w.stem]]
        gone = [w for w in alone.sequence[c:d] if shown_often[w.stem] > often[w.stem]]
        if _among(new, _is_unit) and _among(gone, _is_unit):
            continue  # told apart, and converted, with their numbers
        if _among(new, _is_number) and _among(gone, _is_number):
            return "numbers"
        if _among(new, _may_be_name) and _among(gone, _may_be_name):
            return "names"
    return None


def _among(words: Sequence[Word], holds: Callable[[Word], bool]) -> bool:
    return any(map(holds, words))


def _is_unit(word: Word) -> bool:
    return unit_of(word.text) is not None


def _is_number(word: Word) -> bool:
    return word.stem[0].isdigit()


def _may_be_name(word: Word) -> bool:
    return word.may_be_name
