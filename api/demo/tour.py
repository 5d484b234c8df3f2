"""The sample company, ingested and asked by several people, on a scratch directory."""

import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from api.cli.asking import show_outcome
from api.cli.client import Api, ApiProblem, Asker, open_api
from api.cli.output import fail, show
from api.cli.setting_up import initialise
from api.cli.syncing import register_folder, show_report, sync_and_wait
from api.settings import Settings, load_settings
from rag.errors import ConfigurationError, Error

CORPUS = Path("corpora") / "aldermoor"
EDITED = Path("people") / "leave-policy-2026.md"
BEFORE, AFTER = "26 days", "28 days"


@dataclass(frozen=True, slots=True)
class Scene:
    """One question, and the words that the demo promises of its answer."""

    title: str
    who: str
    asker: Asker
    question: str
    says: str | None
    """None where an honest refusal is due."""
    never: str = "\0"
    """Words that the answer must not hold."""


FITTER = Asker("user:1101", ("operations",))
SALES = Asker("user:1052", ("sales",))
HR = Asker("user:1001", ("people", "managers"))

LEAVE = Scene(
    "A policy, in the edition that holds now (an older one says otherwise)",
    "an apprentice fitter",
    FITTER,
    "How many days of paid annual leave does a full-time employee in the UK get?",
    BEFORE,
)
SCENES = (
    LEAVE,
    Scene(
        "One cell of a table in a PDF, with its row and column",
        "an apprentice fitter",
        FITTER,
        "How much NPSH does the AP-300-100-200 require?",
        "4.2",
    ),
    Scene(
        "A notice of 1974 that exists as a scan only",
        "a learning partner in HR",
        Asker("user:1003", ("people",)),
        "After how many years was the long service watch given from October 1974?",
        "21 years",
    ),
    Scene(
        "A memo for the board, asked about by a member of the board …",
        "a board member",
        Asker("user:1304", ("board",)),
        "What dividend per share is proposed for 2025?",
        "1.12",
    ),
    Scene(
        "… and for somebody who may not read it: the same words as for what does not exist",
        "an apprentice fitter",
        FITTER,
        "What dividend per share is proposed for 2025?",
        None,
    ),
    Scene("What no document answers", "an HR director", HR, "How do I bake sourdough bread?", None),
    Scene(
        "A page that hides an order to the AI: its fact is used, its order is not",
        "a key account manager",
        SALES,
        "What is the minimum order value for distributors?",
        "GBP 150",
        never="free of charge",
    ),
)


class BrokenPromise(Error):  # noqa: N818 - it is what the demo says, not what a caller does
    """The demo did not show what it announces."""


def run() -> None:
    """Ends with `SystemExit` and one line on standard error where something is not as promised."""
    try:
        asyncio.run(_demo(load_settings()))
    except (Error, ApiProblem) as error:
        fail(str(error))
        raise SystemExit(1) from None


async def _demo(settings: Settings) -> None:
    if not CORPUS.is_dir():
        raise ConfigurationError(f"{CORPUS} is not here: run `make demo` in the repository")
    with tempfile.TemporaryDirectory(prefix="rag-demo-") as scratch:
        documents = Path(scratch) / "documents"
        shutil.copytree(CORPUS / "documents", documents)
        aside = {"data_dir": Path(scratch) / "data", "database_url": None, "qdrant_url": None}
        settings = settings.model_copy(update={**aside, "redis_url": None})
        await initialise(settings)
        async with open_api(settings) as api:
            connector = await _ingest(api, documents)
            for scene in SCENES:
                await _play(api, scene)
            await _edit(api, connector, documents)
    show("\nEverything above ran in this process: no server, no model endpoint, no network.")
    show("Next: `make serve`, or the README for your own documents.")


async def _ingest(api: Api, documents: Path) -> str:
    _heading("Ingesting the sample company")
    show(_described(documents))
    connector = await register_folder(api, "Aldermoor", {"root": str(documents)})
    started = perf_counter()
    report = await sync_and_wait(api, connector["id"], progress=sys.stderr.isatty())
    show_report(report)
    show(f"{perf_counter() - started:.1f} s")
    if report["failed"]:
        raise BrokenPromise(f"{report['failed']} of the sample company's files failed")
    return connector["id"]


async def _play(api: Api, scene: Scene) -> None:
    _heading(scene.title)
    show(f"{scene.who} ({scene.asker.user}) asks: {scene.question}", style="bold")
    outcome = await _ask(api, scene)
    show_outcome(_with_short_uris(outcome))
    _hold(scene, outcome)


async def _ask(api: Api, scene: Scene) -> dict[str, Any]:
    asker = Asker(scene.asker.user, tuple(f"group:{group}" for group in scene.asker.groups))
    return await api.call("POST", "/v1/ask", body={"question": scene.question}, asker=asker)


def _with_short_uris(outcome: dict[str, Any]) -> dict[str, Any]:
    """The scratch directory's name says nothing to who reads along."""
    citations = [
        {**citation, "uri": citation["uri"].rpartition("/documents/")[2]}
        for citation in outcome.get("citations", ())
    ]
    return {**outcome, "citations": citations}


def _hold(scene: Scene, outcome: dict[str, Any]) -> None:
    """Raises `BrokenPromise`."""
    if scene.says is None:
        if outcome["kind"] != "refusal":
            raise BrokenPromise(f"{scene.question!r} should have been refused")
        return
    if outcome["kind"] != "answer" or scene.says not in outcome["text"]:
        raise BrokenPromise(f"{scene.question!r} should have been answered with {scene.says!r}")
    if scene.never in outcome["text"]:
        raise BrokenPromise(f"the answer to {scene.question!r} says {scene.never!r}")
    citations = outcome["citations"]
    if not citations or not all(citation["verified"] for citation in citations):
        raise BrokenPromise(f"the answer to {scene.question!r} is not proved by its citations")


async def _edit(api: Api, connector: str, documents: Path) -> None:
    _heading("A live edit")
    await asyncio.to_thread(_change, documents / EDITED)
    show(f"{EDITED}: “{BEFORE}” becomes “{AFTER}” once. Syncing …")
    await sync_and_wait(api, connector, progress=False)
    jobs = await api.call("GET", "/v1/admin/jobs", params={"connector": connector, "limit": 10})
    outcome = next(job["outcome"] for job in jobs["jobs"] if str(job["uri"]).endswith(EDITED.name))
    show(f"The ledger says: {outcome}.")
    if " 1 embedded" not in outcome:
        raise BrokenPromise("one sentence changed: one chunk should have been embedded")
    await _play(api, Scene("The answer after the edit", LEAVE.who, FITTER, LEAVE.question, AFTER))


def _described(documents: Path) -> str:
    files = [path for path in documents.rglob("*") if path.is_file() and path.name[0] != "."]
    return f"{len(files)} files of {len({path.suffix for path in files})} kinds …"


def _change(path: Path) -> None:
    path.write_text(path.read_text().replace(BEFORE, AFTER, 1))


def _heading(text: str) -> None:
    show(f"\n── {text}", style="bold green")
