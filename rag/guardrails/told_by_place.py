"""What is told by where it stands beside names: who speaks, what somebody is, what else an address has."""

import re
from collections.abc import Sequence

from rag.guardrails.name_tokens import Token
from rag.guardrails.name_words import RELATIVES
from rag.guardrails.suspect_numbers import is_measure
from rag.guardrails.words import SURE, Kind

_ARTICLES = frozenset({"the", "der", "die"})
_BEGIN_POSITIONS = (", the ", ", der ", ", die ")
_LONGEST_POSITION = 6
_QUOTES = ('"', "“", "„", "'", "«")
_NO_SPEAKER = Kind.FUNCTION | Kind.LABEL | Kind.MONTH
_SHORT, _OF_POSTCODE = 3, 3
_FEWEST_SPEAKERS = 2
_FROM = frozenset({"from", "of", "von"})
_ARE = frozenset("is am ist wird bin turns turned".split())
_AGE = re.compile(r"[1-9]\d?(?=\Z|[,;!?\n]|\.(?!\d)| (?:and|und|years|jahre)\b)")
_AND = frozenset({"and", "und"})
_NO_FIRM = Kind.FUNCTION | Kind.WORK | Kind.MONTH | Kind.DAY | Kind.LABEL
_LONGEST_FIRM, _SHORT_FORM = 3, 2
"""`kg` and `sa` are firms only with a capital."""
_BEFORE_FIRM = frozenset({" ", ", ", "-"})
_LONGEST_ROLE, _MOST_LINES = 5, 4
_OF = frozenset({"and", "of", "für", "und"})
_LINE_ENDS = frozenset({"\n", " \n", "  \n", "\r\n", "\n\n"})


def find_firms(tokens: Sequence[Token], suspect: list[bool], public: frozenset[str]) -> None:
    """What a firm is called stands before `Ltd`, three words at most, however they are written."""
    for at, token in enumerate(tokens):
        begun = at
        is_firm = token.word.kinds & Kind.FIRM and (
            len(token.word.text) > _SHORT_FORM or not token.word.text.islower()
        )
        while is_firm and begun and at - begun < _LONGEST_FIRM:
            before = tokens[begun - 1].word
            if tokens[begun].gap not in _BEFORE_FIRM or tokens[begun].opens:
                break
            if before.is_number or before.kinds & Kind.FUNCTION or before.small in public:
                break
            begun -= 1
        if begun < at:
            suspect[begun : at + 1] = [True] * (at + 1 - begun)


def find_roles(tokens: Sequence[Token], suspect: list[bool], text: str) -> None:
    """Short lines under one that is a name: what somebody is, and where."""
    begun, names = 0, 0
    for at in range(1, len(tokens) + 1):
        if at < len(tokens) and tokens[at].line == tokens[begun].line:
            continue
        if not _is_bare(tokens[begun:at], text):
            names = 0
        elif names and tokens[begun].gap in _LINE_ENDS:
            suspect[begun:at] = [True] * (at - begun)
            names = (names + 1) % _MOST_LINES
        else:
            names = int(
                all(
                    suspect[place] or len(tokens[place].word.small) == 1
                    for place in range(begun, at)
                )
            )
        begun = at


def _is_bare(line: Sequence[Token], text: str) -> bool:
    """Whether it is a few words and nothing else, no sentence among them."""
    end = line[-1].end
    is_short = len(line) <= _LONGEST_ROLE and text[end : end + 1] in {"", "\n", " "}
    return is_short and not any(
        token.word.is_number or (token.word.kinds & Kind.FUNCTION and token.word.small not in _OF)
        for token in line
    )


def find_speakers(tokens: Sequence[Token], suspect: list[bool], text: str) -> None:
    """Of lines that begin with a word and a colon, one of them a name, the others are names as well
    where they may be one, or where what is said stands in quotes."""
    line, speakers = -1, list[int]()
    for at, token in enumerate(tokens):
        if token.line != line:
            line = token.line
            if text[token.end : token.end + 1] == ":" and not token.word.is_number:
                speakers.append(at)
    if len(speakers) < _FEWEST_SPEAKERS:
        return
    quoted = {at for at in speakers if _is_quoted(text, tokens[at].end)}
    names = sum(suspect[at] for at in speakers)
    if len(quoted) == len(speakers):
        for at in quoted:
            suspect[at] = suspect[at] or not tokens[at].word.kinds & Kind.LABEL
    elif names:
        are_most = names * 2 > len(speakers)
        for at in speakers:
            kinds = tokens[at].word.kinds
            if not kinds & _NO_SPEAKER and (kinds & Kind.NAME or at in quoted or are_most):
                suspect[at] = True


