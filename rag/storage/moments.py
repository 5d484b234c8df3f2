"""What time it is, for whoever is not told otherwise."""

from datetime import UTC, datetime


def now() -> datetime:
    """The moment, aware and in UTC."""
    return datetime.now(UTC)
