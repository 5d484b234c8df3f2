"""`rag groups`: who belongs to which group, as administrators and connectors say."""

import re
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.client import path_of
from api.cli.options import AsJson, Tenant, groups_of
from api.cli.output import show, show_json, show_table
from rag.errors import InvalidRequest

GROUPS = "/v1/admin/groups"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")

GroupId = Annotated[str, typer.Argument(help="The group's id, such as group:finance.")]


def add_to(app: typer.Typer) -> None:
    groups = typer.Typer(no_args_is_help=True, help="Who belongs to which group.")
    groups.command("list", epilog="Example: rag groups list --after group:finance")(list_groups)
    groups.command("show", epilog="Example: rag groups show group:finance")(show_group)
    groups.command(
        "set",
        epilog="Example: rag groups set group:finance --members user:1042,group:board --json",
    )(set_members)
    groups.command("remove", epilog="Example: rag groups remove group:finance")(remove_group)
    app.add_typer(groups, name="groups")


def list_groups(
    *,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 100,
    after: Annotated[str, typer.Option(help="From the group after this one.")] = "",
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """The groups that have members."""
    result = call("GET", GROUPS, tenant, params={"limit": limit, "after": after})
    if as_json:
        show_json(result)
        return
    columns = ("id", "members", "sources")
    show_table("Groups", columns, ([each[name] for name in columns] for each in result["groups"]))


def show_group(group: GroupId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """A group's direct members, and who says so."""
    _show(call("GET", path_of(GROUPS, _id_of(group)), tenant), as_json=as_json)


def set_members(
    group: GroupId,
    *,
    members: Annotated[
        str, typer.Option(help="Their ids, with commas between; user:7@2026-12-31T00:00Z ends.")
    ] = "",
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Make these the members that administrators give a group, in place of earlier ones."""
    listed = [_member_of(each.strip()) for each in members.split(",") if each.strip()]
    body = {"members": listed}
    _show(call("PUT", path_of(GROUPS, _id_of(group)), tenant, body=body), as_json=as_json)


def remove_group(group: GroupId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Take back all that administrators said of a group's members."""
    call("DELETE", path_of(GROUPS, _id_of(group)), tenant)
    if as_json:
        show_json({"id": _id_of(group), "removed": True})
    else:
        show(f"Administrators give {_id_of(group)} no members any more.")


def _id_of(group: str) -> str:
    ids = groups_of(group)
    if len(ids) != 1:
        raise InvalidRequest("name one group")
    return ids[0]


def _member_of(text: str) -> dict[str, str]:
    one, _, until = text.rpartition("@")
    return {"id": one, "until": until} if _MOMENT.match(until) and one else {"id": text}


def _show(group: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(group)
        return
    columns = ("id", "until", "source", "counts")
    rows = ([member[name] for name in columns] for member in group["members"])
    show_table(group["id"], columns, rows)