def _is_quoted(text: str, end: int) -> bool:
    """Whether a quote follows the colon that stands at `end`."""
    return text[end + 1 : end + 3].lstrip(" ").startswith(_QUOTES)


def find_positions(tokens: Sequence[Token], suspect: list[bool], text: str) -> None:
    """`Anna Berg, the building manager, said`: what somebody is, between two commas behind the name."""
    if not any(map(text.__contains__, _BEGIN_POSITIONS)):
        return
    for at in range(1, len(tokens) - 1):
        token, before = tokens[at], tokens[at - 1]
        if token.gap != ", " or token.word.small not in _ARTICLES or not suspect[at - 1]:
            continue
        if before.word.is_number:
            continue
        end = at + 1
        while end < len(tokens) and end - at <= _LONGEST_POSITION and tokens[end].gap == " ":
            end += 1
        if text[tokens[end - 1].end : tokens[end - 1].end + 1] == ",":
            suspect[at + 1 : end] = [True] * (end - at - 1)


def find_firms_of_people(tokens: Sequence[Token], suspect: list[bool]) -> None:
    """`anna from life map`, `anna of life map`: whom somebody works for, in a text without capitals."""
    for at in range(1, len(tokens) - 1):
        if tokens[at].word.small not in _FROM or tokens[at].gap != " " or not suspect[at - 1]:
            continue
        if tokens[at - 1].word.is_number:
            continue
        for place in range(at + 1, min(at + 1 + _LONGEST_FIRM, len(tokens))):
            token = tokens[place]
            if token.gap != " " or token.word.is_number or token.word.kinds & _NO_FIRM:
                break
            suspect[place] = True


def find_ages(
    tokens: Sequence[Token], numbers: Sequence[int], suspect: list[bool], text: str
) -> None:
    """`Anna is 61 and`, `er wird 40.`: how old somebody is."""
    for at in numbers:
        if at < 2 or suspect[at] or tokens[at - 1].word.small not in _ARE or tokens[at].gap != " ":
            continue
        whose = tokens[at - 2].word
        is_whose = whose.small in RELATIVES or (suspect[at - 2] and not whose.is_number)
        if is_whose and _AGE.match(text, tokens[at].start):
            suspect[at] = True


def find_listed(tokens: Sequence[Token], suspect: list[bool]) -> None:
    """`novák, warmer and bird`: the rest of a list that a name begins, in a text without capitals."""
    for at in range(1, len(tokens) - 2):
        token, joining, last = tokens[at : at + 3]
        is_list = (
            token.gap == ", " and joining.gap == last.gap == " " and joining.word.small in _AND
        )
        kinds = token.word.kinds | last.word.kinds
        if is_list and suspect[at - 1] and not tokens[at - 1].word.is_number | (kinds & _NO_FIRM):
            suspect[at] = suspect[at + 2] = True


def find_parts_of_addresses(
    tokens: Sequence[Token], numbers: Sequence[int], suspect: list[bool], text: str
) -> None:
    """The number before `ul. Karpacka`, and in `Oulu NO 90650` what is between town and postcode."""
    last = len(tokens) - 1
    for at in numbers:
        token = tokens[at]
        if at + 2 <= last and not suspect[at] and _is_of_street(tokens, at, suspect):
            suspect[at : at + 2] = [not is_measure(text, token)] * 2
        if at < 2 or not suspect[at - 2] or not _is_postcode(tokens, at, text):
            continue
        state, town = tokens[at - 1], tokens[at - 2].word
        is_short = len(state.word.text) <= _SHORT and not state.opens and not state.word.is_number
        is_state = (
            state.word.is_upper or state.word.kinds & Kind.NAME or not state.word.kinds & SURE
        )
        if is_short and is_state and not (town.is_number and at < 3):
            suspect[at - 1] = suspect[at] = True
            if at < last and tokens[at + 1].word.is_number and tokens[at + 1].gap == " ":
                suspect[at + 1] = True


def _is_of_street(tokens: Sequence[Token], at: int, suspect: Sequence[bool]) -> bool:
    particle = tokens[at + 1]
    kinds = particle.word.kinds
    is_particle = kinds & Kind.PARTICLE and not kinds & Kind.FUNCTION
    return bool(is_particle) and particle.gap == " " and suspect[at + 2]


def _is_postcode(tokens: Sequence[Token], at: int, text: str) -> bool:
    """Whether a number of three digits or more ends its line, a second group of digits included."""
    token = tokens[at]
    if token.gap != " " or sum(map(str.isdigit, token.word.text)) < _OF_POSTCODE:
        return False
    end = token.end
    if at + 1 < len(tokens) and tokens[at + 1].word.is_number and tokens[at + 1].gap == " ":
        end = tokens[at + 1].end
    return text[end : end + 1] in {"", "\n", ","}
