"""The processor's time that a process and all it started have taken."""

import os
from pathlib import Path


def cpu_s(process: int | None = None) -> float:
    """Of `process` (this one, where none is named), its descendants and those of them that have
    ended, in seconds."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))  # own, and of ended children
    family = {os.getpid() if process is None else process}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(member, 0) for member in family) / os.sysconf("SC_CLK_TCK")
