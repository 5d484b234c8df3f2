"""Whether a word of a text may be of somebody's name or place: told from the word, from where it
stands, and from what the whole text says of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.guardrails import name_words as sets
from rag.guardrails.abbreviations import stands_for_something
from rag.guardrails.introductions import ACTS, ONE, VERBS, acts_as_a_name, is_asked, is_presented
from rag.guardrails.name_tokens import Reading, Token
from rag.guardrails.suspect_numbers import is_suspect_number
from rag.guardrails.words import SURE, WRITTEN_SMALL, Kind, Word, is_compound, is_english_compound

_NO_NAMES_WRITTEN_SMALL = frozenset(
    "will may can long little short case field law rich page hall place".split()
)
_UNITS = frozenset("avwnckl")
_NOUN_ENDINGS = tuple(sets.NOUN_ENDINGS)
_ADJECTIVE_ENDINGS = ("e", "en", "er", "es", "em")
_SMALL_IN_ENGLISH = Kind.ENGLISH | Kind.ACRONYM
_MAY_BE_NAME = Kind.NAME | Kind.ALSO_NAME
_IN_GERMAN = Kind.NOUN | Kind.GERMAN | Kind.WORK | Kind.FUNCTION
_NOUNS = Kind.NOUN | Kind.WORK | Kind.FUNCTION
_LONG_NUMBER, _SHORTEST_NAME = 4, 3
_AROUND = 24


@dataclass(frozen=True, slots=True)
class Suspects:
    """Judges each word and number of a text."""

    text: str
    reading: Reading
    introduced: frozenset[int]
    """Where words begin that it says are names."""
    public: frozenset[str]
    """Words, in lower case, that the operator calls public."""
    uncapitalised: bool
    """Whether it writes everything small."""

    @property
    def tokens(self) -> Sequence[Token]:
        return self.reading.tokens

    def has(self, at: int) -> bool:
        """Whether the token there is suspect by itself."""
        token = self.reading.tokens[at]
        word = token.word
        kinds = word.kinds
        if word.is_number:
            return is_suspect_number(self.text, self.reading.tokens, at)
        if word.small in self.public:
            return False
        if kinds & Kind.TITLE:
            return word.is_capital or self.text[token.end : token.end + 1] == "."
        if self._is_called_a_name(at, token) or (
            kinds & Kind.ALSO_TOWN and self._is_town(at, token)
        ):
            return True
        return self._has_capital(at, token) if word.is_capital else self._has_small(at, token)

    # --- written small ------------------------------------------------------------------------

    def _has_small(self, at: int, token: Token) -> bool:
        word, kinds = token.word.small, token.word.kinds
        if kinds & Kind.FUNCTION or len(word) == 1:
            return False
        if self.uncapitalised and self._is_name_without_capitals(at, token):
            return True
        if kinds & (Kind.MONTH | Kind.DAY) and not kinds & Kind.ALSO_NAME:
            is_day = kinds & Kind.DAY and not self._is_any_day(at, token.word)
            return bool(is_day) and self.reading.english
        if not word.isalpha() and sum(map(str.isdigit, word)) >= _LONG_NUMBER:
            return True
        if self.reading.german:
            return not self._is_german(at, token.word)
        return self.reading.english and not self._is_english(token.word)

    def _is_name_without_capitals(self, at: int, token: Token) -> bool:
        """Of a text that has none: a word that is a name as often, or one that does as people do."""
        if token.word.kinds & Kind.ALSO_NAME and token.word.small not in _NO_NAMES_WRITTEN_SMALL:
            return True
        return token.opens and acts_as_a_name(self.tokens, at)

    def _is_german(self, at: int, word: Word) -> bool:
        """Whether it is a word that German writes small, or a noun in a text that has no capitals."""
        is_noun_or_name = word.kinds & Kind.NAME and word.kinds & Kind.NOUN
        if is_noun_or_name and self.uncapitalised:
            return self._has_article(at)
        is_known = word.kinds & _IN_GERMAN or len(word.small) < _SHORTEST_NAME
        return bool(is_known) or word.small.endswith(_NOUN_ENDINGS) or is_compound(word.small)

    def _is_english(self, word: Word) -> bool:
        """Whether it is a word that English writes small, or German, where nothing tells which it is."""
        if word.kinds & _SMALL_IN_ENGLISH:
            return True
        if not self.uncapitalised and (word.kinds & Kind.SELDOM or is_english_compound(word.small)):
            return True
        may_be_german = not self.reading.kinds & Kind.TELLS_ENGLISH
        return may_be_german and bool(word.kinds & (Kind.GERMAN | Kind.NOUN))

    # --- capitals -----------------------------------------------------------------------------

    def _has_capital(self, at: int, token: Token) -> bool:
        word, kinds = token.word, token.word.kinds
        if kinds & Kind.MONTH:
            return self._is_no_month(at, token)
        if kinds & Kind.DAY:
            return not self._is_any_day(at, word)
        if word.is_upper and len(word.text) > 1:
            shouted = self._is_shouted(token)
            if stands_for_something(self.text, token, shouted=shouted):
                return False
        return self._has_opener(at, token) if token.opens else self._has_within(at, token)

    def _has_within(self, at: int, token: Token) -> bool:
        """A capital in the middle of a sentence."""
        word, kinds = token.word, token.word.kinds
        is_small_word = self.reading.german and kinds & Kind.FUNCTION and not kinds & Kind.ALSO_NAME
        if kinds & Kind.FIRST_PERSON or is_small_word:
            return False
        if len(word.small) == 1:
            is_initial = self._stands_before_a_capital(at)
            return is_initial or (self.tokens[at - 1].word.is_number and word.small not in _UNITS)
        if word.is_upper and self._is_shouted(token):
            return not kinds & SURE or bool(kinds & Kind.ALSO_NAME)
        if self.reading.german:
            return not self._is_german_noun(at, word)
        is_plain = kinds & Kind.ENGLISH and not kinds & Kind.NAME
        return not (kinds & Kind.WORK or (is_plain and self._is_heading(token)))

    def _has_opener(self, at: int, token: Token) -> bool:
        """A capital where one is due."""
        word, kinds = token.word, token.word.kinds
        if self._stands_alone(token):
            return not kinds & Kind.WORK
        if len(word.small) > 1 and word.is_upper:
            is_shouted_word = bool(kinds & SURE) and self._is_shouted(token)
            return not (kinds & Kind.FIRST_PERSON or is_shouted_word)
        if kinds & Kind.FUNCTION or self._is_no_name_here(token):
            return False
        if kinds & Kind.OPENING and not token.answers and not kinds & Kind.ALSO_NAME:
            after = self._word_after(at)
            is_one = after in ONE and not word.small.endswith("s")
            acts = kinds & Kind.NAME and after in ACTS
            is_near = bool(is_one or acts) and self.tokens[at + 1].gap == " "
            return is_near or (bool(kinds & Kind.NAME) and is_asked(self.tokens, at))
        if self.reading.german and not kinds & Kind.ALSO_NAME:
            return self._does_as_people(at, word) or not self._is_german_noun(at, word)
        return self._opens_like_a_name(at, token)

    def _does_as_people(self, at: int, word: Word) -> bool:
        """`Specht hat`, `Jäger ist`: German puts an article before a noun that is none's name."""
        after = self._word_after(at)
        is_one = after in sets.DO_AS_PEOPLE or (word.kinds & Kind.NAME and after in {"ist", "war"})
        is_near = bool(is_one) and self.tokens[at + 1].gap == " "
        return is_near and word.small not in sets.GERMAN_NOUNS and not word.kinds & Kind.WORK

    def _is_no_name_here(self, token: Token) -> bool:
        """A word of its line's beginning that is a label, or that the text writes small elsewhere."""
        kinds = token.word.kinds
        if kinds & Kind.ALSO_NAME:
            return False
        if kinds & WRITTEN_SMALL and self.text[token.end : token.end + 1] == ":":
            return True
        is_plain = kinds & WRITTEN_SMALL and not kinds & Kind.NAME
        return bool(kinds & Kind.WORK) or (
            bool(is_plain) and token.word.small in self.reading.small
        )

    def _opens_like_a_name(self, at: int, token: Token) -> bool:
        """Whether it is no word, or one that acts as people and firms do."""
        kinds = token.word.kinds
        is_name = bool(kinds & Kind.NAME)
        is_word = kinds & Kind.ENGLISH or (kinds & Kind.SELDOM and not is_name)
        if not is_word or token.answers or kinds & Kind.ALSO_NAME:
            return True
        after = self.tokens[at + 1 : at + 3]
        is_rare = is_name or not kinds & Kind.ENGLISH
        if not after or (is_rare and after[0].gap != " "):
            return not self._is_heading(token)
        following = after[0].word
        beyond = after[1].word if len(after) > 1 else None
        if following.is_capital:
            return is_name or (beyond is not None and beyond.small in VERBS)
        is_with = following.small == "and" and beyond is not None and beyond.is_capital
        is_with_name = is_with and beyond is not None and not beyond.kinds & SURE
        return (
            following.small in VERBS
            or following.small in sets.PLACES
            or is_with_name
            or (is_name and (is_with or following.small.endswith("ed")))
        )

    def _is_german_noun(self, at: int, word: Word) -> bool:
        """By the lists, by its ending, or by what it is made of; where it is also a family name, only
        with an article before it, an adjective or two between."""
        kinds = word.kinds
        before = self.tokens[at - 1].word.small if at and self.tokens[at].gap == " " else ""
        if before in sets.COLLEAGUES:
            return False
        if word.small in sets.GERMAN_NOUNS and not kinds & Kind.ALSO_NAME:
            return True
        is_in = before in sets.BEFORE_TOWNS
        if kinds & SURE:
            if not kinds & _IN_GERMAN or (is_in and not kinds & _NOUNS):
                return False
            return not kinds & _MAY_BE_NAME or self._has_article(at)
        if kinds & Kind.NAME:
            return False
        return (not is_in and word.small.endswith(_NOUN_ENDINGS)) or is_compound(word.small)

    def _has_article(self, at: int) -> bool:
        if self.tokens[at].opens:
            return True
        for before in range(at - 1, max(-1, at - 4), -1):
            token = self.tokens[before]
            if token.word.kinds & Kind.ARTICLE or token.word.is_number:
                return True
            is_adjective = not token.word.is_capital and token.word.small.endswith(
                _ADJECTIVE_ENDINGS
            )
            if token.gap.strip() or not is_adjective:
                return False
        return False

    # --- where it stands ----------------------------------------------------------------------

    def _word_after(self, at: int) -> str:
        return self.tokens[at + 1].word.small if at + 1 < len(self.tokens) else ""

    def _stands_before_a_capital(self, at: int) -> bool:
        """`M. Weber`: whether it is an initial."""
        following = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        return following is not None and following.gap == ". " and following.word.is_capital

    def _stands_alone(self, token: Token) -> bool:
        """Whether it is all of its line, and no heading."""
        begins = self.text.rfind("\n", 0, token.start) + 1
        ends = self.text.find("\n", token.end)
        line = self.text[begins : ends if ends >= 0 else None]
        return line.strip(" >?\t") == token.word.text and len(line) < len(self.text)

    def _is_heading(self, token: Token) -> bool:
        begins = self.text.rfind("\n", 0, token.start) + 1
        return self.text.startswith("#", begins)

    def _is_shouted(self, token: Token) -> bool:
        """Whether the words around it are all in capitals, too."""
        around = (
            self.text[max(0, token.start - _AROUND) : token.start]
            + self.text[token.end : token.end + _AROUND]
        )
        return around.upper() == around and sum(map(str.isalpha, around)) >= 6

    def _is_called_a_name(self, at: int, token: Token) -> bool:
        kinds = token.word.kinds
        if token.start in self.introduced:
            return True
        if kinds & Kind.PEOPLE:
            # `polish` and `pole` are words, too
            return token.word.is_capital or self.uncapitalised or not kinds & Kind.OPENING
        if kinds & _MAY_BE_NAME and is_presented(self.text, self.tokens, at):
            return True
        before = self.tokens[at - 1].word if at else None
        return before is not None and before.kinds & Kind.TITLE != 0 and _is_titled(token, before)

    def _is_town(self, at: int, token: Token) -> bool:
        """`in reading`, `aus Halle`; or the only word of a cell."""
        following = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        is_last = following is None or following.opens or following.gap.strip() != ""
        if at and token.gap == " " and self.tokens[at - 1].word.small in sets.BEFORE_TOWNS:
            kinds = following.word.kinds if following is not None else 0
            goes_on = bool(kinds & Kind.FUNCTION) and not kinds & Kind.ARTICLE
            return is_last or goes_on or (self.reading.german and token.word.is_capital)
        is_cell = any(map(token.gap.__contains__, "|;\t,"))
        return is_cell and is_last and (token.word.is_capital or self.uncapitalised)

    def _is_any_day(self, at: int, word: Word) -> bool:
        """`on Mondays`, `every Monday`: no certain one."""
        return word.small.endswith("ys") or (
            at > 0 and self.tokens[at - 1].word.small in sets.EVERY
        )

    def _is_no_month(self, at: int, token: Token) -> bool:
        """Of the name of a month, whether it is somebody's here: `April is on leave`."""
        if not token.word.kinds & Kind.MAY_BE_NO_MONTH:
            return False
        before = self.tokens[at - 1].word if at and not token.opens else None
        if before is not None and (
            before.is_number or before.kinds & Kind.MONTH or self._speaks_of_months(at - 1)
        ):
            return False
        following = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        is_dated = following is not None and following.word.is_number and len(following.gap) <= 2
        return not is_dated and not (token.opens and token.word.kinds & Kind.FUNCTION)

    def _speaks_of_months(self, at: int) -> bool:
        """`in`, and `to` where something dated stands before it: `from Nov to Jan`, not `said Lena to Jan`."""
        small = self.tokens[at].word.small
        if small != "to":
            return small in sets.BEFORE_MONTHS
        near = self.tokens[max(0, at - 3) : at]
        return any(each.word.is_number or each.word.kinds & Kind.MONTH for each in near)


def _is_titled(token: Token, before: Word) -> bool:
    """`herr koch`, `dr. long`: what stands after a title, but for a verb after `die frau`."""
    kinds = token.word.kinds
    is_title = before.kinds & Kind.TITLE and (
        before.is_capital or before.small in sets.TITLES_SMALL
    )
    if not is_title or kinds & Kind.FUNCTION or token.gap not in {" ", ". "}:
        return False
    return (
        token.word.is_capital
        or before.small in sets.ENGLISH_TITLES
        or not kinds & (Kind.GERMAN | Kind.ENGLISH)
        or bool(kinds & _MAY_BE_NAME)
    )
