"""`rag search` and `rag ask`."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Annotated, Any

import httpx
import typer

from api.cli.client import Api, ApiProblem, Asker, open_api
from api.cli.options import AsJson, AsUser, FilterTexts, Groups, asker_of, filters_of
from api.cli.output import plain, show, show_json, show_table
from api.settings import load_settings
from rag.types import Mode


class Quality(StrEnum):
    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


def add_to(app: typer.Typer) -> None:
    app.command(epilog='Example: rag search "pump seals" --as user:1042 --groups quality')(search)
    app.command(epilog='Example: rag ask "How many days of leave?" --as user:1042')(ask)


def search(
    words: Annotated[str, typer.Argument(help="What to search for.")],
    *,
    user: AsUser,
    groups: Groups = "",
    mode: Annotated[Mode, typer.Option(help="Both searches, or one of them.")] = Mode.HYBRID,
    limit: Annotated[int, typer.Option(help="How many hits.")] = 10,
    filters: FilterTexts = None,
    no_rerank: Annotated[bool, typer.Option("--no-rerank", help="Keep the fused order.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show each stage's ranks.")] = False,
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
    result = asyncio.run(_post("/v1/search", body, asker_of(user, groups)))
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
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Wait for the whole answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer from what the asker may read, with citations, or say why not."""
    body: dict[str, Any] = {
        "question": question,
        "quality": quality.value,
        "filters": filters_of(filters),
    }
    asker = asker_of(user, groups)
    if as_json or no_stream:
        outcome = asyncio.run(_post("/v1/ask", body, asker))
        if as_json:
            show_json(outcome)
        else:
            show_outcome(outcome)
        return
    asyncio.run(_ask_streaming({**body, "stream": True}, asker))


def show_outcome(outcome: dict[str, Any], *, text: bool = True) -> None:
    """An answer with its citations, or a refusal, for a person to read."""
    if outcome["kind"] == "refusal":
        show(f"No answer: {outcome['detail']}", style="yellow")
        return
    if text:
        show(outcome["text"])
    show()
    for citation in outcome["citations"]:
        quote = " ".join(citation["quote"].split())
        show(f"  [{citation['number']}] {citation['title']}", style="cyan")
        show(f"      “{quote}”", style="dim")
        show(f"      {citation['uri']}", style="dim")


async def _post(path: str, body: dict[str, Any], asker: Asker) -> Any:
    async with open_api(load_settings()) as api:
        return await api.call("POST", path, body=body, asker=asker)


async def _ask_streaming(body: dict[str, Any], asker: Asker) -> None:
    async with open_api(load_settings()) as api:
        async for name, data in _events(api, body, asker):
            if name == "token":
                sys.stdout.write(plain(data["text"]).plain)
                sys.stdout.flush()
            elif name == "done":
                show()
                show_outcome(data, text=False)
            elif name == "error":
                raise ApiProblem(int(data.get("status", 500)), data)


async def _events(
    api: Api, body: dict[str, Any], asker: Asker
) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    async with api.http.stream(
        "POST", "/v1/ask", json=body, headers=api.headers(asker)
    ) as response:
        if response.is_error:
            await response.aread()
            raise ApiProblem(response.status_code, _json_of(response))
        name = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def _json_of(response: httpx.Response) -> dict[str, Any]:
    try:
        return response.json()
    except ValueError:
        return {}


def _show_stages(hits: list[dict[str, Any]]) -> None:
    stages = ("dense", "sparse", "fused", "rerank")
    show_table(
        "How each hit was found (rank, score)",
        ("title", *stages),
        (
            (
                hit["title"],
                *(
                    _standing(hit["ranks"].get(stage), (hit.get("scores") or {}).get(stage))
                    for stage in stages
                ),
            )
            for hit in hits
        ),
    )


def _standing(rank: int | None, score: float | None) -> str:
    if rank is None:
        return "-"
    return f"{rank}" if score is None else f"{rank} ({score:.3f})"
