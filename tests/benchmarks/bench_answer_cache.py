"""The answer cache: whether it leaks, whether it mistakes one question for another, what it costs.

    python tests/benchmarks/bench_answer_cache.py leaks --steps 100000 --out bench/results/cache_leaks.json
    python tests/benchmarks/bench_answer_cache.py pairs --out bench/results/cache_pairs.json
    python tests/benchmarks/bench_answer_cache.py changed --out bench/results/cache_changed.json
    python tests/benchmarks/bench_answer_cache.py latency --out bench/results/cache_latency.json

`leaks` plays random interleavings over the real ledger (SQLite), four games of five with a cache that
never looks whether documents changed. `pairs` asks pairs of questions that look alike, and pairs
that ask the same, with the real MiniLM (`near_miss_pairs.jsonl`, made by `make_near_miss_pairs.py`).
`changed` asks ClapNQ's questions beside themselves with one thing changed, by their words alone.
`latency` times look-ups among many kept answers.
"""

import argparse
import asyncio
import json
import math
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import root
from public_data import CLAPNQ, is_here
from reporting import report

from api.migrations import migrate
from rag.access import scope_of
from rag.adapters.minilm import default_model_dir, export_minilm
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.gateway.answer_cache.cache import CacheLimits
from rag.gateway.answer_cache.questions import CacheQuestion
from rag.gateway.answer_cache.slots import ask_the_same, slots_of
from rag.gateway.answer_cache.wording import DROPPED
from rag.storage.database import open_database
from tests.rag.caching.company import ACME, Company, principal, trail_of
from tests.rag.caching.interleavings import Interleavings, interleave

PAIRS = root.ROOT / "tests" / "benchmarks" / "near_miss_pairs.jsonl"
BUDGET = 0.005
"""Of the hits, so many may be false at most."""
THRESHOLDS = tuple(number / 100 for number in range(50, 100, 5))
_P = ParamSpec("_P")
_T = TypeVar("_T")


