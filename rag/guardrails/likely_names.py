"""What may be a name, a place, an age or a number of somebody's, where a miss costs more than a
false alarm: masking is undone before anybody reads the answer.

No model: a word is suspect where it is capitalised within a sentence, or is no word that we know; a
number where it is long, or stands beside something suspect. Figures: `docs/masking.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rag.guardrails.contact_lines import contact_lines
from rag.guardrails.dates import old_dates_in
from rag.guardrails.hits import Hit, covering
from rag.guardrails.introductions import family_names_in, introduced_in
from rag.guardrails.name_tokens import Token, foreign_in, reading_of
from rag.guardrails.name_words import ENGLISH_TITLES
from rag.guardrails.suspect_numbers import begins_list, find_rows, is_age, is_decimal, is_measure
from rag.guardrails.suspects import Suspects
from rag.guardrails.told_by_place import (
    find_ages,
    find_firms,
    find_firms_of_people,
    find_listed,
    find_parts_of_addresses,
    find_positions,
    find_roles,
    find_speakers,
)
from rag.guardrails.words import WRITTEN_SMALL, Kind

_BETWEEN = frozenset(" ,.#\n/-&")
_SHORT_WORD = 4
"""Between two suspects, nothing so short is worth keeping: `str`, `apt`, `nan`."""
_INITIAL = 3
_INSIDE_NAMES = frozenset({" ", "-"})
_AND = frozenset({"and", "und", "or", "oder"})
_NOBODY: frozenset[str] = frozenset()
_NO_PARTS = Kind.MONTH | Kind.LABEL | Kind.WORK
_NEVER_FOLLOW = Kind.FUNCTION | Kind.WORK | Kind.MONTH | Kind.LABEL
_MAY_BE_NAME = Kind.NAME | Kind.ALSO_NAME
_NEVER_NEIGHBOURS = Kind.MONTH | Kind.DAY | Kind.TITLE


def likely_names_in(text: str, *, public: frozenset[str] = _NOBODY) -> list[Hit]:
    """Where something personal may stand, without overlaps. Bracketed citations (`[2]`) stay, and
    so do words of `public`, which are in lower case, where no name stands beside them."""
    reading = reading_of(text)
    tokens, kinds = reading.tokens, reading.kinds
    if not tokens:
        return []
    blocks = contact_lines(text)
    uncapitalised = text == text.lower()
    introduced = frozenset(introduced_in(text, uncapitalised=uncapitalised))
    suspects = Suspects(text, reading, introduced, public, uncapitalised=uncapitalised)
    suspect = _by_themselves(suspects, blocks)
    if len(reading.numbers) > 1:
        find_rows(tokens, reading.numbers, suspect)
    if "\n" in text and True in suspect:
        find_roles(tokens, suspect, text)
    if text.count(":") > 1:
        find_speakers(tokens, suspect, text)
    if kinds & Kind.FIRM:
        find_firms(tokens, suspect, public)
    if True in suspect:
        _spread_to_neighbours(tokens, suspect, text)
        _fill_gaps(tokens, suspect)
        find_positions(tokens, suspect, text)
        if uncapitalised:
            find_firms_of_people(tokens, suspect)
            find_listed(tokens, suspect)
        find_ages(tokens, reading.numbers, suspect, text)
        find_parts_of_addresses(tokens, reading.numbers, suspect, text)
    hits = list(_runs(tokens, suspect, text))
    others = [Hit(start, end, "name") for start, end in (*foreign_in(text), *family_names_in(text))]
    if kinds & Kind.MONTH and reading.numbers:
        others += (Hit(start, end, "date") for start, end in old_dates_in(text))
    return covering([*hits, *others]) if others else hits


def _by_themselves(suspects: Suspects, blocks: frozenset[int]) -> list[bool]:
    """Of each token whether it is suspect, whatever stands beside it."""
    tokens, introduced, text = suspects.tokens, suspects.introduced, suspects.text
    if not blocks and not introduced:
        return [not token.word.is_plain and suspects.has(at) for at, token in enumerate(tokens)]
    return [
        (token.line in blocks and _is_contact(token, text))
        or ((token.start in introduced or not token.word.is_plain) and suspects.has(at))
        for at, token in enumerate(tokens)
    ]


def _is_contact(token: Token, text: str) -> bool:
    """Whether a token of a contact block is content, rather than the label of a line."""
    is_label = token.word.kinds & Kind.LABEL or text[token.end : token.end + 1] == ":"
    is_small_word = token.word.kinds & Kind.FUNCTION and not token.word.is_upper
    return not is_small_word and not is_label


# --- what stands beside them ----------------------------------------------------------------------


def _spread_to_neighbours(tokens: Sequence[Token], suspect: list[bool], text: str) -> None:
    """The number of a house beside its street is suspect, and a capital beside a name."""
    last = len(tokens) - 1
    for at, is_suspect in enumerate(suspect):  # it grows as it goes
        if is_suspect and at < last and not suspect[at + 1]:
            suspect[at + 1] = _follows(tokens, at + 1, text)
        if is_suspect and at + 2 <= last and not suspect[at + 2]:
            suspect[at + 2] = _is_joined(tokens, at + 2)
    for at in range(last, 0, -1):
        if suspect[at] and not suspect[at - 1]:
            suspect[at - 1] = _leads(tokens, at - 1, text)


def _follows(tokens: Sequence[Token], at: int, text: str) -> bool:
    """Whether what stands after a suspect goes with it."""
    token, before = tokens[at], tokens[at - 1].word
    kinds = token.word.kinds
    if token.word.is_number:
        if token.gap == " (":
            return not before.is_number and text[token.end : token.end + 1] == ")"
        is_dated = at + 1 < len(tokens) and tokens[at + 1].word.kinds & Kind.MONTH
        is_near = _adjoin(token) and not is_dated
        return is_near and _is_house_number(token, tokens[at - 1], text)
    if token.gap == "-" and before.is_number:
        return True
    is_apart = token.gap != " " or token.opens or before.is_number or _is_code(token)
    if is_apart or before.is_capital != token.word.is_capital or before.kinds & _NEVER_NEIGHBOURS:
        return False
    if token.word.is_capital:
        return not kinds & _NEVER_FOLLOW or bool(kinds & Kind.ALSO_NAME)
    is_name = kinds & _MAY_BE_NAME and not kinds & Kind.FUNCTION
    return bool(is_name) and (
        not before.kinds & WRITTEN_SMALL or bool(before.kinds & Kind.ALSO_NAME)
    )


def _is_code(token: Token) -> bool:
    return not token.word.text[-1].isalpha()


def _is_joined(tokens: Sequence[Token], at: int) -> bool:
    """`anna und mia`: whether a word after `and` may be a name, too."""
    joined = tokens[at].word
    is_alike = (
        joined.is_capital == tokens[at - 2].word.is_capital and not tokens[at - 2].word.is_number
    )
    is_near = tokens[at].gap == tokens[at - 1].gap == " "
    return (
        is_near
        and is_alike
        and tokens[at - 1].word.small in _AND
        and bool(joined.kinds & Kind.NAME)
    )


def _leads(tokens: Sequence[Token], at: int, text: str) -> bool:
    """Whether what stands before a suspect goes with it."""
    token, following = tokens[at], tokens[at + 1]
    if token.word.is_number:
        is_dated = at and tokens[at - 1].word.kinds & Kind.MONTH
        is_near = _adjoin(following) and not is_dated
        return is_near and _is_house_number(token, following, text)
    kinds, after = token.word.kinds, following.word.kinds
    is_code = not token.word.text[-1].isalpha()
    is_apart = (
        is_code or following.opens or following.word.is_number or following.gap not in _INSIDE_NAMES
    )
    if is_apart or token.word.is_capital != following.word.is_capital:
        return False
    if kinds & Kind.BEGINS_TOWN:
        return not (after & _NEVER_NEIGHBOURS or token.opens)
    if not token.word.is_capital:
        may_be_name = kinds & Kind.ALSO_NAME or kinds & (Kind.NAME | Kind.FUNCTION) == Kind.NAME
        is_name = bool(may_be_name) and not after & WRITTEN_SMALL
        is_time = token.word.small == "ms" and at and tokens[at - 1].word.is_number
        return is_name or (token.word.small in ENGLISH_TITLES and not is_time)
    if kinds & Kind.FUNCTION or (token.opens and kinds & Kind.OPENING):
        return bool(kinds & Kind.ALSO_NAME) and not after & _NEVER_NEIGHBOURS
    return not kinds & _NO_PARTS and kinds & (Kind.NOUN | Kind.NAME) != Kind.NOUN


def _is_house_number(token: Token, beside: Token, text: str) -> bool:
    if (
        not token.word.is_number
        or is_decimal(token.word.text)
        or begins_list(text, token)
        or is_measure(text, token)
    ):
        return False
    digits = sum(map(str.isdigit, token.word.text))
    return digits > 1 or not beside.word.is_number


def _adjoin(following: Token) -> bool:
    gap = following.gap
    return len(gap) <= 3 and _BETWEEN.issuperset(gap) and gap.count("\n") <= 1


def _fill_gaps(tokens: Sequence[Token], suspect: list[bool]) -> None:
    """What stands between two suspects of a line is suspect: `de la`, and what is short or unknown."""
    for at in range(1, len(tokens) - 1):
        token = tokens[at]
        if suspect[at] or not suspect[at - 1] or token.opens or not _adjoin(token):
            continue
        end = at + 1
        is_particle = token.word.kinds & Kind.PARTICLE
        while (
            is_particle
            and end < len(tokens) - 1
            and end - at < 3
            and tokens[end].word.kinds & Kind.PARTICLE
        ):
            end += 1
        between = tokens[at:end]
        if not all(map(_adjoin, tokens[at : end + 1])) or tokens[end].opens:
            continue
        is_name_part = bool(is_particle) and tokens[end].word.is_capital
        if suspect[end] or (is_name_part and tokens[at - 1].word.is_capital and token.gap == " "):
            suspect[at:end] = [_goes_with_names(each) for each in between]
            suspect[end] = True


def _goes_with_names(token: Token) -> bool:
    kinds = token.word.kinds
    if kinds & Kind.PARTICLE:
        return True
    if kinds & Kind.FUNCTION or token.word.is_number:
        return False
    return len(token.word.small) <= _SHORT_WORD or not kinds & WRITTEN_SMALL


# --- what is put in one place ---------------------------------------------------------------------


def _runs(tokens: Sequence[Token], suspect: Sequence[bool], text: str) -> Iterator[Hit]:
    """Suspects that stand together are one, but for a common word that begins a sentence: with it,
    the same name would be another one elsewhere."""
    waiting: Hit | None = None
    last: Token | None = None
    for token, is_suspect in zip(tokens, suspect, strict=True):
        if not is_suspect:
            continue
        hit = _hit(token, text)
        if (
            waiting is not None
            and last is not None
            and waiting.kind == hit.kind
            and (_continues(last, token, text[waiting.end : token.start]))
        ):
            waiting = replace(waiting, end=hit.end)
        else:
            if waiting is not None:
                yield waiting
            waiting = hit
        last = token
    if waiting is not None:
        yield waiting


def _continues(last: Token, token: Token, gap: str) -> bool:
    word = last.word
    if (
        last.opens
        and not word.is_number
        and word.kinds & WRITTEN_SMALL
        and not word.kinds & Kind.ALSO_NAME
    ):
        return False
    if gap == ". ":
        return len(word.text) <= _INITIAL
    return gap in {"", " ", "  ", "-"} and not token.opens


def _hit(token: Token, text: str) -> Hit:
    kinds = token.word.kinds
    if token.word.is_number:
        kind = "age" if is_age(text, token) else "number"
        return Hit(token.start, token.end, kind)
    if kinds & Kind.TITLE:
        return Hit(token.start, token.end + (text[token.end : token.end + 1] == "."), "title")
    return Hit(token.start, token.end, "date" if kinds & (Kind.DAY | Kind.MONTH) else "name")
