"""A client that goes away, over a real connection, stops what was done for it."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from rag.access import AccessScope
from rag.protocols import Completion, ModelPrompt
from rag.testing import MemoryIndex
from rag.types import Filters, IndexHit
from tests.api.platform import open_site

FACT = "Hotels in London cost up to 140 euros a night."
QUESTION = "What may a hotel in London cost?"
ASK = ("/v1/ask", {"question": QUESTION})
CHAT = ("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]})
SEARCH = ("/v1/search", {"query": QUESTION, "mode": "sparse", "rerank": False})


@dataclass(slots=True)
class Thought:
    """Something that takes for ever, and notes that it began and that it was stopped."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def ponder(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


@dataclass(slots=True)
class PonderingModel:
    thought: Thought
    name: str = "pondering"

    async def stream(self, prompt: ModelPrompt) -> AsyncGenerator[str | Completion]:
        assert prompt
        yield f"{FACT} [1] And "
        await self.thought.ponder()

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class PonderingIndex(MemoryIndex):
    thought: Thought = field(default_factory=Thought)

    async def search_sparse(
        self, text: str, *, scope: AccessScope, filters: Filters, limit: int
    ) -> list[IndexHit]:
        await self.thought.ponder()
        return await super().search_sparse(text, scope=scope, filters=filters, limit=limit)


@asynccontextmanager
async def served(app: FastAPI) -> AsyncGenerator[str]:
    """Where `app` answers, on a real socket."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            await serving


async def leave_while_it_ponders(
    app: FastAPI, thought: Thought, asked: tuple[str, dict[str, Any]], headers: dict[str, str]
) -> None:
    path, body = asked
    async with served(app) as url, httpx.AsyncClient(base_url=url) as http:
        asking = asyncio.create_task(http.post(path, json=body, headers=headers, timeout=None))
        async with asyncio.timeout(60):
            await thought.begun.wait()
            asking.cancel()
            await thought.stopped.wait()


@pytest.mark.parametrize("asked", [ASK, CHAT], ids=lambda asked: asked[0])
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_the_model_stops(
    asked: tuple[str, dict[str, Any]], tmp_path: Path, *, stream: bool
) -> None:
    thought = Thought()
    async with open_site(tmp_path, model=PonderingModel(thought)) as site:
        await site.publish("file:///travel.txt", FACT, readers=["everyone"])
        path, body = asked
        asked = (path, body | {"stream": stream})
        await leave_while_it_ponders(site.app, thought, asked, await site.key("user:1"))


async def test_a_search_stops_and_the_log_says_that_nobody_heard(tmp_path: Path) -> None:
    thought = Thought()
    async with open_site(tmp_path, index=PonderingIndex(thought=thought)) as site:
        await leave_while_it_ponders(site.app, thought, SEARCH, await site.key("user:1"))
        metrics = (await site.http.get("/metrics", headers=await site.key("user:1"))).text
    assert 'route="/v1/search",status="499"' in metrics
