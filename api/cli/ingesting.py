"""`rag ingest`, `rag connectors` and `rag reindex`: getting documents in."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.cli.client import Api, open_api
from api.cli.options import AsJson, Tenant, metadata_of, readers_of, settings_for
from api.cli.output import note, plain, show, show_json, show_table
from rag.errors import InvalidRequest, SourceUnavailable

POLL_S = 0.25
WATCH_S = 2.0
ENDED = {"done", "failed", "dead"}

ConnectorId = Annotated[str, typer.Argument(help="The connector's id.")]


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: rag ingest handbook --readers everyone")(ingest)
    app.command(epilog="Example: rag reindex --all --dry-run")(reindex)
    connectors = typer.Typer(no_args_is_help=True, help="Register sources, check and sync them.")
    connectors.command("add", epilog="Example: rag connectors add Finance /srv/finance")(add)
    connectors.command("list", epilog="Example: rag connectors list --json")(list_connectors)
    connectors.command("test", epilog="Example: rag connectors test 3f2a")(check)
    connectors.command("sync", epilog="Example: rag connectors sync 3f2a")(sync)
    connectors.command("remove", epilog="Example: rag connectors remove 3f2a")(remove)
    app.add_typer(connectors, name="connectors")


def ingest(
    path: Annotated[Path, typer.Argument(help="A folder of documents.")],
    *,
    tenant: Tenant = None,
    readers: Annotated[
        str,
        typer.Option(help="Who may read what no .access.yaml speaks of, with commas between."),
    ] = "",
    metadata: Annotated[
        list[str] | None, typer.Option(help="k=v for every such document. Repeat for more.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on syncing until interrupted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a folder into the platform: what is new or changed, and nothing else."""
    if not path.is_dir():
        raise InvalidRequest(f"{path} is not a folder")
    root = path.resolve()
    granted = readers_of(readers)
    if not granted and not any(root.rglob(".access.yaml")):
        note(
            "Nobody may read these documents: give --readers, or put .access.yaml files beside them."
        )
    wanted = {"root": str(root), "readers": granted, "metadata": metadata_of(metadata)}

    async def run() -> None:
        async with open_api(settings_for(tenant)) as api:
            connector = await register_folder(api, root.name, wanted)
            while True:
                report = await sync_and_wait(api, connector["id"], progress=not as_json)
                if as_json:
                    show_json(report)
                else:
                    show_report(report)
                if not watch:
                    return
                await asyncio.sleep(WATCH_S)

    asyncio.run(run())


