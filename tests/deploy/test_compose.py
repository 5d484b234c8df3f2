"""compose.yaml: the real client reads it, and it keeps the promises that its comments make."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SECRETS = ("POSTGRES_PASSWORD", "QDRANT_API_KEY", "REDIS_PASSWORD")


def compose_config(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    client = shutil.which("docker-compose")
    assert client, "set-up installs docker-compose (deploy/apt-packages-test.txt)"
    return subprocess.run(
        [client, "-f", str(ROOT / "compose.yaml"), "--profile", "model", "config"],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def filled_in(tmp_path: Path) -> dict[str, str]:
    secrets = {name: f"secret-{number}" for number, name in enumerate(SECRETS)}
    return {**secrets, "RAG_DOCUMENTS": str(tmp_path)}


def services() -> dict[str, dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return cast("dict[str, dict[str, Any]]", loaded["services"])


def test_the_client_accepts_the_file_once_the_secrets_are_set(filled_in: dict[str, str]) -> None:
    result = compose_config(filled_in)
    assert result.returncode == 0, result.stderr
    assert set(yaml.safe_load(result.stdout)["services"]) == set(services())


@pytest.mark.parametrize("missing", [*SECRETS, "RAG_DOCUMENTS"])
def test_it_does_not_start_without_a_secret_or_documents(
    filled_in: dict[str, str], missing: str
) -> None:
    del filled_in[missing]
    result = compose_config(filled_in)
    assert result.returncode != 0
    assert missing in result.stderr


def test_every_service_says_whether_it_is_well_and_comes_back_after_a_crash() -> None:
    for name, service in services().items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_what_holds_data_holds_it_on_a_named_volume() -> None:
    for name in ("qdrant", "postgres", "redis"):
        volumes = cast("list[str]", services()[name]["volumes"])
        assert any(volume.split(":")[0] == name for volume in volumes)


def test_the_example_environment_names_every_variable_that_is_demanded() -> None:
    example = (ROOT / "deploy" / "env.example").read_text()
    for name in (*SECRETS, "RAG_DOCUMENTS"):
        assert f"\n{name}=\n" in f"\n{example}"
