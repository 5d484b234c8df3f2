"""What the injection check flags in passages: harmless chunks, and attacks in the middle of one.

The chunks are those of the sample company, read and cut as ingestion does it. Attacks are the families
of `injection/by_hand.tsv` that a document may hold: nothing is trained on them. For each margin over
the question's threshold (`PASSAGE_MARGIN` is the one in force): how many chunks are flagged by the
classifier, and what share of the attacks is found in the middle of a chunk that is not. The rules do
not depend on the margin.

    python tests/benchmarks/bench_passages.py --out bench/results/passages.json
"""

import argparse
import asyncio
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_edits import Ours
from reporting import report

from ingestion.chunkers.structural import StructuralChunker
from ingestion.parsers.subprocess_parser import open_parser
from rag.adapters.minilm import default_model_dir
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.errors import PermanentError
from rag.guardrails.injection import PASSAGE_MARGIN, WORDING, InjectionCheck
from rag.guardrails.linear import load_linear

DOCUMENTS = Path(__file__).parents[2] / "corpora" / "aldermoor" / "documents"
SENTENCES = Path(__file__).with_name("injection") / "by_hand.tsv"
FAMILIES = ("override", "hijack", "forged_turns", "exfiltration", "indirect", "tool_abuse")
MARGINS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
_EVERY = 7
"""One chunk in so many takes an attack in."""


async def company_chunks() -> list[str]:
    embedder = load_onnx_embedder(default_model_dir())
    texts: list[str] = []
    async with open_parser(workers=1) as parser:
        ours = Ours(parser, StructuralChunker(embedder))
        for path in sorted(
            each for each in DOCUMENTS.rglob("*") if each.is_file() and each.suffix != ".yaml"
        ):
            kind = mimetypes.guess_type(path.name)[0] or "text/plain"
            try:
                chunks = await ours.chunks(path.name, kind, path.read_bytes())
            except PermanentError as error:
                print(f"{path.name}: {error}")
                continue
            texts += [chunk.text for chunk in chunks]
    await embedder.aclose()
    return texts


def attacks() -> list[str]:
    rows = [line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    return [text for kind, family, text in rows if kind == "attack" and family in FAMILIES]


def hidden(attack: str, chunk: str) -> str:
    """`attack` behind the middle sentence of `chunk`."""
    sentences = chunk.split(". ")
    middle = (len(sentences) + 1) // 2
    return ". ".join([*sentences[:middle], attack.rstrip("."), *sentences[middle:]])


def flagged(check: InjectionCheck, texts: Sequence[str], margin: float) -> dict[str, float]:
    """Shares: by the classifier, by the rules or a disguise, and by either."""
    by_wording = by_rule = either = 0
    for text in texts:
        found = {each.kind for each in check.look(text, above=margin).findings if each.score >= 0.5}
        by_wording += WORDING in found
        by_rule += bool(found - {WORDING})
        either += bool(found)
    return {
        name: round(count / len(texts), 4)
        for name, count in (("wording", by_wording), ("rules", by_rule), ("either", either))
    }


def measured(chunks: Sequence[str]) -> dict[str, Any]:
    check = InjectionCheck(load_linear("injection"))
    clean = [each for each in chunks if check.look(each).score < 0.5]
    texts = [
        hidden(attack, clean[number * _EVERY % len(clean)])
        for number, attack in enumerate(attacks())
    ]
    return {
        "chunks": len(chunks),
        "attacks": len(texts),
        "margin in force": PASSAGE_MARGIN,
        "harmless flagged": {str(each): flagged(check, chunks, each) for each in MARGINS},
        "attacks found": {str(each): flagged(check, texts, each) for each in MARGINS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report(measured(asyncio.run(company_chunks())), options.out)


if __name__ == "__main__":
    main()
