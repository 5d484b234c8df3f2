"""What an operator can set, and what happens when they mistype it."""

import os
from pathlib import Path

import pytest

from api.settings import Settings, load_settings
from api.settings_docs import settings_document
from rag.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def an_empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("RAG_"):
            monkeypatch.delenv(name)


def test_without_a_setting_everything_is_local() -> None:
    settings = load_settings()
    assert settings.qdrant_url is None
    assert settings.redis_url is None
    assert settings.resolved_database_url.startswith("sqlite+aiosqlite:////")
    assert settings.resolved_database_url.endswith(".rag-data/rag.db")


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rag.toml").write_text(
        "tenant = 'acme'\n[retrieval]\ncandidates = 70\nrerank_candidates = 5\n"
    )
    monkeypatch.setenv("RAG_RETRIEVAL__CANDIDATES", "90")
    settings = load_settings()
    assert (
        settings.tenant,
        settings.retrieval.candidates,
        settings.retrieval.rerank_candidates,
    ) == (
        "acme",
        90,
        5,
    )


def test_rag_config_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text("tenant = 'acme'\n")
    monkeypatch.setenv("RAG_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().tenant == "acme"


def test_a_file_that_is_named_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("RAG_RETRIEVAL__CANDIDATE", "RAG_RETRIEVAL__CANDIDATES"),
        ("RAG_QDRANT_URI", "RAG_QDRANT_URL"),
        ("RAG_LANGUAGE_MODEL_KIND", "RAG_LANGUAGE_MODEL__KIND"),
    ],
)
def test_an_unknown_variable_stops_the_start_and_names_the_nearest(
    variable: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigurationError, match=f"{variable}.*{nearest}$"):
        load_settings()


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("tennant = 'x'", r"tennant.*nearest setting is tenant"),
        ("[retrieval]\ncandidate = 3", r"retrieval\.candidate; .*retrieval\.candidates"),
        ("[retreival]\ncandidates = 3", "retreival.*retrieval"),
        ("tenant = ", "not valid TOML"),
    ],
)
def test_an_unknown_key_stops_the_start_and_names_the_nearest(
    toml: str, named: str, tmp_path: Path
) -> None:
    (tmp_path / "rag.toml").write_text(toml)
    with pytest.raises(ConfigurationError, match=named):
        load_settings()


def test_variables_of_tests_and_clients_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_TEST_QDRANT_URL", "http://localhost:6333")
    monkeypatch.setenv("RAG_API_KEY", "rag_x_y")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("RAG_RETRIEVAL__CANDIDATES", "many", "retrieval.candidates: "),
        ("RAG_SERVER__PORT", "99999", "server.port: "),
        ("RAG_LANGUAGE_MODEL__KIND", "openai", "kind = openai needs `model`"),
        ("RAG_OIDC__ISSUER", "https://id.example", "oidc.issuer needs oidc.audience"),
        ("RAG_OIDC__ALGORITHMS", '["HS256"]', "oidc.algorithms"),
        ("RAG_OIDC__ALGORITHMS", '["none"]', "oidc.algorithms"),
        ("RAG_OIDC__ALGORITHMS", "RS256", "a list is written as JSON"),
        ("RAG_OIDC__GROUP_PREFIX", "everyone", "oidc.group_prefix"),
    ],
)
def test_a_wrong_value_is_named_by_its_setting(
    variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert told in str(error.value)


def test_secrets_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", "postgresql+asyncpg://rag:hunter2@db/rag")
    monkeypatch.setenv("RAG_REDIS_URL", "redis://:hunter2@redis:6379/0")
    monkeypatch.setenv("RAG_QDRANT_API_KEY", "hunter2")
    monkeypatch.setenv("RAG_LANGUAGE_MODEL__API_KEY", "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    assert settings.resolved_database_url == "postgresql+asyncpg://rag:hunter2@db/rag"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().tenant = "other"


def test_the_settings_page_is_current() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text() == settings_document()
