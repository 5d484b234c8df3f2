"""Noticing that something changed in a folder, cheaply, without reading any file."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

LOOK_EVERY_S = 1.0

State = Mapping[str, tuple[int, int, int]]
"""Path → modification time in ns, size in bytes, inode."""


async def changes_of(root: Path, *, every_s: float = LOOK_EVERY_S) -> AsyncGenerator[None]:
    """At once, and then whenever something below `root` has changed since the time before.

    A file that is still being written is waited for: two looks in a row see the same.
    """
    known = seen = await asyncio.to_thread(state_of, root)
    yield
    while True:
        await asyncio.sleep(every_s)
        before, seen = seen, await asyncio.to_thread(state_of, root)
        if seen == before and seen != known:
            known = seen
            yield


def state_of(root: Path) -> State:
    """What is below `root` now. A folder that cannot be read counts as empty: the sync tells of it."""
    state: dict[str, tuple[int, int, int]] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - a Path for each file is slow
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:
                continue  # gone between the listing and the look
            state[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return state
