"""A plant with many manuals, and what tests of the generations of its index ask of them."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from api.platform import Platform
from rag.storage.generations.records import GenerationId, Standing
from rag.storage.tables import ChunkRow
from tests.acceptance.site import Site

GENERATIONS = "/v1/admin/generations"
SUBJECTS = ("boiler", "crane", "forklift", "lathe", "press", "pump", "turbine", "valve")
ASKERS = 8


def manual(subject: str, number: int) -> str:
    sections = "\n\n".join(
        f"## Part {part}\n\n"
        f"The {subject} of hall {number} has its part {part} serviced every {number + part} weeks. "
        f"Whoever services the {subject} writes the pressure, the temperature and the hours into "
        f"book {part} before leaving hall {number}. Worn bolts of the {subject} are replaced by "
        f"bolts of grade {part + 8}, and never by those of another machine. Oil that is darker than "
        f"card {part} goes to the laboratory in Leeds, with the number of the {subject} and the "
        f"hours since it was filled. A {subject} that shakes is stopped at once; the foreman of "
        f"hall {number} says when it may run again, after bearing {part} has been measured cold "
        f"and warm. Covers are closed before the main switch is turned, and the key of switch "
        f"{part} hangs in the office of hall {number} overnight."
        for part in range(1, 7)
    )
    return f"# The {subject} of hall {number}\n\n{sections}\n"


def write_manuals(folder: Path) -> None:
    folder.mkdir()
    (folder / ".access.yaml").write_text(
        "readers: [everyone]\nfiles:\n  secret.md: {readers: [group:board]}\n"
    )
    for number, subject in enumerate(SUBJECTS, start=1):
        (folder / f"{subject}.md").write_text(manual(subject, number))
    (folder / "secret.md").write_text("# Sale\n\nThe turbine is sold to Harbour Heating in May.\n")


def case(subject: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": subject,
        "question": f"How often is part 1 of the {subject} serviced?",
        "as": "user:7",
        "expected_documents": [f"{subject}.md"],
        "answer_contains": [f"every {number + 1} weeks"],
        **more,
    }


CASES = [case(subject, number) for number, subject in enumerate(SUBJECTS, start=1)]
FORBIDDEN = {
    "id": "sale",
    "question": "To whom is the turbine sold?",
    "as": "user:7",
    "forbidden_documents": ["secret.md"],
    "refuses": True,
}


def golden(site: Site, *cases: dict[str, Any]) -> dict[str, Any]:
    return {"cases": cases, "documents_uri": site.folder.as_uri()}


async def built(site: Site, **recipe: Any) -> int:
    begun = await site.post(GENERATIONS, recipe)
    assert begun.status_code == 202, begun.text
    generation = GenerationId(begun.json()["generation"]["id"])
    await complete(site.platform, generation)
    return generation


async def complete(platform: Platform, generation: GenerationId, *, failed: int = 0) -> Standing:
    """How it stands once it lacks only what failed."""
    async with asyncio.timeout(120):
        while True:
            standing = await platform.generation_ledger.standing(generation)
            if standing.lacking == standing.failed == failed:
                return standing
            await asyncio.sleep(0.05)


async def dropped(site: Site, generation: int) -> httpx.Response:
    """Once its last readers have left it."""
    while True:
        response = await site.http.delete(f"{GENERATIONS}/{generation}")
        if response.status_code != 409 or "a moment ago" not in response.text:
            return response
        await asyncio.sleep(0.2)


async def serving(site: Site) -> int:
    listed = (await site.http.get(GENERATIONS)).json()["generations"]
    [one] = [each["id"] for each in listed if each["state"] == "serving"]
    return one


@dataclass(slots=True)
class Asked:
    """What searches without pause were answered."""

    answers: list[list[str]] = field(default_factory=list[list[str]])
    """The ids of the chunks of each."""
    failed: list[str] = field(default_factory=list[str])

    async def more(self, number: int) -> None:
        wanted = len(self.answers) + number
        while True:
            if len(self.answers) >= wanted or self.failed:
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(site: Site) -> AsyncGenerator[Asked]:
    asked = Asked()

    async def ask(words: Iterator[str]) -> None:
        for subject in words:
            query = {"query": f"bolts of the {subject}", "limit": 20}
            response = await site.post("/v1/search", query)
            if response.status_code != 200:
                asked.failed.append(response.text)
                return
            asked.answers.append([hit["chunk_id"] for hit in response.json()["hits"]])

    tasks = [
        asyncio.create_task(ask(itertools.cycle((*SUBJECTS[n:], *SUBJECTS[:n]))))
        for n in range(ASKERS)
    ]
    try:
        yield asked
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def chunks_of(site: Site, generation: int) -> set[str]:
    statement = select(ChunkRow.id).where(ChunkRow.generation == generation)
    return {row.id for row in await site.platform.database.rows(statement)}
