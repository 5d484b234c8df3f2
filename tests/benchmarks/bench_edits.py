"""Edits replayed: how much of the text is embedded again, beside llama-index's IngestionPipeline.

    python tests/benchmarks/bench_edits.py [--releases DIR] [--edits N] --out FILE

`DIR` holds one folder for each release of a documentation, which sort in their order, such as the
`docs` of a project's source distributions; every document that differs between two neighbours is
an edit. Without it, edits are made to the sample company's documents. Nothing is embedded: what
would be is counted, in characters, by parsing and chunking both versions as the pipeline does.

Besides, one paragraph is edited in a document of 50 pages, in each of its places.
"""

import argparse
import asyncio
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from pydantic import PrivateAttr
from reporting import report

from connectors.protocols import Resource, Seen
from ingestion.chunkers.structural import StructuralChunker
from ingestion.describing import document_of, ref_of
from ingestion.parsers.subprocess_parser import open_parser
from ingestion.protocols import Chunker, Parser
from rag.access import NOBODY, TenantId
from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.bodies import Body
from rag.types import Chunk, SourceId, VersionId

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "corpora" / "aldermoor" / "documents"
EDITABLE = {
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".rst": "text/x-rst",
}
PAGES = 50
PARAGRAPHS_A_PAGE = 6
PAGES_A_CHAPTER = {"a heading on each page": 1, "every four pages": 4, "no heading": 1_000}
SEED = 20261121

_WORDS = (
    "the plant line operator supervisor checks every valve before shift pressure must stay within "
    "limits recorded log sheet maintenance orders spare parts arrive monthly report shows output "
    "quality audit customers complaints returned goods inspected twice calibration gauge torque "
    "wrench safety goggles required visitors escorted canteen closes early winter schedule holiday "
    "request approved manager budget quarter forecast invoice supplier contract renewed annually"
).split()


@dataclass(frozen=True, slots=True)
class Edit:
    name: str
    media_type: str
    before: bytes
    after: bytes


@dataclass(slots=True)
class Embedded:
    """Characters, and texts, that were embedded."""

    characters: int = 0
    texts: int = 0

    def add(self, texts: Sequence[str]) -> None:
        self.characters += sum(map(len, texts))
        self.texts += len(texts)


@dataclass(frozen=True, slots=True)
class Ours:
    parser: Parser
    chunker: Chunker

    async def chunks(self, name: str, media_type: str, body: bytes) -> Sequence[Chunk]:
        resource = Resource(
            uri=f"file:///{name}",
            title=name,
            body=Body.of(body),
            media_type=media_type,
            access=NOBODY,
            seen=Seen("1", "1"),
        )
        ref = ref_of(TenantId("bench"), SourceId("bench"), resource.uri)
        parsed = await self.parser.parse(resource)
        return await self.chunker.chunk(document_of(ref, resource, parsed, VersionId("1")))

    async def embedded_by(self, edit: Edit) -> tuple[list[str], list[str]]:
        """What is embedded again after the edit, and all that the new version has."""
        held = {each.id for each in await self.chunks(edit.name, edit.media_type, edit.before)}
        new = await self.chunks(edit.name, edit.media_type, edit.after)
        missing = [each.embedded_text for each in new if each.id not in held]
        return missing, [each.embedded_text for each in new]


class CountingEmbedding(BaseEmbedding):
    """Embeds nothing and counts what it was given."""

    _embedded: Embedded = PrivateAttr(default_factory=Embedded)

    @property
    def embedded(self) -> Embedded:
        return self._embedded

    def _get_text_embedding(self, text: str) -> list[float]:
        self._embedded.add([text])
        return [0.0]

    def _get_query_embedding(self, query: str) -> list[float]:  # noqa: ARG002
        return [0.0]

    async def _aget_query_embedding(self, query: str) -> list[float]:  # noqa: ARG002
        return [0.0]


def llama_index_pipeline(embedding: CountingEmbedding) -> IngestionPipeline:
    """As its documentation has it: a document store that knows which documents changed."""
    return IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=200, chunk_overlap=30), embedding],
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
    )


def embedded_by_llama_index(edit: Edit) -> Embedded:
    embedding = CountingEmbedding()
    pipeline = llama_index_pipeline(embedding)
    pipeline.run(documents=[LlamaDocument(text=_text(edit.before), id_=edit.name)])
    first = Embedded(embedding.embedded.characters, embedding.embedded.texts)
    pipeline.run(documents=[LlamaDocument(text=_text(edit.after), id_=edit.name)])
    total = embedding.embedded
    return Embedded(total.characters - first.characters, total.texts - first.texts)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


# --- edits -------------------------------------------------------------------------------------


def edits_between_releases(folder: Path) -> Iterator[Edit]:
    releases = sorted(path for path in folder.iterdir() if path.is_dir())
    for older, newer in itertools.pairwise(releases):
        for path in sorted(newer.rglob("*")):
            name = str(path.relative_to(newer))
            before = older / name
            media_type = EDITABLE.get(path.suffix)
            if media_type is None or not before.is_file():
                continue
            old, new = before.read_bytes(), path.read_bytes()
            if old != new:
                yield Edit(name, media_type, old, new)


