"""Threads for an embedder that computes in this process: a question never waits behind an ingest."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


class Lanes:
    """One thread for documents and one for questions. A cancelled call ends its wait, not the work
    that runs."""

    def __init__(self) -> None:
        self._documents = ThreadPoolExecutor(1, thread_name_prefix="embed-documents")
        self._queries = ThreadPoolExecutor(1, thread_name_prefix="embed-query")

    async def for_documents(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._documents, work)

    async def for_query(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._queries, work)

    async def aclose(self) -> None:
        """Let what runs finish, and refuse further work."""
        for executor in (self._queries, self._documents):
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)
