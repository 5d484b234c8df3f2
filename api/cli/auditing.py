"""`rag audit`: who asked what and was shown what, and whether that record is whole."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.calling import call
from api.cli.client import path_of
from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import show, show_json, show_table

AUDIT = "/v1/admin/audit"
BROKEN = 1


def add_to(app: typer.Typer) -> None:
    audit = typer.Typer(no_args_is_help=True, help="The record of every interaction.")
    audit.command("list", epilog="Example: rag audit list --principal user:1042")(list_entries)
    audit.command("verify", epilog="Example: rag audit verify --anchors anchors.jsonl")(verify)
    audit.command("anchor", epilog="Example: rag audit anchor >> anchors.jsonl")(anchor)
    audit.command("erase", epilog="Example: rag audit erase user:1042")(erase)
    app.add_typer(audit, name="audit")


def list_entries(
    *,
    principal: Annotated[str, typer.Option(help="Only of this principal.")] = "",
    trace: Annotated[str, typer.Option(help="Only of this trace id.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, such as ask.")] = "",
    before: Annotated[int, typer.Option(min=0, help="From the entry before this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 50,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """The entries, newest first."""
    params: dict[str, str | int | list[str]] = {"limit": limit}
    params |= {
        name: value
        for name, value in {"principal": principal, "trace_id": trace, "action": action}.items()
        if value
    }
    if before:
        params["before"] = before
    result = call("GET", AUDIT, tenant, params=params)
    if as_json:
        show_json(result)
        return
    columns = ("sequence", "at", "principal", "action", "decision", "question")
    rows = ([str(each[name]) for name in columns] for each in result["entries"])
    show_table("Audit", columns, rows)


def verify(
    *,
    anchors: Annotated[
        Path | None,
        typer.Option(help="A file of anchors kept elsewhere. Unset: the one of the settings."),
    ] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Whether every entry is as it was written and none is missing; exits with 1 where not."""
    settings = settings_for(tenant)
    file = anchors or settings.audit_anchor_file
    lines = file.read_text(encoding="utf-8").splitlines() if anchors or file.exists() else []
    result = call("POST", f"{AUDIT}/verify", tenant, body={"anchors": "\n".join(_told(lines))})
    if as_json:
        show_json(result)
    elif result["standing"] == "intact":
        show(
            f"intact: {result['entries']} entries, {result['first']} to {result['last']}; "
            f"{result['anchors']} anchors bear it out"
        )
    else:
        show(f"broken at entry {result['broken_at']}: {result['reason']}")
    if result["standing"] != "intact":
        raise typer.Exit(BROKEN)


def _told(lines: list[str], most: int = 400) -> list[str]:
    """The newest anchors, and of those before them an even choice: a request has its limits."""
    if len(lines) <= most:
        return lines
    step = len(lines) / (most // 2)
    older = [lines[int(place * step)] for place in range(most // 2)]
    return [*older, *lines[-most // 2 :]]


def anchor(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """A signed line on where the chain ends now, to be kept elsewhere: JSON in any case."""
    anchors = call("GET", f"{AUDIT}/anchor", tenant)["anchors"]
    if as_json:
        show_json(anchors)
        return
    for each in anchors:
        show(json.dumps(each))


def erase(
    person: Annotated[str, typer.Argument(help="A principal id, such as user:1042.")],
    *,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Destroy a person's key: nobody can read what they wrote, or who they were. For good."""
    call("DELETE", path_of(f"{AUDIT}/persons", person), tenant)
    if as_json:
        show_json({"erased": person, "at": datetime.now(UTC).isoformat()})
    else:
        show(f"{person} cannot be read in the audit any more")
