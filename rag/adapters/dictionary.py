"""English and German words for one another, and synonyms, from the dictionary that Debian ships.

    python -m rag.adapters.dictionary [--from FILE] [--to FILE]

all-MiniLM-L6-v2 knows English only, and not that a vendor is a supplier. The package `trans-de-en`
(Ding, TU Chemnitz, GPL-2+) says both. Set-up compiles it once into a file that answers for one
word at a time; nothing of it stands in this repository.
"""

import argparse
import logging
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, permutations, product
from pathlib import Path
from tempfile import NamedTemporaryFile

from rag.errors import ConfigurationError
from rag.protocols import Lexicon, Translation
from rag.terms import content_words, is_german, stem, words_of

_log = logging.getLogger(__name__)

DING = Path("/usr/share/trans/de-en")
_FORMAT = 1
"""Raised whenever what is compiled changes, so that set-up compiles it anew."""
_MOST = 16
"""Translations, and synonyms, that are kept of a word: those of most of its senses."""
_LONGEST_PHRASE = 2
_LONGEST_LIST = 8
"""Words that one sense lists: where it lists more they are of a kind, not synonyms."""
_SHORTEST_PART = 4
_ASIDE = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|<[^>]*>|/[^/|;:]*/")
_FILLERS = frozenset(
    "to sth sb so sth's sb's sb.'s oneself a an the of be in with and"
    " etw jdn jdm jd jds jmd sich der die das ein eine einen von mit und in".split()
)
_JOINTS = ("", "s", "es", "n", "en")

Phrase = tuple[str, ...]


