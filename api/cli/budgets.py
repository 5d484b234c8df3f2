"""`rag budgets` and `rag usage`: who may spend how much, and what was spent."""

from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.options import AsJson, Tenant
from api.cli.output import show, show_json, show_table
from rag.errors import InvalidRequest

BUDGETS, USAGE = "/v1/admin/budgets", "/v1/admin/usage"
_UNUSUAL = "{day}: {cost} where {usual} is usual (z {z})"

Level = Annotated[str, typer.Argument(help="request, user, team, application or tenant.")]
Subject = Annotated[
    str, typer.Option(help="user:…, group:…, a key's id, or * for each; of a tenant: none.")
]
Window = Annotated[str, typer.Option(help="day or month, in UTC.")]
UseCase = Annotated[
    str | None, typer.Option(help="ask, chat, enrich, evaluate or summarise. Unset: all.")
]


def add_to(app: typer.Typer) -> None:
    budgets = typer.Typer(no_args_is_help=True, help="Who may spend how much on models.")
    budgets.command("list", epilog="Example: rag budgets list")(list_budgets)
    budgets.command(
        "set", epilog="Example: rag budgets set user --subject '*' --window day --money 0.5"
    )(set_budget)
    budgets.command("remove", epilog="Example: rag budgets remove user --subject '*' --window day")(
        remove_budget
    )
    app.add_typer(budgets, name="budgets")
    app.command("usage", epilog="Example: rag usage --by team,model --from 2026-11-01")(usage)


def list_budgets(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """All budgets, how they stand, and what alerts there were."""
    told = call("GET", BUDGETS, tenant)
    if as_json:
        show_json(told)
        return
    columns = (
        "level", "subject", "window", "use case", "money", "tokens",
        "money spent", "tokens spent", "held",
    )  # fmt: skip
    show_table("Budgets", columns, map(_row, told["budgets"]))
    for alert in told["alerts"]:
        show(f"{alert['raised_at']}: {alert['percent']} % of {alert['counter']}", style="yellow")


def set_budget(
    level: Level,
    *,
    subject: Subject = "",
    window: Window = "month",
    use_case: UseCase = None,
    money: Annotated[str | None, typer.Option(help="In units of account, such as 12.50.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Of input and output together.")] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Set a budget, in place of an earlier one of the same level, subject, window and use case."""
    body = {"level": level, "subject": subject, "window": window}
    said = {"use_case": use_case, "money": money, "tokens": tokens}
    body |= {name: value for name, value in said.items() if value is not None}
    told = call("PUT", BUDGETS, tenant, body=body)
    if as_json:
        show_json(told)
    else:
        show(f"{told['level']} {told['subject']}: {_capped(told)} a {told['window']}.")


def remove_budget(
    level: Level,
    *,
    subject: Subject = "",
    window: Window = "month",
    use_case: UseCase = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Limit nobody by it any more."""
    named = {"level": level, "subject": subject, "window": window}
    if use_case is not None:
        named["use_case"] = use_case
    call("DELETE", BUDGETS, tenant, params=named)
    if as_json:
        show_json({**named, "removed": True})
    else:
        show("The budget is gone.")


def usage(
    *,
    by: Annotated[
        str,
        typer.Option(
            help="day, team, application, user, use_case, endpoint, model, prompt; with commas."
        ),
    ] = "model",
    begins: Annotated[str | None, typer.Option("--from", help="Unset: the month's first.")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="Unset: today.")] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """What models were used for, what it cost, and where the month is heading."""
    columns = [name.strip() for name in by.split(",") if name.strip()]
    if not columns:
        raise InvalidRequest("--by names a column, such as model")
    params: dict[str, str | int | list[str]] = {"group_by": columns}
    params |= {name: value for name, value in (("from", begins), ("to", ends)) if value is not None}
    told = call("GET", USAGE, tenant, params=params)
    if as_json:
        show_json(told)
        return
    counted = ("requests", "answers", "calls", "input_tokens", "output_tokens", "cost", "saved")
    rows = [[*(row["by"][name] for name in columns), *(row[name] for name in counted)]
            for row in told["rows"]]  # fmt: skip
    total = ["total", *[""] * (len(columns) - 1), *(told["total"][name] for name in counted)]
    show_table(f"{told['begins']} to {told['ends']}", (*columns, *counted), [*rows, total])
    show(f"This month: {told['month']['spent']} so far, {told['month']['projected']} projected.")
    for day in told["unusual_days"]:
        show(_UNUSUAL.format_map(day), style="yellow")


def _row(budget: dict[str, Any]) -> list[object]:
    spent: dict[str, Any] = budget["spent"] or {}
    held: dict[str, Any] = budget["reserved"] or {}
    named = [budget[name] for name in ("level", "subject", "window", "use_case", "money", "tokens")]
    return [*named, spent.get("money"), spent.get("tokens"), held.get("money")]


def _capped(budget: dict[str, Any]) -> str:
    caps = [(budget["money"], ""), (budget["tokens"], " tokens")]
    return " and ".join(f"{cap}{unit}" for cap, unit in caps if cap is not None)
