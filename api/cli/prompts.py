"""`rag prompts`: versions of prompts, which one serves, and going back."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from api.cli import rollouts
from api.cli.calling import call
from api.cli.client import path_of
from api.cli.options import AsJson, Tenant
from api.cli.output import show, show_json, show_table
from rag.errors import InvalidRequest
from rag.prompts.versions import read_file

PROMPTS = "/v1/admin/prompts"

Name = Annotated[str, typer.Argument(help="The prompt's name, such as answer.")]
Version = Annotated[str, typer.Argument(help="Such as v2, own-1 or own-1@0f3c9a71.")]
AllTenants = Annotated[bool, typer.Option("--all-tenants", help="Every tenant's, as an operator.")]


def add_to(app: typer.Typer) -> None:
    prompts = typer.Typer(no_args_is_help=True, help="Versions of prompts, and which one serves.")
    prompts.command("list", epilog="Example: rag prompts list")(list_prompts)
    prompts.command("show", epilog="Example: rag prompts show answer v2")(show_prompt)
    prompts.command("diff", epilog="Example: rag prompts diff answer v2 own-1")(diff)
    prompts.command("create", epilog="Example: rag prompts create answer answer.md")(create)
    prompts.command("report", epilog="Example: rag prompts report answer own-1 report.json")(report)
    prompts.command("promote", epilog="Example: rag prompts promote answer own-1")(promote)
    prompts.command("rollback", epilog='Example: rag prompts rollback answer --reason "it lied"')(
        rollback
    )
    rollouts.add_to(prompts)
    app.add_typer(prompts, name="prompts")


def list_prompts(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Every prompt that the platform asks for, and the version that serves."""
    result = call("GET", PROMPTS, tenant)
    if as_json:
        show_json(result)
        return
    columns = ("prompt", "serves", "of", "versions", "rollouts that run")
    show_table("Prompts", columns, map(_row, result["prompts"]))


def show_prompt(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="Unset: all that is known of it.")] = None,
    *,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """A prompt with its versions and what was done to them, or one version whole."""
    path = (
        path_of(PROMPTS, name) if version is None else path_of(PROMPTS, name, "versions", version)
    )
    shown = call("GET", path, tenant)
    if as_json:
        show_json(shown)
    elif version is None:
        _show_prompt(shown)
    else:
        _show_version(shown)


def diff(
    name: Name, before: Version, after: Version, *, tenant: Tenant = None, as_json: AsJson = False
) -> None:
    """What differs between two versions, line by line."""
    params = {"before": before, "after": after}
    shown = call("GET", path_of(PROMPTS, name, "diff"), tenant, params=params)
    if as_json:
        show_json(shown)
        return
    for line in shown["lines"]:
        show(line, style={"+": "green", "-": "red"}.get(line[:1], ""))
    if not shown["lines"]:
        show(f"{shown['before']} and {shown['after']} say the same.")


