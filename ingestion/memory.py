"""How much memory this process and its children take, and when that is too much to begin more.

Linux tells it in /proc. Pages that processes share are counted in each, so the sum errs upwards.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHARE_OF_MACHINE = 0.8
_LOOK_AGAIN_S = 0.2
_PROCESSES = Path("/proc")
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""What a container may take: cgroup version 2, and 1."""


def resident_bytes() -> int:
    """Resident memory of this process and all that descend from it; 0 where /proc is not."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(_resident_pages(process) * page for process in _family(os.getpid()))


def machine_bytes() -> int | None:
    """What the machine has, or this container may take; None where nobody tells."""
    try:
        told = (_PROCESSES / "meminfo").read_text()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in told.splitlines())
    sizes = [int(fields["MemTotal"].split()[0]) * 1024]
    for limit in _LIMITS:
        try:
            sizes.append(int(limit.read_text()))
        except (OSError, ValueError):  # "max", or another version's file
            continue
    return min(sizes)


def default_bound_bytes() -> int | None:
    machine = machine_bytes()
    return None if machine is None else int(machine * SHARE_OF_MACHINE)


@dataclass(slots=True)
class MemoryBound:
    """Says when no more should be begun. It looks a few times a second, however often asked."""

    limit_bytes: int
    measure: Callable[[], int] = resident_bytes
    _looked_at: float = field(default=-1e9, init=False)
    _resident: int = field(default=0, init=False)

    @property
    def resident(self) -> int:
        if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
            self._resident, self._looked_at = self.measure(), time.monotonic()
        return self._resident

    def excess(self) -> str | None:
        """Why no more should be begun, in words; None while there is room."""
        if (resident := self.resident) <= self.limit_bytes:
            return None
        return f"memory: {_in_mib(resident)} in use, the bound is {_in_mib(self.limit_bytes)}"


def _family(process: int) -> Iterator[int]:
    yield process
    for task in (_PROCESSES / str(process) / "task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            yield from _family(int(child))


def _resident_pages(process: int) -> int:
    try:
        return int((_PROCESSES / str(process) / "statm").read_text().split()[1])
    except OSError:  # it ended meanwhile
        return 0


def _in_mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
