"""Puts load on servers of OpenAI's chat API, from a process of its own; told by, and tells, JSON.

    echo '{"targets": {...}, "streamed": true, "requests": 300, "at_once": 1}' | python chat_load.py

A target has `port`, `model` and `key`. With `at_once` 1 the targets take turns, call by call, so
that whatever else the machine does meets them all; with more there is one target. Plain sockets,
kept open: what is measured is the server. No two messages are the same.
"""

import asyncio
import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter
from typing import Any

EXPECTED = b"metres"
"""Stands in every answer of the upstream."""
PATIENCE_S = 60.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CONTENT = re.compile(rb'"content": *"((?:[^"\\]|\\.)*)"')
_SYSTEM = (
    "You help the engineers of a waterworks. Answer in plain words, name the station that you mean, "
    "and say so when you do not know. Keep to what the manual says."
)
_SUBJECTS = ("pump", "valve", "filter", "sensor", "reservoir", "turbine", "pipeline", "basin")
_HAPPENINGS = ("was cleaned", "stood still", "ran hot", "lost pressure", "was replaced", "leaked")
_PLACES = ("by the river", "in the old hall", "under the dam", "on the hill", "at the harbour")


@dataclass(frozen=True, slots=True)
class Target:
    port: int
    model: str
    key: str

    def request(self, text: str, *, streamed: bool) -> bytes:
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": text}]
        body = json.dumps({"model": self.model, "messages": messages, "stream": streamed}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Connection:
    target: Target
    _reader: asyncio.StreamReader | None = field(default=None, init=False)
    _writer: asyncio.StreamWriter | None = field(default=None, init=False)

    async def ask(self, text: str, *, streamed: bool) -> float:
        """Milliseconds until the whole answer was there. Ends the program where it is none."""
        request = self.target.request(text, streamed=streamed)
        began = perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            try:
                head, body = await self._answer(request)
            except (asyncio.IncompleteReadError, ConnectionError):
                # A server closes what was idle for a while, and this was.
                self._writer, began = None, perf_counter()
                head, body = await self._answer(request)
        took = (perf_counter() - began) * 1_000
        said = b"".join(_CONTENT.findall(body))
        is_whole = not streamed or b"data: [DONE]" in body
        if not head.startswith(b"HTTP/1.1 200") or EXPECTED not in said or not is_whole:
            told = (head + body)[:1_500].decode(errors="replace")
            sys.exit(f"{self.target.model} at port {self.target.port} did not answer: {told}")
        return took

    async def _answer(self, request: bytes) -> tuple[bytes, bytes]:
        if self._writer is None or self._reader is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self.target.port
            )
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        return head, await _body(self._reader, head)


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = _LENGTH.search(head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    chunks: list[bytes] = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(chunks)


def message(number: random.Random) -> str:
    """Three sentences and a question, unlike all others."""
    told = [
        f"The {number.choice(_SUBJECTS)} of station {number.randrange(10**6)} "
        f"{number.choice(_PLACES)} {number.choice(_HAPPENINGS)} after "
        f"{number.randrange(1_000)} hours, and the crew noted a level of "
        f"{number.randrange(1_000) / 10} metres."
        for _ in range(3)
    ]
    return f"{' '.join(told)} When does the {number.choice(_SUBJECTS)} open again, and why?"


async def in_turn(
    targets: Mapping[str, Target], requests: int, *, streamed: bool
) -> dict[str, dict[str, float]]:
    connections = {name: Connection(target) for name, target in targets.items()}
    took: dict[str, list[float]] = {name: [] for name in targets}
    numbers = random.Random()
    for _ in range(requests):
        text = message(numbers)
        for name, connection in connections.items():
            took[name].append(await connection.ask(text, streamed=streamed))
    return {name: _summary(times) for name, times in took.items()}


async def all_at_once(
    target: Target, seconds: float, at_once: int, *, streamed: bool
) -> dict[str, float]:
    numbers, took = random.Random(), list[float]()
    began = perf_counter()

    async def keep_asking() -> None:
        connection = Connection(target)
        while perf_counter() - began < seconds:
            took.append(await connection.ask(message(numbers), streamed=streamed))

    await asyncio.gather(*(keep_asking() for _ in range(at_once)))
    passed = perf_counter() - began
    return {"requests": len(took), "a_second": round(len(took) / passed, 1), **_summary(took)}


def _summary(times: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(times, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}


async def _run(asked: Mapping[str, Any]) -> dict[str, Any]:
    targets = {name: Target(**each) for name, each in asked["targets"].items()}
    streamed = asked["streamed"]
    if asked["at_once"] == 1:
        return await in_turn(targets, asked["requests"], streamed=streamed)
    [target] = targets.values()
    return dict(await all_at_once(target, asked["seconds"], asked["at_once"], streamed=streamed))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(json.load(sys.stdin)))))