class InThisThread(ThreadPoolExecutor):
    """Runs what it is given at once: what is measured is what is shown, and not threads."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        done = Future[_T]()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is the caller's, who awaits it
            done.set_exception(error)
        return done


# --- leaks -------------------------------------------------------------------------------------


async def leaks(steps: int, games: int, first_seed: int) -> dict[str, Any]:
    asyncio.get_running_loop().set_default_executor(InThisThread())
    with tempfile.TemporaryDirectory(dir=_quick_folder()) as folder:
        template = Path(folder) / "empty.db"
        await migrate(f"sqlite:///{template}")
        played = await asyncio.gather(
            *(_game(template, steps // games, first_seed + game) for game in range(games))
        )
    counted, dropped = Counter[str](), Counter[str]()
    for game in played:
        counted += game.counted
        for cache in game.caches:
            dropped += cache.tally.dropped
    return {
        "steps": counted["steps"],
        "games": games,
        "seeds": [first_seed, first_seed + games - 1],
        "leaks": sum(len(game.leaks) for game in played),
        "examples": [leak for game in played for leak in game.leaks[:3]],
        "counted": dict(counted),
        "found and not given": dict(dropped),
    }


async def _game(template: Path, steps: int, seed: int) -> Interleavings:
    own = shutil.copy(template, template.with_name(f"{seed}.db"))
    async with open_database(f"sqlite:///{own}") as database:
        ignored = 0.0 if seed % 5 == 0 else 1e9
        limits = CacheLimits(threshold=0.5, changes_ignored_s=ignored, refresh_s=0)
        return await interleave(Company(database, limits=limits), steps=steps, seed=seed)


def _quick_folder() -> Path | None:
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    return memory if memory.is_dir() else None


# --- pairs -------------------------------------------------------------------------------------


async def pairs() -> dict[str, Any]:
    export_minilm(default_model_dir())
    embedder = load_onnx_embedder(default_model_dir())
    told = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    cosines: list[float] = []
    for pair in told:
        one, other = [await embedder.embed_query(pair[side]) for side in ("one", "other")]
        cosines.append(float(one.vector @ other.vector))
    await embedder.aclose()
    agree = [ask_the_same(pair["one"], pair["other"]) for pair in told]
    rows = list(zip(told, cosines, agree, strict=True))
    near = [row for row in rows if not row[0]["same"]]
    same = [row for row in rows if row[0]["same"]]
    return {
        "near_misses": len(near),
        "paraphrases": len(same),
        "near_miss_cosine": {"p50": _at(near, 0.5), "p90": _at(near, 0.9), "max": _at(near, 1.0)},
        "paraphrase_cosine": {"p10": _at(same, 0.1), "p50": _at(same, 0.5)},
        "at": [_rates(near, same, threshold) for threshold in THRESHOLDS],
        "budget": BUDGET,
        "threshold": next(
            (
                threshold
                for threshold in THRESHOLDS
                if _rates(near, same, threshold)["false_hits"] <= BUDGET * len(near)
            ),
            None,
        ),
        "false_hits": [row[0] for row in near if row[2]],
        "paraphrases_by_kind": _by_kind(same),
        "near_misses_by_kind": dict(Counter(row[0]["kind"] for row in near)),
    }


_Row = tuple[dict[str, Any], float, bool]


def _at(rows: Sequence[_Row], share: float) -> float:
    return round(float(np.quantile([cosine for _, cosine, _ in rows], share)), 4)


def _rates(near: Sequence[_Row], same: Sequence[_Row], threshold: float) -> dict[str, Any]:
    by_cosine = sum(cosine >= threshold for _, cosine, _ in near)
    false = sum(cosine >= threshold and agrees for _, cosine, agrees in near)
    hits = sum(cosine >= threshold and agrees for _, cosine, agrees in same)
    return {
        "threshold": threshold,
        "false_hits_by_cosine_alone": by_cosine,
        "paraphrase_hits_by_cosine_alone": sum(cosine >= threshold for _, cosine, _ in same),
        "false_hits": false,
        "false_hit_rate_below_95": round(_upper_bound(false, len(near)), 5),
        "paraphrase_hits": hits,
        "paraphrase_hit_rate": round(hits / len(same), 3),
    }


def _upper_bound(false: int, of: int) -> float:
    """The rate that is not exceeded with 95 % confidence (Wilson; 3/n where none was seen)."""
    if false == 0:
        return 3 / of
    z, rate = 1.645, false / of
    centre = rate + z * z / (2 * of)
    spread = z * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    return (centre + spread) / (1 + z * z / of)


def _by_kind(rows: Sequence[_Row]) -> dict[str, str]:
    of = Counter(row[0]["kind"] for row in rows)
    hits = Counter(row[0]["kind"] for row in rows if row[2])
    return {kind: f"{hits[kind]} of {of[kind]}" for kind in sorted(of)}


# --- changed questions -------------------------------------------------------------------------


def changed() -> dict[str, Any]:
    """People's own questions, each with one thing changed: the words alone must tell them apart."""
    if not is_here(CLAPNQ):
        return {}
    told = [
        json.loads(line)["input"].strip()
        for path in sorted(CLAPNQ.glob("clapnq_*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    questions = sorted({question for question in told if len(question.split()) > 3})
    rng = random.Random(4)
    words = sorted({word for question in questions for word in question.split()})
    tried: Counter[str] = Counter()
    mistaken: dict[str, list[str]] = {}
    for question in questions:
        for kind, other in _changes(question.split(), words, rng):
            tried[kind] += 1
            if ask_the_same(question, other):
                mistaken.setdefault(kind, []).append(f"{question} | {other}")
    by_slots = Counter(slots_of(question) for question in questions)
    return {
        "questions": len(questions),
        "changed": dict(tried),
        "taken for the same": {kind: len(each) for kind, each in mistaken.items()},
        "examples": {kind: each[:5] for kind, each in mistaken.items()},
        "pairs_of_different_questions": len(questions) * (len(questions) - 1) // 2,
        "pairs_taken_for_the_same": sum(n * (n - 1) // 2 for n in by_slots.values()),
    }


def _changes(
    question: Sequence[str], words: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Words that carry nothing are left alone: to change them changes nothing."""
    carrying = [
        at
        for at, word in enumerate(question)
        if word not in DROPPED and any(each.isalnum() for each in word)
    ]
    if len(carrying) < 2:
        return
    at = rng.choice(carrying)
    yield "a word left out", " ".join((*question[:at], *question[at + 1 :]))
    other = rng.choice(words)
    if slots_of(other) != slots_of(question[at]):
        yield "another word", " ".join((*question[:at], other, *question[at + 1 :]))
    one, two = sorted(rng.sample(carrying, 2))
    turned = list(question)
    turned[one], turned[two] = turned[two], turned[one]
    if slots_of(question[one]) != slots_of(question[two]):
        yield "two words exchanged", " ".join(turned)
    yield "not", " ".join((*question[:at], "not", *question[at:]))
    yield "a year", f"{' '.join(question)} in {rng.randint(1990, 2026)}"


# --- latency -----------------------------------------------------------------------------------


async def latency(kept: int, asked: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'rag.db'}"
        await migrate(url)
        async with open_database(url) as database:
            company = Company(database, limits=CacheLimits(threshold=0.5, max_answers=kept))
            await company.open()
            chunks = await company.publish("travel", ["The limit is 140 euros."])
            company.clock.passes(minutes=1)
            who = principal("user:1")
            for number in range(kept):
                made = await company.make(f"What is the limit of case {number}?", who, chunks)
                assert made is not None
                await company.keep(made)
            took: dict[str, list[float]] = {"exact": [], "semantic": [], "miss": []}
            for number in range(asked):
                for how, text in (
                    ("exact", f"what is the limit of case {number}"),
                    ("semantic", f"Tell me what's the limit of case {number}, please"),
                    ("miss", f"What is the limit of case {number + kept}?"),
                ):
                    trail = trail_of(who)
                    question = CacheQuestion(text=text, partition=company.partition(), asker=who.id)
                    began = time.perf_counter()
                    await company.cache.look_up(
                        question,
                        scope_of(who),
                        trail,
                        passages=company.passages,
                        embedder=company.embedder,
                    )
                    took[how].append(1_000 * (time.perf_counter() - began))
                    assert trail.cache == how, (trail.cache, text)
            assert await company.answers.count(ACME) == kept
    return {
        "kept_answers": kept,
        "without": "the embedding of the question, for which a stand-in is used",
        "ms": {
            how: {"p50": round(np.quantile(each, 0.5), 2), "p99": round(np.quantile(each, 0.99), 2)}
            for how, each in took.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("leaks", "pairs", "changed", "latency"))
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--games", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=int, default=2_000)
    parser.add_argument("--asked", type=int, default=200)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    match chosen.what:
        case "leaks":
            found = asyncio.run(leaks(chosen.steps, chosen.games, chosen.seed))
        case "pairs":
            found = asyncio.run(pairs())
        case "changed":
            found = changed()
        case _:
            found = asyncio.run(latency(chosen.kept, chosen.asked))
    report(found, chosen.out)


if __name__ == "__main__":
    main()
