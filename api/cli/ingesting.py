"""`rag ingest`, `rag connectors` and `rag reindex`: getting documents in."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.client import open_api, path_of
from api.cli.options import (
    AsJson,
    FilterTexts,
    Tenant,
    filters_of,
    metadata_of,
    readers_of,
    settings_for,
)
from api.cli.output import note, show, show_json, show_table
from api.cli.signals import until_stopped
from api.cli.syncing import (
    CONNECTORS,
    counted,
    estimated,
    found_in_words,
    register_folder,
    show_held_back,
    show_report,
    sync_and_wait,
    until_idle,
)
from api.cli.watching import changes_of
from rag.errors import InvalidRequest

ConnectorId = Annotated[str, typer.Argument(help="The connector's id.")]
Folder = Annotated[Path, typer.Argument(help="A folder of documents.")]
Readers = Annotated[
    str | None,
    typer.Option(
        help="Who may read what no .access.yaml speaks of, with commas between.",
        metavar="group:finance,user:1042",
    ),
]
MetadataTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="K=V",
        help="For every document whose .access.yaml does not say otherwise. Repeat for more.",
    ),
]


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: rag ingest handbook --readers everyone")(ingest)
    app.command(epilog="Example: rag reindex --all --dry-run")(reindex)
    connectors = typer.Typer(no_args_is_help=True, help="Register sources, check and sync them.")
    connectors.command("add", epilog="Example: rag connectors add Finance /srv/finance")(add)
    connectors.command("list", epilog="Example: rag connectors list --json")(list_connectors)
    connectors.command("test", epilog="Example: rag connectors test 3f2a")(check)
    connectors.command("sync", epilog="Example: rag connectors sync 3f2a")(sync)
    connectors.command("status", epilog="Example: rag connectors status 3f2a")(status)
    connectors.command("remove", epilog="Example: rag connectors remove 3f2a")(remove)
    app.add_typer(connectors, name="connectors")


def ingest(
    path: Folder,
    *,
    tenant: Tenant = None,
    readers: Readers = None,
    metadata: MetadataTexts = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on taking in changes until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a folder into the platform: what is new or changed, and nothing else.

    The same folder again keeps the --readers and --metadata that it was given before.
    """
    settings = settings_for(tenant)
    wanted = _folder_settings(path, readers, metadata)
    root = Path(wanted["root"])
    has_access_files = any(root.rglob(".access.yaml"))

    async def take_in() -> None:
        async with open_api(settings) as api:
            connector = await register_folder(api, root.name or str(root), wanted)
            if not connector["settings"].get("readers") and not has_access_files:
                note(
                    "Nobody may read these documents: "
                    "give --readers, or put .access.yaml files beside them."
                )
            report = await sync_and_wait(api, connector["id"], progress=not as_json)
        if as_json:
            show_json(report)
        else:
            show_report(report)

    async def keep_up() -> None:
        note(f"Watching {root} (stop with Ctrl-C).")
        # Between two syncs the platform is closed, so that other commands can have it.
        async for _ in changes_of(root):
            await take_in()

    if not watch:
        asyncio.run(take_in())
        return
    with until_stopped():
        asyncio.run(keep_up())


