"""Where a text says that what follows is somebody's name."""

import re
from collections.abc import Iterator, Sequence

from rag.guardrails import name_words as sets
from rag.guardrails.name_tokens import WORD, Token
from rag.guardrails.words import SURE, Kind, lexicon

ONE = frozenset("is was has owes wants".split())
"""Verbs after which whoever opens the sentence is one, and without an article a name."""
VERBS = ONE | frozenset(
    "had will would can could did does said says called began spent went came got made took wrote told left led won ran met"
    " felt kept held sold bought lives works needs asks likes moves earns shouted".split()
)
ACTS = VERBS - frozenset("will would can could did does had".split())
"""Hardly anything but people and firms does so."""
_ALIVE = frozenset("began lives shouted".split())
_ASKS = frozenset("can could would will please kannst könntest bitte".split())
_INTRODUCED = re.compile(
    r"\b(?:name(?: is|'s|\?|:)|names? him|named (?:him|her)|calls? me|call him|call her|is called|was called|heiße|heißt"
    r"|mein name ist)[\s\"']{1,4}",
    re.IGNORECASE,
)
_INTRODUCING = ("ame", "AME", "all", "ALL", "hei", "HEI")
"""What a text must hold for the pattern to run, which takes long."""
_GREETING = re.compile(
    r"\W{0,3}(?:hi|hello|hey|dear|hallo|liebe[rs]?|moin|servus) (?=([^\W\d_][\w'’-]*)(?: [^\W\d_][\w'’-]*)?\s*(?:[,!\n]|\Z))",
    re.IGNORECASE,
)
_WORKING = re.compile(
    r"\bwork(?:s|ed|ing)? (?:for|at|with) [^\n?!]{1,80}? as (?:an? )?(?=[^\W\d_])"
)
_LIVING = re.compile(
    r"\b(?:originally from|grew up in|moved (?:here )?(?:from|to)|liv(?:e|es|ed|ing) in|flew to|travell?(?:ing|ed)? to"
    r"|based in|comes? from|work(?:s|ed|ing)? (?:for|at)|employed (?:by|at)|(?:company|firm) called|i(?: a|'|’)m in|recorded for|address of) (?=[^\W\d_])"
)
"""What follows is a place or a firm, in a text without capitals."""
_CITIZEN = re.compile(r"(?<![\w-])(\w[\w-]{1,40}) (?:citizens?|nationals?)\b")
_FIRM_ACTS = re.compile(
    r"(?:\A|[\n,.] ?|\bthe )(?=([^\W\d_][^\s,.:]*(?: [^\s,.:]+){0,3}) (?:invested|website|orchestra|headquarters"
    r"|is an? (?:[\w-]+ ){0,4}(?:agency|company|bank|firm|supplier|customer|manufacturer|brainchild)|is the brainchild))"
)
"""What stands before such words is a firm, in a text without capitals."""
_PLACE_AT = re.compile(r"\bat (?=([^\W\d_][^\n,.]{1,40}), \d)")
_US = "us"
_MOST_WORDS = 3
_NO_NAMES = Kind.FUNCTION | Kind.WORK | Kind.MONTH | Kind.DAY
_VAN = re.compile(r"\b[Vv]an (?:de[rn]?|het) [^\W\d_][\w'-]+")


def introduced_in(text: str, *, uncapitalised: bool) -> Iterator[int]:
    """Where words begin that the text calls somebody's name or work; and, where nothing else tells
    because it has no capitals, a place or a firm."""
    greeting = _GREETING.match(text)
    if greeting is not None and greeting[1].lower() not in sets.GREETED:
        yield from _words_from(text, greeting.end(), 1, Kind.FUNCTION)
    if any(map(text.__contains__, _INTRODUCING)):
        yield from _words_after(_INTRODUCED, text, Kind.FUNCTION)
    if " as " in text and "work" in text:
        yield from _words_after(_WORKING, text, Kind.FUNCTION)
    if " citizen" in text or " national" in text:
        yield from _citizens(text)
    if uncapitalised:
        for pattern in (_LIVING, _FIRM_ACTS, _PLACE_AT):
            yield from _words_after(pattern, text, _NO_NAMES)


def _words_after(pattern: re.Pattern[str], text: str, before: int) -> Iterator[int]:
    for found in pattern.finditer(text):
        yield from _words_from(text, found.end(), _MOST_WORDS, before)


def _citizens(text: str) -> Iterator[int]:
    for found in _CITIZEN.finditer(text):
        if found[1].lower() == _US or not lexicon().word(found[1]).kinds & Kind.FUNCTION:
            yield found.start()


def _words_from(text: str, at: int, most: int, before: int) -> Iterator[int]:
    """Where words begin, one after another, up to one of the kinds `before`."""
    for _ in range(most):
        word = WORD.match(text, at)
        if word is None or lexicon().word(word[0]).kinds & before:
            return
        yield word.start()
        at = word.end()
        at += text[at : at + 1] == "."
        at += text[at : at + 1] == " "


def is_presented(text: str, tokens: Sequence[Token], at: int) -> bool:
    """`it's will`, `ich bin rose`: somebody says who is speaking, or to whom. Such words stand before
    other things as well: it only counts of what may be a name."""
    token = tokens[at]
    if not at or token.gap.strip(", \n"):
        return False
    before = tokens[at - 1].word.small
    is_said = before in sets.PRESENTED_BY or (
        at > 1 and (tokens[at - 2].word.small, before) in sets.PRESENTED_BY_TWO
    )
    ends = text[token.end : token.end + 1] in {"", ",", ".", "\n", "!"}
    return is_said and (ends or not token.word.kinds & SURE)


def acts_as_a_name(tokens: Sequence[Token], at: int) -> bool:
    """`barber began`, `agi, can you`: of a text without capitals, whether a word that opens a sentence
    does as people do."""
    kinds = tokens[at].word.kinds
    may_be = bool(kinds & Kind.NAME) and not kinds & (Kind.FUNCTION | Kind.WORK)
    is_rare = not kinds & (Kind.OPENING | Kind.WORK)
    after = tokens[at + 1].word.small if at + 1 < len(tokens) else ""
    if is_asked(tokens, at):
        return may_be or is_rare
    if after in ONE:
        is_rare = is_rare or bool(kinds & Kind.MONTH)
        return is_rare and (may_be or bool(kinds & Kind.MAY_BE_NO_MONTH))
    is_one = is_rare and not tokens[at].word.small.endswith("s")
    return (may_be and after in ACTS) or (is_one and after in _ALIVE)


def is_asked(tokens: Sequence[Token], at: int) -> bool:
    """`grant, can you`: whether somebody is spoken to."""
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    return following is not None and following.word.small in _ASKS and following.gap == ", "


def family_names_in(text: str) -> Iterator[tuple[int, int]]:
    """Where family names stand that begin with Dutch particles, which German has as articles."""
    if "an de" in text or "an het" in text:
        yield from (found.span() for found in _VAN.finditer(text))
