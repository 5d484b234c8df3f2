"""The export at set-up: pinned going in, compared coming out, checked at every load."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rag.adapters.minilm import PROJECTION, default_model_dir, export_minilm, main
from rag.adapters.onnx_embedder import (
    MANIFEST_FILE,
    MODEL_FILE,
    PROJECTION_FILE,
    TOKENIZER_FILE,
    load_onnx_embedder,
)
from rag.errors import ConfigurationError


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    export_minilm(default_model_dir())
    return Path(shutil.copytree(default_model_dir(), tmp_path / "model"))


def test_a_second_export_finds_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    export_minilm(default_model_dir())

    assert not export_minilm(default_model_dir())
    assert main(["--to", str(default_model_dir())]) == 0
    assert "already" in capsys.readouterr().out


@pytest.mark.parametrize("name", [MODEL_FILE, TOKENIZER_FILE, PROJECTION_FILE])
def test_a_file_that_was_changed_is_refused_at_load(model_dir: Path, name: str) -> None:
    with (model_dir / name).open("ab") as file:
        file.write(b"\n")

    with pytest.raises(ConfigurationError, match="not the one that was exported"):
        load_onnx_embedder(model_dir)


def _remove(path: Path) -> None:
    path.unlink()


def _garble(path: Path) -> None:
    path.write_text("[1, 2", "utf-8")


def _hollow(path: Path) -> None:
    path.write_text("{}", "utf-8")


@pytest.mark.parametrize("damage", [_remove, _garble, _hollow])
def test_a_directory_without_a_manifest_says_how_to_make_one(
    model_dir: Path, damage: Callable[[Path], None]
) -> None:
    damage(model_dir / MANIFEST_FILE)

    with pytest.raises(ConfigurationError, match=r"python -m rag\.adapters\.minilm"):
        load_onnx_embedder(model_dir)


def test_more_token_dimensions_than_the_projection_has_are_refused(model_dir: Path) -> None:
    with pytest.raises(ConfigurationError, match="1 to 128 dimensions, or of 384, not of 200"):
        load_onnx_embedder(model_dir, token_dimensions=200)


def test_the_projection_keeps_angles_within_its_own_space() -> None:
    columns = np.load(PROJECTION).astype(np.float64)

    assert columns.shape == (384, 128)
    assert np.allclose(columns.T @ columns, np.eye(128), atol=2e-3)
