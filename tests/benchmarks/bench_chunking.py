"""Ways to cut a long text without headings: what each costs, finds, and keeps after an edit.

    python tests/benchmarks/bench_chunking.py [--clapnq DIR] [--documents N] --out FILE

Each document is ten ClapNQ passages on different matters, run together without a heading, so the
right cuts are known. Evidence is found when one retrieved chunk holds a whole sentence that
ClapNQ marks as supporting the answer; chunks are retrieved by their vectors until 1,000 tokens are
reached. An edit puts one sentence into the middle of a document.
"""

import argparse
import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from embedded_breakpoints import EmbeddedBreakpoints
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import SemanticSplitterNodeParser, SentenceSplitter
from llama_index.core.schema import Document as LlamaDocument
from numpy.typing import NDArray
from public_data import CLAPNQ, is_here
from pydantic import PrivateAttr
from reporting import report

from ingestion.chunkers.structural import StructuralChunker
from rag.access import NOBODY, TenantId
from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import OnnxEmbedder, load_onnx_embedder
from rag.sentences import split_sentences
from rag.types import Document, DocumentId, DocumentRef, Prose, Section, SourceId, VersionId

PASSAGES = 10
TOKENS_READ = 1_000
EDIT = "From next month on, everyone who enters the plant must wear a blue helmet."

