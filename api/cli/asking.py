"""`rag search` and `rag ask`."""

import asyncio
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, Any

import typer

from api.cli.client import ApiProblem, Asker, open_api
from api.cli.options import (
    AsJson,
    AsUser,
    FilterTexts,
    Groups,
    Tenant,
    asker_of,
    filters_of,
    settings_for,
)
from api.cli.output import show, show_json, show_part, show_table
from api.settings import Settings
from rag.types import Mode


class Quality(StrEnum):
    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


def add_to(app: typer.Typer) -> None:
    app.command(epilog='Example: rag search "pump seals" --as user:1042 --groups quality')(search)
    app.command(
        epilog='Example: rag ask "How many days of leave?" --as user:1042 --conversation new'
    )(ask)


def search(
    words: Annotated[str, typer.Argument(help="What to search for.")],
    *,
    user: AsUser,
    groups: Groups = "",
    mode: Annotated[Mode, typer.Option(help="Both searches, or one of them.")] = Mode.HYBRID,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many hits.")] = 10,
    filters: FilterTexts = None,
    no_rerank: Annotated[bool, typer.Option("--no-rerank", help="Keep the fused order.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show each stage's ranks.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Find passages that the asker may read."""
    body = {
        "query": words,
        "limit": limit,
        "mode": mode.value,
        "rerank": not no_rerank,
        "filters": filters_of(filters),
        "explain": explain,
    }
    result = asyncio.run(_post("/v1/search", body, asker_of(user, groups), settings_for(tenant)))
    if as_json:
        show_json(result)
        return
    for rank, hit in enumerate(result["hits"], start=1):
        place = " > ".join([hit["title"], *hit["heading_path"]])
        page = f", page {hit['page']}" if hit.get("page") else ""
        show(f"{rank}. {place}{page}", style="bold")
        show(f"   {hit['uri']}", style="dim")
        show("   " + " ".join(hit["text"].split())[:300])
    if explain:
        _show_stages(result["hits"])
    if not result["hits"]:
        show("Nothing found that this asker may read.")


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    *,
    user: AsUser,
    groups: Groups = "",
    quality: Annotated[Quality, typer.Option(help="How much effort to spend.")] = Quality.BALANCED,
    filters: FilterTexts = None,
    conversation: Annotated[
        str | None,
        typer.Option(help="`new`, or the id of a conversation of the asker's to go on with."),
    ] = None,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Wait for the whole answer.")
    ] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Answer from what the asker may read, with citations, or say why not."""
    body: dict[str, Any] = {
        "question": question,
        "quality": quality.value,
        "filters": filters_of(filters),
        "conversation_id": conversation,
    }
    asker, settings = asker_of(user, groups), settings_for(tenant)
    if as_json or no_stream:
        outcome = asyncio.run(_post("/v1/ask", body, asker, settings))
        if as_json:
            show_json(outcome)
        else:
            show_outcome(outcome)
        return
    asyncio.run(_ask_streaming({**body, "stream": True}, asker, settings))


def show_outcome(outcome: dict[str, Any], *, text: bool = True) -> None:
    """An answer with its citations, or a refusal, for a person to read."""
    if outcome["kind"] == "refusal":
        show(f"No answer: {outcome['detail']}", style="yellow")
    elif text:
        show(outcome["text"])
    _show_citations(outcome.get("citations", []))
    if "notice" in outcome:
        show(outcome["notice"], style="yellow")
    if "conversation_id" in outcome:
        show(f"Go on with --conversation {outcome['conversation_id']}", style="dim")


def _show_citations(citations: list[dict[str, Any]]) -> None:
    if citations:
        show()
    for citation in citations:
        quote = " ".join(citation["quote"].split())
        show(f"  [{citation['number']}] {citation['title']}", style="cyan")
        show(f"      “{quote}”", style="dim")
        show(f"      {citation['uri']}", style="dim")


async def _post(path: str, body: dict[str, Any], asker: Asker, settings: Settings) -> Any:
    async with open_api(settings) as api:
        return await api.call("POST", path, body=body, asker=asker)


async def _ask_streaming(body: dict[str, Any], asker: Asker, settings: Settings) -> None:
    async with (
        open_api(settings) as api,
        aclosing(api.events("/v1/ask", body=body, asker=asker)) as events,
    ):
        async for name, data in events:
            match name:
                case "token":
                    show_part(data["text"])
                case "done":
                    show()
                    show_outcome(data, text=False)
                    return
                case "error":
                    raise ApiProblem(int(data.get("status", 500)), data, log=api.log)
                case _:
                    pass  # what was found, cited and checked comes once more with `done`
    raise ApiProblem(502, {"detail": "the answer broke off before its end"})


def _show_stages(hits: list[dict[str, Any]]) -> None:
    stages = ("dense", "sparse", "fused", "rerank")
    show_table(
        "How each hit was found (rank, score)",
        ("title", *stages),
        ((hit["title"], *(_standing(hit, stage) for stage in stages)) for hit in hits),
    )


def _standing(hit: dict[str, Any], stage: str) -> str:
    rank, score = hit["ranks"][stage], hit["scores"].get(stage)
    if rank is None:
        return "-"
    return f"{rank}" if score is None else f"{rank} ({score:.3f})"