def add(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    path: Annotated[Path, typer.Argument(help="The folder.")],
    *,
    readers: Annotated[str, typer.Option(help="Readers where no .access.yaml speaks.")] = "",
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Register a folder as a source. Nothing is read before its first sync."""
    settings = {"root": str(path.resolve()), "readers": readers_of(readers)}
    body = {"kind": "filesystem", "name": name, "settings": settings}
    _show(_call("POST", "/v1/admin/connectors", tenant, body), as_json=as_json, key="id")


def list_connectors(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Every registered source."""
    result = _call("GET", "/v1/admin/connectors", tenant)
    if as_json:
        show_json(result)
        return
    columns = ("id", "name", "kind", "state", "last_sync_at", "last_sync_error")
    show_table("Connectors", columns, ([c[name] for name in columns] for c in result["connectors"]))


def check(connector: ConnectorId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Whether the source can be listed now."""
    result = _call("POST", f"/v1/admin/connectors/{connector}/test", tenant)
    _show(result, as_json=as_json, key="detail")
    if not result["ok"]:
        raise typer.Exit(1)


def sync(connector: ConnectorId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Compare the source with what is known, and take in what changed."""

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            return await sync_and_wait(api, connector, progress=not as_json)

    report = asyncio.run(run())
    if as_json:
        show_json(report)
    else:
        show_report(report)


def remove(connector: ConnectorId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Forget a source and everything that came from it."""
    _show(
        _call("DELETE", f"/v1/admin/connectors/{connector}", tenant), as_json=as_json, key="job_id"
    )


def reindex(
    *,
    connector: Annotated[str | None, typer.Option(help="Only what came from it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every document.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Parse, chunk and embed again."""
    if everything == (connector is not None):
        raise InvalidRequest("give either --connector or --all")
    body: dict[str, Any] = {"dry_run": dry_run}
    if connector is not None:
        body["connector"] = connector

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            result = await api.call("POST", "/v1/admin/reindex", body=body)
            for job in result.get("job_ids", []):
                await wait_for(api, job)
            return result

    result = asyncio.run(run())
    if as_json:
        show_json(result)
        return
    show(", ".join(f"{name}: {value}" for name, value in result.items() if name != "job_ids"))


async def register_folder(api: Api, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The connector of that folder, new or with these settings."""
    known = await api.call("GET", "/v1/admin/connectors")
    for connector in known["connectors"]:
        if (
            connector["kind"] == "filesystem"
            and connector["settings"].get("root") == settings["root"]
        ):
            path = f"/v1/admin/connectors/{connector['id']}"
            return await api.call("PATCH", path, body={"settings": settings})
    body = {"kind": "filesystem", "name": name, "settings": settings}
    return await api.call("POST", "/v1/admin/connectors", body=body)


async def sync_and_wait(api: Api, connector: str, *, progress: bool) -> dict[str, Any]:
    """Sync and wait until every job of it has ended. Raises `SourceUnavailable`."""
    accepted = await api.call("POST", f"/v1/admin/connectors/{connector}/sync")
    with _progress(shown=progress) as bar:
        task = bar.add_task("listing", total=None)
        while True:
            job = await api.call("GET", f"/v1/admin/jobs/{accepted['job_id']}")
            status = await api.call("GET", f"/v1/admin/connectors/{connector}/status")
            jobs = status["jobs"]
            bar.update(
                task,
                description="ingesting",
                total=jobs["listed"] or None,
                completed=jobs["done"] + jobs["failed"],
            )
            if job["state"] in ENDED and not jobs["pending"]:
                break
            await asyncio.sleep(POLL_S)
    if job["state"] != "done":
        raise SourceUnavailable(f"the source could not be read: {job['error']}")
    failures = await api.call(
        "GET", "/v1/admin/jobs", params={"connector": connector, "state": "failed", "limit": 100}
    )
    return {
        "connector": connector,
        **{name: jobs[name] for name in ("listed", "done", "failed")},
        "documents": status["documents"],
        "problems": status["problems"],
        "failures": [
            {"uri": failed["uri"], "reason": failed["error"], "error_class": failed["error_class"]}
            for failed in failures["jobs"][: jobs["failed"]]
        ],
    }


async def wait_for(api: Api, job: str) -> dict[str, Any]:
    while True:
        shown = await api.call("GET", f"/v1/admin/jobs/{job}")
        if shown["state"] in ENDED:
            return shown
        await asyncio.sleep(POLL_S)


def show_report(report: dict[str, Any]) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(report["documents"].items()))
    show(
        f"{report['listed']} changes: {report['done']} done, {report['failed']} failed. "
        f"Documents now: {counts or 'none'}."
    )
    for failure in report["failures"]:
        show(f"  failed: {failure['uri']}: {failure['reason']}", style="red")
    for problem in report["problems"]:
        show(f"  problem: {problem['uri']}: {problem['reason']}", style="yellow")


def _progress(*, shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
        transient=True,
    )


def _call(method: str, path: str, tenant: str | None, body: dict[str, Any] | None = None) -> Any:
    async def run() -> Any:
        async with open_api(settings_for(tenant)) as api:
            return await api.call(method, path, body=body)

    return asyncio.run(run())


def _show(result: Any, *, as_json: bool, key: str) -> None:
    if as_json:
        show_json(result)
    elif result is not None:
        show(plain(result[key]).plain)
