"""Which access file governs a file, for every source that is a tree of folders."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from connectors.access_files import (
    ACCESS_FILE,
    MISNAMED_ACCESS_FILES,
    AccessFile,
    Grant,
    MalformedAccessFile,
)
from rag.access import NOBODY

ACCESS_FILES = frozenset({ACCESS_FILE, *MISNAMED_ACCESS_FILES})


@dataclass(frozen=True, slots=True)
class Malformed:
    """An access file that cannot be taken at its word: it admits nobody."""

    reason: str


Rule = AccessFile | Malformed
"""What the access file of a folder turned out to be."""


def rule_of(names: Collection[str], read: Callable[[], AccessFile]) -> Rule | None:
    """What a folder with these `names` in it says of access; None where it says nothing. `read`
    gives its access file, and may raise `MalformedAccessFile`."""
    if misnamed := sorted(MISNAMED_ACCESS_FILES.intersection(names)):
        return Malformed(f"{misnamed[0]} must be named {ACCESS_FILE}")
    if ACCESS_FILE not in names:
        return None
    try:
        return read()
    except MalformedAccessFile as error:
        return Malformed(str(error))


@dataclass(slots=True)
class Governed:
    """The rule of one folder, and the grants it gives; each is worked out once."""

    folder: PurePath
    rule: Rule | None
    """None: no access file stands between here and the root."""
    default: Grant
    _same_for_all: tuple[Grant, str] | None = field(default=None, init=False, repr=False)

    def grant_of(self, path: PurePath) -> tuple[Grant, str]:
        """The grant of the file at `path`, and its fingerprint."""
        if self._same_for_all is not None:
            return self._same_for_all
        match self.rule:
            case None:
                grant = self.default
            case Malformed():
                grant = Grant(NOBODY)
            case AccessFile(entries=()) as access_file:
                grant = access_file.grant_for(path.name)
            case AccessFile() as access_file:
                grant = access_file.grant_for(path.relative_to(self.folder).as_posix())
                return grant, grant.fingerprint
        self._same_for_all = grant, grant.fingerprint
        return self._same_for_all


def nearest(
    rules: Mapping[PurePath, Rule], folder: PurePath, root: PurePath, default: Grant
) -> Governed:
    """What governs the files of `folder`: the rule of the nearest folder upward to `root`."""
    for above in (folder, *folder.parents):
        if above in rules:
            return Governed(above, rules[above], default)
        if above == root:
            break
    return Governed(root, None, default)
