"""Masking the messages of one call: the same value, the same placeholder, in all of them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rag.errors import PolicyForbids
from rag.guardrails.echoes import echoes
from rag.guardrails.hits import Hit, covering
from rag.guardrails.pii import Depth, PersonalData
from rag.guardrails.placeholders import Placeholders, any_placeholder, placeholders_for
from rag.guardrails.vault import Vault
from rag.prompts.versions import Prompt
from rag.protocols import Message, ModelPrompt

_LOOK_ALIKE = any_placeholder()
_MOST_VALUES = 20_000
"""In one call. Codes are drawn at random of 2.5 million: beyond this many, drawing takes long."""

_MARKER = re.compile(r"\A[^\n]{0,40}?(?<![0-9a-f])([0-9a-f]{16})(?![0-9a-f])")
"""Of a prompt of ours: what its first line names, drawn at random, to tell evidence by."""

_FILLED_IN = re.compile(r"\{\{\w+\}\}")
_SHORTEST_LITERAL = 12
LiteralsOf = Callable[[str], Sequence[str]]
"""The constant text of a prompt, by its id: what stands between the things that are filled in."""


def literals_of_prompts(prompts: Iterable[Prompt]) -> LiteralsOf:
    """The constant texts of `prompts`: each piece between two placeholders that is worth a look."""
    literals = {
        prompt.id: tuple(
            piece.strip()
            for section in (prompt.system, prompt.context, prompt.instruction, prompt.format)
            for piece in _FILLED_IN.split(section)
            if len(piece.strip()) >= _SHORTEST_LITERAL
        )
        for prompt in prompts
    }
    return lambda prompt: literals.get(prompt, ())


def no_literals(_prompt: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """Messages that may leave, and what puts the values back. Nothing of a value shows in it."""

    messages: tuple[Message, ...]
    placeholders: Placeholders = field(repr=False)
    vault: Vault = field(repr=False)
    kinds: tuple[str, ...]
    """What was masked, by kind; each once."""
    count: int
    """Different values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masker:
    finder: PersonalData
    new_vault: Callable[[], Vault]
    literals_of: LiteralsOf = field(default=no_literals)
    usual: Placeholders = field(default_factory=lambda: placeholders_for(()), repr=False)
    """Kept from request to request, because they take long to make."""

    async def mask(self, prompt: ModelPrompt, *, depth: Depth, secrets: bool = True) -> Masked:
        """The messages of `prompt`, with placeholders for personal data, and for secrets.

        The constant text of a prompt of ours is only looked through for what has a form. Errors:
        those of the finder, which leave nothing masked and so nothing to send; `PolicyForbids`
        where there are more values than can be told apart.
        """
        texts = [neutral(message.content) for message in prompt.messages]
        writing = _Writing(placeholders_for(texts, self.usual), self.new_vault())
        found: list[list[Hit]] = []
        own: list[tuple[Hit, ...]] = []
        for message, text in zip(prompt.messages, texts, strict=True):
            ours = bool(prompt.prompt) and message.role == "system"
            hits = await self.finder.find(
                text, depth=Depth.PATTERNS if ours else depth, secrets=secrets
            )
            places = tuple(self._own_places(prompt, text))
            found.append(_outside(hits, places))
            own.append(places)
        messages: list[Message] = []
        try:
            again = echoes(texts, found)
            for at, (message, text) in enumerate(zip(prompt.messages, texts, strict=True)):
                places = covering([*found[at], *_outside(again[at], own[at])])
                messages.append(replace(message, content=writing.write(text, places)))
        except BaseException:
            writing.vault.close()
            raise
        return Masked(
            messages=tuple(messages),
            placeholders=writing.placeholders,
            vault=writing.vault,
            kinds=tuple(sorted(writing.kinds)),
            count=writing.count,
        )

    def _own_places(self, prompt: ModelPrompt, text: str) -> Iterator[Hit]:
        """What of `text` is constant text of a prompt of ours, or its marker."""
        if not prompt.prompt:
            return
        for literal in self.literals_of(prompt.prompt):
            for found in re.finditer(re.escape(literal), text):
                yield Hit(found.start(), found.end(), "literal")
        if marker := _MARKER.match(text):
            for found in re.finditer(marker[1], text):
                yield Hit(found.start(), found.end(), "marker")


def neutral(text: str) -> str:
    """`text` with what looks like a placeholder taken apart: nobody forges one, and no reader takes
    a document's own for one of ours."""
    if "<" not in text and "&" not in text:
        return text
    return _LOOK_ALIKE.sub(_taken_apart, text)


def _taken_apart(match: re.Match[str]) -> str:
    words = re.findall(r"[^\W_]+", re.sub(r"&[lg]t;", " ", match[0]))
    return f"({' '.join(words)})"


@dataclass(slots=True)
class _Writing:
    placeholders: Placeholders
    vault: Vault
    kinds: set[str] = field(default_factory=set[str])
    count: int = 0
    written: dict[str, str] = field(default_factory=dict[str, str])
    """Code to placeholder."""

    def write(self, text: str, hits: Sequence[Hit]) -> str:
        return "".join(self._pieces(text, hits))

    def _pieces(self, text: str, hits: Sequence[Hit]) -> Iterator[str]:
        at = 0
        for hit in hits:
            yield text[at : hit.start]
            yield self._placeholder(text[hit.start : hit.end], hit.kind)
            at = hit.end
        yield text[at:]

    def _placeholder(self, value: str, kind: str) -> str:
        if (known := self.vault.code_of(value)) is not None:
            return self.written[known]
        if self.count >= _MOST_VALUES:
            raise PolicyForbids("there is more personal data in this than can be masked")
        code, placeholder = self.placeholders.draw(kind)
        while not self.vault.put(code, value):
            code, placeholder = self.placeholders.draw(kind)
        self.kinds.add(kind)
        self.count += 1
        self.written[code] = placeholder
        return placeholder


def _outside(hits: Iterable[Hit], places: Sequence[Hit]) -> list[Hit]:
    """`hits`, without what is within a place."""
    left = list(hits)
    for place in places:
        left = [part for hit in left for part in _cut(hit, place)]
    return left


def _cut(hit: Hit, place: Hit) -> Iterator[Hit]:
    if hit.end <= place.start or place.end <= hit.start:
        yield hit
        return
    if hit.start < place.start:
        yield replace(hit, end=place.start)
    if place.end < hit.end:
        yield replace(hit, start=place.end)
