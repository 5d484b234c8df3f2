"""A golden set of one's own, as `rag eval golden` measures it: ingested by itself, asked, scored.

The sample company's is asked in `tests/acceptance/test_sample_company.py`.
"""

import json
from pathlib import Path
from typing import Any

from api.evaluation import evaluate_golden_folder
from api.settings import Settings

SEALS = "# Pump seals\n\nThe pump seal of the AP-450X is replaced every 12 months.\n"
PAY = "# Pay\n\nThe midpoint of pay grade G6 is 54900 euros.\n"


def case(case_id: str, question: str, *groups: str, **wanted: Any) -> dict[str, Any]:
    told = {"id": case_id, "question": question, "as": "user:1", "groups": groups}
    return {**told, "kind": "single_fact", "expected_documents": [], **wanted}


def golden_folder(folder: Path) -> Path:
    """Seals for everybody and pay for one group, asked after by both."""
    files = {
        ".access.yaml": 'readers: [everyone]\nfiles:\n  "pay*": {readers: [group:people]}\n',
        "seals.md": SEALS,
        "pay.md": PAY,
    }
    (folder / "documents").mkdir(parents=True)
    for name, text in files.items():
        (folder / "documents" / name).write_text(text)
    seals = "How often is the pump seal of the AP-450X replaced?"
    pay = "What is the midpoint of pay grade G6?"
    cases = (
        case("seals", seals, expected_documents=["seals.md"], answer_contains=["12 months"]),
        case("own", pay, "group:people", expected_documents=["pay.md"], answer_contains=["54900"]),
        case("others", pay, forbidden_documents=["pay.md"], refusal="no_evidence"),
    )
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, cases)))
    return folder


async def test_a_folder_is_ingested_asked_and_scored(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    def watch(doing: str, done: int, of: int) -> None:
        seen.append((doing, done, of))

    folder = golden_folder(tmp_path / "own")
    report, results = await evaluate_golden_folder(Settings(), folder, progress=watch)
    assert (report["documents"], report["chunks"], report["failed"]) == (2, 2, 0)
    assert report["cases"] == len(results) == 3
    assert (report["wrong"], report["forbidden_leaks"]) == ([], 0)
    assert report["recall@10"] == report["answer_accuracy"] == report["refusal_recall"] == 1
    assert {result.case.id: result.cited for result in results} == {
        "seals": ("seals.md",),
        "own": ("pay.md",),
        "others": (),
    }
    assert [told for told in seen if told[0] == "asking"] == [
        ("asking", done, 3) for done in (1, 2, 3)
    ]
