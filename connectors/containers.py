"""Where a resource was found that lies inside another document, and how much more may come out."""

from dataclasses import dataclass

from rag.types import DocumentId, VersionId


@dataclass(frozen=True, slots=True)
class Room:
    """How much may still come out of a resource that holds others: of all that lies in it, and in
    what lies in that, together."""

    levels: int = 3
    files: int = 2_000
    bytes: int = 1024**3

    def share(self, size: int, *, taken: int, files: int) -> "Room":
        """What is left for one of `files` files, `size` of their `taken` bytes: so however deep
        they nest, all of them together stay within what the outermost was given."""
        taken = max(1, taken)
        return Room(
            levels=self.levels - 1,
            files=max(0, self.files - files) * size // taken,
            bytes=max(0, self.bytes - taken) * size // taken,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The document that a resource was found inside of, as it was then."""

    document: DocumentId
    version: VersionId | None
    """None for one that was taken in before, and comes again from what is kept of it."""
    room: Room
    fence: int | None = None
    """Of such a one: its own, when it was looked up."""
