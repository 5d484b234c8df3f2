"""Which of a few sentences bear on a question: BM25 over them alone, on the stems of `rag.terms`."""

import math
from collections import Counter
from collections.abc import Sequence

from rag.terms import content_words

_SATURATION, _LENGTH = 1.2, 0.5


def scores_of(question: str, texts: Sequence[str]) -> list[float]:
    """How well each of `texts` matches the words of `question`; 0 where they share none.

    Okapi BM25 (Robertson and Zaragoza 2009) with the frequencies of `texts` themselves.
    """
    wanted = set(content_words(question))
    counted = [Counter(content_words(text)) for text in texts]
    mean = sum(each.total() for each in counted) / len(counted) if counted else 0.0
    rarity = {
        term: math.log(1 + (len(texts) - found + 0.5) / (found + 0.5))
        for term in wanted
        for found in (sum(term in each for each in counted),)
    }
    return [
        sum(
            rarity[term]
            * each[term]
            * (_SATURATION + 1)
            / (each[term] + _SATURATION * (1 - _LENGTH + _LENGTH * each.total() / mean))
            for term in sorted(wanted & each.keys())
        )
        for each in counted
    ]


def most_telling(question: str, texts: Sequence[str]) -> list[int]:
    """The places in `texts`, best first; where they tell alike, later ones first."""
    scores = scores_of(question, texts)
    return sorted(range(len(texts)), key=lambda place: (-scores[place], -place))
