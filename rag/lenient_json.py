"""JSON as models write it: found among prose, and read in spite of the commonest mistakes.

Read by a parser, never by evaluating. Mended are: a Markdown fence, prose around, trailing and
missing commas, single and typographic quotes, bare keys, comments, line breaks in strings, Python's
`True`, `False` and `None`, and a text that was cut off. What was cut off in the middle is left out
rather than guessed: half a word or half a number is another word or number.
"""

import json
import re
from dataclasses import dataclass
from typing import cast

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int | float | bool | None

MOST_CHARACTERS = 1_000_000
DEEPEST = 100
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_NUMBER = re.compile(r"[-\d][\d.eE+-]*")
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BARE = re.compile(r"[^\W\d][\w$-]*")
_WORDS: dict[str, JsonValue] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?(?:\*/|\Z)|#[^\n]*)+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Read:
    """The value that a text holds."""

    value: JsonValue
    mended: bool
    """Whether it was not JSON as it stood, apart from what stood around it."""


class NotJson(ValueError):  # noqa: N818 - it is a verdict on a text
    """A text holds no JSON that could be read; the message says why."""


def read_json(text: str) -> Read:
    """The object or list in `text`: in a fence if there is one, else from the first bracket on.

    Raises `NotJson`.
    """
    if len(text) > MOST_CHARACTERS:
        raise NotJson(f"it is longer than {MOST_CHARACTERS} characters")
    candidates = [match[1] for match in _FENCE.finditer(text)] or [text]
    problem = NotJson("it holds no { or [")
    for candidate in candidates:
        for start in (match.start() for match in re.finditer(r"[{\[]", candidate)):
            try:
                return _read_from(candidate, start)
            except NotJson as error:
                problem = error
                if candidate[start] == "{":
                    break  # what stands inside a broken object is not what was asked for
    raise problem


def _read_from(text: str, start: int) -> Read:
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, start)
    except (ValueError, RecursionError):
        return Read(_Reader(text, start).container(0), mended=True)
    return Read(cast("JsonValue", value), mended=False)


def _no_constant(name: str) -> object:
    raise NotJson(f"{name} is no JSON")


class _CutOff(Exception):  # noqa: N818 - no error of the caller's: the text ends here
    """The text ended in the middle of a value."""


class _Reader:
    """Reads on from a place in a text; what it has read is behind `at`."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at

    def container(self, depth: int) -> JsonValue:
        """An object or a list; all of it that is there where the text is cut off."""
        if depth > DEEPEST:
            raise NotJson(f"it is nested deeper than {DEEPEST}")
        if self._text[self._at] == "{":
            return self._object(depth)
        return self._list(depth)

    def _object(self, depth: int) -> JsonValue:
        found: dict[str, JsonValue] = {}
        self._at += 1
        while not self._ended("}"):
            try:
                key = self._key()
                self._pass(":")
                found[key] = self._value(depth)
            except _CutOff:
                break
            self._skip(",")
        return found

    def _list(self, depth: int) -> JsonValue:
        found: list[JsonValue] = []
        self._at += 1
        while not self._ended("]"):
            try:
                found.append(self._value(depth))
            except _CutOff:
                break
            self._skip(",")
        return found

    def _ended(self, bracket: str) -> bool:
        """Whether the container ends here; where the text ends, every container does."""
        self._space()
        if self._at >= len(self._text):
            return True
        if self._text[self._at] == bracket:
            self._at += 1
            return True
        return False

    def _value(self, depth: int) -> JsonValue:
        self._space()
        char = self._next()
        if char in "{[":
            return self.container(depth + 1)
        if char in _QUOTES:
            return self._string(_QUOTES[char])
        if number := _NUMBER.match(self._text, self._at):
            return self._number(number)
        if word := _BARE.match(self._text, self._at):
            self._at = word.end()
            if word[0] in _WORDS:
                return _WORDS[word[0]]
            if self._at >= len(self._text):
                raise _CutOff
        raise NotJson(f"there is no value at character {self._at}")

    def _number(self, match: re.Match[str]) -> JsonValue:
        self._at = match.end()
        if self._at >= len(self._text):
            raise _CutOff
        if not _WHOLE_NUMBER.fullmatch(match[0]):
            raise NotJson(f"there is no number at character {match.start()}")
        return cast("JsonValue", json.loads(match[0]))

    def _key(self) -> str:
        self._space()
        char = self._next()
        if char in _QUOTES:
            return self._string(_QUOTES[char])
        bare = _BARE.match(self._text, self._at)
        if bare is None:
            raise NotJson(f"there is no name at character {self._at}")
        self._at = bare.end()
        return bare[0]

    def _string(self, closing: str) -> str:
        self._at += 1
        pieces: list[str] = []
        while True:
            char = self._next()
            self._at += 1
            if char == "\\":
                pieces.append(self._escaped())
            elif char == closing and (closing != "'" or not self._goes_on()):
                return _paired("".join(pieces))
            else:
                pieces.append(char)

    def _goes_on(self) -> bool:
        """Whether the quote just passed was an apostrophe, as in `'it's'`."""
        return self._at < len(self._text) and self._text[self._at].isalnum()

    def _escaped(self) -> str:
        char = self._next()
        self._at += 1
        if char != "u":
            return _ESCAPES.get(char, char)
        digits = re.compile(r"[0-9a-fA-F]{4}").match(self._text, self._at)
        if digits is None:
            if len(self._text) - self._at < len("0000"):
                self._at = len(self._text)
                raise _CutOff
            raise NotJson(f"there is no character code at character {self._at}")
        self._at = digits.end()
        return chr(int(digits[0], 16))

    def _pass(self, wanted: str) -> None:
        self._space()
        if self._next() != wanted:
            raise NotJson(f"there is no {wanted} at character {self._at}")
        self._at += 1

    def _skip(self, char: str) -> None:
        self._space()
        while self._at < len(self._text) and self._text[self._at] == char:
            self._at += 1
            self._space()

    def _space(self) -> None:
        if match := _SPACE.match(self._text, self._at):
            self._at = match.end()

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _CutOff
        return self._text[self._at]


def _paired(text: str) -> str:
    """`text` with the two halves of a character outside the first plane made one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
