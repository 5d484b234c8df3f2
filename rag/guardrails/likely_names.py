"""What may be a name, a place, an age or a number of somebody's, where a miss costs more than a
false alarm: masking is undone before anybody reads the answer.

No model and no list of names: a word is suspect where it is capitalised within a sentence, or is no
common word; a number where it is long, or stands beside something suspect. Figures: `docs/masking.md`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rag.guardrails.common_words import is_common, is_common_form, is_opening
from rag.guardrails.hits import Hit
from rag.guardrails.name_words import (
    ALSO_NAMES,
    ARTICLES,
    DAYS_AND_MONTHS,
    ENGLISH,
    FIRST_PERSON,
    FUNCTION,
    GERMAN,
    GERMAN_NOUNS,
    LABELS,
    NOUN_ENDINGS,
    PARTICLES,
    ROMANCE,
    TITLES,
)

_TOKEN = re.compile(
    r"(?P<number>\d(?:[.,:/-]?\d)*(?:[^\W\d_]{1,2}\d*)?(?!\w)|\d+)"
    r"|(?P<word>[^\W\d_](?:[.’'&-]?[\w∆])*(?:\.(?=[A-Z]\.))?)"
)
_MEASURE = re.compile(
    r"\s?(?:%|€|\$|£|°|percent|prozent|euros?|dollars?|(?:milli|micro|nano)?seconds?|minutes?|minuten|hours?|stunden?|days?"
    r"|tage?n?|weeks?|wochen?|months?|monate?n?|kg|mg|g|mm|cm|m|km|l|ml|bar|v|kv|a|w|kw|kwh|mb|gb|kb|tb|ms|s|hz|khz|ghz"
    r"|pages?|seiten?|pieces?|stück|times|mal|x)(?!\w)",
    re.IGNORECASE,
)
_AGED = re.compile(
    r"\s?-?(?:years?[ -]olds?|y/?o\b|yrs?\b|-?years?-old|jahre? alt|jährige?[nrs]?)", re.IGNORECASE
)
_COUNTED = re.compile(r"\s?\+?\s([a-zäöüß]{3,})")
_INTRODUCED = re.compile(
    r"\b(?:name(?: is|'s|\?|:)|names? him|named (?:him|her)|calls? me|call him|call her|is called|was called|heiße|heißt"
    r"|mein name ist)[\s\"']{1,4}",
    re.IGNORECASE,
)
_OPENS = frozenset("\"'“”„«»([{<>*-–—•#|?!¿¡…")
_ENDS = frozenset(".!?:;")
_BETWEEN = frozenset(" ,.#\n/-")
_CITATION = re.compile(r"\[\d{1,3}\]")
_ENUMERATED = re.compile(r"\s*\d{1,3}[.)]\s")
_SHORT_WORD = 4
"""Between two suspects, nothing so short is worth keeping: `str`, `apt`, `nan`."""
_INITIAL = 3
_NO_NAMES_WRITTEN_SMALL = frozenset("will may can long little short".split())
_LONG_NUMBER = 4

# --- blocks of lines that are somebody's address
_SHORT_LINE = 64
_ADDRESSED = re.compile(
    r"\b(?:apt|suite|unit|box|p\.?o\.?|psc|apo|dpo|fpo|str|straße|street|road|avenue|lane)\b|\d{4,}"
    r"|\d{2,} ?\d{2,}|^\W*\d+\W*$",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\s*(?:[-*•|#]|\d{1,3}[.)])\s")


class _Token(NamedTuple):
    """A tuple, because a text has hundreds of them and a dataclass takes five times as long."""

    start: int
    end: int
    text: str
    word: str
    """In lower case."""
    is_number: bool
    is_capital: bool
    opens: bool
    """Whether a sentence or a line begins with it."""
    line: int
    gap: str
    """What stands between it and the token before."""


def likely_names_in(text: str) -> list[Hit]:
    """Where something personal may stand, without overlaps. Bracketed citations (`[2]`) stay."""
    tokens = list(_tokens(text))
    if not tokens:
        return []
    blocks = _contact_lines(text)
    english, german = _languages(tokens)
    told = _Told(
        text,
        tokens,
        english=english,
        german=german,
        small=frozenset(token.word for token in tokens if not token.is_capital),
        introduced=frozenset(_introduced(text)),
        uncapitalised=text == text.lower(),
    )
    suspect = [
        (token.line in blocks and _is_contact(token, text)) or told.makes_suspect(at)
        for at, token in enumerate(tokens)
    ]
    _spread_to_neighbours(tokens, suspect, text)
    _fill_gaps(tokens, suspect)
    return list(_runs(tokens, suspect, text))


def _tokens(text: str) -> Iterator[_Token]:
    cited = {found.start() + 1 for found in _CITATION.finditer(text)} if "[" in text else set[int]()
    line, seen, previous = 0, 0, ""
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        if start in cited:
            continue
        gap = text[seen:start]
        opens = not seen or (gap != " " and _opens(gap, previous))
        if "\n" in gap:
            line += gap.count("\n")
        taken = found[0]
        previous = taken.lower().replace("’", "'")
        is_number = found.lastgroup == "number"
        yield _Token(start, end, taken, previous, is_number, taken[0].isupper(), opens, line, gap)
        seen = end


def _opens(gap: str, previous: str) -> bool:
    if "\n" in gap:
        return True
    bare = gap.strip(" \t")
    if not bare or (bare[0] == "." and previous in TITLES):
        return False
    return not _ENDS.isdisjoint(bare) or _OPENS.issuperset(bare)


def _languages(tokens: Sequence[_Token]) -> tuple[bool, bool]:
    """Whether it may be English, of which we know the words: in another language, that a word is
    unknown says nothing. And whether it is German, where nouns are capitalised."""
    english = sum(token.word in ENGLISH for token in tokens)
    german = sum(token.word in GERMAN for token in tokens)
    romance = sum(token.word in ROMANCE for token in tokens)
    is_foreign = max(german, romance) > max(1, english)
    return not is_foreign, german > max(english, romance)


# --- single words and numbers -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """What the whole text tells of each of its words."""

    text: str
    tokens: Sequence[_Token]
    english: bool
    german: bool
    small: frozenset[str]
    """Words that it writes small somewhere, and so are words."""
    introduced: frozenset[int]
    """Where words begin that it says are names."""
    uncapitalised: bool
    """Whether it writes everything small."""

    def makes_suspect(self, at: int) -> bool:
        token = self.tokens[at]
        if token.is_number:
            return self._is_suspect_number(token)
        if token.word in TITLES:
            return token.is_capital or self.text[token.end : token.end + 1] == "."
        if token.start in self.introduced and token.word not in FUNCTION:
            return True
        if not token.is_capital:
            return self._is_suspect_small(token)
        return self._is_suspect_opener(token) if token.opens else self._is_suspect_within(at, token)

    def _is_suspect_small(self, token: _Token) -> bool:
        word = token.word
        if word in FUNCTION or len(word) == 1:
            return False
        if not word.isalpha() and sum(map(str.isdigit, word)) >= _LONG_NUMBER:
            return True
        if self.uncapitalised and word in ALSO_NAMES and word not in _NO_NAMES_WRITTEN_SMALL:
            return True
        return self.english and (word in DAYS_AND_MONTHS or not _is_word(word))

    def _stands_alone(self, token: _Token) -> bool:
        """Whether it is all of its line, and no heading."""
        begins = self.text.rfind("\n", 0, token.start) + 1
        ends = self.text.find("\n", token.end)
        line = self.text[begins : ends if ends >= 0 else None]
        return line.strip(" >?\t") == token.text and len(line) < len(self.text)

    def _is_suspect_within(self, at: int, token: _Token) -> bool:
        """A capital in the middle of a sentence."""
        word = token.word
        if word in FIRST_PERSON:
            return False
        if token.text.isupper() and self._is_shouted(token):
            return not (is_common(word) or word in FUNCTION)
        return not (self.german and self._is_german_noun(at, word))

    def _is_suspect_opener(self, token: _Token) -> bool:
        """A capital where one is due."""
        word = token.word
        if self._stands_alone(token):
            return True
        if len(word) > 1 and token.text.isupper():
            is_word = word in FUNCTION or is_common(word)
            return word not in FIRST_PERSON and not (is_word and self._is_shouted(token))
        if word in FUNCTION or word in ALSO_NAMES:
            return word not in FUNCTION
        after = self.text[token.end : token.end + 1]
        if is_common(word) and (after == ":" or word in self.small):
            return False
        return not (is_opening(word) and (":" not in token.gap or "\n" in token.gap))

    def _is_german_noun(self, at: int, word: str) -> bool:
        """By our list, by its ending, or by an article before it, an adjective or two between."""
        if is_common(word) or word in GERMAN_NOUNS or word.endswith(tuple(NOUN_ENDINGS)):
            return True
        for before in (at - 1, at - 2, at - 3):
            token = self.tokens[before] if before >= 0 else None
            if token is None or token.gap.strip() or token.is_number:
                return token is not None and token.word in ARTICLES
            if token.word in ARTICLES:
                return True
            if token.is_capital or not token.word.endswith(("e", "en", "er", "es", "em")):
                return False
        return False

    def _is_shouted(self, token: _Token) -> bool:
        """Whether the words around it are all in capitals, too."""
        around = (
            self.text[max(0, token.start - 24) : token.start]
            + (self.text[token.end : token.end + 24])
        )
        return around.upper() == around and sum(map(str.isalpha, around)) >= 6

    def _is_suspect_number(self, token: _Token) -> bool:
        text, end = self.text, token.end
        digits = sum(map(str.isdigit, token.text))
        if _AGED.match(text, end):
            return True
        if digits < 2 or _MEASURE.match(text, end):
            return False
        if digits >= _LONG_NUMBER:
            return True
        if _begins_line(token, text) and _ENUMERATED.match(text, token.start):
            return False
        counted = _COUNTED.match(text, end)
        return counted is None or not _is_word(counted[1])


def _begins_line(token: _Token, text: str) -> bool:
    return token.start == 0 or text[token.start - 1] == "\n"


def _is_word(word: str) -> bool:
    return is_common_form(word) or (
        not word.isalpha() and all(map(is_common_form, filter(None, re.split(r"\W+", word))))
    )


def _introduced(text: str) -> Iterator[int]:
    for found in _INTRODUCED.finditer(text):
        at = found.end()
        for _ in range(3):
            word = _TOKEN.match(text, at)
            if word is None or word.lastgroup != "word" or word[0].lower() in FUNCTION:
                break
            yield word.start()
            at = word.end()
            at += text[at : at + 1] == "."
            at += text[at : at + 1] == " "


# --- what stands beside them ----------------------------------------------------------------------


def _contact_lines(text: str) -> frozenset[int]:
    """Lines of blocks that look like an address or the end of a letter."""
    if "\n" not in text:
        return frozenset()
    found: set[int] = set()
    block: list[int] = []
    addressed = False
    for number, line in enumerate((*text.split("\n"), "." * _SHORT_LINE)):
        bare = line.strip(" >?\t\\")
        if not bare:
            continue
        if _may_be_of_a_contact(line, bare):
            block.append(number)
            addressed = addressed or _ADDRESSED.search(bare) is not None
            continue
        if len(block) >= 3 and addressed:
            found.update(block)
        block, addressed = [], False
    return frozenset(found)


def _may_be_of_a_contact(line: str, bare: str) -> bool:
    is_sentence = bare.endswith(".") and len(bare.split()) > 7
    is_short = len(bare) < _SHORT_LINE and bare[-1] not in "!?;"
    return is_short and not is_sentence and not _BULLET.match(line)


def _is_contact(token: _Token, text: str) -> bool:
    """Whether a token of a contact block is content, rather than the label of a line."""
    is_label = token.word in LABELS or text[token.end : token.end + 1] == ":"
    return token.word not in FUNCTION and not is_label


def _spread_to_neighbours(tokens: Sequence[_Token], suspect: list[bool], text: str) -> None:
    """The number of a house beside its street is suspect, and a capital before a name."""
    for at in range(1, len(tokens)):
        if suspect[at - 1] and not suspect[at] and _adjoin(tokens[at]):
            suspect[at] = _is_house_number(tokens[at], tokens[at - 1], text)
    for at in range(len(tokens) - 2, -1, -1):
        token, following = tokens[at], tokens[at + 1]
        if suspect[at] or not suspect[at + 1] or not _adjoin(following):
            continue
        if token.is_number:
            suspect[at] = _is_house_number(token, following, text)
        elif token.is_capital and following.is_capital and not following.opens:
            suspect[at] = not (token.word in FUNCTION or (token.opens and is_opening(token.word)))


def _is_house_number(token: _Token, beside: _Token, text: str) -> bool:
    if _begins_line(token, text) and _ENUMERATED.match(text, token.start):
        return False
    return token.is_number and (
        sum(map(str.isdigit, token.text)) > 1
        or (not beside.is_number and not _MEASURE.match(text, token.end))
    )


def _adjoin(following: _Token) -> bool:
    gap = following.gap
    return len(gap) <= 3 and _BETWEEN.issuperset(gap) and gap.count("\n") <= 1


def _fill_gaps(tokens: Sequence[_Token], suspect: list[bool]) -> None:
    """What stands between two suspects of a line is suspect: `de la`, and what is short or unknown."""
    for at in range(1, len(tokens) - 1):
        token = tokens[at]
        if suspect[at] or not suspect[at - 1] or token.opens or not _adjoin(token):
            continue
        end = at + 1
        is_particle = token.word in PARTICLES
        while (
            is_particle and end < len(tokens) - 1 and end - at < 3 and tokens[end].word in PARTICLES
        ):
            end += 1
        between = tokens[at:end]
        if suspect[end] and all(map(_adjoin, tokens[at : end + 1])) and not tokens[end].opens:
            suspect[at:end] = [_goes_with_names(each) for each in between]


def _goes_with_names(token: _Token) -> bool:
    if token.word in PARTICLES:
        return True
    is_short = len(token.word) <= _SHORT_WORD and not token.is_number
    return token.word not in FUNCTION and (is_short or not _is_word(token.word))


# --- what is put in one place ---------------------------------------------------------------------


def _runs(tokens: Sequence[_Token], suspect: Sequence[bool], text: str) -> Iterator[Hit]:
    """Suspects that stand together are one, but for a common word that begins a sentence: with it,
    the same name would be another one elsewhere."""
    waiting: Hit | None = None
    last: _Token | None = None
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


def _continues(last: _Token, token: _Token, gap: str) -> bool:
    if last.opens and not last.is_number and is_common(last.word) and last.word not in ALSO_NAMES:
        return False
    if gap == ". ":
        return len(last.text) <= _INITIAL
    return gap in {"", " ", "  ", "-"} and not token.opens


def _hit(token: _Token, text: str) -> Hit:
    if token.is_number:
        kind = "age" if _AGED.match(text, token.end) else "number"
        return Hit(token.start, token.end, kind)
    if token.word in TITLES:
        return Hit(token.start, token.end + (text[token.end : token.end + 1] == "."), "title")
    kind = "date" if token.word in DAYS_AND_MONTHS else "name"
    return Hit(token.start, token.end, kind)
