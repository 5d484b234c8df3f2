"""What came of ingesting one change. Each is a result; an error is only what may pass."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indexed:
    """The document is shown in a new version of `chunks` chunks."""

    chunks: int
    embedded: int
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What is shown is what the source has; nothing was embedded."""


@dataclass(frozen=True, slots=True)
class AccessUpdated:
    """Other readers or other metadata, the same content; nothing was embedded."""


@dataclass(frozen=True, slots=True)
class Removed:
    """The document is shown to nobody any more."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The content cannot be taken in, and trying again would not help. The ledger says why."""

    reason: str
    error_class: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The content could be taken in, but is not before an administrator says so."""

    reason: str
    """A code of `docs/validation.md`."""
    detail: str


Outcome = Indexed | Unchanged | AccessUpdated | Removed | Failed | Quarantined