def add(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    place: Annotated[str, typer.Argument(help="A folder, or a git repository's path or address.")],
    *,
    git: Annotated[bool, typer.Option("--git", help="It is a git repository.")] = False,
    branch: Annotated[str | None, typer.Option(help="Of the repository, if not its HEAD.")] = None,
    folder: Annotated[str | None, typer.Option(help="Only this folder of the repository.")] = None,
    every: Annotated[
        str | None, typer.Option(help="Sync it by itself, so often.", metavar="15m")
    ] = None,
    readers: Readers = None,
    metadata: MetadataTexts = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Register a folder or a git repository as a source. Nothing is read before its first sync."""
    if not git and (branch is not None or folder is not None):
        raise InvalidRequest("--branch and --folder are for a repository: give --git too")
    settings: dict[str, Any] = {"branch": branch, "folder": folder, "sync_every": every}
    settings = {key: value for key, value in settings.items() if value is not None}
    if git and "://" in place:
        settings |= {"url": place, **_governed(readers, metadata)}
    else:
        settings |= _folder_settings(Path(place), readers, metadata)
    body = {"kind": "git" if git else "filesystem", "name": name, "settings": settings}
    connector = call("POST", CONNECTORS, tenant, body=body)
    if as_json:
        show_json(connector)
    else:
        show(connector["id"])


def list_connectors(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Every registered source."""
    result = call("GET", CONNECTORS, tenant)
    if as_json:
        show_json(result)
        return
    columns = ("id", "name", "kind", "state", "last_sync_at", "last_sync_error")
    show_table("Connectors", columns, ([c[name] for name in columns] for c in result["connectors"]))


def check(connector: ConnectorId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Whether the source can be listed now."""
    result = call("POST", path_of(CONNECTORS, connector, "test"), tenant)
    if as_json:
        show_json(result)
    else:
        show(f"{result['detail']} ({result['listed']} resources seen)")
        for problem in result["problems"]:
            show(f"  problem: {problem}", style="yellow")
    if not result["ok"]:
        raise typer.Exit(1)


def sync(
    connector: ConnectorId,
    *,
    confirm_deletions: Annotated[
        bool,
        typer.Option(
            "--confirm-deletions",
            help="Delete whatever the source does not list now, however much it is.",
        ),
    ] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Compare the source with what is known, and take in what changed."""

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            return await sync_and_wait(
                api, connector, progress=not as_json, confirm_deletions=confirm_deletions
            )

    report = asyncio.run(run())
    if as_json:
        show_json(report)
    else:
        show_report(report)


def status(connector: ConnectorId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """How its last sync went, how far its jobs are, and when it is due."""
    told = call("GET", path_of(CONNECTORS, connector, "status"), tenant)
    if as_json:
        show_json(told)
        return
    jobs = told["jobs"]
    show(f"{told['state']}; last sync {told['last_sync_at'] or 'never'}", style="bold")
    if told["next_sync_at"]:
        show(f"Next sync: {told['next_sync_at']}")
    show(f"Changes found: {jobs['listed']}{found_in_words(told['found'])}")
    rate = "" if jobs["per_second"] is None else f", {jobs['per_second']:.1f} a second"
    eta = "" if jobs["eta_s"] is None else f", {jobs['eta_s']:.0f} s to go"
    show(f"Jobs: {jobs['done']} done, {jobs['failed']} failed, {jobs['pending']} to do{rate}{eta}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(told["documents"].items()))
    show(f"Documents: {counts or 'none'}")
    if told["last_sync_error"]:
        show(told["last_sync_error"], style="yellow")
    show_held_back(connector, told["held_back_deletions"])
    for problem in told["problems"]:
        show(f"  problem: {problem['uri']}: {problem['reason']}", style="yellow")


def remove(connector: ConnectorId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Forget a source and everything that came from it."""

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            removed = await api.call("DELETE", path_of(CONNECTORS, connector))
            await until_idle(api, connector)
            return removed

    removed = asyncio.run(run())
    if as_json:
        show_json({"connector": connector, **removed})
    else:
        show(f"Removed, with {counted(removed['documents'], 'document')}.")


def reindex(
    *,
    connector: Annotated[str | None, typer.Option(help="Only what came from it.")] = None,
    filters: FilterTexts = None,
    everything: Annotated[bool, typer.Option("--all", help="Every document.")] = False,
    from_ledger: Annotated[
        bool,
        typer.Option("--from-ledger", help="Only put back what the index has lost; parse nothing."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Parse, chunk and embed again, from the originals that are kept; or, where an index was lost,
    put it back from the ledger alone."""
    if everything == (connector is not None or bool(filters)):
        raise InvalidRequest("give --connector, --filter (or both), or --all")
    what = {"all": everything, "connector": connector, "filters": filters_of(filters)}

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            body = {**what, "from_ledger": from_ledger, "dry_run": dry_run}
            result = await api.call("POST", "/v1/admin/reindex", body=body)
            if not dry_run:
                await until_idle(api, connector)
            return result

    result = asyncio.run(run())
    if as_json:
        show_json(result)
        return
    amount = f"{counted(result['chunks'], 'chunk')}, {result['bytes']} bytes"
    documents = counted(result["documents"], "document")
    if from_ledger:
        would = "Would look through" if dry_run else "Looked through"
        show(f"{would} {documents} for what the index has lost: {amount}.")
    else:
        would = "Would index" if dry_run else "Indexed"
        show(f"{would} {documents} anew: {amount}.")
    if dry_run:
        show(estimated(result))


def _folder_settings(path: Path, readers: str | None, metadata: list[str] | None) -> dict[str, Any]:
    """What was said of the folder, and nothing of what was not. Raises `InvalidRequest`."""
    if path.is_file():
        raise InvalidRequest(
            f"{path} is a file: give its folder (who may read it stands there in .access.yaml), "
            "or push it with POST /v1/documents"
        )
    if not path.is_dir():
        raise InvalidRequest(f"there is no folder {path}")
    return {"root": str(path.resolve()), **_governed(readers, metadata)}


def _governed(readers: str | None, metadata: list[str] | None) -> dict[str, Any]:
    """What holds where no access file speaks."""
    said: dict[str, Any] = {}
    if readers is not None:
        said["readers"] = readers_of(readers)
    if metadata is not None:
        said["metadata"] = metadata_of(metadata)
    return said
