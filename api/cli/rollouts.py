"""`rag prompts rollouts`: another prompt, model or profile tried on some, and how both arms did."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from api.cli.calling import call
from api.cli.client import path_of
from api.cli.options import AsJson, Tenant, value_of
from api.cli.output import show, show_json, show_table
from rag.errors import InvalidRequest
from rag.prompts.rollouts import Plan

PROMPTS = "/v1/admin/prompts"

Name = Annotated[str, typer.Argument(help="The prompt that people are served with.")]
Number = Annotated[int, typer.Argument(help="The rollout's id, from `list`.")]


def add_to(prompts: typer.Typer) -> None:
    rollouts = typer.Typer(
        no_args_is_help=True, help="Prompts, models and retrieval profiles tried on some."
    )
    rollouts.command("list", epilog="Example: rag prompts rollouts list answer")(list_rollouts)
    rollouts.command(
        "start",
        epilog="Example: rag prompts rollouts start answer --plan canary --version own-1",
    )(start)
    rollouts.command("show", epilog="Example: rag prompts rollouts show answer 3")(show_rollout)
    rollouts.command(
        "stop", epilog='Example: rag prompts rollouts stop answer 3 --reason "no better"'
    )(stop)
    prompts.add_typer(rollouts, name="rollouts")


def list_rollouts(name: Name, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """All that was ever tried, and what runs."""
    rollouts = call("GET", path_of(PROMPTS, name), tenant)["rollouts"]
    if as_json:
        show_json(rollouts)
        return
    columns = ("id", "owner", "plan", "candidate", "share", "started_at", "stopped_at", "reason")
    show_table(
        f"Rollouts of {name}", columns, ([each[column] for column in columns] for each in rollouts)
    )


def start(
    name: Name,
    *,
    plan: Annotated[
        Plan,
        typer.Option(help="A few people; two arms to compare; or nobody, after the answer."),
    ],
    version: Annotated[str | None, typer.Option(help="The version that is tried,")] = None,
    model: Annotated[str | None, typer.Option(help="or a model of the catalogue,")] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="or a retrieval profile: hits, rerank, passages, evidence_tokens. Repeat for more.",
            metavar="K=V",
        ),
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Of the people, or a shadow's questions: 0.05 is 5 %.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="What a shadow may cost altogether, in units of account.")
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Every tenant's people, as an operator.")
    ] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Try one thing beside what serves. One that does badly is ended by itself."""
    body: dict[str, Any] = {
        "plan": plan.value,
        "version": version,
        "model": model,
        "profile": _profile_of(profile),
        "share": share,
        "budget": None if budget is None else str(_amount_of(budget)),
        "all_tenants": all_tenants,
    }
    begun = call("POST", path_of(PROMPTS, name, "rollouts"), tenant, body=body)
    if as_json:
        show_json(begun)
        return
    show(f"Rollout {begun['id']} runs: {begun['plan']}, {begun['share']:.1%}.")
    show(f"How it does: rag prompts rollouts show {name} {begun['id']}")


def show_rollout(
    name: Name, rollout: Number, *, tenant: Tenant = None, as_json: AsJson = False
) -> None:
    """How both arms did, and whether one is shown to be better."""
    _show_report(call("GET", _place_of(name, rollout), tenant), as_json=as_json)


def stop(
    name: Name,
    rollout: Number,
    *,
    reason: Annotated[str, typer.Option(help="Why.")],
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Let everybody have again what serves; `rag prompts promote` is for the other end."""
    path = f"{_place_of(name, rollout)}/stop"
    _show_report(call("POST", path, tenant, body={"reason": reason}), as_json=as_json)


def _place_of(name: str, rollout: int) -> str:
    return path_of(PROMPTS, name, "rollouts", str(rollout))


def _profile_of(texts: list[str] | None) -> dict[str, Any] | None:
    """Raises `InvalidRequest` for a text that sets nothing."""
    profile: dict[str, Any] = {}
    for text in texts or []:
        field, sign, value = text.partition("=")
        if not sign or not field.strip() or not value.strip():
            raise InvalidRequest(f"--profile {text!r} is not K=V")
        profile[field.strip()] = value_of(value)
    return profile or None


def _amount_of(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise InvalidRequest(f"--budget {text!r} is no amount") from error


def _show_report(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
    rollout = report["rollout"]
    ended = f"ended {rollout['stopped_at']}: {rollout['reason']}"
    show(f"{rollout['plan']} of {rollout['candidate']}, {rollout['share']:.1%}", style="bold")
    show(ended if rollout["stopped_at"] else f"runs since {rollout['started_at']}")
    columns = ("asked", "good", "errors", "ungrounded", "slow", "mean_latency_ms", "cost")
    arms = ("control", "candidate")
    show_table(
        "Arms", ("arm", *columns), ([arm, *(report[arm][c] for c in columns)] for arm in arms)
    )
    if report["winner"]:
        show(f"The {report['winner']} is better (p = {report['p_value']:.3g}).", style="green")
    else:
        show("Neither is shown to be better.")
