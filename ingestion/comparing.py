"""Comparing what a source shows with what was taken in of it: the one place where that is done."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from connectors.protocols import Listed
from rag.access import AccessList
from rag.storage.sources.records import KnownDocument


class ChangeKind(StrEnum):
    NEW = "new"
    CONTENT = "content_changed"
    METADATA = "metadata_changed"
    ACCESS = "access_changed"
    MOVED = "moved"
    DELETED = "deleted"


def difference(
    listed: Listed, known: KnownDocument | None, readers: AccessList | None
) -> ChangeKind | None:
    """What happened to a resource since it was taken in as `known`, to be read by `readers`; None
    where nothing did."""
    if known is None:
        return ChangeKind.NEW
    if known.revision != listed.seen.revision or _has_other_bytes(listed, known):
        return ChangeKind.CONTENT
    if known.access_fingerprint == listed.seen.access:
        return None
    if listed.access is None or listed.access != readers:
        return ChangeKind.ACCESS
    return ChangeKind.METADATA


def _has_other_bytes(listed: Listed, known: KnownDocument) -> bool:
    """A source may say that nothing changed, and show that it did. Of what failed, no size is
    known that would tell."""
    if known.failed:
        return False
    other_size = None not in {listed.size, known.size} and listed.size != known.size
    other_hash = None not in {listed.sha256, known.sha256} and listed.sha256 != known.sha256
    return other_size or other_hash


@dataclass(frozen=True, slots=True)
class Move:
    """`listed` is at its new place what `known` was at its old one."""

    listed: Listed
    known: KnownDocument


@dataclass(frozen=True, slots=True)
class Paired:
    moves: tuple[Move, ...]
    new: tuple[Listed, ...]
    gone: tuple[KnownDocument, ...]


def paired(new: Iterable[Listed], gone: Collection[KnownDocument]) -> Paired:
    """Which of what is `new` is something that is `gone` from its old place: by the source's word
    where it names the old place, else by the identity of both. One old place makes one move; of
    several copies the first does, and the others are new.

    It is no move where the source does not say who may read the resource at its new place and that
    is not known to be as it was: the old one then goes at once.
    """
    by_uri = {each.uri: each for each in gone}
    by_identity: dict[str, list[KnownDocument]] = {}
    for each in sorted(gone, key=lambda known: known.uri, reverse=True):
        if each.identity is not None:
            by_identity.setdefault(each.identity, []).append(each)
    left: dict[str, KnownDocument] = dict(by_uri)
    moves: list[Move] = []
    others: list[Listed] = []
    for listed in new:
        before = _before(listed, left, by_identity)
        if before is None or not _readers_are_known(listed, before):
            others.append(listed)
        else:
            del left[before.uri]
            moves.append(Move(listed, before))
    return Paired(tuple(moves), tuple(others), tuple(left.values()))


def _before(
    listed: Listed,
    left: Mapping[str, KnownDocument],
    by_identity: Mapping[str, list[KnownDocument]],
) -> KnownDocument | None:
    if listed.moved_from is not None and listed.moved_from in left:
        return left[listed.moved_from]
    same = by_identity.get(listed.seen.identity or "", [])
    while same:
        candidate = same.pop()
        if candidate.uri in left:
            return candidate
    return None


def _readers_are_known(listed: Listed, known: KnownDocument) -> bool:
    return listed.access is not None or listed.seen.access == known.access_fingerprint
