"""What a command pays for by importing, and what is settled before numpy is loaded."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

HEAVY = (
    "arq",
    "llama_index",
    "onnx",
    "pandas",
    "qdrant_client",
    "redis",
    "sentence_transformers",
    "spacy",
    "torch",
    "transformers",
    "unstructured",
)
"""Libraries that a platform of one process may never need; each takes a good part of a second."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def printed_by(code: Sequence[str], environment: Mapping[str, str] | None = None) -> Any:
    """The JSON that a fresh interpreter prints last."""
    inherited = {name: value for name, value in os.environ.items() if name not in THREADS}
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(("import json, os, sys", *code))],
        env={**inherited, **(environment or {})},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def threads_after_a_command(environment: Mapping[str, str]) -> dict[str, str | None]:
    return printed_by(
        (
            "from api.cli import main",
            "try: main(['--help'])",
            "except SystemExit: pass",
            f"print(json.dumps({{name: os.environ.get(name) for name in {THREADS}}}))",
        ),
        environment,
    )


def test_a_command_that_runs_the_platform_itself_loads_no_library_it_does_not_use() -> None:
    loaded = printed_by(
        (
            "import api.cli.commands, api.cli.embedded, api.wiring",
            "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))",
        )
    )
    assert "fastapi" in loaded and "onnxruntime" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_a_command_names_its_threads_before_numpy_asks() -> None:
    code = ("import api.cli", "print(json.dumps(['numpy' in sys.modules, dict(os.environ)]))")
    numpy_is_loaded, environment = printed_by(code)
    assert not numpy_is_loaded
    assert not set(THREADS) & set(environment), "importing alone settles nothing"
    # Torch would obey OMP_NUM_THREADS: it is nobody's to set but the operator's.
    assert threads_after_a_command({}) == {"OMP_NUM_THREADS": None, "OPENBLAS_NUM_THREADS": "1"}


def test_threads_that_an_operator_chose_stay() -> None:
    for chosen in THREADS:
        unset = dict.fromkeys(THREADS)
        assert threads_after_a_command({chosen: "3"}) == {**unset, chosen: "3"}