def edits_of_the_sample(count: int, random_: random.Random) -> Iterator[Edit]:
    """What people do to a document, in the proportions of everyday work."""
    files = sorted(path for path in SAMPLE.rglob("*") if path.suffix in EDITABLE)
    for number in range(count):
        path = files[number % len(files)]
        before = path.read_bytes().decode("utf-8", "replace")
        after = _edited(before, random_)
        if after != before:
            name = f"{number}/{path.name}"
            yield Edit(name, EDITABLE[path.suffix], before.encode(), after.encode())


def _edited(text: str, random_: random.Random) -> str:
    paragraphs = text.split("\n\n")
    place = random_.randrange(len(paragraphs))
    match random_.randrange(5):
        case 0:
            paragraphs[place] = re.sub(r"\d", "7", paragraphs[place], count=1)
        case 1:
            paragraphs[place] += " " + sentence(random_)
        case 2:
            paragraphs.insert(place, " ".join(sentence(random_) for _ in range(3)))
        case 3:
            sentences = paragraphs[place].split(". ")
            paragraphs[place] = ". ".join(sentences[:-1] or sentences)
        case _:
            paragraphs[place] = paragraphs[place].replace(" the ", " each ", 1)
    return "\n\n".join(paragraphs)


def sentence(random_: random.Random) -> str:
    return " ".join(random_.choices(_WORDS, k=random_.randrange(8, 18))).capitalize() + "."


def long_document(random_: random.Random, *, pages_a_chapter: int) -> list[str]:
    """The headings and paragraphs of some 50 pages."""
    paragraphs: list[str] = []
    for page in range(PAGES):
        if page and page % pages_a_chapter == 0:
            paragraphs.append(f"# Chapter {page // pages_a_chapter}: {sentence(random_)}")
        paragraphs += [
            " ".join(sentence(random_) for _ in range(random_.randrange(2, 10)))
            for _ in range(PARAGRAPHS_A_PAGE)
        ]
    return paragraphs


# --- measuring ---------------------------------------------------------------------------------


async def replayed(ours: Ours, edits: Sequence[Edit]) -> dict[str, Any]:
    again, whole, theirs = Embedded(), Embedded(), Embedded()
    theirs_whole = 0
    shares: list[float] = []
    for edit in edits:
        missing, every = await ours.embedded_by(edit)
        again.add(missing)
        whole.add(every)
        shares.append(len(missing) / max(1, len(every)))
        other = await asyncio.to_thread(embedded_by_llama_index, edit)
        theirs.characters += other.characters
        theirs.texts += other.texts
        theirs_whole += len(_text(edit.after))
    return {
        "edits": len(edits),
        "chunks": whole.texts,
        "embedded_again": again.texts,
        "share_of_text_embedded_again": round(again.characters / whole.characters, 4),
        "median_share_of_an_edit": round(sorted(shares)[len(shares) // 2], 4),
        "llama_index_texts_embedded_again": theirs.texts,
        "llama_index_share_of_text": round(min(1.0, theirs.characters / theirs_whole), 4),
    }


async def long_document_edited(ours: Ours, *, pages_a_chapter: int) -> dict[str, Any]:
    random_ = random.Random(SEED)
    paragraphs = long_document(random_, pages_a_chapter=pages_a_chapter)
    embedded: list[int] = []
    chunks = 0
    places = [place for place, text in enumerate(paragraphs) if not text.startswith("#")]
    before = "\n\n".join(paragraphs)
    held = {each.id for each in await ours.chunks("long.md", "text/markdown", before.encode())}
    for place in random_.sample(places, 60):
        sentences = paragraphs[place].split(". ")
        sentences[len(sentences) // 2] = sentence(random_).rstrip(".")
        edited = [*paragraphs[:place], ". ".join(sentences), *paragraphs[place + 1 :]]
        new = await ours.chunks("long.md", "text/markdown", "\n\n".join(edited).encode())
        chunks = len(new)
        embedded.append(sum(each.id not in held for each in new))
    return {
        "chunks": chunks,
        "edits": len(embedded),
        "chunks_embedded_mean": round(sum(embedded) / len(embedded), 2),
        "chunks_embedded_most": max(embedded),
        "share_of_edits_within_2": round(sum(each <= 2 for each in embedded) / len(embedded), 3),
    }


async def measure(releases: Path | None, edits: int) -> dict[str, Any]:
    embedder = load_onnx_embedder(default_model_dir())
    async with open_parser(workers=1) as parser:
        ours = Ours(parser, StructuralChunker(embedder))
        random_ = random.Random(SEED)
        figures = {
            "one paragraph edited in 50 pages": {
                name: await long_document_edited(ours, pages_a_chapter=pages)
                for name, pages in PAGES_A_CHAPTER.items()
            },
            "edits made to the sample company": await replayed(
                ours, list(edits_of_the_sample(edits, random_))
            ),
        }
        if releases is not None:
            found = list(edits_between_releases(releases))
            some = random_.sample(found, min(edits, len(found)))
            figures["edits between releases"] = await replayed(ours, some)
    await embedder.aclose()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=Path)
    parser.add_argument("--edits", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.releases, arguments.edits))
    report(figures, arguments.out)


if __name__ == "__main__":
    main()
