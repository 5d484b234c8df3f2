"""Places in a text where something stands that must not go further, and what is put there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Characters `start` to `end` (exclusive) of a text are of this kind. The text is not in it."""

    start: int
    end: int
    kind: str


Find = Callable[[str], Iterable[Hit]]


def plain(text: str) -> str:
    """`text` in ASCII and lower case, each character in its place and what is not ASCII as `?`: what
    words are looked for in. Patterns over it are several times quicker than any that ignore case."""
    return text.encode("ascii", "replace").lower().decode("ascii")


def apart(hits: Iterable[Hit]) -> list[Hit]:
    """In order, without those that overlap an earlier or longer one."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept


VAGUE = frozenset({"name", "number"})
"""Kinds that say less than any other."""


def covering(hits: Iterable[Hit]) -> list[Hit]:
    """In order, those that overlap made one that covers them all, of the first kind that says most.

    Where `apart` drops what an earlier hit overlaps, nothing that was hit is left out here.
    """
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if kept and hit.start < kept[-1].end:
            last = kept[-1]
            kind = hit.kind if last.kind in VAGUE else last.kind
            kept[-1] = Hit(last.start, max(last.end, hit.end), kind)
        else:
            kept.append(hit)
    return kept


def masked(text: str, find: Find) -> str:
    """`text` with a placeholder such as `[iban]` at every place that `find` names."""
    return "".join(_masked(text, apart(find(text))))


def placeholder(kind: str) -> str:
    return f"[{kind}]"


def _masked(text: str, hits: Sequence[Hit]) -> Iterator[str]:
    at = 0
    for hit in hits:
        yield text[at : hit.start]
        yield placeholder(hit.kind)
        at = hit.end
    yield text[at:]
