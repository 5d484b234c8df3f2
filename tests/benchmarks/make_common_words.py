"""Make `rag/guardrails/common_words.npy` and `opening_words.npy`: words that are no names.

    python tests/benchmarks/make_common_words.py --to rag/guardrails

English from the public sets beside the repository (SciFact, ClapNQ, HaluEval's questions, XSTest,
llm-warden, RouteLLM's MMLU and GSM8K; never from the set that masking is measured on), English and
German from the sample company. A word counts where it stands in lower case often enough, and often
enough beside the times that it is capitalised within a sentence: `miami` and `scott` do not. Those
of them that began a sentence are the opening words: `The` and `Create` do, `Boundless` does not. What
is kept is CRC-32 numbers, sorted: no text can be read out of them. Prints the inputs' sha256.
"""

import argparse
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import root

from tests.benchmarks.public_data import SHARED

WORD = re.compile(r"[^\W\d_]+")
_NOUN = re.compile(
    r"(?<![^\W\d_])(?:der|die|das|den|dem|des|eine?[nmrs]?|keine?[nmrs]?|im|am|zum|zur|vom|beim|jede[nmrs]?)"
    r" ([A-ZÄÖÜ][a-zäöüß]{2,})(?![\w-])"
)
"""A German noun, after its article."""
_WITHIN = re.compile(r"(?<=[a-zäöüß,;] )[A-ZÄÖÜ][a-zäöüß]+")
_OPENING = re.compile(r"(?:^|[.!?] |\n[-*#>]* ?|\"text\": \")([A-ZÄÖÜ][a-zäöüß]*)(?![\w])")
_OFTEN, _SHARE = 3, 0.25
_INPUTS = (
    "scifact/corpus.jsonl",
    "grounding/clapnq_answerable_half.jsonl",
    "grounding/clapnq_unanswerable_half.jsonl",
    "guardrails/benign_queries.jsonl",
    "guardrails/xstest_prompts.csv",
    "guardrails/jailbreak_train.csv",
    "guardrails/toxicity_en.csv",
    "guardrails/routing_gsm8k_responses.csv",
)


def inputs() -> Iterator[tuple[Path, int]]:
    """Each file, and how often a word must be written small in all files of its kind."""
    for name in _INPUTS:
        yield SHARED / name, _OFTEN
    for path in sorted((SHARED / "guardrails" / "routing_mmlu").iterdir()):
        yield path, _OFTEN
    documents = root.ROOT / "corpora" / "aldermoor" / "documents"
    for path in sorted(documents.rglob("*")):
        if path.suffix in {".md", ".txt", ".html", ".csv"}:
            yield path, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    target: Path = parser.parse_args().to
    small: Counter[str] = Counter()
    opening: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    taken: set[str] = set()
    read = hashlib.sha256()
    for path, often in inputs():
        body = path.read_bytes()
        read.update(body)
        text = body.decode("utf-8", "replace")
        words = Counter(word for word in WORD.findall(text) if word.islower())
        small.update(words)
        opening.update(word.lower() for word in _OPENING.findall(text))
        capital.update(word.lower() for word in _WITHIN.findall(text))
        if often == 1:
            taken.update(word for word, count in words.items() if len(word) > 2 or count > 2)
            taken.update(word.lower() for word in _NOUN.findall(text))
    common = taken | {
        word
        for word, count in small.items()
        if count >= _OFTEN and count / (count + capital[word]) >= _SHARE
    }
    openers = {word for word in common if opening[word] > max(1, capital[word])}
    for name, words in (("common_words", common), ("opening_words", openers)):
        hashed = np.array([crc32(word.encode()) for word in words], np.uint32)
        np.save(target / f"{name}.npy", np.unique(hashed))
        print(f"{name}: {len(words)}", file=sys.stderr)
    print(f"from inputs of sha256 {read.hexdigest()}", file=sys.stderr)


if __name__ == "__main__":
    main()
