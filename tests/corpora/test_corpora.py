"""The sample company is complete, reproducible and consistent with its own access rules."""

import email
import email.policy
import fnmatch
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = REPOSITORY / "corpora" / "aldermoor"
DOCUMENTS = CORPUS / "documents"
SOURCES = CORPUS / "sources"

BINARY = {".docx", ".pptx", ".xlsx", ".pdf", ".png"}
TEXT = {".md", ".html", ".txt", ".csv", ".eml"}
SMALLEST_COUNT = {
    "single_fact": 36,
    "table_cell": 16,
    "multi_document": 12,
    "exact_identifier": 16,
    "paraphrase": 16,
    "other_language": 8,
    "superseded": 12,
    "unanswerable": 16,
    "forbidden": 16,
    "injected": 4,
}
DEPARTMENTS = [
    "people",
    "finance",
    "engineering",
    "legal",
    "it",
    "sales",
    "operations",
    "quality",
    "kassel",
    "executive",
]

Question = dict[str, Any]


def mapping(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


@cache
def documents() -> frozenset[str]:
    return frozenset(
        path.relative_to(DOCUMENTS).as_posix()
        for path in DOCUMENTS.rglob("*")
        if path.is_file() and path.name != ".access.yaml"
    )


@cache
def sources() -> dict[str, str]:
    """The text each binary document was made from."""
    found: dict[str, str] = {}
    for path in SOURCES.rglob("*.yaml"):
        source = mapping(path)
        target = (path.parent.relative_to(SOURCES) / source["target"]).as_posix()
        found[target] = "\n".join(strings(source, folder=path.parent))
    return found


def strings(value: object, folder: Path) -> Iterator[str]:
    """Every piece of text in a source, each as the built document shows it."""
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield from strings(item, folder)
            if key == "rows_csv":
                yield (folder / str(item)).read_text(encoding="utf-8")
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from strings(item, folder)
    else:
        yield str(value)


def read(document: str) -> str:
    """What a quote may be taken from: the file itself, or the source of a binary one."""
    path = DOCUMENTS / document
    if path.suffix in BINARY:
        return sources()[document]
    if path.suffix == ".eml":
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
        return "\n".join(str(part.get_content()) for part in parts)
    return path.read_text(encoding="utf-8")


@cache
def questions() -> tuple[Question, ...]:
    lines = (CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines if line.strip())


def each_question(*kinds: str) -> Any:
    chosen = [q for q in questions() if not kinds or q["kind"] in kinds]
    return pytest.mark.parametrize("question", chosen, ids=[q["id"] for q in chosen])


# --- a small reading of the access files, independent of the connector's ------------------


@cache
def access_file(folder: Path) -> dict[str, Any] | None:
    path = folder / ".access.yaml"
    return mapping(path) if path.exists() else None


def readers(document: str) -> set[str]:
    """Who may read a document: the nearest access file decides, and none means nobody."""
    path = DOCUMENTS / document
    for folder in path.parents:
        rules = access_file(folder)
        if rules is not None:
            allowed = cast("list[str]", rules.get("readers", []))
            name = path.relative_to(folder).as_posix()
            entries = cast("dict[str, Any]", rules.get("files", {}))
            for pattern in sorted(entries, key=is_exact):
                if matches(name, pattern) and "readers" in entries[pattern]:
                    allowed = cast("list[str]", entries[pattern]["readers"])
            return set(allowed)
        if folder == DOCUMENTS:
            break
    return set()


def is_exact(pattern: str) -> bool:
    """Whether a pattern is a plain name, which overrules a glob."""
    return not set(pattern) & set("*?[")


def matches(name: str, pattern: str) -> bool:
    """Whether a glob matches folder by folder: a star never crosses a slash."""
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatch.fnmatchcase, names, patterns))


def may_read(question: Question, document: str) -> bool:
    return bool(readers(document) & {"everyone", question["as"], *question["groups"]})


# --- the documents ----------------------------------------------------------------------


