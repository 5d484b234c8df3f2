"""Where a sentence may be taken apart: what it joins may come from several statements."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

_BORDER = re.compile(
    r"[,;:()–—]|\b(?:and|or|but|while|whereas|because|although|though|which|who|whose|that|where|when|after|before|since"
    r"|until|so|if|und|oder|aber|während|weil|obwohl|welche[rsn]?|wenn|nachdem|bevor|seit|sodass|damit)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Borders:
    """Where the parts of a text begin, in characters, beside its own beginning."""

    places: tuple[int, ...]

    def part_at(self, place: int) -> int:
        """Which part `place` lies in, from 0."""
        return bisect_right(self.places, place)


def borders_of(text: str) -> Borders:
    """At commas and their like, and at the words that join clauses, English or German."""
    return Borders(tuple(match.start() for match in _BORDER.finditer(text)))


def parts_of(text: str) -> list[str]:
    """`text` cut at its borders; nothing of it is left out."""
    return [text[start:end] for start, end in pairwise([0, *borders_of(text).places, len(text)])]
