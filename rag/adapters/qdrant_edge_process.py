"""The process that owns a Qdrant Edge shard: `python -m rag.adapters.qdrant_edge_process`.

A call into qdrant-edge-py 0.9.0 holds the interpreter's lock until it returns, so a search in a
thread would stop the event loop for as long as it takes. In a process of its own it stops nobody,
and a crash of the engine ends only this process; whoever started it starts it again.

Requests come on standard input and answers leave on standard output, in order, as `frame` makes
them. The process ends when its input does.
"""

import os
import pickle
import select
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from rag.adapters.qdrant_edge_shard import (
    LENGTH_BYTES,
    Done,
    Failed,
    Shard,
    frame,
    open_shard,
)
from rag.errors import ConfigurationError

_FLUSH_AFTER_WRITES = 2_000
_IDLE_S = 1.0
_OPTIMISE_FROM = 5_000
"""Points written: fewer are searched as quickly as they are."""
_OPTIMISE_AFTER_S = 15.0
"""Of quiet. A search that comes meanwhile waits: 19 s after 100,000 chunks were written."""


def serve(
    shard: Shard,
    requests: IO[bytes],
    answers: IO[bytes],
    *,
    optimise_from: int = _OPTIMISE_FROM,
    optimise_after_s: float = _OPTIMISE_AFTER_S,
) -> None:
    """Answer each request in turn until there are no more. Flush and optimise when there is time."""
    operations: dict[str, Callable[..., object]] = {
        operation.__name__: operation
        for operation in (
            *(shard.upsert, shard.describe, shard.delete, shard.delete_where),
            *(shard.chunk_ids, shard.count, shard.dense, shard.sparse),
        )
    }
    quiet_s = 0.0
    while True:
        idle = not select.select([requests], [], [], _IDLE_S)[0]
        quiet_s = quiet_s + _IDLE_S if idle else 0.0
        if shard.unflushed and (idle or shard.unflushed >= _FLUSH_AFTER_WRITES):
            shard.flush()
        if quiet_s >= optimise_after_s and shard.unoptimised >= optimise_from:
            shard.optimise()
        if idle:
            continue
        request = _read(requests)
        if request is None:
            return
        operation, arguments = request
        answers.write(frame(_attempt(operations[operation], arguments)))
        answers.flush()


def _attempt(operation: Callable[..., object], arguments: Sequence[object]) -> Done | Failed:
    try:
        return Done(operation(*arguments))
    except Exception as error:  # noqa: BLE001 - the engine raises bare Exceptions; the caller is told
        return _failure(error)


def _failure(error: Exception) -> Failed:
    said = f"{type(error).__name__}: {error}"
    full = "No space left" in said or "os error 28" in said
    return Failed("full" if full else "unavailable", said)


def _read(requests: IO[bytes]) -> tuple[str, tuple[object, ...]] | None:
    length = _exactly(requests, LENGTH_BYTES)
    if length is None:
        return None
    body = _exactly(requests, int.from_bytes(length, "little"))
    return None if body is None else pickle.loads(body)  # noqa: S301 - from our own parent only


def _exactly(requests: IO[bytes], count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = requests.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def main(path: str, dimensions: str) -> None:
    # Nothing but answers may leave on the answers' channel: whatever prints, prints to stderr.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    with suppress(BrokenPipeError):  # whoever asked is gone, and the shard is closed all the same
        try:
            with open_shard(Path(path), dimensions=int(dimensions)) as shard:
                answers.write(frame(Done(result=None)))
                answers.flush()
                serve(shard, requests, answers)
        except BrokenPipeError:
            raise
        except ConfigurationError as error:
            answers.write(frame(Failed("configuration", str(error))))
        except Exception as error:  # noqa: BLE001 - the engine raises bare Exceptions; the caller is told
            answers.write(frame(_failure(error)))
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
