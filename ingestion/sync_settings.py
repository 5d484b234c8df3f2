"""How a source is followed: what every kind of source may be told, beside what its connector knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Self

from rag.errors import ConfigurationError

OFF = "off"
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_LONGEST = timedelta(days=366)
_SHORTEST_PAUSE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """Durations are written as `90s`, `15m`, `24h` or `7d`."""

    sync_every: timedelta | None = None
    """How often the source is synchronised by itself; `off` where somebody or something else says
    when, as `rag ingest --watch` does."""
    reconcile_every: timedelta = timedelta(hours=24)
    """How old the last full listing may be before a sync lists everything instead of following
    what the source says has changed."""
    overlap: timedelta = timedelta(minutes=5)
    """How far behind its last cursor a sync goes back, for changes that came late to the feed."""
    max_deleted_share: float = 0.3
    """The share of a source's documents that one sync may delete before an administrator is asked.
    A few (`DELETED_UNASKED`) may always go; 1 switches the brake off."""
    recheck: int = 0
    """How many unchanged documents each full listing fetches again, in turn, where a source may
    change bytes and not say so."""

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Self:
        """Raises `ConfigurationError` naming the setting that cannot be kept."""
        known = cls()
        return cls(
            sync_every=_pause(settings.get("sync_every", OFF)),
            reconcile_every=_duration(settings, "reconcile_every", known.reconcile_every),
            overlap=_duration(settings, "overlap", known.overlap),
            max_deleted_share=_share(settings.get("max_deleted_share", known.max_deleted_share)),
            recheck=_number(settings.get("recheck", known.recheck)),
        )


def without_sync_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings of a source that are none of these."""
    ours = {each.name for each in fields(SyncSettings)}
    return {name: value for name, value in settings.items() if name not in ours}


def _pause(value: object) -> timedelta | None:
    # `false` is what YAML and TOML people write for off.
    if value is None or value is False or value == OFF:
        return None
    every = _duration_of("sync_every", value)
    if every < _SHORTEST_PAUSE:
        raise ConfigurationError(f"sync_every must be {OFF!r} or at least 10s")
    return every


def _duration(settings: Mapping[str, object], name: str, default: timedelta) -> timedelta:
    return _duration_of(name, settings[name]) if name in settings else default


def _duration_of(name: str, value: object) -> timedelta:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or (seconds := float(match[1]) * _UNITS[match[2]]) > _LONGEST.total_seconds():
        raise ConfigurationError(f"{name} must be a duration such as 15m, 24h or 7d")
    return timedelta(seconds=seconds)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError("max_deleted_share must be a number from 0 to 1")
    return float(value)


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10_000:
        raise ConfigurationError("recheck must be a whole number from 0 to 10000")
    return value
