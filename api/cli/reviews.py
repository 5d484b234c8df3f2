"""`rag reviews`: what guardrails flagged for you to look at, and what you say of it."""

from typing import Annotated, Any, cast

import typer

from api.cli.calling import call
from api.cli.client import path_of
from api.cli.options import AsJson, Tenant
from api.cli.output import show, show_json, show_table

REVIEWS = "/v1/admin/reviews"

ReviewId = Annotated[str, typer.Argument(help="The review's id, such as 42.1.")]


def add_to(app: typer.Typer) -> None:
    reviews = typer.Typer(no_args_is_help=True, help="What guardrails flagged for you to look at.")
    reviews.command("list", epilog="Example: rag reviews list --check toxicity")(list_reviews)
    reviews.command("show", epilog="Example: rag reviews show 42.1")(show_review)
    reviews.command(
        "decide", epilog="Example: rag reviews decide 42.1 dismissed --note 'A test key.'"
    )(decide)
    app.add_typer(reviews, name="reviews")


def list_reviews(
    *,
    state: Annotated[str, typer.Option(help="open, confirmed, dismissed, or all.")] = "open",
    check: Annotated[str, typer.Option(help="Only of this check.")] = "",
    use_case: Annotated[str, typer.Option(help="Only of this use case, such as ask.")] = "",
    since: Annotated[str, typer.Option(help="From then on: 2026-11-01T00:00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Before then.")] = "",
    before: Annotated[str, typer.Option(help="From the review before this one.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 50,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """What waits for somebody, newest first."""
    wanted = {
        "state": "" if state == "all" else state,
        "check": check,
        "use_case": use_case,
        "since": since,
        "until": until,
        "before": before,
    }
    params: dict[str, str | int | list[str]] = {"limit": limit}
    params |= {name: value for name, value in wanted.items() if value}
    result = call("GET", REVIEWS, tenant, params=params)
    if as_json:
        show_json(result)
        return
    columns = ("review_id", "at", "state", "use_case", "direction", "check", "score", "kinds")
    rows = ([_told(each[name]) for name in columns] for each in result["reviews"])
    show_table("Reviews", columns, rows)


def show_review(review: ReviewId, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """One of them, with what the audit keeps of the request."""
    result = call("GET", path_of(REVIEWS, review), tenant)
    if as_json:
        show_json(result)
        return
    flagged, entry = result["review"], result["entry"]
    kinds = f" ({', '.join(flagged['kinds'])})" if flagged["kinds"] else ""
    show(f"{flagged['check']} flagged the {flagged['direction']}, {flagged['score']:.2f}{kinds}")
    show(f"{flagged['at']}: {entry['action']} by {entry['principal']}, {entry['decision']}")
    for name in ("question", "answer"):
        if entry[name]:
            show(f"{name}: {entry[name]}")
    show(_standing(flagged))


def decide(
    review: ReviewId,
    decision: Annotated[
        str, typer.Argument(help="confirmed: it was right to flag it; dismissed: it was not.")
    ],
    *,
    note: Annotated[str, typer.Option(help="Why; kept without personal data and secrets.")] = "",
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a guardrail was right. It is told in the audit."""
    body = {"decision": decision, "note": note}
    decided = call("POST", path_of(REVIEWS, review, "decision"), tenant, body=body)
    if as_json:
        show_json(decided)
    else:
        show(_standing(decided))


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _standing(review: dict[str, Any]) -> str:
    if review["state"] == "open":
        return "open"
    note = f": {review['note']}" if review["note"] else ""
    return f"{review['state']} by {review['decided_by']} at {review['decided_at']}{note}"
