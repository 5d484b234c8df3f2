"""Syncing a source over the API, waiting until its jobs have ended, and telling how it went."""

import asyncio
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any, TypeVar

from api.cli.client import Api, path_of
from api.cli.output import progress_bar, show
from rag.errors import SourceUnavailable

FIRST_POLL_S, LAST_POLL_S = 0.1, 1.0
ENDED = {"done", "failed", "dead"}
FAILURES_SHOWN = 20
KINDS = MappingProxyType(
    {
        "new": "new",
        "content_changed": "changed",
        "metadata_changed": "described anew",
        "access_changed": "for other readers",
        "moved": "moved",
        "deleted": "deleted",
    }
)
"""The kinds of change that a sync finds, in words."""

CONNECTORS, JOBS = "/v1/admin/connectors", "/v1/admin/jobs"

Seen = TypeVar("Seen")


async def register_folder(api: Api, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The connector of that folder: a new one, or the one it has, with these settings over its own."""
    known = await api.call("GET", CONNECTORS)
    for connector in known["connectors"]:
        before = connector["settings"]
        if connector["kind"] == "filesystem" and before.get("root") == settings["root"]:
            if before | settings == before:
                return connector
            path = path_of(CONNECTORS, connector["id"])
            return await api.call("PATCH", path, body={"settings": before | settings})
    body = {"kind": "filesystem", "name": name, "settings": settings}
    return await api.call("POST", CONNECTORS, body=body)


async def sync_and_wait(
    api: Api, connector: str, *, progress: bool, confirm_deletions: bool = False
) -> dict[str, Any]:
    """Sync and wait until every job of it has ended. Raises `SourceUnavailable`."""
    path = path_of(CONNECTORS, connector)
    body = {"confirm_deletions": True} if confirm_deletions else None
    accepted = await api.call("POST", f"{path}/sync", body=body)
    with progress_bar(shown=progress) as bar:
        task = bar.add_task("listing", total=None)

        async def settled() -> dict[str, Any] | None:
            status: dict[str, Any] = await api.call("GET", f"{path}/status")
            jobs = status["jobs"]
            rate = jobs["per_second"]
            bar.update(
                task,
                description="ingesting" if rate is None else f"ingesting {rate:.1f}/s",
                total=jobs["listed"],
                completed=jobs["done"] + jobs["failed"],
            )
            return None if jobs["pending"] else status

        job = await wait_for(api, accepted["job_id"])
        status = await _polled(settled)
    if job["state"] != "done":
        raise SourceUnavailable(f"the source could not be read: {job['error']}")
    jobs = status["jobs"]
    return {
        "connector": connector,
        **{name: jobs[name] for name in ("listed", "done", "failed", "per_second")},
        "found": status["found"],
        "held_back_deletions": status["held_back_deletions"],
        "documents": status["documents"],
        "problems": status["problems"],
        "failures": await _failures(api, connector, jobs["failed"]),
    }


async def _failures(api: Api, connector: str, count: int) -> list[dict[str, Any]]:
    """Of the `count` jobs that failed last, at most so many that one can read them."""
    failed: list[dict[str, Any]] = []
    for state in ("failed", "dead") if count else ():
        params = {"connector": connector, "state": state, "limit": min(count, FAILURES_SHOWN)}
        failed += (await api.call("GET", JOBS, params=params))["jobs"]
    failed.sort(key=lambda job: job["created_at"], reverse=True)
    return [
        {
            "job": job["id"],
            "uri": job["uri"],
            "reason": job["error"],
            "error_class": job["error_class"],
        }
        for job in failed[: min(count, FAILURES_SHOWN)]
    ]


async def wait_for(api: Api, job: str) -> dict[str, Any]:
    """The job when it has ended."""

    async def ended() -> dict[str, Any] | None:
        shown: dict[str, Any] = await api.call("GET", path_of(JOBS, job))
        return shown if shown["state"] in ENDED else None

    return await _polled(ended)


async def until_idle(api: Api, connector: str | None) -> None:
    """Until no job of the connector, or of the tenant, is to be done any more."""
    of_it: dict[str, str | int | list[str]] = {} if connector is None else {"connector": connector}

    async def is_idle() -> bool:
        for state in ("queued", "waiting", "running"):
            params = {**of_it, "state": state, "limit": 1}
            if (await api.call("GET", JOBS, params=params))["jobs"]:
                return False
        return True

    await _polled(is_idle)


async def _polled(look: Callable[[], Awaitable[Seen | None]]) -> Seen:
    """What `look` sees when at last it sees something. It looks ever less often."""
    pause = FIRST_POLL_S
    while not (seen := await look()):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LAST_POLL_S)
    return seen


def show_report(report: dict[str, Any]) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(report["documents"].items()))
    if report["listed"]:
        changes = counted(report["listed"], "change")
        kinds = found_in_words(report["found"])
        show(f"{changes}{kinds}: {report['done']} done, {report['failed']} failed.")
    else:
        show("Nothing changed.")
    show(f"Documents now: {counts or 'none'}.")
    show_held_back(report["connector"], report["held_back_deletions"])
    for failure in report["failures"]:
        show(f"  failed: {failure['uri']}: {failure['reason']}", style="red")
    if (more := report["failed"] - len(report["failures"])) > 0:
        show(f"  … and {more} more: `rag jobs list --state failed`", style="red")
    for problem in report["problems"]:
        show(f"  problem: {problem['uri']}: {problem['reason']}", style="yellow")


def found_in_words(found: dict[str, Any] | None) -> str:
    """` (3 new, 1 moved)`; nothing where nothing was found."""
    counts = {} if found is None else {kind: found[kind] for kind in KINDS if found[kind]}
    words = ", ".join(f"{count} {KINDS[kind]}" for kind, count in counts.items())
    return f" ({words})" if words else ""


def show_held_back(connector: str, held_back: int) -> None:
    if held_back:
        documents = counted(held_back, "document")
        show(
            f"{documents} not listed any more: too many to delete unasked. If they are really gone: "
            f"`rag connectors sync {connector} --confirm-deletions`",
            style="yellow",
        )


def estimated(result: dict[str, Any]) -> str:
    """What indexing would take, as the API tells it."""
    seconds = result["seconds"]
    time = "nobody knows how long yet" if seconds is None else f"about {seconds:.0f} s"
    return f"About {result['tokens']} tokens to embed: {time}, at a cost of {result['cost']:.2f}."


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