def create(
    name: Name,
    file: Annotated[Path, typer.Argument(help="`key: value` lines, then the four sections.")],
    *,
    rationale: Annotated[str, typer.Option(help="Why; unset, as the file says.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is amiss.")] = False,
    all_tenants: AllTenants = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """A new version from a file that is written like those of the platform. Nobody gets it yet."""
    header, sections = read_file(file.read_text(encoding="utf-8"))
    parameters = {key: header[key] for key in header.keys() - {"rationale"}}
    body = {
        "variants": [{section.lower(): text for section, text in sections.items()}],
        "rationale": rationale or header.get("rationale", ""),
        "all_tenants": all_tenants,
        "dry_run": dry_run,
        **parameters,
    }
    made = call("POST", path_of(PROMPTS, name, "versions"), tenant, body=body)
    if as_json:
        show_json(made)
    elif dry_run:
        show("It could be a version.")
    else:
        show(f"{made['key']} is made. Next: rag prompts promote {name} {made['version']}")


def report(
    name: Name,
    version: Version,
    file: Annotated[Path, typer.Argument(help="What `rag eval golden --json` printed.")],
    *,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Attach an evaluation to a version: the gate before a promotion reads it."""
    path = path_of(PROMPTS, name, "versions", version, "report")
    shown = call("PUT", path, tenant, body=_json_of(file))
    if as_json:
        show_json(shown)
    else:
        show(f"{shown['key']} has its report.")


def promote(
    name: Name,
    version: Version,
    *,
    label: Annotated[str, typer.Option(help="What names it.")] = "production",
    force: Annotated[bool, typer.Option("--force", help="Though the gate is shut.")] = False,
    reason: Annotated[str, typer.Option(help="Why; needed to force it.")] = "",
    all_tenants: AllTenants = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Let a version serve, if its evaluation is no worse than that of the one that serves."""
    body = {"version": version, "force": force, "reason": reason, "all_tenants": all_tenants}
    done = call("PUT", path_of(PROMPTS, name, "labels", label), tenant, body=body)
    if as_json:
        show_json(done)
        return
    show(f"{label} is {done['label']['version']}, and was {done['before'] or 'nothing'}.")
    for against in done["forced_against"]:
        show(f"  forced against: {against}", style="yellow")
    if label == "production":
        show(f"Back: rag prompts rollback {name} --reason WHY")


def rollback(
    name: Name,
    *,
    reason: Annotated[str, typer.Option(help="Why.")],
    label: Annotated[str, typer.Option(help="The label that goes back.")] = "production",
    all_tenants: AllTenants = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Go back to what served before: everywhere within a second or so."""
    body = {"reason": reason, "label": label, "all_tenants": all_tenants}
    done = call("POST", path_of(PROMPTS, name, "rollback"), tenant, body=body)
    if as_json:
        show_json(done)
    else:
        show(f"{done['gone']} is gone: {label} is {done['now']} again.")


def _json_of(file: Path) -> dict[str, Any]:
    """Raises `InvalidRequest` where the file holds no object."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRequest(f"{file} is not JSON") from error
    if not isinstance(told, dict):
        raise InvalidRequest(f"{file} holds no report")
    return cast("dict[str, Any]", told)


def _row(prompt: dict[str, Any]) -> list[object]:
    [production] = [each for each in prompt["labels"] if each["label"] == "production"] or [{}]
    running = ", ".join(map(str, prompt["running"]))
    told = (production.get("version"), production.get("owner"))
    return [prompt["name"], *told, prompt["versions"], running]


def _show_prompt(shown: dict[str, Any]) -> None:
    show(shown["name"], style="bold")
    for variable, what in shown["variables"].items():
        show(f"  {{{{{variable}}}}}: {what}")
    for label in shown["labels"]:
        show(f"{label['label']} is {label['version']} (of {label['owner']})")
    columns = ("key", "owner", "evaluated", "created_at", "created_by", "rationale")
    show_table("Versions", columns, _cells(shown["versions"], columns))
    if shown["rollouts"]:
        columns = ("id", "plan", "candidate", "share", "started_at", "stopped_at", "reason")
        show_table("Rollouts", columns, _cells(shown["rollouts"], columns))
    columns = ("revision", "kind", "label", "version", "before", "made_by", "reason")
    show_table("Changes", columns, _cells(shown["changes"], columns))


def _show_version(shown: dict[str, Any]) -> None:
    show(shown["key"], style="bold")
    show(f"{shown['rationale']} ({shown['created_by']}, {shown['created_at']})")
    show(f"temperature {shown['temperature']:g}, {shown['max_output_tokens']} tokens at most")
    for variant in shown["variants"]:
        whom = " ".join(each for each in (variant["locale"], variant["audience"]) if each)
        for section in ("system", "context", "instruction", "format"):
            show()
            show(f"{section.upper()} {f'({whom})' if whom else ''}".strip(), style="bold")
            show(variant[section])


def _cells(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[list[object]]:
    return [[row[column] for column in columns] for row in rows]
