"""`rag quarantine`: documents that validation keeps back, why, and letting them out."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.client import open_api, path_of
from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import show, show_json, show_table
from api.cli.syncing import wait_for

QUARANTINE, DOCUMENTS = "/v1/admin/quarantine", "/v1/admin/documents"

DocumentId = Annotated[str, typer.Argument(help="The document's id.")]


def add_to(app: typer.Typer) -> None:
    quarantine = typer.Typer(no_args_is_help=True, help="Documents that validation keeps back.")
    quarantine.command("list", epilog="Example: rag quarantine list --reason secrets")(
        list_quarantine
    )
    quarantine.command("show", epilog="Example: rag quarantine show 3f2a")(show_verdicts)
    quarantine.command("release", epilog="Example: rag quarantine release 3f2a --accept document")(
        release
    )
    app.add_typer(quarantine, name="quarantine")


def list_quarantine(
    *,
    reason: Annotated[str | None, typer.Option(help="Only those kept back for it.")] = None,
    connector: Annotated[str | None, typer.Option(help="Only those of it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 100,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Documents whose newest version waits for you, and why."""
    params: dict[str, str | int] = {"limit": limit}
    params |= {"reason": reason} if reason else {}
    params |= {"connector": connector} if connector else {}
    result = call("GET", QUARANTINE, tenant, params=params)
    if as_json:
        show_json(result)
        return
    columns = ("document_id", "reason", "last_version_shown", "since", "uri", "detail")
    rows = ([each[name] for name in columns] for each in result["documents"])
    show_table("Quarantine", columns, rows)


def show_verdicts(document: DocumentId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """What was checked of a document's last versions, in quarantine or not, and what was found."""
    result = call("GET", path_of(DOCUMENTS, document, "validations"), tenant)
    if as_json:
        show_json(result)
        return
    for validation in result["validations"]:
        reason = f" ({validation['reason']})" if validation["reason"] else ""
        show(f"{validation['recorded_at']}: {validation['standing']}{reason}")
        show(f"  {validation['size']} bytes, sha256 {validation['content_hash']}")
        for verdict in validation["verdicts"]:
            if verdict["reason"]:
                other = (
                    f" (document {verdict['other_document']})" if verdict["other_document"] else ""
                )
                told = f"{verdict['result']}: {verdict['reason']}: {verdict['detail']}{other}"
                show(f"  {verdict['check']} {told}")


def release(
    document: DocumentId,
    *,
    accept: Annotated[
        str,
        typer.Option(
            help="version: these bytes; document: later versions too; nothing: check it again."
        ),
    ] = "version",
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Take a document in all the same, and tell how it went."""

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            path = path_of(QUARANTINE, document, "release")
            queued = await api.call("POST", path, body={"accept": accept})
            return await wait_for(api, queued["job_id"])

    done = asyncio.run(run())
    if as_json:
        show_json(done)
    else:
        show(f"{done['state']}: {done['outcome'] or done['error']}")
    if done["state"] != "done":
        raise typer.Exit(1)
