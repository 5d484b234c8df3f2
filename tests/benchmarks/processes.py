"""The processor's time that this process and all it started have taken."""

import os
from pathlib import Path


def cpu_s() -> float:
    """Of this process, its descendants and those of them that have ended, in seconds."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))  # own, and of ended children
    family = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks[process] for process in family) / os.sysconf("SC_CLK_TCK")
