"""What routing, fallback and singleflight add to a call of a model: milliseconds and CPU.

    python tests/benchmarks/bench_gateway.py [--calls N] [--words N] [--redis-url URL] [--out FILE]

A scripted upstream answers at once from a process of its own. The ways to it take turns, call by
call: a bare aiohttp client that reads the answer to its end, the OpenAI wire alone, the gateway
(route, breaker, lanes, attempt, trail), and the same with identical calls shared.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time
from typing import Any

import aiohttp
import root
from reporting import report

from rag.adapters.json_schema import checked_json
from rag.adapters.openai_wire import OpenAIWire
from rag.adapters.redis_breaker import open_redis_breaker
from rag.gateway.attempts import Attempts
from rag.gateway.breaker import Breaker, LocalBreaker
from rag.gateway.calls import Gateway
from rag.gateway.catalogue import Catalogue
from rag.gateway.fallback import RoutedGateway
from rag.gateway.health import Health
from rag.gateway.lanes import Rooms
from rag.gateway.patience import FallbackPolicy
from rag.gateway.singleflight import SharedCalls
from rag.protocols import Message, ModelPrompt
from tests.gateways import CEILING, FixedRoutes, a_call, a_model, a_trail
from tests.ports import free_port

AT_ONCE = 32
PROMPT = ModelPrompt(
    messages=(Message("system", "Answer from the evidence. " * 60), Message("user", "How deep?")),
    max_output_tokens=512,
)
Way = Callable[[int], Awaitable[None]]


def body_of(prompt: ModelPrompt) -> dict[str, Any]:
    messages = [{"role": each.role, "content": each.content} for each in prompt.messages]
    return {"model": "served", "messages": messages, "stream": True}


def gateway_to(wire: OpenAIWire, breaker: Breaker) -> RoutedGateway:
    model, policy = a_model("served"), FallbackPolicy()
    attempts = Attempts(
        catalogue=Catalogue(models=(model,), ceiling=CEILING),
        upstreams={"served-1": wire},
        breaker=breaker,
        policy=policy,
        schema_check=checked_json,
    )
    return RoutedGateway(
        routes=FixedRoutes((model,)),
        attempts=attempts,
        breaker=breaker,
        rooms=Rooms(),
        health=Health(),
        policy=policy,
    )


def through(gateway: Gateway) -> Way:
    async def ask(number: int) -> None:
        # Each question is another: nothing is shared, as in ordinary life.
        prompt = replace(PROMPT, messages=(*PROMPT.messages, Message("user", str(number))))
        async with aclosing(gateway.stream(a_call(prompt), a_trail())) as pieces:
            async for _ in pieces:
                pass

    return ask


@asynccontextmanager
async def ways_to(base_url: str, redis_url: str | None) -> AsyncGenerator[Mapping[str, Way]]:
    wire = OpenAIWire(base_url=base_url, model="served")
    async with aclosing(wire), aiohttp.ClientSession() as session:

        async def bare(number: int) -> None:
            del number
            async with session.post(f"{base_url}/chat/completions", json=body_of(PROMPT)) as answer:
                async for _ in answer.content.iter_any():
                    pass

        async def wired(number: int) -> None:
            del number
            async with aclosing(wire.stream(PROMPT)) as pieces:
                async for _ in pieces:
                    pass

        routed = gateway_to(wire, LocalBreaker())
        ways = {
            "bare": bare,
            "wire": wired,
            "gateway": through(routed),
            "gateway, shared calls": through(SharedCalls(routed)),
        }
        if redis_url is None:
            yield ways
            return
        async with aclosing(open_redis_breaker(redis_url)) as breaker:
            yield ways | {"gateway, breaker in Redis": through(gateway_to(wire, breaker))}


async def one_by_one(ways: Mapping[str, Way], calls: int) -> dict[str, dict[str, float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    cpu = dict.fromkeys(ways, 0.0)
    for number in range(calls):
        for name, way in ways.items():
            began, worked = perf_counter(), process_time()
            await way(number)
            took[name].append((perf_counter() - began) * 1_000)
            cpu[name] += process_time() - worked
    figures: dict[str, dict[str, float]] = {}
    for name, times in took.items():
        cuts = quantiles(times, n=100)
        figures[name] = {
            "p50_ms": round(cuts[49], 3),
            "p99_ms": round(cuts[98], 3),
            "cpu_ms": round(cpu[name] / calls * 1_000, 3),
        }
    return figures


async def all_at_once(way: Way, calls: int) -> float:
    """Calls in a second, with AT_ONCE of them under way."""
    numbers = iter(range(calls))

    async def keep_asking() -> None:
        for number in numbers:
            await way(number)

    began = perf_counter()
    await asyncio.gather(*(keep_asking() for _ in range(AT_ONCE)))
    return round(calls / (perf_counter() - began), 1)


async def until_up(base_url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{base_url}/models"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def measure(calls: int, words: int, redis_url: str | None) -> dict[str, Any]:
    port = free_port()
    command = [sys.executable, "-m", "tests.scripted_upstream", "--port", str(port)]
    base_url = f"http://127.0.0.1:{port}/v1"
    upstream = await asyncio.create_subprocess_exec(*command, "--words", str(words), cwd=root.ROOT)
    try:
        await until_up(base_url)
        async with ways_to(base_url, redis_url) as ways:
            await one_by_one(ways, 20)
            latency = await one_by_one(ways, calls)
            rate = {name: await all_at_once(way, calls) for name, way in ways.items()}
    finally:
        upstream.terminate()
        await upstream.wait()
    added = {
        name: {
            "p50_ms": round(figures["p50_ms"] - latency["bare"]["p50_ms"], 3),
            "cpu_ms": round(figures["cpu_ms"] - latency["bare"]["cpu_ms"], 3),
        }
        for name, figures in latency.items()
        if name != "bare"
    }
    return {
        "calls": calls,
        "words": words,
        "one_by_one": latency,
        "added_to_bare": added,
        f"calls_per_second_{AT_ONCE}_at_once": rate,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--words", type=int, default=24)
    parser.add_argument("--redis-url")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    report(asyncio.run(measure(given.calls, given.words, given.redis_url)), given.out)


if __name__ == "__main__":
    main()