Vectors = NDArray[np.float32]
Chunker = Callable[[str], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Text:
    passages: tuple[str, ...]
    questions: tuple[tuple[str, frozenset[str]], ...]
    """A question, and the sentences that support its answer."""

    @property
    def whole(self) -> str:
        return " ".join(self.passages)


def clapnq_texts(folder: Path, count: int) -> list[Text]:
    rows: list[dict[str, Any]] = []
    for kind in ("answerable", "unanswerable"):
        lines = (folder / f"clapnq_{kind}_half.jsonl").read_text("utf-8").splitlines()
        rows += map(json.loads, lines)
    random.Random(0).shuffle(rows)
    texts: list[Text] = []
    for start in range(0, min(count * PASSAGES, len(rows) - PASSAGES + 1), PASSAGES):
        ten = rows[start : start + PASSAGES]
        passages = tuple(_flat(row["passages"][0]["text"]) for row in ten)
        questions = tuple(
            (row["input"], frozenset(map(_flat, row["output"][0]["selected_sentences"])))
            for row in ten
            if row["output"][0].get("selected_sentences")
        )
        texts.append(Text(passages, questions))
    return texts


def _flat(text: str) -> str:
    return " ".join(text.split())


class _LlamaEmbedding(BaseEmbedding):
    """Our embedder as llama-index calls one."""

    _embed: Callable[[Sequence[str]], list[list[float]]] = PrivateAttr()

    def __init__(self, embed: Callable[[Sequence[str]], list[list[float]]]) -> None:
        super().__init__()
        self._embed = embed

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed(texts)


def ways(embedder: OnnxEmbedder) -> dict[str, Chunker]:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        found = asyncio.run(embedder.embed_documents(texts))
        return [embedding.vector.tolist() for embedding in found]

    def sentences(text: str) -> list[str]:
        return [text[span.start : span.end] for span in split_sentences(text)]

    def tokens(text: str) -> list[str]:
        """As many as there are: the splitter only counts them."""
        return [""] * embedder.count_tokens([text])[0]

    def structural(chunker: StructuralChunker) -> Chunker:
        async def chunk(text: str) -> list[str]:
            return [found.text for found in await chunker.chunk(_document(text))]

        return chunk

    def llama(parser: Any) -> Chunker:
        async def chunk(text: str) -> list[str]:
            nodes = await asyncio.to_thread(
                parser.get_nodes_from_documents, [LlamaDocument(text=text)]
            )
            return [node.get_content() for node in nodes]

        return chunk

    semantic = SemanticSplitterNodeParser(
        embed_model=_LlamaEmbedding(embed),
        breakpoint_percentile_threshold=95,
        sentence_splitter=sentences,
    )
    fixed = SentenceSplitter(
        chunk_size=200,
        chunk_overlap=30,
        tokenizer=tokens,
        chunking_tokenizer_fn=sentences,
    )
    return {
        "ours, lexical breakpoints": structural(StructuralChunker(embedder)),
        "ours, embedded breakpoints": structural(
            StructuralChunker(embedder, breakpoints=EmbeddedBreakpoints(embedder))
        ),
        "llama-index semantic, p95": llama(semantic),
        "llama-index sentences, 200 + 30": llama(fixed),
    }


def _document(text: str) -> Document:
    ref = DocumentRef(DocumentId("d"), TenantId("t"), SourceId("s"), "file:///d", "")
    return Document(
        ref=ref, version=VersionId("1"), sections=(Section((), Prose(text)),), access=NOBODY
    )


async def measure(texts: Sequence[Text], embedder: OnnxEmbedder) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, chunker in ways(embedder).items():
        started = perf_counter()
        chunks = [await chunker(text.whole) for text in texts]
        chunking = perf_counter() - started
        flat = [chunk for of_text in chunks for chunk in of_text]
        started = perf_counter()
        embeddings = await embedder.embed_documents(flat)
        embedding = perf_counter() - started
        sizes = embedder.count_tokens(flat)
        vectors = np.stack([one.vector for one in embeddings])
        questions = [question for text in texts for question in text.questions]
        searched = Searched(flat, sizes, vectors)
        recall = [await _recall(asked, wanted, searched, embedder) for asked, wanted in questions]
        found[name] = {
            "chunks": len(flat),
            "tokens": {
                "mean": round(float(np.mean(sizes)), 1),
                "max": max(sizes),
                "share of chunks cut off at 256": round(float(np.mean(np.array(sizes) > 254)), 3),
            },
            "share of true borders cut": round(_borders(texts, chunks), 3),
            "evidence found": round(float(np.mean(recall)), 3),
            "all evidence found": round(float(np.mean([value == 1 for value in recall])), 3),
            "chunking seconds / embedding seconds": round(chunking / embedding, 3),
            "tokens embedded anew after an edit": round(await _anew(texts, chunker, embedder), 3),
        }
    return {"documents": len(texts), "ways": found}


@dataclass(frozen=True, slots=True)
class Searched:
    chunks: Sequence[str]
    sizes: Sequence[int]
    vectors: Vectors


async def _recall(
    question: str, wanted: frozenset[str], searched: Searched, embedder: OnnxEmbedder
) -> float:
    """The share of `wanted` in the best chunks, the last of them read as far as the budget goes."""
    query = await embedder.embed_query(question)
    room, shown = TOKENS_READ, ""
    order: list[int] = np.argsort(-(searched.vectors @ query.vector), kind="stable").tolist()
    for place in order:
        chunk, size = searched.chunks[place], searched.sizes[place]
        shown += "\n" + chunk[: int(len(chunk) * min(1.0, room / size))]
        room -= size
        if room <= 0:
            break
    return sum(sentence in shown for sentence in wanted) / len(wanted)


def _borders(texts: Sequence[Text], chunks: Sequence[Sequence[str]]) -> float:
    """The share of passages that some chunk, its overlap aside, begins or ends with."""
    hits = total = 0
    for text, of_text in zip(texts, chunks, strict=True):
        ends = {chunk.strip()[-40:] for chunk in of_text}
        hits += sum(passage[-40:] in ends for passage in text.passages[:-1])
        total += len(text.passages) - 1
    return hits / total


async def _anew(texts: Sequence[Text], chunker: Chunker, embedder: OnnxEmbedder) -> float:
    shares: list[float] = []
    for text in texts:
        spans = split_sentences(text.whole)
        at = spans[len(spans) // 2].start
        before = set(await chunker(text.whole))
        after = await chunker(f"{text.whole[:at]}{EDIT} {text.whole[at:]}")
        sizes = embedder.count_tokens(after)
        new = sum(size for chunk, size in zip(after, sizes, strict=True) if chunk not in before)
        shares.append(new / sum(sizes))
    return float(np.mean(shares))


async def run(folder: Path, documents: int) -> dict[str, Any]:
    embedder = load_onnx_embedder(default_model_dir(), token_dimensions=None)
    try:
        return await measure(clapnq_texts(folder, documents), embedder)
    finally:
        await embedder.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clapnq", type=Path, default=CLAPNQ)
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if is_here(options.clapnq):
        report(asyncio.run(run(options.clapnq, options.documents)), options.out)


if __name__ == "__main__":
    main()
