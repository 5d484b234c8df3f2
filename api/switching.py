"""Whether readers may be sent to another generation of the index, and what stands against it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rag.errors import Conflict
from rag.storage.generations.records import Generation, GenerationState, Standing

READERS_LEAVE_AFTER = timedelta(seconds=5)
"""Longer than any process goes on searching a generation after another serves."""


def check_switch(
    to: Generation, standing: Standing, *, serving: Generation, force: bool
) -> list[str]:
    """What stands against it and `force` overrides: nothing where there is nothing.

    Only a generation that is being built must prove itself: one that served before has. Raises
    `Conflict`, with everything that is to be done first; forbidden leaks cannot be forced.
    """
    if to.state is not GenerationState.BUILDING:
        return []
    comparison = _comparison_of(to)
    against = [*_lacks(to, standing), *_unproven(to, comparison, serving)]
    if comparison and comparison["new"]["forbidden_leaks"]:
        raise Conflict("; ".join(against) + "; forbidden leaks cannot be forced")
    if against and not force:
        raise Conflict("; ".join(against))
    return against


def check_drop(generation: Generation, *, serving: Generation, moment: datetime) -> None:
    """Raises `Conflict` while readers may still be at it."""
    if generation.state is not GenerationState.KEPT or serving.serving_since is None:
        return
    left = serving.serving_since + READERS_LEAVE_AFTER - moment
    if left > timedelta():
        seconds = left.total_seconds()
        raise Conflict(
            f"generation {generation.id} served until a moment ago, and readers may still be at "
            f"it: drop it in {seconds:.0f} seconds or later"
        )


def _comparison_of(generation: Generation) -> Mapping[str, Any] | None:
    return None if generation.report is None else generation.report.get("comparison")


def _lacks(to: Generation, standing: Standing) -> list[str]:
    if not standing.lacking:
        return []
    failed = ""
    if standing.failed:
        failed = (
            f", {standing.failed} of them because they failed (`rag generations show {to.id}` "
            "says of what, `rag jobs retry` tries again)"
        )
    return [f"it lacks {standing.lacking} of {standing.documents} documents{failed}"]


def _unproven(
    to: Generation, comparison: Mapping[str, Any] | None, serving: Generation
) -> list[str]:
    again = f"`rag generations compare {to.id} FOLDER`"
    if comparison is None:
        return [f"it was not compared with the one that serves: {again}"]
    against: list[str] = []
    if comparison["against"] != serving.id:
        against.append(
            f"it was compared with generation {comparison['against']}, and now {serving.id} "
            f"serves: {again}"
        )
    if comparison["standing"]["lacking"]:
        against.append(f"it lacked documents when it was compared: {again}")
    against += [reason["words"] for reason in comparison["reasons"]]
    return against