def test_binary_documents_are_what_their_sources_say() -> None:
    check = subprocess.run(
        [sys.executable, str(REPOSITORY / "corpora" / "build.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


def test_there_are_enough_documents_in_every_format_and_department() -> None:
    assert len(documents()) >= 120
    formats = Counter(Path(document).suffix for document in documents())
    assert set(formats) == BINARY | TEXT
    assert all(count >= 2 for count in formats.values()), formats
    places = Counter(document.split("/")[0] for document in documents())
    assert set(places) == {*DEPARTMENTS, "unfiled"}
    assert all(places[department] >= 10 for department in DEPARTMENTS), places


def test_there_are_scans_and_multipart_mails_and_an_attachment() -> None:
    kinds = Counter(mapping(path)["kind"] for path in SOURCES.rglob("*.yaml"))
    assert kinds["scan"] >= 3
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in DOCUMENTS.rglob("*.eml")
    ]
    assert all(mail["From"] and mail["Date"] and mail["Message-ID"] for mail in mails)
    assert any(mail.get_content_type() == "multipart/alternative" for mail in mails)
    assert any(part.get_content_type() == "text/csv" for mail in mails for part in mail.walk())


def test_a_folder_without_an_access_file_is_read_by_nobody() -> None:
    unfiled = [document for document in documents() if document.startswith("unfiled/")]
    assert unfiled
    assert all(readers(document) == set() for document in unfiled)


def test_access_files_name_known_readers_and_existing_files() -> None:
    people = mapping(CORPUS / "people.yaml")["users"]
    known = {"everyone", *(f"user:{user}" for user in people)}
    known |= {group for person in people.values() for group in person["groups"]}
    for document in documents():
        assert readers(document) <= known, document
    for path in DOCUMENTS.rglob(".access.yaml"):
        names = [
            document.removeprefix(path.parent.relative_to(DOCUMENTS).as_posix() + "/")
            for document in documents()
            if path.parent in (DOCUMENTS / document).parents
        ]
        entries = cast("dict[str, Any]", mapping(path).get("files", {}))
        for pattern, entry in entries.items():
            assert any(matches(name, pattern) for name in names), f"{path}: {pattern}"
            older = entry.get("metadata", {}).get("supersedes")
            assert older is None or older in names, f"{path}: {older} is not there"


# --- the questions ----------------------------------------------------------------------


def test_there_are_enough_questions_of_every_kind() -> None:
    kinds = Counter(question["kind"] for question in questions())
    assert set(kinds) == set(SMALLEST_COUNT)
    short = {kind: kinds[kind] for kind, least in SMALLEST_COUNT.items() if kinds[kind] < least}
    assert not short
    assert len(questions()) >= 132


def test_question_ids_are_unique_and_nobody_asks_twice() -> None:
    assert len({question["id"] for question in questions()}) == len(questions())
    asked = {(question["question"].casefold(), question["as"]) for question in questions()}
    assert len(asked) == len(questions())


@each_question()
def test_the_asking_user_has_the_groups_of_the_fact_sheet(question: Question) -> None:
    people = mapping(CORPUS / "people.yaml")["users"]
    user = int(question["as"].removeprefix("user:"))
    assert sorted(question["groups"]) == sorted(people[user]["groups"])


@each_question()
def test_a_question_has_an_answer_or_a_refusal(question: Question) -> None:
    if question["kind"] in {"unanswerable", "forbidden"}:
        assert question["refusal"] == "no_evidence"
        assert question["expected_documents"] == []
        assert "answer_contains" not in question
    else:
        assert "refusal" not in question
        assert question["answer_contains"]
        assert question["expected_documents"]
        assert question["expected_quotes"]
    if question["kind"] == "multi_document":
        assert len(question["expected_documents"]) > 1
    if question["kind"] == "injected":
        assert question["answer_excludes"]


@each_question(*(set(SMALLEST_COUNT) - {"unanswerable", "forbidden"}))
def test_an_answer_stands_in_documents_the_user_may_read(question: Question) -> None:
    assert {
        *question["expected_documents"],
        *question.get("alternative_documents", []),
    } <= documents()
    for document in question["expected_documents"]:
        assert may_read(question, document), document
    texts = [read(document) for document in question["expected_documents"]]
    for quote in question["expected_quotes"]:
        assert any(quote in text for text in texts), quote
    together = normalised(" ".join(texts))
    for piece in question["answer_contains"]:
        assert normalised(piece) in together, piece


@each_question("forbidden")
def test_a_forbidden_answer_is_closed_to_the_user(question: Question) -> None:
    assert question["forbidden_documents"]
    assert set(question["forbidden_documents"]) <= documents()
    for document in question["forbidden_documents"]:
        assert not may_read(question, document), document


def normalised(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold()
