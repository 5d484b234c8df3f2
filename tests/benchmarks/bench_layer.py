"""What the whole layer adds to a call of a model, beside the LiteLLM proxy in the same run.

    python -m venv X && X/bin/pip install 'litellm[proxy]'    # once, an environment of its own
    python tests/benchmarks/bench_layer.py --litellm X/bin/python [--requests N] [--seconds S]
        [--concurrency N] [--out FILE]

A scripted upstream answers at once. Before it stand `rag serve` as it comes (all default guards,
the audit, usage and budgets on SQLite; of its settings only the limits of rates are off, which
would end the measurement) and LiteLLM as it comes, with its master key and without a database, and
thus without budgets, guards or an audit. Upstream, load and servers are processes of their own.
`ours` calls a model outside, before which personal data is masked; `ours, own model` is a second
`rag serve` whose model is trusted with it.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import root
from processes import cpu_s
from reporting import report, told

from tests.ports import free_port

HERE = Path(__file__).parent
STARTS_WITHIN_S = 180.0
MODELS = """\
providers:
  scripted: {{base_url: "{upstream}/v1", trusted: {trusted}}}
models:
  - {{name: small, tier: cheap, context_tokens: 32768, max_output_tokens: 2048,
     price: {{input: 0.15, output: 0.6}}, deployments: [{{provider: scripted, model: served}}]}}
"""
LITELLM = """\
model_list:
  - model_name: served
    litellm_params: {{model: openai/served, api_base: "{upstream}/v1", api_key: none}}
general_settings: {{master_key: {key}}}
"""
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "127.0.0.1",
}
"""What keeps LiteLLM from reaching out."""
Target = dict[str, Any]


@contextmanager
def running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str], ready: str
) -> Generator[int]:
    """The process of `command`, once `ready` answers; ended with the block."""
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **environment},
            stdout=written,
            stderr=written,
        )
        try:
            _wait_for(ready, process, log)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"{log.stem} ended at its start:\n{_end_of(log)}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http, ours
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    sys.exit(f"{log.stem} did not answer within {STARTS_WITHIN_S:.0f} s:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


@contextmanager
def an_upstream(folder: Path) -> Generator[tuple[int, Target]]:
    port = free_port()
    command = [sys.executable, str(HERE / "instant_upstream.py"), "--port", str(port)]
    ready = f"http://127.0.0.1:{port}/v1/models"
    with running(command, folder / "upstream.log", environment={}, ready=ready) as pid:
        yield pid, {"port": port, "model": "served", "key": "none"}


@contextmanager
def ours(folder: Path, upstream: str, *, trusted: bool = False) -> Generator[tuple[int, Target]]:
    """`rag serve` over a new data directory, and a key that may call models."""
    folder.mkdir()
    (folder / "models.yaml").write_text(
        MODELS.format(upstream=upstream, trusted=str(trusted).lower())
    )
    environment = {
        "RAG_DATA_DIR": str(folder / "data"),
        "RAG_MODELS__FILE": str(folder / "models.yaml"),
        "RAG_RATE_LIMITS__ENABLED": "false",
        "PYTHONPATH": str(root.ROOT),
    }
    rag, port = [sys.executable, "-m", "api.cli"], free_port()

    def said(*words: str) -> Any:
        done = subprocess.run(
            [*rag, *words, "--json"],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            timeout=STARTS_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"rag {words[0]} failed:\n{done.stderr.decode()[-2_000:]}")
        return json.loads(done.stdout)

    said("init")
    with running(
        [*rag, "serve", "--port", str(port)],
        folder / "rag serve.log",
        environment=environment,
        ready=f"http://127.0.0.1:{port}/healthz",
    ) as pid:
        key = said("keys", "create", "bench", "--principal", "app:1", "--permissions", "ask,models")
        yield pid, {"port": port, "model": "small", "key": key["token"]}


@contextmanager
def litellm(folder: Path, upstream: str, python: Path) -> Generator[tuple[int, Target]]:
    key, port = f"sk-{secrets.token_hex(24)}", free_port()
    folder.mkdir()
    (folder / "litellm.yaml").write_text(LITELLM.format(upstream=upstream, key=key))
    with running(
        [
            *(str(python.with_name("litellm")), "--config", str(folder / "litellm.yaml")),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        folder / "litellm.log",
        environment=QUIET,
        ready=f"http://127.0.0.1:{port}/health/liveliness",
    ) as pid:
        yield pid, {"port": port, "model": "served", "key": key}


def loaded(targets: Mapping[str, Target], **how: Any) -> dict[str, Any]:
    asked = json.dumps({"targets": targets, **how}).encode()
    command = [sys.executable, str(HERE / "chat_load.py")]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, timeout=1_800, check=False)
    if done.returncode != 0:
        sys.exit("the load did not get its answers")
    return json.loads(done.stdout)


def measured(
    targets: Mapping[str, Target],
    pids: Mapping[str, int],
    *,
    streamed: bool,
    chosen: argparse.Namespace,
) -> dict[str, Any]:
    kind = "streamed" if streamed else "whole"
    told(f"{kind}: in turn", 0, 0)
    loaded(targets, streamed=streamed, at_once=1, requests=30)
    one_by_one = loaded(targets, streamed=streamed, at_once=1, requests=chosen.requests)
    under_load: dict[str, Any] = {}
    for name, target in targets.items():
        told(f"{kind}: {chosen.concurrency} at once, {name}", 0, 0)
        how = {"streamed": streamed, "at_once": chosen.concurrency}
        loaded({name: target}, seconds=2, **how)
        before = cpu_s(pids[name])
        figures = loaded({name: target}, seconds=chosen.seconds, **how)
        cpu = (cpu_s(pids[name]) - before) / figures["requests"]
        under_load[name] = {**figures, "cpu_ms_a_request": round(cpu * 1_000, 2)}
    bare = one_by_one["upstream"]
    added = {
        name: {key: round(value - bare[key], 2) for key, value in each.items()}
        for name, each in one_by_one.items()
        if name != "upstream"
    }
    result = {"one_by_one": one_by_one, "added_ms": added, "at_once": under_load}
    if "litellm" in targets:
        theirs = under_load["litellm"]["a_second"]
        result["throughput_times_litellm"] = {
            name: round(each["a_second"] / theirs, 1) for name, each in under_load.items()
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", type=Path, help="its environment's python; unset: without it")
    parser.add_argument("--requests", type=int, default=500, help="of each, one by one")
    parser.add_argument("--seconds", type=float, default=15, help="of load on each")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream_pid, upstream = stack.enter_context(an_upstream(folder))
        address = f"http://127.0.0.1:{upstream['port']}"
        told("rag serve starts", 0, 0)
        pid, target = stack.enter_context(ours(folder / "ours", address))
        own_pid, own = stack.enter_context(ours(folder / "own", address, trusted=True))
        targets = {"upstream": upstream, "ours": target, "ours, own model": own}
        pids = {"upstream": upstream_pid, "ours": pid, "ours, own model": own_pid}
        if chosen.litellm is not None:
            told("LiteLLM starts", 0, 0)
            pids["litellm"], targets["litellm"] = stack.enter_context(
                litellm(folder / "litellm", address, chosen.litellm.absolute())
            )
        figures: dict[str, Any] = {}
        for kind, streamed in (("whole", False), ("streamed", True)):
            figures[kind] = measured(targets, pids, streamed=streamed, chosen=chosen)
            told(f"{kind}: {json.dumps(figures[kind])}", 0, 0)
    report({"cores": os.cpu_count(), "concurrency": chosen.concurrency, **figures}, chosen.out)


if __name__ == "__main__":
    main()