class DingDictionary:
    """The `Lexicon` in a compiled file. Safe to ask in many threads at once.

    A question's words take 0.1 ms where they were asked for before, and 1 to 2 ms, 7 at most, where
    not (206 questions, on two cores): ask off the event loop.
    """

    def __init__(self, path: Path) -> None:
        """Errors: `ConfigurationError` where `path` is no compiled dictionary."""
        try:
            self._file = sqlite3.connect(
                f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            [found] = self._file.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise _not_compiled(path) from error
        if found != _FORMAT:
            self._file.close()
            raise _not_compiled(path)
        self._entry = lru_cache(maxsize=16_384)(self._read)

    def translations(self, phrase: str, *, german: bool) -> tuple[str, ...]:
        return self._entry(_key(phrase.split()), german)[0]

    def synonyms(self, phrase: str, *, german: bool) -> tuple[str, ...]:
        return self._entry(_key(phrase.split()), german)[1]

    def parts(self, word: str) -> tuple[str, ...]:
        """`Lagergehäuse` as `lager` and its rest; the longest known end decides."""
        for at in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
            head, tail = word[:at], word[at:]
            if not self.translations(tail, german=True):
                continue
            for joint in _JOINTS:
                known = head.removesuffix(joint)
                if not head.endswith(joint) or len(known) < _SHORTEST_PART - 1:
                    continue
                if self.translations(known, german=True):
                    return (known, tail)
        return ()

    def close(self) -> None:
        self._file.close()

    def _read(self, word: str, german: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:  # noqa: FBT001
        row = self._file.execute(
            "SELECT translations, synonyms FROM words WHERE word = ? AND german = ?",
            (word, german),
        ).fetchone()
        translations, synonyms = row or ("", "")
        return _unpacked(translations), _unpacked(synonyms)


class DictionaryTranslator:
    """A question's known words in the other language, so that BM25 finds passages in it."""

    def __init__(self, lexicon: Lexicon, *, most: int = 8) -> None:
        """`most` translations of a word are searched for."""
        self._lexicon = lexicon
        self._most = most

    def translate(self, text: str) -> Translation | None:
        german = is_german(text)
        found: list[str] = []
        words = [word for word in words_of(text) if content_words(word)]
        for phrase in (*words, *map(" ".join, pairwise(words))):
            known = self._lexicon.translations(phrase, german=german)[: self._most]
            if not known and german:
                for part in self._lexicon.parts(phrase):
                    known += self._lexicon.translations(part, german=True)[: self._most]
            found += known
        languages = ("en",) if german else ("de",)
        return Translation(" ".join(dict.fromkeys(found)), languages) if found else None


# --- compiling ---------------------------------------------------------------------------------


def default_dictionary() -> Path:
    """Beside the default model."""
    return Path(sys.prefix) / "share" / "aldermoor-rag" / "de-en.sqlite"


def open_dictionary(path: Path | None = None) -> DingDictionary | None:
    """The compiled dictionary; None, and a word in the log, where set-up found none to compile."""
    path = path or default_dictionary()
    if not path.exists():
        _log.warning("no dictionary at %s: questions find passages in their own words alone", path)
        return None
    return DingDictionary(path)


def _not_compiled(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is no dictionary that this version compiled: run `python -m rag.adapters.dictionary`"
    )


def _is_compiled(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        DingDictionary(path).close()
    except ConfigurationError:
        return False
    return True


def compile_dictionary(source: Path, to: Path) -> None:
    """Make the file `to` of Ding's text `source`. Errors: `ConfigurationError`."""
    translations: defaultdict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    synonyms: defaultdict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    try:
        with source.open(encoding="utf-8") as lines:
            for german, english in _senses(lines):
                for one, other in product(german, english):
                    _note(translations, one, other, german=True)
                    _note(translations, other, one, german=False)
                for side, is_german_side in ((german, True), (english, False)):
                    if len(side) <= _LONGEST_LIST:
                        for one, other in permutations(side, 2):
                            if _key(one) != _key(other):
                                _note(synonyms, one, other, german=is_german_side)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the dictionary {source} cannot be read: {error}") from error
    rows = (
        (word, german, _packed(translations[word, german]), _packed(synonyms[word, german]))
        for word, german in sorted(translations.keys() | synonyms.keys())
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}-", delete=False) as unfinished:
        staged = Path(unfinished.name)
    try:
        _write(staged, rows)
        staged.chmod(0o644)
        staged.replace(to)
    finally:
        staged.unlink(missing_ok=True)


def _write(path: Path, rows: Iterable[tuple[str, bool, str, str]]) -> None:
    file = sqlite3.connect(path)
    try:
        with file:
            file.execute(f"PRAGMA user_version = {_FORMAT}")
            file.execute(
                "CREATE TABLE words (word TEXT, german INTEGER, translations TEXT, synonyms TEXT, "
                "PRIMARY KEY (word, german)) WITHOUT ROWID"
            )
            file.executemany("INSERT INTO words VALUES (?, ?, ?, ?)", rows)
    finally:
        file.close()


def _senses(lines: Iterable[str]) -> Iterator[tuple[list[Phrase], list[Phrase]]]:
    """What each entry, and each of its parts, says in German and in English.

    A line is `Tor {n}; Pforte {f} | Tore {pl} :: gate | gates`: parts stand in the same order.
    """
    for line in lines:
        if line.startswith("#") or "::" not in line:
            continue
        german, _, english = line.partition("::")
        for one, other in zip(german.split("|"), english.split("|"), strict=False):
            phrases = _phrases(one), _phrases(other)
            if all(phrases):
                yield phrases


def _phrases(part: str) -> list[Phrase]:
    found: list[Phrase] = []
    for written in part.split(";"):
        bare = _ASIDE.sub(" ", written)
        phrase = tuple(word for word in words_of(bare) if word.lower() not in _FILLERS)
        if 0 < len(phrase) <= _LONGEST_PHRASE and phrase not in found:
            found.append(phrase)
    return found


def _note(
    counted: defaultdict[tuple[str, bool], Counter[str]],
    one: Phrase,
    other: Phrase,
    *,
    german: bool,
) -> None:
    counted[_key(one), german][" ".join(other)] += 1


def _key(phrase: Sequence[str]) -> str:
    return " ".join(map(stem, phrase))


def _packed(phrases: Counter[str]) -> str:
    """The commonest phrases, each in one of its inflections."""
    kept: dict[str, str] = {}
    for phrase, _ in phrases.most_common():
        kept.setdefault(_key(phrase.split()), phrase)
        if len(kept) == _MOST:
            break
    return "|".join(kept.values())


def _unpacked(phrases: str) -> tuple[str, ...]:
    return tuple(phrases.split("|")) if phrases else ()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compile the English-German dictionary.")
    parser.add_argument("--from", dest="source", type=Path, default=DING)
    parser.add_argument("--to", type=Path, default=default_dictionary())
    asked = parser.parse_args(arguments)
    if _is_compiled(asked.to):
        return
    try:
        compile_dictionary(asked.source, asked.to)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
