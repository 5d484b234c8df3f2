"""`rag jobs`, `rag keys` and `rag access`: looking after the platform."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.client import open_api, path_of
from api.cli.options import AsJson, Tenant, groups_of, settings_for, user_of
from api.cli.output import show, show_json, show_table
from api.cli.syncing import JOBS, counted, wait_for
from rag.errors import InvalidRequest

KEYS = "/v1/admin/keys"

Connector = Annotated[str | None, typer.Option(help="Only jobs of this connector.")]
ErrorClass = Annotated[str | None, typer.Option(help="Only jobs that ended in such an error.")]


def add_to(app: typer.Typer) -> None:
    jobs = typer.Typer(no_args_is_help=True, help="The job ledger.")
    jobs.command("list", epilog="Example: rag jobs list --state failed")(list_jobs)
    jobs.command("show", epilog="Example: rag jobs show 3f2a")(show_job)
    jobs.command("failures", epilog="Example: rag jobs failures")(list_failures)
    jobs.command("retry", epilog="Example: rag jobs retry --all --error-class SourceUnavailable")(
        retry_job
    )
    app.add_typer(jobs, name="jobs")
    keys = typer.Typer(no_args_is_help=True, help="API keys.")
    keys.command("create", epilog="Example: rag keys create portal --principal app:portal")(
        create_key
    )
    keys.command("list", epilog="Example: rag keys list --json")(list_keys)
    keys.command("revoke", epilog="Example: rag keys revoke 3f2a")(revoke_key)
    app.add_typer(keys, name="keys")
    access = typer.Typer(no_args_is_help=True, help="Who may read what.")
    access.command("explain", epilog="Example: rag access explain user:1042 3f2a")(explain)
    app.add_typer(access, name="access")


def list_jobs(
    *,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    connector: Connector = None,
    error_class: ErrorClass = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """The newest jobs, with why each is where it is and for how long."""
    params: dict[str, str | int] = {"limit": limit}
    params |= {"state": state} if state else {}
    params |= {"connector": connector} if connector else {}
    params |= {"error_class": error_class} if error_class else {}
    result = call("GET", JOBS, tenant, params=params)
    if as_json:
        show_json(result)
        return
    columns = ("id", "kind", "state", "for", "uri", "why")
    rows = ({**job, "for": _duration(job["age_s"])} for job in result["jobs"])
    show_table("Jobs", columns, ([job[name] for name in columns] for job in rows))


def show_job(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """One job: why it is where it is, since when, and who is before it."""
    _show(call("GET", path_of(JOBS, job), tenant), as_json=as_json)


def list_failures(
    *, connector: Connector = None, tenant: Tenant = None, as_json: AsJson = False
) -> None:
    """What failed for good or gave up and still stands, by kind of error with an example each."""
    params = {"connector": connector} if connector else {}
    result = call("GET", f"{JOBS}/failures", tenant, params=params)
    if as_json:
        show_json(result)
        return
    columns = ("jobs", "state", "error_class", "last", "example_uri", "example_error")
    show_table(
        "Failures", columns, ([group[name] for name in columns] for group in result["failures"])
    )


def retry_job(
    job: Annotated[str | None, typer.Argument(help="The job's id.")] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every job that failed for good or gave up.")
    ] = False,
    connector: Connector = None,
    error_class: ErrorClass = None,
    state: Annotated[str | None, typer.Option(help="With --all: only failed or dead ones.")] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Do a failed job again and tell how it went; or, with --all, queue all of a kind again."""
    if (job is None) != every:
        raise InvalidRequest("name one job, or say --all")
    if job is None:
        named = {"connector": connector, "error_class": error_class, "state": state}
        body = {name: value for name, value in named.items() if value is not None}
        retried = call("POST", f"{JOBS}/retry", tenant, body=body)
        if as_json:
            show_json(retried)
        else:
            show(f"{counted(retried['retried'], 'job')} queued again.")
        return
    if connector or error_class or state:
        raise InvalidRequest("a filter goes with --all")

    async def run() -> dict[str, Any]:
        async with open_api(settings_for(tenant)) as api:
            queued = await api.call("POST", path_of(JOBS, job, "retry"))
            return await wait_for(api, queued["job_id"])

    done = asyncio.run(run())
    _show(done, as_json=as_json)
    if done["state"] != "done":
        raise typer.Exit(1)


def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    principal: Annotated[str, typer.Option(help="Whose key it is: user:… or app:…")],
    groups: Annotated[str, typer.Option(help="Their groups, with commas between.")] = "",
    permissions: Annotated[
        str, typer.Option(help="What it may do, with commas between.")
    ] = "search,ask,documents:read,feedback",
    expires_at: Annotated[str | None, typer.Option(help="ISO 8601 with a time zone.")] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its token is shown this once."""
    body: dict[str, Any] = {
        "name": name,
        "principal": principal,
        "groups": groups_of(groups),
        "permissions": [each.strip() for each in permissions.split(",") if each.strip()],
    }
    if not body["permissions"]:
        raise InvalidRequest("a key needs at least one permission")
    if expires_at is not None:
        body["expires_at"] = expires_at
    result = call("POST", KEYS, tenant, body=body)
    if as_json:
        show_json(result)
    else:
        show(f"{result['token']}\n\nKey {result['key']['id']}. The token is not shown again.")


def list_keys(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Every key of the tenant, revoked ones too."""
    result = call("GET", KEYS, tenant)
    if as_json:
        show_json(result)
        return
    columns = ("id", "name", "principal", "expires_at", "revoked_at", "last_used_at")
    show_table("Keys", columns, ([key[name] for name in columns] for key in result["keys"]))


def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's id.")],
    *,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """End a key at once."""
    call("DELETE", path_of(KEYS, key), tenant)
    if as_json:
        show_json({"id": key, "revoked": True})
    else:
        show(f"Key {key} opens nothing any more.")


def explain(
    user: Annotated[str, typer.Argument(help="The principal, such as user:1042.")],
    document: Annotated[str, typer.Argument(help="The document's id.")],
    *,
    groups: Annotated[str, typer.Option(help="Their groups, with commas between.")] = "",
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Why somebody may or may not read a document."""
    params = {"user": user_of(user), "document": document, "groups": groups_of(groups)}
    explained = call("GET", "/v1/admin/access/explain", tenant, params=params)
    if as_json:
        show_json(explained)
        return
    may = "may" if explained["readable"] else "may not"
    show(f"{explained['user']} {may} read {explained['document_id']}: {explained['reason']}.")
    for clause in explained["clauses"]:
        held = f" (holds {', '.join(clause['held'])})" if clause["held"] else " (holds none)"
        show(f"  one of {', '.join(clause['any_of'])}{held}")
        for grant in clause["ended"]:
            show(f"    {grant['id']} counted until {grant['until']}")
    if explained["denied"]:
        show(f"  denied: {', '.join(explained['denied'])}")
    for path in explained["paths"].values():
        show(f"  by {' > '.join(path)}")
    for ended in explained["ended_memberships"]:
        show(f"  {ended['member']} was in {ended['group']} until {ended['until']}")
    show(f"  its source confirmed that at {explained['acl_as_of']}")


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _show(result: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(result)
    elif result:
        for name, value in result.items():
            show(f"{name}: {value}")
