"""Which of a question's words a passage says: themselves, in the other language, or by a synonym."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from rag.adapters.question import Asked
from rag.protocols import Lexicon
from rag.terms import content_words, stem, words_of

Said = Mapping[str, float]
"""The question's terms that a text says, and how surely, 0 to 1. Terms it does not say are absent."""

LITERAL, TRANSLATED, SYNONYM = 1.0, 0.9, 0.6
_PART, _WITHIN = 4, 6
"""Letters from which a stem counts where it begins or ends a word (`Lärm` in `Lärmschutz`), and
where it stands inside one: shorter ones do so by chance."""

_Forms = frozenset[frozenset[str]]
"""Ways to say a term, each as the stems that must all stand there."""


@dataclass(frozen=True, slots=True)
class _Text:
    stems: frozenset[str]
    joined: str
    """The stems with a space around each, to look for parts of words."""

    @staticmethod
    def of(text: str) -> "_Text":
        stems = frozenset(content_words(text)).union(map(stem, words_of(text)))
        return _Text(stems, f" {' '.join(stems)} ")

    def says(self, form: str) -> bool:
        if form in self.stems:
            return True
        if len(form) < _PART:
            return False
        return (
            f" {form}" in self.joined
            or f"{form} " in self.joined
            or (len(form) >= _WITHIN and form in self.joined)
        )

    def says_any(self, forms: _Forms) -> bool:
        return any(all(map(self.says, form)) for form in forms)


class Wording:
    """What each of a question's terms may be called. Made once for a question: it looks words up."""

    def __init__(self, asked: Asked, lexicon: Lexicon | None) -> None:
        self.asked = asked
        self._translated: dict[str, _Forms] = {}
        self._synonyms: dict[str, _Forms] = {}
        if lexicon is not None:
            self._look_up([word for word in words_of(asked.text) if content_words(word)], lexicon)

    def said_by(self, text: str) -> Said:
        found: dict[str, float] = {}
        seen = _Text.of(text)
        for term in self.asked.terms:
            if seen.says(term):
                found[term] = LITERAL
            elif seen.says_any(self._translated.get(term, frozenset())):
                found[term] = TRANSLATED
            elif seen.says_any(self._synonyms.get(term, frozenset())):
                found[term] = SYNONYM
        return MappingProxyType(found)

    def _look_up(self, words: Sequence[str], lexicon: Lexicon) -> None:
        german = self.asked.german
        for word in words:
            known = lexicon.translations(word, german=german)
            parts = lexicon.parts(word) if german and not known else ()
            self._add(self._translated, word, _forms(known) | _compounds(parts, lexicon))
            self._add(self._synonyms, word, _forms(lexicon.synonyms(word, german=german)))
        for pair in pairwise(words):
            # `car park` is a `Parkplatz`: said so, both of its words are.
            forms = _forms(lexicon.translations(" ".join(pair), german=german))
            for word in pair:
                self._add(self._translated, word, forms)

    def _add(self, to: dict[str, _Forms], word: str, forms: _Forms) -> None:
        for term in self.asked.terms.intersection((stem(word),)):
            to[term] = to.get(term, frozenset()) | forms


def strongest(said: Iterable[Said]) -> Said:
    """What several texts say together."""
    found: dict[str, float] = {}
    for each in said:
        for term, strength in each.items():
            found[term] = max(strength, found.get(term, 0.0))
    return MappingProxyType(found)


def _forms(phrases: Iterable[str]) -> _Forms:
    return frozenset(frozenset(map(stem, phrase.split())) for phrase in phrases)


def _compounds(parts: Sequence[str], lexicon: Lexicon) -> _Forms:
    """A compound said by its parts, apart (`Hotel ... Obergrenze`) or in the other language."""
    if not parts:
        return frozenset()
    ways = [_forms((part, *lexicon.translations(part, german=True))) for part in parts]
    first, second = ways
    return frozenset(one | other for one in first for other in second)
