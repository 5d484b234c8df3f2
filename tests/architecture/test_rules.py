"""Rules that no type checker sees."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("rag", "ingestion", "connectors", "api")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_only_access_makes_scopes() -> None:
    makers = [path for path in sources() if re.search(r"\bAccessScope\(", path.read_text())]
    assert makers == [ROOT / "rag" / "access.py"]


def test_third_party_search_and_storage_libraries_enter_rag_by_adapters_and_storage_alone() -> None:
    libraries = (
        r"^\s*(?:from|import) (qdrant\w*|sqlalchemy|onnxruntime|httpx|aiohttp|redis|jsonschema"
        r"|presidio\w*|torch|llama_index|arq|opentelemetry)\b"
    )
    inside = [path for path in sources() if path.is_relative_to(ROOT / "rag")]
    strangers = [
        path.relative_to(ROOT)
        for path in inside
        if path.relative_to(ROOT / "rag").parts[0] not in {"adapters", "storage"}
        and re.search(libraries, path.read_text(), re.MULTILINE)
    ]
    assert strangers == []


def test_every_module_opens_with_its_purpose() -> None:
    silent = [
        path.relative_to(ROOT)
        for path in sources()
        if path.read_text().strip() and not path.read_text().startswith('"""')
    ]
    assert silent == []


def test_every_decision_is_listed_and_every_listed_decision_is_there() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}


def test_no_path_of_one_machine_stands_in_the_repository() -> None:
    machine = re.compile(r"/(?:wo" + r"rk|ro" + r"ot|fa" + r"rm)/")
    texts = [*sources(), *(ROOT / "tests").rglob("*.py"), *ROOT.glob("*.md"), ROOT / "Makefile"]
    assert [p.relative_to(ROOT) for p in texts if machine.search(p.read_text())] == []
